// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/damper"
	"github.com/tocsin-dev/tocsin/internal/match"
	"github.com/tocsin-dev/tocsin/internal/preset"
	"github.com/tocsin-dev/tocsin/internal/window"
)

// Rule is one generation of a condition, compiled.
type Rule struct {
	// Condition is the object that was compiled; it must not be changed.
	Condition *v1alpha1.NotificationCondition
	Filter    *match.Filter
	// Threshold in effect, after preset and defaults.
	Threshold v1alpha1.EffectiveThreshold

	threshold window.Threshold
	damper    damper.Damper
	per       v1alpha1.DamperPer
	// single says that each computer is counted by itself.
	single bool
}

// Compile prepares a condition. An error names the field that cannot be used.
func Compile(condition *v1alpha1.NotificationCondition) (*Rule, error) {
	spec := &condition.Spec
	effective := preset.For(spec.Type).Threshold(spec.Threshold)
	width, err := effective.Window.Duration()
	if err != nil {
		return nil, fmt.Errorf("spec.threshold.window: %w", err)
	}
	period, per := preset.DefaultDamper, v1alpha1.DamperPerCondition
	if d := spec.Damper; d != nil {
		if period, err = damperPeriod(d.Period); err != nil {
			return nil, fmt.Errorf("spec.damper.period: %w", err)
		}
		if d.Per != "" {
			per = d.Per
		}
	}
	return &Rule{
		Condition: condition,
		Filter:    match.Compile(spec),
		Threshold: effective,
		threshold: window.Threshold{
			Count:    int64(effective.Count),
			Width:    width,
			Distinct: effective.Scope == v1alpha1.ScopeDistinctComputers,
		},
		damper: damper.Damper{Period: period, Window: width},
		per:    per,
		single: effective.Scope == v1alpha1.ScopeSingleComputer,
	}, nil
}

func damperPeriod(p v1alpha1.DamperPeriod) (time.Duration, error) {
	switch p {
	case "", v1alpha1.DamperAuto:
		return preset.DefaultDamper, nil
	case v1alpha1.DamperNone:
		return 0, nil
	default:
		return time.ParseDuration(string(p))
	}
}

// Damper is the damper's period in effect; zero for none.
func (r *Rule) Damper() time.Duration { return r.damper.Period }

// group tells windows apart: by computer with scope SingleComputer, by risk with a damper per risk.
type group struct{ computer, risk string }

func (r *Rule) group(e window.Entry) group {
	var g group
	if r.single {
		g.computer = e.Computer
	}
	if r.per == v1alpha1.DamperPerRisk {
		g.risk = e.Risk
	}
	return g
}

// key tells dampers apart. Without a damper it tells windows apart, as what was used up is remembered by key.
func (r *Rule) key(e window.Entry) string {
	if r.damper.Period == 0 {
		g := r.group(e)
		if g.computer != "" && g.risk != "" {
			return g.computer + "/" + g.risk
		}
		return g.computer + g.risk
	}
	switch r.per {
	case v1alpha1.DamperPerComputer:
		return e.Computer
	case v1alpha1.DamperPerRisk:
		return e.Risk
	default:
		return ""
	}
}

// shared says that several dampers look at one window.
func (r *Rule) shared() bool { return r.per == v1alpha1.DamperPerComputer && !r.single }

// entry is what the window counts for an event that arrived at this time. An event from the future happened on arrival.
func entry(event *v1alpha1.SecurityEvent, arrival time.Time) window.Entry {
	spec := &event.Spec
	e := window.Entry{First: arrival, Time: arrival, Count: 1, Severity: spec.Severity.Number()}
	if spec.Time != nil && spec.Time.Time.Before(arrival) {
		e.First, e.Time = spec.Time.Time, spec.Time.Time
	}
	if spec.LastTime != nil {
		e.Time = spec.LastTime.Time
		if e.Time.After(arrival) {
			e.Time = arrival
		}
	}
	if spec.Count != nil {
		e.Count = int64(*spec.Count)
	}
	if spec.Computer != nil {
		e.Computer = spec.Computer.Name
	}
	if spec.Risk != nil {
		e.Risk = spec.Risk.Name
	}
	return e
}

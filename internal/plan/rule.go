// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/damper"
	"github.com/tocsin-dev/tocsin/internal/legible"
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
	// once says that each risk is told once.
	once bool
}

// Compile prepares a condition for an installation of so many computers, by which threshold.auto goes. An error begins with
// the field that cannot be used, a colon and a space.
func Compile(condition *v1alpha1.NotificationCondition, computers int32) (*Rule, error) {
	spec := &condition.Spec
	kind := preset.For(spec.Type)
	effective := kind.Threshold(spec.Threshold, computers)
	width, err := effective.Window.Duration()
	if err != nil {
		return nil, fmt.Errorf("spec.threshold.window: %w", err)
	}
	period, per, err := damping(kind, spec.Damper)
	if err != nil {
		return nil, err
	}
	filter, err := match.Compile(spec)
	if err != nil {
		return nil, err
	}
	if err := reachable(spec, effective); err != nil {
		return nil, err
	}
	return &Rule{
		Condition: condition,
		Filter:    filter,
		Threshold: effective,
		threshold: window.Threshold{
			Count:    int64(effective.Count),
			Width:    width,
			Distinct: effective.Scope == v1alpha1.ScopeDistinctComputers,
		},
		damper: damper.Damper{Period: period, Window: width},
		per:    per,
		single: effective.Scope == v1alpha1.ScopeSingleComputer,
		once:   kind.OncePerRisk(),
	}, nil
}

// reachable refuses a threshold of more different computers than the filter lets through; with threshold.auto, one that could
// become so.
func reachable(spec *v1alpha1.NotificationConditionSpec, effective v1alpha1.EffectiveThreshold) error {
	if effective.Computers != nil {
		effective.Count = preset.Auto(math.MaxInt32)
	}
	if effective.Scope != v1alpha1.ScopeDistinctComputers || spec.Filter == nil || len(spec.Filter.Computers) == 0 {
		return nil
	}
	names := map[string]struct{}{}
	for _, name := range spec.Filter.Computers {
		if strings.Contains(string(name), "*") {
			return nil
		}
		names[strings.ToLower(string(name))] = struct{}{}
	}
	if len(names) >= int(effective.Count) {
		return nil
	}
	return fmt.Errorf("spec.threshold.count: %d different computers can never be reached, as `spec.filter.computers` names "+
		"only %d", effective.Count, len(names))
}

// Window is the width of the threshold's window.
func (r *Rule) Window() time.Duration { return r.threshold.Width }

// OncePerRisk says that each risk is told once, whatever the damper.
func (r *Rule) OncePerRisk() bool { return r.once }

// damping is the damper's period and what it runs for.
func damping(kind preset.Preset, own *v1alpha1.Damper) (time.Duration, v1alpha1.DamperPer, error) {
	period, per := preset.DefaultDamper, v1alpha1.DamperPerCondition
	if own != nil {
		var err error
		if period, err = damperPeriod(own.Period); err != nil {
			return 0, "", fmt.Errorf("spec.damper.period: %w", err)
		}
		per = cmp.Or(own.Per, per)
	}
	if kind.OncePerRisk() {
		return 0, v1alpha1.DamperPerRisk, nil
	}
	return period, per, nil
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

// group tells windows apart: by computer with scope SingleComputer, by risk with a damper per risk. Names are in lower
// case, as those of computers and risks have no reliable one.
type group struct{ computer, risk string }

func (r *Rule) group(e window.Entry) group {
	var g group
	if r.single {
		g.computer = strings.ToLower(e.Computer)
	}
	if r.per == v1alpha1.DamperPerRisk {
		g.risk = strings.ToLower(e.Risk)
	}
	return g
}

// escaped keeps a computer's name from being taken for one with a risk.
var (
	escaped   = strings.NewReplacer("%", "%25", "/", "%2F")
	unescaped = strings.NewReplacer("%25", "%", "%2F", "/")
)

// key tells dampers apart. Without a damper it tells windows apart, as what was used up is remembered by key.
func (r *Rule) key(e window.Entry) string {
	if r.damper.Period == 0 {
		g := r.group(e)
		if r.single && r.per == v1alpha1.DamperPerRisk {
			return escaped.Replace(g.computer) + "/" + g.risk
		}
		return g.computer + g.risk
	}
	switch r.per {
	case v1alpha1.DamperPerComputer:
		return strings.ToLower(e.Computer)
	case v1alpha1.DamperPerRisk:
		return strings.ToLower(e.Risk)
	default:
		return ""
	}
}

// groupOf is the window that a key tells apart where there is no damper.
func (r *Rule) groupOf(key string) group {
	switch perRisk := r.per == v1alpha1.DamperPerRisk; {
	case r.single && perRisk:
		computer, risk, _ := strings.Cut(key, "/")
		return group{computer: unescaped.Replace(computer), risk: risk}
	case perRisk:
		return group{risk: key}
	default:
		return group{computer: key}
	}
}

// shared says that several dampers look at one window.
func (r *Rule) shared() bool {
	return r.damper.Period > 0 && r.per == v1alpha1.DamperPerComputer && !r.single
}

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
		e.Computer = legible.Text(spec.Computer.Name)
	}
	if spec.Risk != nil {
		e.Risk = legible.Text(spec.Risk.Name)
	}
	return e
}

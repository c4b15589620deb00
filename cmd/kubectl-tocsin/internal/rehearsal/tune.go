// SPDX-License-Identifier: Apache-2.0

package rehearsal

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// The settings that Tune tries, the most careful first: told sooner, and repeated more often.
var (
	Counts  = []int32{1, 2, 3, 5, 10, 20, 50, 100}
	Windows = []v1alpha1.Duration{"1m", "5m", "15m", "1h", "6h", "24h"}
	Dampers = []v1alpha1.DamperPeriod{"20m", "1h", "4h", "12h", "24h"}
)

// Proposal is a setting and what it would have done.
type Proposal struct {
	Count   int32
	Window  v1alpha1.Duration
	Damper  v1alpha1.DamperPeriod
	PerDay  float64
	Outcome *Outcome
}

// Tune tries the settings and returns them, best first: that which comes closest to so many notifications a day, and of
// equals the more careful one; those that tell nothing last. Of several that would have told the same, it returns the first.
// The draft's scope and `per` stay. Where nothing meets the filter there is nothing to go by, and it returns none.
func (s *Scene) Tune(ctx context.Context, draft *v1alpha1.NotificationCondition, perDay float64) ([]Proposal, error) {
	first, err := s.Play(ctx, draft)
	if err != nil {
		return nil, err
	}
	if first.Rule.OncePerRisk() {
		return nil, fmt.Errorf("spec.type: %s tells of each risk once, there is nothing to tune", draft.Spec.Type)
	}
	if len(first.Matched) == 0 {
		return nil, nil
	}
	alone := *s // what the filter lets through, as the rest changes nothing
	alone.Events = first.Matched
	var proposals []Proposal
	for _, damper := range Dampers {
		for _, count := range Counts {
			for _, window := range Windows {
				p := Proposal{Count: count, Window: window, Damper: damper}
				p.Outcome, err = alone.Play(ctx, p.apply(draft))
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				if err != nil {
					continue // more different computers than the filter names; all else was compiled before
				}
				p.PerDay = s.PerDay(p.Outcome)
				proposals = append(proposals, p)
			}
		}
	}
	if len(proposals) == 0 {
		return nil, errors.New("no setting can be used with this draft")
	}
	slices.SortStableFunc(proposals, func(a, b Proposal) int {
		return cmp.Or(cmp.Compare(silent(a), silent(b)), cmp.Compare(math.Abs(a.PerDay-perDay), math.Abs(b.PerDay-perDay)))
	})
	return different(proposals), nil
}

// apply sets the proposal in a copy of a draft.
func (p Proposal) apply(draft *v1alpha1.NotificationCondition) *v1alpha1.NotificationCondition {
	draft = draft.DeepCopy()
	threshold := v1alpha1.Threshold{Count: &p.Count, Window: p.Window}
	if own := draft.Spec.Threshold; own != nil {
		threshold.Scope = own.Scope
	}
	damper := v1alpha1.Damper{Period: p.Damper}
	if own := draft.Spec.Damper; own != nil {
		damper.Per = own.Per
	}
	draft.Spec.Threshold, draft.Spec.Damper = &threshold, &damper
	return draft
}

// silent is 1 for a setting that tells nothing.
func silent(p Proposal) int {
	if len(p.Outcome.Told) == 0 {
		return 1
	}
	return 0
}

// different leaves out proposals that tell the same at the same times as one before.
func different(proposals []Proposal) []Proposal {
	seen := map[[sha256.Size]byte]struct{}{}
	return slices.DeleteFunc(proposals, func(p Proposal) bool {
		var told []byte
		for _, f := range p.Outcome.Told {
			told = binary.BigEndian.AppendUint64(told, uint64(f.Time.UnixNano()))
			told = append(append(told, f.Key...), 0)
		}
		key := sha256.Sum256(told)
		_, known := seen[key]
		seen[key] = struct{}{}
		return known
	})
}

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
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// The settings that Tune tries, the most careful first: told sooner, and repeated more often.
var (
	Counts  = []int32{1, 2, 3, 5, 10, 20, 50, 100}
	Windows = []v1alpha1.Duration{"1m", "5m", "15m", "1h", "6h", "24h"}
	Dampers = []v1alpha1.DamperPeriod{"20m", "1h", "4h", "12h", "24h"}
)

// Proposal is a setting and what it would have done.
type Proposal struct {
	Count  int32
	Window v1alpha1.Duration
	Scope  v1alpha1.Scope
	Damper v1alpha1.DamperPeriod
	// Told is how many notifications there would have been, and PerDay how many a day that makes.
	Told   int
	PerDay float64
	// Held is how many occurrences a damper would have held.
	Held int64

	// order among the settings, and a digest of when it tells of what.
	order int
	times [sha256.Size]byte
}

// Wish is what Tune looks for.
type Wish struct {
	// PerDay is about how many notifications a day there should be.
	PerDay float64
	// Most is how many proposals there may be; 0 is all.
	Most int
}

// Tune tries the settings and returns the best, best first: that which comes closest to so many notifications a day, and of
// equals the more careful one; those that tell nothing last. Of several that would have told the same, it returns the first.
// The draft's scope and `per` stay. Where nothing meets the filter there is nothing to go by, and it returns none.
func (s *Scene) Tune(ctx context.Context, draft *v1alpha1.NotificationCondition, wish Wish) ([]Proposal, error) {
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
	wish.Most = cmp.Or(wish.Most, math.MaxInt)
	t := &trial{Scene: s, wish: wish, draft: admitting(draft), events: inLowerCase(first.Matched)}
	all := settings(first.Rule.Threshold.Scope)
	for i, p := range slices.Backward(all) { // those that tell least first: they make short work of those that tell most
		if err := t.try(ctx, p); err != nil {
			return nil, err
		}
		s.done(len(all)-i, len(all))
	}
	if len(t.best) == 0 {
		return nil, errors.New("no setting can be used with this draft")
	}
	return t.best, nil
}

// settings are all to try, in order.
func settings(scope v1alpha1.Scope) []Proposal {
	var all []Proposal
	for _, damper := range Dampers {
		for _, count := range Counts {
			for _, window := range Windows {
				all = append(all, Proposal{Count: count, Window: window, Scope: scope, Damper: damper, order: len(all)})
			}
		}
	}
	return all
}

// trial is a search for settings.
type trial struct {
	*Scene
	wish   Wish
	draft  *v1alpha1.NotificationCondition
	events []*plan.Event
	// best of what was tried, best first.
	best []Proposal
}

// try takes the events, which all met the filter, through a setting, as Play does, and only counts. It ends when so much is
// told that others are better. A setting of more different computers than the filter names is left out.
func (t *trial) try(ctx context.Context, p Proposal) error {
	draft := p.apply(t.draft)
	draft.CreationTimestamp = metav1.NewTime(t.Since)
	rule, err := plan.Compile(draft, t.Computers)
	if err != nil {
		return nil //nolint:nilerr // all else was compiled before
	}
	watch, digest := plan.NewWatch(rule), sha256.New()
	watch.Barely()
	note := func(told []plan.Firing) {
		for _, f := range told {
			p.Told++
			digest.Write(binary.BigEndian.AppendUint64(nil, uint64(f.Time.UnixNano())))
			digest.Write(append([]byte(f.Key), 0))
		}
		p.PerDay = t.perDay(p.Told)
	}
	for _, e := range t.events {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		_, told := watch.Observe(e)
		if note(told); t.hopeless(p) {
			return nil
		}
	}
	note(watch.Advance(t.Until))
	p.Held, p.times = watch.Held(), [sha256.Size]byte(digest.Sum(nil))
	t.rank(p)
	return nil
}

// hopeless says whether a setting tells too much already to be among the best.
func (t *trial) hopeless(p Proposal) bool {
	if len(t.best) < t.wish.Most {
		return false
	}
	last := t.best[len(t.best)-1]
	return last.Told > 0 && p.PerDay-t.wish.PerDay > t.off(last)
}

// off is how far a proposal is from what is wished.
func (t *trial) off(p Proposal) float64 { return math.Abs(p.PerDay - t.wish.PerDay) }

// rank puts a proposal in its place.
func (t *trial) rank(p Proposal) {
	t.best = append(t.best, p)
	slices.SortFunc(t.best, func(a, b Proposal) int {
		return cmp.Or(cmp.Compare(silent(a), silent(b)), cmp.Compare(t.off(a), t.off(b)), cmp.Compare(a.order, b.order))
	})
	t.best = different(t.best)
	t.best = t.best[:min(len(t.best), t.wish.Most)]
}

// admitting is the draft without what its filter need not look at in events that it has let through before.
func admitting(draft *v1alpha1.NotificationCondition) *v1alpha1.NotificationCondition {
	draft = draft.DeepCopy()
	if own := draft.Spec.Filter; own != nil {
		draft.Spec.Filter = &v1alpha1.EventFilter{EventTypes: own.EventTypes, Computers: own.Computers}
	}
	return draft
}

// inLowerCase are the events with the names that decisions go by as these compare them: they need not do it for each setting.
func inLowerCase(events []*plan.Event) []*plan.Event {
	list := make([]*plan.Event, 0, len(events))
	for _, e := range events {
		object := *e.Object
		if own := object.Spec.Computer; own != nil {
			named := *own
			named.Name = strings.ToLower(own.Name)
			object.Spec.Computer = &named
		}
		if own := object.Spec.Risk; own != nil {
			named := *own
			named.Name = strings.ToLower(own.Name)
			object.Spec.Risk = &named
		}
		list = append(list, plan.NewEvent(&object, e.Position))
	}
	return list
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
	if p.Told == 0 {
		return 1
	}
	return 0
}

// different leaves out proposals that tell the same at the same times as one before.
func different(proposals []Proposal) []Proposal {
	seen := map[[sha256.Size]byte]struct{}{}
	return slices.DeleteFunc(proposals, func(p Proposal) bool {
		_, known := seen[p.times]
		seen[p.times] = struct{}{}
		return known
	})
}

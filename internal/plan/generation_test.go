// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// sec are sightings on one computer at these seconds.
func sec(computer string, at ...int) []sighting {
	var list []sighting
	for _, s := range at {
		list = append(list, sighting{arrives: time.Duration(s) * time.Second, computer: computer})
	}
	return list
}

func shift(by time.Duration, list []sighting) []sighting {
	for i := range list {
		list[i].arrives += by
	}
	return list
}

// TestANewGeneration: a condition is changed while it is in force. The new generation goes on with the dampers of the old
// one, and with the events that the old one has seen in its windows.
func TestANewGeneration(t *testing.T) {
	t.Parallel()
	hourly := rule{2, "1m", anyComputer, "1h", perCondition}
	for name, tc := range map[string]struct {
		before, after rule
		// first are seen by the old generation, then by the new one.
		first, then []sighting
		until       time.Duration
		want        []told
	}{
		"nothing of what it decides changed: nothing is told twice, the damper goes on": {
			before: hourly, after: hourly,
			first: sec("a", 0, 1, 2), then: sec("a", 3), until: 3 * h,
			want: []told{},
		},
		"a lower count: events seen before do not fire, but count together with the next one": {
			before: rule{5, "1m", anyComputer, "1h", perCondition}, after: rule{3, "1m", anyComputer, "1h", perCondition},
			first: sec("a", 0, 1, 2), then: sec("a", 3), until: 0,
			want: []told{{At: "3s", Reason: "ThresholdReached", Sequence: 1, Occurrences: 4, Computers: 1, Event: "event-4"}},
		},
		"a higher count: the damper runs to its end, and then the new count is what matters": {
			before: rule{2, "1h", anyComputer, "1h", perCondition}, after: rule{3, "1h", anyComputer, "1h", perCondition},
			first: sec("a", 0, 1), then: shift(10*m, sec("a", 0, 1)), until: 3 * h,
			want: []told{},
		},
		"a longer window: events seen before are found again": {
			before: rule{3, "1s", anyComputer, "1h", perCondition}, after: rule{3, "1m", anyComputer, "1h", perCondition},
			first: sec("a", 0, 10), then: sec("a", 20), until: 0,
			want: []told{{At: "20s", Reason: "ThresholdReached", Sequence: 1, Occurrences: 3, Computers: 1, Event: "event-3"}},
		},
		"a shorter damper counts from the next notification on": {
			before: hourly, after: rule{2, "2h", anyComputer, "10m", perCondition},
			first: sec("a", 0, 1), then: sec("a", 2), until: h + 10*m + 1*time.Second,
			want: []told{
				{At: "1h0m1s", Reason: "StillReached", Sequence: 2, Held: 1, Occurrences: 3, Computers: 1, Event: "event-3"},
				{At: "1h10m1s", Reason: "StillReached", Sequence: 3, Occurrences: 3, Computers: 1, Event: "event-3"},
			},
		},
		"no damper any longer: none runs on, and the next event tells what the last one held": {
			before: hourly, after: rule{2, "1m", anyComputer, "None", perCondition},
			first: sec("a", 0, 1, 2), then: sec("a", 10, 20), until: 3 * h,
			want: []told{{At: "10s", Reason: "ThresholdReached", Sequence: 2, Held: 1, Occurrences: 2, Computers: 1, Event: "event-4"}},
		},
		"none before: what was used up stays so": {
			before: rule{2, "1m", anyComputer, "None", perCondition}, after: rule{2, "1m", anyComputer, "None", perCondition},
			first: sec("a", 0, 1), then: sec("a", 2, 3), until: 0,
			want: []told{{At: "3s", Reason: "ThresholdReached", Sequence: 2, Occurrences: 2, Computers: 1, Event: "event-4"}},
		},
		"one damper for all instead of one a computer: the old ones do not repeat what the new one tells": {
			before: rule{2, "2h", single, "1h", perComputer}, after: rule{2, "2h", single, "1h", perCondition},
			first: join(sec("a", 0, 1), sec("b", 2, 3)), then: join(sec("a", 4), sec("b", 5)), until: h + 4*time.Second,
			want: []told{
				{At: "4s", Reason: "ThresholdReached", Sequence: 1, Occurrences: 3, Computers: 1, Event: "event-5"},
				{At: "1h0m4s", Reason: "StillReached", Sequence: 2, Held: 1, Occurrences: 3, Computers: 1, Event: "event-6"},
			},
		},
		"one damper a computer instead of one for all: the old one does not repeat what the new ones tell": {
			before: rule{2, "2h", anyComputer, "1h", perCondition}, after: rule{2, "2h", anyComputer, "1h", perComputer},
			first: sec("a", 0, 1), then: sec("b", 2), until: h + 2*time.Second,
			want: []told{
				{At: "2s", Reason: "ThresholdReached", Key: "b", Sequence: 1, Occurrences: 3, Computers: 2, Event: "event-3"},
				{At: "1h0m2s", Reason: "StillReached", Key: "b", Sequence: 2, Occurrences: 3, Computers: 2, Event: "event-3"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := watch(t, tc.before)
			oldFired := len(observe(old, 1, tc.first...))
			for _, how := range []string{"inherited", "restarted"} {
				next := plan.NewWatch(compiled(t, tc.after.condition()))
				if how == "inherited" {
					next.Inherit(old, 0)
				} else {
					next.Resume(stored(t, describe(old)), nil)
				}
				all := join(tc.first, tc.then)
				got := observe(next, 1, all...)
				got = append(got, next.Advance(since(tc.until))...)
				check(t, how, tell(got), tc.want)
				status := describe(next)
				check(t, how+": matched", status.MatchedTotal, int64(len(all)))
				check(t, how+": fired", status.FiredTotal, int64(oldFired+len(tc.want)))
			}
		})
	}
}

// TestTwoGenerationsAtOnce: a condition is changed twice before the first change has taken any event.
func TestTwoGenerationsAtOnce(t *testing.T) {
	t.Parallel()
	r := rule{2, "1m", anyComputer, "1h", perCondition}
	old, between, next := watch(t, r), watch(t, r), watch(t, r)
	observe(old, 1, sec("a", 0, 1, 2)...)
	between.Inherit(old, 0)
	next.Inherit(between, 0)
	check(t, "told", tell(observe(next, 1, sec("a", 0, 1, 2, 3)...)), []told{})
	status := describe(next)
	check(t, "matched", status.MatchedTotal, 4)
	check(t, "held", status.Dampers[0].Held, 2)
}

// TestWhatIsDueStaysDue: the checkpoint has passed the end of a damper, by an event that did not concern the condition then,
// but no timer went off yet. The end is still decided about.
func TestWhatIsDueStaysDue(t *testing.T) {
	t.Parallel()
	condition := rule{1, "2h", anyComputer, "1h", perCondition}.condition()
	condition.Spec.Filter = &v1alpha1.EventFilter{EventTypes: []v1alpha1.Wildcard{"RiskDetected"}}
	events := []sighting{{computer: "a"}, {arrives: h + 5*m, kind: "ServerActivity", computer: "b"}}
	old := plan.NewWatch(compiled(t, condition))
	observe(old, 1, events...)
	next := watch(t, rule{1, "2h", anyComputer, "1h", perCondition})
	next.Resume(stored(t, describe(old)), nil)
	fired := append(observe(next, 1, events...), next.Advance(since(h+10*m))...)
	check(t, "told", tell(fired), []told{
		{At: "1h0m0s", Reason: "StillReached", Sequence: 2, Occurrences: 1, Computers: 1, Event: "event-2"},
	})
}

// TestASuspendedCondition: events that are created while it is not evaluated are not looked at later either.
func TestASuspendedCondition(t *testing.T) {
	t.Parallel()
	r := rule{3, "1m", anyComputer, "1h", perCondition}
	before, meanwhile, after := sec("a", 0), sec("a", 10, 11, 12, 13), sec("a", 20, 21, 22)
	resumed := func() *plan.Watch {
		old := watch(t, r)
		observe(old, 1, before...)
		next := watch(t, r)
		next.Inherit(old, 0)
		next.Skip(5)
		return next
	}
	want := []told{{At: "22s", Reason: "ThresholdReached", Sequence: 1, Occurrences: 3, Computers: 1, Event: "event-8"}}
	t.Run("what happened meanwhile does not count", func(t *testing.T) {
		t.Parallel()
		check(t, "told", tell(observe(resumed(), 1, join(before, meanwhile, after)...)), want)
	})
	t.Run("nor does it after the condition was changed once more", func(t *testing.T) {
		t.Parallel()
		next := watch(t, r)
		next.Inherit(resumed(), 0)
		check(t, "told", tell(observe(next, 1, join(before, meanwhile, after)...)), want)
	})
	t.Run("the checkpoint tells that it was passed", func(t *testing.T) {
		t.Parallel()
		check(t, "checkpoint", describe(resumed()).Checkpoint, "5")
	})
	t.Run("skipping never goes back", func(t *testing.T) {
		t.Parallel()
		w := resumed()
		w.Skip(2)
		check(t, "skipped", describe(w).SkippedUpTo, "5")
		check(t, "told", tell(observe(w, 1, join(before, meanwhile, after)...)), want)
	})
}

// TestBeforeTheCondition: events that were created before the condition are none of its business.
func TestBeforeTheCondition(t *testing.T) {
	t.Parallel()
	w := watch(t, rule{1, "1m", anyComputer, "1h", perCondition})
	verdict, firings := w.Observe(plan.NewEvent(sighting{arrives: -time.Second}.event(1), 1))
	if verdict != "" || firings != nil {
		t.Errorf("an event from before: verdict %q, %d firings", verdict, len(firings))
	}
	check(t, "matched", describe(w).MatchedTotal, 0)
	check(t, "told", tell(observe(w, 2, sighting{})),
		[]told{{At: "0s", Reason: "ThresholdReached", Sequence: 1, Occurrences: 1, Event: "event-2"}})
}

// TestOtherEvents: an event that does not meet the filter counts nowhere, but its place is remembered.
func TestOtherEvents(t *testing.T) {
	t.Parallel()
	condition := rule{1, "1m", anyComputer, "1h", perCondition}.condition()
	condition.Spec.Filter = &v1alpha1.EventFilter{EventTypes: []v1alpha1.Wildcard{"Risk*"}}
	w := plan.NewWatch(compiled(t, condition))
	verdict, firings := w.Observe(plan.NewEvent(sighting{kind: "ServerActivity"}.event(7), 7))
	if verdict != "OtherType" || firings != nil {
		t.Errorf("verdict %q, %d firings", verdict, len(firings))
	}
	status := describe(w)
	check(t, "matched", status.MatchedTotal, 0)
	check(t, "checkpoint", status.Checkpoint, "7")
}

// TestTheEventShown: a notification shows the event that set it off; one that repeats shows the latest event of what it
// tells of.
func TestTheEventShown(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rule   rule
		events []sighting
		want   map[string]string
	}{
		"the last to happen, not the last to arrive": {
			rule: rule{1, "10m", anyComputer, "5m", perCondition},
			events: []sighting{
				{computer: "a"}, {arrives: 1 * m, computer: "b"}, {arrives: 2 * m, computer: "c", happened: pointer(-h)},
			},
			want: map[string]string{" 0s": "event-1", " 5m0s": "event-2"},
		},
		"of two that happened at once, the last to arrive": {
			rule:   rule{1, "10m", anyComputer, "5m", perCondition},
			events: []sighting{{computer: "a"}, {arrives: 1 * m, computer: "b"}, {arrives: 1 * m, computer: "c"}},
			want:   map[string]string{" 0s": "event-1", " 5m0s": "event-3"},
		},
		"of the fullest computer, not of any other": {
			rule: rule{2, "10m", single, "5m", perCondition},
			events: []sighting{
				{computer: "a"}, {arrives: 1 * m, computer: "a"}, {arrives: 2 * m, computer: "b"},
			},
			want: map[string]string{" 1m0s": "event-2", " 6m0s": "event-2"},
		},
		"of the computer that the damper is for": {
			rule: rule{3, "10m", anyComputer, "5m", perComputer},
			events: []sighting{
				{computer: "a", count: 3}, {arrives: 1 * m, computer: "b"}, {arrives: 2 * m, computer: "c"},
			},
			want: map[string]string{
				"a 0s": "event-1", "b 1m0s": "event-2", "c 2m0s": "event-3", "a 5m0s": "event-1", "b 6m0s": "event-2", "c 7m0s": "event-3",
			},
		},
		"of the risk that the damper is for": {
			rule: rule{1, "10m", anyComputer, "5m", perRisk},
			events: []sighting{
				{computer: "a", risk: "x"}, {arrives: 1 * m, computer: "b", risk: "y"},
			},
			want: map[string]string{"x 0s": "event-1", "y 1m0s": "event-2", "x 5m0s": "event-1", "y 6m0s": "event-2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, tc.rule)
			got := map[string]string{}
			for _, f := range append(observe(w, 1, tc.events...), w.Advance(since(9*m))...) {
				got[f.Key+" "+f.Time.Sub(t0).String()] = f.Event.Name
			}
			check(t, "events", got, tc.want)
		})
	}
}

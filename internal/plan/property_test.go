// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

func decisions(firings []plan.Firing) []decision {
	var list []decision
	for _, f := range firings {
		list = append(list, decision{
			At: int64(f.Time.Sub(t0) / time.Second), Reason: f.Reason, Key: f.Key, Sequence: f.Sequence, Held: f.Held,
			Occurrences: f.Window.Occurrences, Computers: f.Window.Computers,
		})
	}
	return list
}

// live plays a story as a manager lives it: timers go off between the events.
func live(s *randomStory, w *plan.Watch) []plan.Firing {
	var firings []plan.Firing
	for i := range s.timers {
		for _, timer := range s.timers[i] {
			firings = append(firings, w.Advance(since(timer))...)
		}
		if i < len(s.events) {
			firings = append(firings, observe(w, plan.Position(i+1), s.events[i])...)
		}
	}
	return append(firings, w.Advance(since(s.end()))...)
}

// TestEngineIsTheModel: whatever happens, the engine tells the same as a model that takes the design's words at their face.
func TestEngineIsTheModel(t *testing.T) {
	t.Parallel()
	told := map[v1alpha1.TriggerReason]int{}
	eachStory(t, 3**runs, func(t *testing.T, s *randomStory) {
		w, truth := watch(t, s.rule), newModel(s.rule)
		firings := observe(w, 1, s.events...)
		firings = append(firings, w.Advance(since(s.end()))...)
		for _, e := range s.events {
			truth.observe(e)
		}
		truth.advance(int64(s.end() / time.Second))
		check(t, "notifications", decisions(firings), truth.log)
		status := describe(w)
		check(t, "matched", status.MatchedTotal, truth.matched)
		check(t, "fired", status.FiredTotal, int64(len(truth.log)))
		held := map[string]int64{}
		for _, d := range status.Dampers {
			held[d.Key] = d.Held
			if d.Until != nil {
				t.Errorf("the damper of %q runs until %s, long after everything", d.Key, d.Until)
			}
		}
		check(t, "held", held, truth.held())
		for _, d := range truth.log {
			told[d.Reason]++
		}
	})
	for _, reason := range []v1alpha1.TriggerReason{v1alpha1.TriggerThresholdReached, v1alpha1.TriggerStillReached} {
		if told[reason] < *runs {
			t.Errorf("only %d notifications were %s: the stories are too dull to prove anything", told[reason], reason)
		}
	}
}

// TestTimersChangeNothing: a live manager decides when a damper ends, one that catches up when the next event arrives; what
// they tell is the same.
func TestTimersChangeNothing(t *testing.T) {
	t.Parallel()
	eachStory(t, *runs, func(t *testing.T, s *randomStory) {
		caughtUp := watch(t, s.rule)
		want := observe(caughtUp, 1, s.events...)
		want = append(want, caughtUp.Advance(since(s.end()))...)
		lived := watch(t, s.rule)
		check(t, "notifications", tell(live(s, lived)), tell(want))
		check(t, "status", describe(lived), describe(caughtUp))
	})
}

// TestDuplicatesChangeNothing: an event that is delivered again, at once or much later, is ignored.
func TestDuplicatesChangeNothing(t *testing.T) {
	t.Parallel()
	eachStory(t, *runs, func(t *testing.T, s *randomStory) {
		once, often := watch(t, s.rule), watch(t, s.rule)
		var want, got []plan.Firing
		for i, e := range s.events {
			at := plan.Position(i + 1)
			want = append(want, observe(once, at, e)...)
			got = append(got, observe(often, at, e)...)
			for range s.random.IntN(3) {
				again := 1 + s.random.IntN(i+1)
				verdict, firings := often.Observe(plan.NewEvent(s.events[again-1].event(plan.Position(again)), plan.Position(again)))
				if verdict != "" || firings != nil {
					t.Errorf("event %d delivered again: verdict %q, %d firings", again, verdict, len(firings))
				}
			}
		}
		check(t, "notifications", tell(got), tell(want))
		check(t, "status", describe(often), describe(once))
	})
}

// TestNobodyIsToldTooOften: one damper's notifications are numbered without a gap, and never nearer to each other than its
// period.
func TestNobodyIsToldTooOften(t *testing.T) {
	t.Parallel()
	eachStory(t, *runs, func(t *testing.T, s *randomStory) {
		w := watch(t, s.rule)
		last := map[string]plan.Firing{}
		for _, f := range live(s, w) {
			before, ok := last[f.Key]
			if f.Sequence != before.Sequence+1 {
				t.Errorf("key %q: #%d follows #%d", f.Key, f.Sequence, before.Sequence)
			}
			if ok && f.Time.Sub(before.Time) < w.Rule().Damper() {
				t.Errorf("key %q: #%d comes %s after #%d", f.Key, f.Sequence, f.Time.Sub(before.Time), before.Sequence)
			}
			last[f.Key] = f
		}
	})
}

// TestEveryOccurrenceIsAccountedFor: where every event reaches the threshold, each occurrence was told when it came, told
// later as held, or is held still.
func TestEveryOccurrenceIsAccountedFor(t *testing.T) {
	t.Parallel()
	eachStory(t, *runs, func(t *testing.T, s *randomStory) {
		s.rule.count, s.rule.scope = 1, anyComputer
		w := watch(t, s.rule)
		var accounted int64
		for _, f := range live(s, w) {
			accounted += f.Held
			if f.Reason == v1alpha1.TriggerThresholdReached {
				accounted += max(1, int64(s.events[f.UpTo-1].count))
			}
		}
		status := describe(w)
		for _, d := range status.Dampers {
			accounted += d.Held
		}
		check(t, "occurrences told or held", accounted, status.MatchedTotal)
	})
}

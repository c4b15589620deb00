// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/match"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

func decisions(firings []plan.Firing) []decision {
	var list []decision
	for _, f := range firings {
		list = append(list, decision{
			At: millis(f.Time.Sub(t0)), Reason: f.Reason, Key: f.Key, Sequence: f.Sequence, Held: f.Held,
			Occurrences: f.Window.Occurrences, Computers: f.Window.Computers, Severity: f.Window.Severity,
		})
		if !f.LastFired.IsZero() {
			list[len(list)-1].LastFired = millis(f.LastFired.Sub(t0))
		}
	}
	return list
}

// states are the dampers of a status, as far as model and engine must agree on them.
func states(status *v1alpha1.NotificationConditionStatus) map[string]damperState {
	list := map[string]damperState{}
	for _, d := range status.Dampers {
		list[d.Key] = damperState{Sequence: d.Sequence, Held: d.Held, Quiet: whenever(d.ClearedTime)}
	}
	return list
}

// whenever is a time of a status as the model has it.
func whenever(t *metav1.Time) int64 {
	if t == nil {
		return never
	}
	return millis(t.Sub(t0))
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
	told := map[string]int{}
	eachStory(t, 3**runs, func(t *testing.T, s *randomStory) {
		w, truth := watch(t, s.rule), newModel(s.rule)
		var firings []plan.Firing
		var log []v1alpha1.Notification
		for i, e := range s.events {
			if hush := s.hushes[i]; hush.at > 0 {
				firings = append(firings, w.Advance(since(hush.at-time.Second))...)
				log = write(log, firings[len(log):]...)
				acknowledge(log, hush, w)
				if hush.back {
					truth.rouse(hush)
				} else {
					truth.ask(hush)
				}
			}
			firings = append(firings, observe(w, plan.Position(i+1), e)...)
			truth.observe(e)
			check(t, fmt.Sprint("window after event ", i+1), describe(w).Window, truth.window())
		}
		firings = append(firings, w.Advance(since(s.end()))...)
		truth.advance(millis(s.end()))
		check(t, "notifications", decisions(firings), truth.log)
		status := describe(w)
		check(t, "matched", status.MatchedTotal, truth.matched)
		check(t, "held since the beginning", status.HeldTotal, truth.held)
		check(t, "fired", status.FiredTotal, int64(len(truth.log)))
		check(t, "last evaluated", whenever(status.LastEvaluatedTime), truth.evaluated)
		check(t, "last fired", whenever(status.LastFiredTime), truth.fired)
		check(t, "dampers", states(status), truth.states())
		if status.DamperUntil != nil {
			t.Errorf("a damper runs until %s, long after everything", status.DamperUntil)
		}
		for _, d := range truth.log {
			told[string(d.Reason)]++
			if s.rule.once {
				told["once"]++
			}
		}
		told["hushed"] += int(truth.hushed)
		told["quiet goes on"] += int(truth.stayed)
		told["quiet is over"] += int(truth.fell)
		told["roused"] += int(truth.roused)
		told["taken back"] += int(truth.rescinded)
	})
	for _, reason := range []string{
		"ThresholdReached", "StillReached", "Cleared", "once", "hushed", "quiet goes on", "quiet is over", "roused", "taken back",
	} {
		if told[reason] < *runs/2 {
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

// TestNobodyIsToldTooOften: one damper's notifications are numbered without a gap, and none comes nearer to the one with
// which it last fired than its period.
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
			fired := before.Time
			if before.Reason == v1alpha1.TriggerCleared {
				fired = before.LastFired
			}
			if ok && f.Time.Sub(fired) < w.Rule().Damper() {
				t.Errorf("key %q: #%d comes %s after it last fired", f.Key, f.Sequence, f.Time.Sub(fired))
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
		s.rule.count, s.rule.scope, s.rule.once = 1, anyComputer, false
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

// TestNextDueLiesAhead: whoever waits until something is due and lets time pass is not told to wait for the past.
func TestNextDueLiesAhead(t *testing.T) {
	t.Parallel()
	eachStory(t, *runs, func(t *testing.T, s *randomStory) {
		w := watch(t, s.rule)
		now := t0
		ahead := func(at time.Time) {
			if at.After(now) {
				now = at
			}
			if due, ok := w.NextDue(); ok && !due.After(now) {
				t.Errorf("at %s, it is due at %s", clock(now.Sub(t0)), clock(due.Sub(t0)))
			}
		}
		for i, e := range s.events {
			at := plan.Position(i + 1)
			if verdict, _ := w.Observe(plan.NewEvent(e.event(at), at)); verdict == match.Matched {
				ahead(since(e.arrives))
			}
		}
		for due, ok := w.NextDue(); ok && !t.Failed(); due, ok = w.NextDue() {
			w.Advance(due)
			ahead(due)
		}
	})
}

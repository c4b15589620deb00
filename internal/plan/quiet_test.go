// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// asked is the log with an acknowledgement of the notification with that sequence number, which asks for quiet.
func asked(log []v1alpha1.Notification, sequence int64, at time.Duration) (all []v1alpha1.Notification, one *v1alpha1.Notification) {
	for i := range log {
		if log[i].Spec.Trigger.Sequence == sequence {
			log[i].Spec.Acknowledgement = &v1alpha1.Acknowledgement{
				Comment: "seen", Time: pointer(metav1.NewTime(since(at))), QuietUntilCleared: true,
			}
			return log, &log[i]
		}
	}
	panic("there is none")
}

func quietSince(d v1alpha1.DamperStatus) *metav1.Time {
	if d.Quiet == nil {
		return nil
	}
	return &d.Quiet.Since
}

// TestQuiet: which acknowledgement quietens a condition, in the Watch that lives through it and in one that goes on from the
// log alone. Three within ten minutes are told; the damper is an hour.
func TestQuiet(t *testing.T) {
	t.Parallel()
	burst := func(at time.Duration) []sighting { return []sighting{{arrives: at, count: 3}} }
	worse := func(at time.Duration, count int32) []sighting {
		return []sighting{{arrives: at, count: count, severity: v1alpha1.SeverityCritical}}
	}
	for name, tc := range map[string]struct {
		// before happens before it is acknowledged, after afterwards.
		before, after []sighting
		// at is when notification `of` is.
		at   time.Duration
		of   int64
		want []told
	}{
		"what comes is held, however much": {
			before: burst(0), at: 5 * m, of: 1, after: join(burst(10*m), burst(59*m), burst(68*m), burst(77*m)), want: []told{},
		},
		"it has cleared: what comes is told, and what was held": {
			before: burst(0), at: 5 * m, of: 1, after: join(burst(59*m), burst(70*m)),
			want: []told{{At: "1h10m0s", Reason: "ThresholdReached", Sequence: 2, Held: 3, Occurrences: 3, Event: "event-3"}},
		},
		"the damper has ended, and it has not cleared": {
			before: join(burst(0), []sighting{{arrives: 59 * m}}), at: 62 * m, of: 1, after: burst(68 * m), want: []told{},
		},
		"it goes on below the threshold when the damper ends: what comes is told, and what was held": {
			before: burst(0), at: 5 * m, of: 1, after: join([]sighting{{arrives: 55 * m}, {arrives: 64 * m}}, burst(66*m)),
			want: []told{{At: "1h6m0s", Reason: "ThresholdReached", Sequence: 2, Held: 1, Occurrences: 4, Event: "event-4"}},
		},
		"something more severe comes: it is told when the damper ends": {
			before: burst(0), at: 5 * m, of: 1, after: join(burst(58*m), worse(59*m, 1), burst(62*m)),
			want: []told{{At: "1h0m0s", Reason: "StillReached", Sequence: 2, Held: 4, Occurrences: 4, Event: "event-3"}},
		},
		"something more severe comes after that: it is told at once": {
			before: burst(0), at: 5 * m, of: 1, after: join(burst(59*m), worse(65*m, 1)),
			want: []told{{At: "1h5m0s", Reason: "ThresholdReached", Sequence: 2, Held: 3, Occurrences: 4, Event: "event-3"}},
		},
		"something more severe had come, and was not told yet": {
			before: join(burst(0), worse(2*m, 1)), at: 5 * m, of: 1, after: join(burst(59*m), burst(62*m)),
			want: []told{{At: "1h0m0s", Reason: "StillReached", Sequence: 2, Held: 4, Occurrences: 3, Event: "event-3"}},
		},
		"something more severe had come, and was told": {
			before: join(burst(0), worse(55*m, 1), burst(56*m), []sighting{{arrives: 61 * m}}), at: 65 * m, of: 2, after: worse(66*m, 3), want: []told{},
		},
		"it has cleared before that: nothing is quietened": {
			before: burst(0), at: 61 * m, of: 1, after: burst(62 * m),
			want: []told{{At: "1h2m0s", Reason: "ThresholdReached", Sequence: 2, Occurrences: 3, Event: "event-2"}},
		},
		"the first, of which the latest is a repetition": {
			before: join(burst(0), burst(55*m), []sighting{{arrives: 61 * m}}), at: 70 * m, of: 1, after: burst(119 * m), want: []told{},
		},
		"one of long ago: it has cleared since": {
			before: join(burst(0), burst(2*h)), at: 2*h + m, of: 1, after: burst(2*h + 59*m),
			want: []told{{At: "3h0m0s", Reason: "StillReached", Sequence: 3, Held: 3, Occurrences: 3, Event: "event-3"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := rule{3, "10m", anyComputer, "1h", perCondition}
			lived := watch(t, r)
			log := write(nil, observe(lived, 1, tc.before...)...)
			log, n := asked(log, tc.of, tc.at)
			lived.Heed(n)
			inherited := plan.NewWatch(compiled(t, r.condition()))
			inherited.Inherit(lived, 0)
			listed := restore(t, compiled(t, r.condition()), describe(lived), log)
			next := plan.Position(len(tc.before) + 1)
			end := tc.at + 61*m
			if len(tc.after) > 0 {
				end = tc.after[len(tc.after)-1].arrives + 2*m
			}
			for how, w := range map[string]*plan.Watch{"lived": lived, "inherited": inherited, "restarted": listed} {
				for i, e := range tc.before { // they fill the windows of the new ones
					observe(w, plan.Position(i+1), e)
				}
				got := observe(w, next, tc.after...)
				check(t, how, tell(append(got, w.Advance(since(end))...)), tc.want)
			}
			alone := restore(t, compiled(t, r.condition()), &v1alpha1.NotificationConditionStatus{}, log)
			got := observe(alone, 1, append(tc.before, tc.after...)...)
			check(t, "from the log alone", tell(append(got, alone.Advance(since(end))...)), tc.want)
		})
	}
}

// TestQuietIsForOneKey: another computer is told of all the same.
func TestQuietIsForOneKey(t *testing.T) {
	t.Parallel()
	w := watch(t, rule{1, "10m", single, "1h", perComputer})
	_, n := asked(write(nil, observe(w, 1, sighting{computer: "a"})...), 1, m)
	if !w.Heed(n) || w.Heed(n) {
		t.Error("it does something once")
	}
	check(t, "told", tell(observe(w, 2, sighting{arrives: 2 * m, computer: "b"})), []told{
		{At: "2m0s", Reason: "ThresholdReached", Key: "b", Sequence: 1, Occurrences: 1, Computers: 1, Event: "event-2"},
	})
	for _, d := range describe(w).Dampers {
		want := map[string]*metav1.Time{"a": pointer(metav1.NewTime(since(m)))}[d.Key]
		check(t, "quiet since, "+d.Key, quietSince(d), want)
	}
	w.Advance(since(3 * h))
	for _, d := range describe(w).Dampers {
		check(t, "after it has cleared: quiet since, "+d.Key, d.Quiet, nil)
	}
}

// TestQuietIsTakenBack: it is as if nobody had asked.
func TestQuietIsTakenBack(t *testing.T) {
	t.Parallel()
	w := watch(t, rule{3, "10m", anyComputer, "1h", perCondition})
	log, n := asked(write(nil, observe(w, 1, sighting{count: 3})...), 1, m)
	w.Heed(n)
	observe(w, 2, sighting{arrives: 58 * m, count: 3})
	stale := stored(t, describe(w))
	n.Spec.Acknowledgement.QuietUntilCleared = false
	if !w.Heed(n) || w.Heed(n) {
		t.Error("it does something once")
	}
	for how, w := range map[string]*plan.Watch{"lived": w, "restarted": restore(t, w.Rule(), stale, log)} {
		observe(w, 1, sighting{count: 3}, sighting{arrives: 58 * m, count: 3})
		check(t, how, tell(w.Advance(since(61*m))), []told{
			{At: "1h0m0s", Reason: "StillReached", Sequence: 2, Held: 3, Occurrences: 3, Event: "event-2"},
		})
	}
}

// TestSeveralWishes: each stands for itself, live and after a restart.
func TestSeveralWishes(t *testing.T) {
	t.Parallel()
	w := watch(t, rule{3, "10m", anyComputer, "1h", perCondition})
	burst := func(at time.Duration) sighting { return sighting{arrives: at, count: 3} }
	log := write(nil, observe(w, 1, burst(0), burst(55*m), sighting{arrives: 61 * m})...)
	first, second := &log[0], &log[1]
	acknowledged := func(n *v1alpha1.Notification, at time.Duration, wish bool) {
		n.Spec.Acknowledgement = &v1alpha1.Acknowledgement{Comment: "seen", By: "carol", Time: ending(at), QuietUntilCleared: wish}
		w.Heed(n)
	}
	holds := func(what string, want *v1alpha1.QuietStatus) {
		t.Helper()
		lived := describe(w)
		check(t, what, lived.Dampers[0].Quiet, want)
		for how, status := range map[string]*v1alpha1.NotificationConditionStatus{"restarted": lived, "from the log alone": {}} {
			again := restore(t, w.Rule(), status, log)
			check(t, what+", "+how, stored(t, describe(again)).Dampers[0].Quiet, want)
		}
	}
	acknowledged(first, 65*m, true)
	acknowledged(second, 65*m, false)
	asked := &v1alpha1.QuietStatus{
		Notification: first.Name, By: "carol", Since: moment(65 * m), Severity: "Warning", NextCheckTime: ending(2 * h),
	}
	holds("somebody merely acknowledges another in the same second", asked)
	second.Spec.Acknowledgement = nil
	acknowledged(second, 66*m, true)
	holds("somebody else asks, too", asked)
	first.Spec.Acknowledgement.QuietUntilCleared = false
	w.Heed(first)
	holds("one is taken back", &v1alpha1.QuietStatus{
		Notification: second.Name, By: "carol", Since: moment(66 * m), Severity: "Warning", NextCheckTime: ending(2 * h),
	})
	log = log[:1]
	if !w.Forget(second) || w.Forget(second) {
		t.Error("to forget it does something once")
	}
	holds("the other is gone from the log", nil)
}

// TestAWishAfterTheQuietHasEnded is a new one: an earlier one is not granted again in its place.
func TestAWishAfterTheQuietHasEnded(t *testing.T) {
	t.Parallel()
	w := watch(t, rule{3, "10m", anyComputer, "1h", perCondition})
	events := []sighting{{count: 3}, {arrives: 55 * m, count: 3}}
	for at := 61 * m; at < 125*m; at += 8 * m { // too few, and too many to clear
		events = append(events, sighting{arrives: at})
	}
	log := write(nil, observe(w, 1, events[:3]...)...)
	_, n := asked(log, 1, 65*m)
	w.Heed(n)
	observe(w, 4, events[3:]...)
	w.Advance(since(121 * m))
	if q := describe(w).Dampers[0].Quiet; q == nil || !q.EndedTime.Equal(ending(2*h)) {
		t.Fatalf("it has not ended: %+v", q)
	}
	_, n = asked(log, 2, 126*m)
	if q := func() *v1alpha1.QuietStatus { w.Heed(n); return describe(w).Dampers[0].Quiet }(); q.EndedTime != nil || q.Notification != n.Name {
		t.Errorf("it is %+v", q)
	}
}

// TestWhatQuietHeldWasNotTold: an event that is reported late counts together with what nobody was told of.
func TestWhatQuietHeldWasNotTold(t *testing.T) {
	t.Parallel()
	held := []sighting{{arrives: 59 * m, count: 3}, {arrives: 66 * m}, {arrives: 75 * m, count: 3}, {arrives: 84 * m}}
	for name, tc := range map[string]struct {
		after []sighting
		want  string
	}{
		"more severe, and it ends the quiet": {
			[]sighting{{arrives: 90 * m, happened: pointer(76 * m), severity: "Critical"}}, "1h30m0s",
		},
		"after the quiet has ended": {
			[]sighting{{arrives: 90 * m, happened: pointer(30 * m), severity: "Critical"}, {arrives: 91 * m, happened: pointer(76 * m)}}, "1h31m0s",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, rule{3, "10m", anyComputer, "1h", perCondition})
			_, n := asked(write(nil, observe(w, 1, sighting{count: 3})...), 1, 5*m)
			w.Heed(n)
			observe(w, 2, held...)
			got := tell(observe(w, 6, tc.after...))
			if len(got) != 1 || got[0].At != tc.want || got[0].Reason != v1alpha1.TriggerThresholdReached {
				t.Errorf("told is %+v", got)
			}
		})
	}
}

// TestTheMostSevereIsTold: of several computers on which the threshold is still reached.
func TestTheMostSevereIsTold(t *testing.T) {
	t.Parallel()
	w := watch(t, rule{3, "10m", single, "1h", perCondition})
	firings := observe(w, 1, sighting{computer: "a", count: 3, severity: "Info"},
		sighting{arrives: 55 * m, computer: "b", count: 3, severity: "Critical"},
		sighting{arrives: 56 * m, computer: "a", count: 5, severity: "Info"})
	firings = append(firings, w.Advance(since(61*m))...)
	if n := write(nil, firings...)[1]; n.Spec.Severity != v1alpha1.SeverityCritical || n.Spec.Trigger.ComputerNames[0] != "b" {
		t.Errorf("told is %s on %v", n.Spec.Severity, n.Spec.Trigger.ComputerNames)
	}
}

// TestWhatAsksForNoQuiet does nothing.
func TestWhatAsksForNoQuiet(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*v1alpha1.Notification){
		"not acknowledged":             func(n *v1alpha1.Notification) { n.Spec.Acknowledgement = nil },
		"merely acknowledged":          func(n *v1alpha1.Notification) { n.Spec.Acknowledgement.QuietUntilCleared = false },
		"nobody knows when":            func(n *v1alpha1.Notification) { n.Spec.Acknowledgement.Time = nil },
		"of another condition":         func(n *v1alpha1.Notification) { n.Spec.Condition.UID = "other" },
		"of another key":               func(n *v1alpha1.Notification) { n.Spec.Trigger.Key = "other" },
		"of one that is still to come": func(n *v1alpha1.Notification) { n.Spec.Trigger.Sequence = 2 },
	} {
		w := watch(t, rule{1, "10m", anyComputer, "1h", perCondition})
		_, n := asked(write(nil, observe(w, 1, sighting{})...), 1, m)
		if spoil(n); w.Heed(n) {
			t.Errorf("%s: it quietens", name)
		}
	}
	w := watch(t, rule{1, "10m", anyComputer, "1h", perCondition})
	_, n := asked(write(nil, observe(w, 1, sighting{})...), 1, m)
	n.Spec.Acknowledgement.Time, n.Status.AcknowledgedTime = nil, pointer(metav1.NewTime(since(m)))
	if !w.Heed(n) {
		t.Error("when Tocsin saw it is not enough")
	}
}

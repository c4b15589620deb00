// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

var none = rule{2, "1m", anyComputer, "None", perCondition}

// logged is a notification of the condition of these tests, as another manager wrote it.
func logged(sequence int64, at time.Duration, upTo string) *v1alpha1.Notification {
	n := &v1alpha1.Notification{}
	n.Spec.Condition = &v1alpha1.ConditionSnapshot{Name: "outbreak", UID: rule{}.condition().UID}
	n.Spec.Trigger = &v1alpha1.Trigger{
		Reason: v1alpha1.TriggerThresholdReached, Sequence: sequence, Time: metav1.NewTime(since(at)), UpTo: upTo,
	}
	return n
}

// quiet is a note that all was quiet, as another manager wrote it.
func quiet(sequence int64, at time.Duration, upTo string) *v1alpha1.Notification {
	n := logged(sequence, at, upTo)
	n.Spec.Trigger.Reason, n.Spec.Trigger.LastFiredTime = v1alpha1.TriggerCleared, ending(0)
	return n
}

// TestYield: the name of a notification that is about to be written is taken.
func TestYield(t *testing.T) {
	t.Parallel()
	hourly := rule{2, "1m", anyComputer, "1h", perCondition}
	test := &v1alpha1.Notification{Spec: v1alpha1.NotificationSpec{Type: v1alpha1.NotificationTypeTest}}
	foreign := logged(1, time.Second, "2")
	foreign.Spec.Condition.UID = "another"
	otherKey := logged(1, time.Second, "2")
	otherKey.Spec.Trigger.Key = "x"
	for name, tc := range map[string]struct {
		rule     rule
		held     int
		existing *v1alpha1.Notification
		// again is the sequence number under which it is told all the same; 0 if not.
		again  int64
		damper v1alpha1.DamperStatus
		fired  int64
	}{
		"another manager decided at the same event: told is told": {
			rule: hourly, existing: logged(1, time.Second, "2"),
			damper: v1alpha1.DamperStatus{Sequence: 1, LastFiredTime: moment(time.Second), Until: ending(h + time.Second), UsedUpTo: "2"},
			fired:  1,
		},
		"another manager decided at an earlier event: ours is held, its damper runs": {
			rule: hourly, existing: logged(1, 0, "1"),
			damper: v1alpha1.DamperStatus{Sequence: 1, LastFiredTime: moment(0), Until: ending(h), Held: 1, UsedUpTo: "1"},
			fired:  1,
		},
		"what was held meanwhile stays held": {
			rule: hourly, held: 3, existing: logged(1, 0, "1"),
			damper: v1alpha1.DamperStatus{Sequence: 1, LastFiredTime: moment(0), Until: ending(h), HighestSeverity: "Warning", Held: 4, UsedUpTo: "1"},
			fired:  1,
		},
		"another manager decided later, and looked at all that we did: nothing is held": {
			rule: hourly, held: 3, existing: logged(1, 4*time.Second, "5"),
			damper: v1alpha1.DamperStatus{
				Sequence: 1, LastFiredTime: moment(4 * time.Second), Until: ending(h + 4*time.Second), UsedUpTo: "5",
			},
			fired: 1,
		},
		"without a damper, at an earlier event: ours is told under the next number": {
			rule: none, existing: logged(1, 0, "1"), again: 2,
			damper: v1alpha1.DamperStatus{Sequence: 2, LastFiredTime: moment(time.Second), UsedUpTo: "2"},
			fired:  2,
		},
		"without a damper, but the other one used up our events too: told is told": {
			rule: none, existing: logged(1, 4*time.Second, "5"),
			damper: v1alpha1.DamperStatus{Sequence: 1, LastFiredTime: moment(4 * time.Second), UsedUpTo: "5"},
			fired:  1,
		},
		"a notification of long ago, forgotten: its damper had ended when ours fired, which is told under the next number": {
			rule: hourly, held: 3, existing: logged(1, time.Second-h, "1"), again: 2,
			damper: v1alpha1.DamperStatus{
				Sequence: 2, LastFiredTime: moment(time.Second), Until: ending(h + time.Second), HighestSeverity: "Warning", Held: 3, UsedUpTo: "2",
			},
			fired: 2,
		},
		"one of not so long ago: its damper ran on for a second, ours is held": {
			rule: hourly, existing: logged(1, 2*time.Second-h, "1"),
			damper: v1alpha1.DamperStatus{
				Sequence: 1, LastFiredTime: moment(2*time.Second - h), Until: ending(2 * time.Second), Held: 1, UsedUpTo: "1",
			},
			fired: 1,
		},
		"another manager told that all was quiet, and had not seen our event: that holds nothing": {
			rule: hourly, existing: quiet(1, 2*time.Second, "1"), again: 2,
			damper: v1alpha1.DamperStatus{
				Sequence: 2, LastFiredTime: moment(time.Second), Until: ending(h + time.Second), UsedUpTo: "2",
			},
			fired: 2,
		},
		"somebody took the name for a test: ours is told under the next number, whatever was held stays": {
			rule: hourly, held: 3, existing: test, again: 2,
			damper: v1alpha1.DamperStatus{
				Sequence: 2, LastFiredTime: moment(time.Second), Until: ending(h + time.Second), HighestSeverity: "Warning", Held: 3, UsedUpTo: "2",
			},
			fired: 2,
		},
		"a notification of another condition has the name": {
			rule: hourly, existing: foreign, again: 2,
			damper: v1alpha1.DamperStatus{Sequence: 2, LastFiredTime: moment(time.Second), Until: ending(h + time.Second), UsedUpTo: "2"},
			fired:  2,
		},
		"a notification of another damper has the name": {
			rule: hourly, existing: otherKey, again: 2,
			damper: v1alpha1.DamperStatus{Sequence: 2, LastFiredTime: moment(time.Second), Until: ending(h + time.Second), UsedUpTo: "2"},
			fired:  2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, tc.rule)
			f := observe(w, 1, sec("a", 0, 1)...)[0]
			for i := range tc.held {
				observe(w, plan.Position(3+i), sighting{arrives: time.Duration(2+i) * time.Second})
			}
			next, again := w.Yield(f, tc.existing)
			if again != (tc.again > 0) || again && next.Sequence != tc.again {
				t.Errorf("told again: %t under #%d, want #%d", again, next.Sequence, tc.again)
			}
			if again {
				f.Sequence = tc.again
				check(t, "firing", tell([]plan.Firing{next}), tell([]plan.Firing{f}))
			}
			status := describe(w)
			tc.damper.LastTime = ending(time.Duration(1+tc.held) * time.Second)
			check(t, "dampers", status.Dampers, []v1alpha1.DamperStatus{tc.damper})
			check(t, "fired", status.FiredTotal, tc.fired)
			check(t, "last fired", *status.LastFiredTime, moment(max(time.Second, tc.damper.LastFiredTime.Sub(t0))))
		})
	}
}

// TestYieldWithoutItsEvent: the API server refused a notification because of the event in it, and then the name was taken.
func TestYieldWithoutItsEvent(t *testing.T) {
	t.Parallel()
	w := watch(t, rule{2, "1m", anyComputer, "1h", perCondition})
	f := observe(w, 1, sec("a", 0, 1)...)[0]
	f.Event = nil
	if _, again := w.Yield(f, logged(1, 0, "1")); again {
		t.Error("it is told again, though the damper of the other one runs")
	}
}

// TestYieldOfATimer: the name of a notification that a timer decided is taken. The condition fires at 1s, still is reached at
// 1h0m1s, and clears at 3h0m1s.
func TestYieldOfATimer(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		until    time.Duration
		existing *v1alpha1.Notification
		again    int64
		damper   v1alpha1.DamperStatus
		fired    int64
		// then is what follows until 9h.
		then []told
	}{
		"another manager told the same: told is told": {
			until: h + time.Second, existing: logged(2, h+time.Second, "2"),
			damper: v1alpha1.DamperStatus{
				Sequence: 2, LastFiredTime: moment(h + time.Second), Until: ending(2*h + time.Second), UsedUpTo: "2",
			},
			fired: 2,
			then:  []told{{At: "3h0m1s", Reason: "Cleared", Sequence: 3, Event: "event-2", LastFired: "1h0m1s"}},
		},
		"another manager had fired meanwhile: its damper runs": {
			until: h + time.Second, existing: logged(2, h, "3"),
			damper: v1alpha1.DamperStatus{Sequence: 2, LastFiredTime: moment(h), Until: ending(2 * h), UsedUpTo: "3"},
			fired:  2,
			then:   []told{{At: "3h0m0s", Reason: "Cleared", Sequence: 3, Event: "event-2", LastFired: "1h0m0s"}},
		},
		"another manager, with another generation, had told that all was quiet: that is not told again": {
			until: h + time.Second, existing: quiet(2, h, "2"),
			damper: v1alpha1.DamperStatus{Sequence: 2, LastFiredTime: moment(0), ClearedTime: ending(h), UsedUpTo: "2"},
			fired:  2,
			then:   []told{},
		},
		"another manager told that all is quiet too": {
			until: 4 * h, existing: quiet(3, 3*h+time.Second, "2"),
			damper: v1alpha1.DamperStatus{Sequence: 3, LastFiredTime: moment(0), ClearedTime: ending(3*h + time.Second), UsedUpTo: "2"},
			fired:  3,
			then:   []told{},
		},
		"another manager had fired before all was quiet": {
			until: 4 * h, existing: logged(3, 2*h+time.Second, "3"),
			damper: v1alpha1.DamperStatus{
				Sequence: 3, LastFiredTime: moment(2*h + time.Second), Until: ending(3*h + time.Second), UsedUpTo: "3",
			},
			fired: 3,
			then:  []told{{At: "4h0m1s", Reason: "Cleared", Sequence: 4, Event: "event-2", LastFired: "2h0m1s"}},
		},
		"somebody took the name: it is told under the next number": {
			until: 4 * h, existing: &v1alpha1.Notification{}, again: 4,
			damper: v1alpha1.DamperStatus{
				Sequence: 4, LastFiredTime: moment(h + time.Second), ClearedTime: ending(3*h + time.Second), UsedUpTo: "2",
			},
			fired: 4,
			then:  []told{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, wish{rule{2, "2h", anyComputer, "1h", perCondition}, true, false})
			observe(w, 1, sec("a", 0, 1)...)
			fired := w.Advance(since(tc.until))
			next, again := w.Yield(fired[len(fired)-1], tc.existing)
			if again != (tc.again > 0) || again && next.Sequence != tc.again {
				t.Errorf("told again: %t under #%d, want #%d", again, next.Sequence, tc.again)
			}
			status := describe(w)
			tc.damper.LastTime = ending(time.Second)
			check(t, "dampers", status.Dampers, []v1alpha1.DamperStatus{tc.damper})
			check(t, "fired", status.FiredTotal, tc.fired)
			check(t, "then", tell(w.Advance(since(9*h))), tc.then)
		})
	}
}

// TestYieldInARow: several notifications are decided but not written when it turns out that the first name is taken. Each
// takes the next number, in order, and none is lost.
func TestYieldInARow(t *testing.T) {
	t.Parallel()
	w := watch(t, none)
	drafts := observe(w, 1, sec("a", 0, 1, 2, 3, 4, 5)...)
	log := map[int64]*v1alpha1.Notification{1: logged(1, 0, "1")}
	for _, f := range drafts {
		for again := true; again; {
			existing := log[f.Sequence]
			if existing == nil {
				log[f.Sequence] = journal.Compose(f, nil)
				break
			}
			f, again = w.Yield(f, existing)
		}
	}
	var got []string
	for sequence := int64(1); log[sequence] != nil; sequence++ {
		got = append(got, fmt.Sprintf("#%d up to %s", sequence, log[sequence].Spec.Trigger.UpTo))
	}
	check(t, "log", got, []string{"#1 up to 1", "#2 up to 2", "#3 up to 4", "#4 up to 6"})
	check(t, "fired", describe(w).FiredTotal, 4)
	check(t, "next", tell(observe(w, 7, sec("a", 6, 7)...))[0].Sequence, 5)
}

// TestAdopt: what the log holds is taken over, unless it is known or none of this condition's business.
func TestAdopt(t *testing.T) {
	t.Parallel()
	foreign := logged(9, h, "9")
	foreign.Spec.Condition.UID = "another"
	known := v1alpha1.DamperStatus{Sequence: 2, LastFiredTime: moment(10 * m), Until: ending(70 * m), Held: 5, UsedUpTo: "4"}
	newer := v1alpha1.DamperStatus{Sequence: 4, LastFiredTime: moment(2 * h), Until: ending(3 * h), UsedUpTo: "8"}
	allQuiet := quiet(3, 80*m, "5")
	allQuiet.Spec.Trigger.LastFiredTime = ending(10 * m)
	cleared := v1alpha1.DamperStatus{Sequence: 3, LastFiredTime: moment(10 * m), ClearedTime: ending(80 * m), UsedUpTo: "5"}
	for name, tc := range map[string]struct {
		n     *v1alpha1.Notification
		want  v1alpha1.DamperStatus
		fired int64
	}{
		"a later one: its damper runs, nothing is held since, those in between are counted": {logged(4, 2*h, "8"), newer, 4},
		"the one that is known: what was held since stays":                                  {logged(2, 10*m, "4"), known, 2},
		"that all was quiet: nothing runs, and nothing is held":                             {allQuiet, cleared, 3},
		"an earlier one":               {logged(1, 0, "1"), known, 2},
		"one of another condition":     {foreign, known, 2},
		"a test, which has no trigger": {&v1alpha1.Notification{}, known, 2},
		"one without a condition, as none can be": {
			&v1alpha1.Notification{Spec: v1alpha1.NotificationSpec{Trigger: &v1alpha1.Trigger{Sequence: 9}}}, known, 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, rule{2, "1m", anyComputer, "1h", perCondition})
			w.Resume(&v1alpha1.NotificationConditionStatus{
				FiredTotal: 2, LastFiredTime: pointer(moment(10 * m)), Dampers: []v1alpha1.DamperStatus{known}, Checkpoint: "5",
			}, nil)
			w.Adopt(tc.n)
			status := describe(w)
			check(t, "dampers", status.Dampers, []v1alpha1.DamperStatus{tc.want})
			check(t, "fired", status.FiredTotal, tc.fired)
			check(t, "last fired", *status.LastFiredTime, tc.want.LastFiredTime)
			var want time.Time
			if tc.want.Until != nil {
				want = tc.want.Until.Time
			}
			due, _ := w.NextDue()
			check(t, "due", due, want)
		})
	}
}

// TestWholeSeconds: the API stores whole seconds. What a timer decides at some fraction of one is the same as what is read
// back, so that a manager recognises its own notification.
func TestWholeSeconds(t *testing.T) {
	t.Parallel()
	w := watch(t, rule{1, "1m", anyComputer, "10s", perCondition})
	fired := observe(w, 1, sighting{})
	fired = append(fired, w.Advance(since(10*time.Second+700*time.Millisecond))...)
	fired = append(fired, observe(w, 2, sighting{arrives: 10 * time.Second})...)
	fired = append(fired, w.Advance(since(75*time.Second+100*time.Millisecond))...)
	fired = append(fired, observe(w, 3, sighting{arrives: 75 * time.Second})...)
	want := []string{"0s", "10s", "20s", "30s", "40s", "50s", "1m0s", "1m15s"}
	var got []string
	for _, f := range fired {
		got = append(got, f.Time.Sub(t0).String())
		mine := journal.Compose(f, nil)
		if !journal.Same(stored(t, mine), mine) {
			t.Errorf("#%d is not recognised when it is read back", f.Sequence)
		}
	}
	check(t, "times", got, want)
}

// TestPositions are resourceVersions.
func TestPositions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]plan.Position{
		"": 0, "0": 0, "1": 1, "4711": 4711, "18446744073709551615": 1<<64 - 1, "18446744073709551616": 0, "-1": 0, "x": 0, "1x": 0,
	} {
		if got := plan.ParsePosition(text); got != want {
			t.Errorf("%q is %d, want %d", text, got, want)
		}
	}
	got := []string{plan.FormatPosition(0), plan.FormatPosition(1), plan.FormatPosition(1<<64 - 1)}
	if want := []string{"", "1", "18446744073709551615"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func moment(d time.Duration) metav1.Time  { return metav1.NewTime(since(d)) }
func ending(d time.Duration) *metav1.Time { return pointer(moment(d)) }

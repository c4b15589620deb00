// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// newRisk tells of each risk once, at the count given.
func newRisk(count int32, window v1alpha1.Duration, scope v1alpha1.Scope) wish {
	return wish{rule: rule{count: count, window: window, scope: scope}, once: true}
}

// risks are sightings of these risks, one a second, on as many computers.
func risks(first time.Duration, names ...string) []sighting {
	var list []sighting
	for i, name := range names {
		list = append(list, sighting{arrives: first + time.Duration(i)*time.Second, computer: fmt.Sprint("ws-", i), risk: name})
	}
	return list
}

// numbered are as many names of risks.
func numbered(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("risk-%04d", i))
	}
	return names
}

// TestNewRisks: each risk is told once.
func TestNewRisks(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		rule   wish
		events []sighting
		// want are the events that fire, and the keys.
		want    []string
		known   []string
		matched int64
	}{
		"the first time, whatever the case of its name": {
			rule: newRisk(1, "1m", anyComputer), events: risks(0, "EICAR", "eicar", "Trojan", "Eicar", "TROJAN", "ÄRGER", "ärger"),
			want:  []string{"event-1 eicar", "event-3 trojan", "event-6 ärger"},
			known: []string{"eicar", "trojan", "ärger"}, matched: 7,
		},
		"not again after a year": {
			rule: newRisk(1, "1m", anyComputer), events: join(risks(0, "x"), risks(365*24*h, "x")),
			want: []string{"event-1 x"}, known: []string{"x"}, matched: 2,
		},
		"one that was there before the condition is not new": {
			rule: newRisk(1, "1m", anyComputer), events: join(risks(-m, "X", "Y"), risks(0, "x", "y", "z")),
			want: []string{"event-5 z"}, known: []string{"x", "y", "z"}, matched: 3,
		},
		"created in the second in which the condition was, it is": {
			rule: newRisk(1, "1m", anyComputer), events: risks(0, "x"),
			want: []string{"event-1 x"}, known: []string{"x"}, matched: 1,
		},
		"what arrives late is new all the same, though it happened before the condition was created": {
			rule: newRisk(1, "1m", anyComputer), events: []sighting{{risk: "x", happened: pointer(-h)}},
			want: []string{"event-1 x"}, known: []string{"x"}, matched: 1,
		},
		"an event without a risk's name does not match, not even before": {
			rule: newRisk(1, "1m", anyComputer), events: []sighting{{arrives: -m}, {computer: "a"}, {computer: "b"}},
		},
		"an event of another type does not match, not even before": {
			rule:   newRisk(1, "1m", anyComputer),
			events: []sighting{{arrives: -m, risk: "x", kind: "SystemError"}, {risk: "x", kind: "SystemError"}, {risk: "x"}},
			want:   []string{"event-3 x"}, known: []string{"x"}, matched: 1,
		},
		"with a higher count, when it is reached, each risk by itself": {
			rule: newRisk(2, "1m", anyComputer), events: risks(0, "x", "y", "x", "x", "y"),
			want: []string{"event-3 x", "event-5 y"}, known: []string{"x", "y"}, matched: 5,
		},
		"what did not reach the count before it was out of the window is still new": {
			rule: newRisk(2, "1m", anyComputer), events: join(risks(0, "x"), risks(m, "x"), risks(m+1*time.Second, "x")),
			want: []string{"event-3 x"}, known: []string{"x"}, matched: 3,
		},
		"on different computers": {
			rule: newRisk(2, "1m", distinct), events: []sighting{
				{computer: "a", risk: "x"}, {computer: "A", risk: "X"}, {computer: "b", risk: "x"},
			},
			want: []string{"event-3 x"}, known: []string{"x"}, matched: 3,
		},
		"on a single computer, and then on no other": {
			rule: newRisk(2, "1m", single), events: []sighting{
				{computer: "a", risk: "x"}, {computer: "b", risk: "x"}, {computer: "B", risk: "x"}, {computer: "a", risk: "x"},
			},
			want: []string{"event-3 x"}, known: []string{"x"}, matched: 4,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, tc.rule)
			var got []string
			for _, f := range observe(w, 1, tc.events...) {
				got = append(got, f.Event.Name+" "+f.Key)
				if f.Sequence != 1 || f.Held != 0 || f.Reason != v1alpha1.TriggerThresholdReached {
					t.Errorf("%s is #%d, %s, with %d held", f.Key, f.Sequence, f.Reason, f.Held)
				}
			}
			check(t, "told", got, tc.want)
			check(t, "later", tell(w.Advance(since(1000*24*h))), []told{})
			status := describe(w)
			check(t, "known", status.KnownRisks, tc.known)
			check(t, "matched", status.MatchedTotal, tc.matched)
			check(t, "fired", status.FiredTotal, int64(len(tc.want)))
			check(t, "held", status.HeldTotal, 0)
			check(t, "dampers", status.Dampers, nil)
		})
	}
}

// TestWhatADamperSaysOfNewRisks: nothing.
func TestWhatADamperSaysOfNewRisks(t *testing.T) {
	t.Parallel()
	for _, damper := range []v1alpha1.Damper{
		{}, {Period: "None"}, {Period: "Auto"}, {Period: "1s", Per: perComputer}, {Period: "720h", Per: perCondition},
	} {
		condition := newRisk(1, "1m", anyComputer).condition()
		condition.Spec.Damper = &damper
		w := plan.NewWatch(compiled(t, condition))
		var got []string
		for _, f := range observe(w, 1, risks(0, "x", "y", "x", "z", "y")...) {
			got = append(got, f.Key)
		}
		check(t, fmt.Sprintf("told with damper %+v", damper), got, []string{"x", "y", "z"})
		for due, ok := w.NextDue(); ok; due, ok = w.NextDue() {
			if fired := w.Advance(due); len(fired) > 0 || due.After(since(m+3*time.Second)) {
				t.Errorf("damper %+v: %d notifications are due at %s; the last window is empty at t+1m3s", damper, len(fired), due)
			}
		}
	}
}

// TestRisksWithoutEnd: a condition knows 1000 risks; the one known longest is forgotten, and told again when it comes back.
func TestRisksWithoutEnd(t *testing.T) {
	t.Parallel()
	names := numbered(1002)
	w := watch(t, newRisk(1, "1m", anyComputer))
	fired := observe(w, 1, risks(0, names[:1000]...)...)
	check(t, "as many as are known: all told", len(fired), 1000)
	check(t, "none is new", tell(observe(w, 2001, risks(h, names[:1000]...)...)), []told{})
	check(t, "known, the first one told first", describe(w).KnownRisks, names[:1000])
	fired = append(fired, observe(w, 4001, risks(2*h, names[1000:]...)...)...)
	check(t, "known: the two known longest are forgotten, though they were seen since", describe(w).KnownRisks, names[2:])
	again := observe(w, 5001, risks(3*h, names[0])...)
	check(t, "told again", tell(again), []told{{
		At: "3h0m0s", Reason: "ThresholdReached", Key: names[0], Sequence: 1, Occurrences: 1, Computers: 1, Event: "event-5001",
	}})
	check(t, "fired", describe(w).FiredTotal, int64(len(fired)+1))

	t.Run("as long as the log tells that it was told, it is not told again", func(t *testing.T) {
		t.Parallel()
		if _, told := w.Yield(again[0], journal.Compose(fired[0], nil)); told {
			t.Error("it is told again")
		}
	})
}

// TestKnownRisksSurvive a restart: what the status knows, and what the log tells of since.
func TestKnownRisksSurvive(t *testing.T) {
	t.Parallel()
	names := numbered(1200)
	r := newRisk(1, "1m", anyComputer)
	for name, tc := range map[string]struct {
		// before are told before the status was written, and then since; lost entries of the log are deleted.
		before, then, lost int
	}{
		"all in the status":                      {before: 10},
		"all in the status, nothing in the log":  {before: 10, lost: 10},
		"none in the status":                     {then: 10},
		"some here, some there":                  {before: 5, then: 5},
		"the log knows more than can be known":   {before: 1200},
		"and the status lags behind":             {before: 1100, then: 100},
		"as much as can be, and no status":       {then: 1000},
		"and the oldest entries have been lost":  {before: 1100, then: 100, lost: 600},
		"all in the same second, the names last": {then: -10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := risks(0, names[:max(tc.before+tc.then, -tc.then)]...)
			if tc.then < 0 {
				for i := range events {
					events[i].arrives, events[i].risk = 0, names[len(events)-i]
				}
			}
			w := watch(t, r)
			fired := observe(w, 1, events[:tc.before]...)
			status := describe(w)
			fired = append(fired, observe(w, plan.Position(tc.before+1), events[tc.before:]...)...)
			next := restore(t, w.Rule(), status, write(nil, fired...)[tc.lost:])
			check(t, "told again", tell(observe(next, 1, events...)), []told{})
			check(t, "told later", tell(append(next.Advance(since(h)), w.Advance(since(h))...)), []told{})
			check(t, "status", describe(next), describe(w))
		})
	}
}

// TestWhatWasThereBefore the condition stays known: it is not taken for new again when the condition is restarted or changed,
// nor does it drive out what was seen since.
func TestWhatWasThereBefore(t *testing.T) {
	t.Parallel()
	names := numbered(1500)
	r := newRisk(1, "1m", anyComputer)
	old := watch(t, r)
	events := join(risks(-24*h, names...), risks(0, names[1000], "new", names[1499]))
	check(t, "told", tell(observe(old, 1, events...)), []told{
		{At: "1s", Reason: "ThresholdReached", Key: "new", Sequence: 1, Occurrences: 1, Computers: 1, Event: "event-1502"},
	})
	known := describe(old).KnownRisks
	check(t, "known", known, append(names[501:], "new"))
	inherited := watch(t, r)
	inherited.Inherit(old, 0)
	for name, next := range map[string]*plan.Watch{"after a restart": restore(t, old.Rule(), describe(old), nil), "after a change": inherited} {
		again := join(events, risks(m, names[501], "New"))
		check(t, "told "+name, tell(observe(next, 1, again...)), []told{})
		check(t, "known "+name, describe(next).KnownRisks, known)
	}
}

// TestACustomConditionBecomesNewRiskDetected: what the former type told of is not known, neither in this run nor after a
// restart; numbers go on.
func TestACustomConditionBecomesNewRiskDetected(t *testing.T) {
	t.Parallel()
	old := watch(t, rule{1, "1m", anyComputer, "1h", perRisk})
	events := risks(0, "x", "y")
	log := write(nil, observe(old, 1, events...)...)
	events = append(events, risks(10*m, "x", "y", "z")...)
	want := []told{
		{At: "10m0s", Reason: "ThresholdReached", Key: "x", Sequence: 2, Occurrences: 1, Computers: 1, Event: "event-3"},
		{At: "10m1s", Reason: "ThresholdReached", Key: "y", Sequence: 2, Occurrences: 1, Computers: 1, Event: "event-4"},
		{At: "10m2s", Reason: "ThresholdReached", Key: "z", Sequence: 1, Occurrences: 1, Computers: 1, Event: "event-5"},
	}
	rule := compiled(t, newRisk(1, "1m", anyComputer).condition())
	inherited := plan.NewWatch(rule)
	inherited.Inherit(old, 0)
	restarted := restore(t, rule, describe(old), log)
	for name, w := range map[string]*plan.Watch{"in this run": inherited, "after a restart": restarted} {
		check(t, name, tell(observe(w, 1, events...)), want)
		check(t, name+": fired", describe(w).FiredTotal, 5)
		check(t, name+": known", describe(w).KnownRisks, []string{"x", "y", "z"})
	}
}

// TestYieldOfANewRisk: the name of its notification is taken.
func TestYieldOfANewRisk(t *testing.T) {
	t.Parallel()
	same, long, foreign := logged(1, 0, "1"), logged(1, -1000*h, ""), logged(1, 0, "1")
	same.Spec.Trigger.Key, long.Spec.Trigger.Key, foreign.Spec.Trigger.Key = "x", "x", "x"
	foreign.Spec.Condition.UID = "another"
	for name, tc := range map[string]struct {
		existing *v1alpha1.Notification
		again    int64
		fired    int64
	}{
		"another manager told of it":                               {same, 0, 1},
		"it was told long ago, and forgotten: told is told":        {long, 0, 1},
		"somebody took it: it is told under the next number":       {&v1alpha1.Notification{}, 2, 2},
		"another condition has it: it is told under the next one":  {foreign, 2, 2},
		"another damper's, of another risk, has it: the same here": {logged(1, 0, "1"), 2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, newRisk(1, "1m", anyComputer))
			next, again := w.Yield(observe(w, 1, risks(0, "X")...)[0], tc.existing)
			if again != (tc.again > 0) || again && next.Sequence != tc.again {
				t.Errorf("told again: %t under #%d, want #%d", again, next.Sequence, tc.again)
			}
			check(t, "fired", describe(w).FiredTotal, tc.fired)
			check(t, "told once more", tell(observe(w, 2, risks(m, "x")...)), []told{})
		})
	}
}

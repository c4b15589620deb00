// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/window"
)

var start = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func followed(tb testing.TB, threshold v1alpha1.Threshold, damper v1alpha1.Damper) *Watch {
	tb.Helper()
	rule, err := Compile(&v1alpha1.NotificationCondition{
		ObjectMeta: metav1.ObjectMeta{Name: "c", UID: "u", CreationTimestamp: metav1.NewTime(start)},
		Spec:       v1alpha1.NotificationConditionSpec{Type: "Custom", Threshold: &threshold, Damper: &damper},
	}, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return NewWatch(rule)
}

func seen(w *Watch, at Position, arrival time.Time, computer, risk string) []Firing {
	_, firings := w.Observe(NewEvent(&v1alpha1.SecurityEvent{
		ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(arrival)},
		Spec:       v1alpha1.SecurityEventSpec{Computer: &v1alpha1.Computer{Name: computer}, Risk: &v1alpha1.Risk{Name: risk}},
	}, at))
	return firings
}

// TestNamesWithoutEnd: names of computers and risks come from events, and whoever may create those can invent new ones for
// ever. What is remembered of those that never fired goes away with their events.
func TestNamesWithoutEnd(t *testing.T) {
	t.Parallel()
	const days = 20
	const aDay = 300
	two := int32(2)
	for name, tc := range map[string]struct {
		threshold v1alpha1.Threshold
		damper    v1alpha1.Damper
	}{
		"each computer counts by itself": {
			v1alpha1.Threshold{Count: &two, Window: "1m", Scope: v1alpha1.ScopeSingleComputer}, v1alpha1.Damper{},
		},
		"each computer has a damper": {
			v1alpha1.Threshold{Count: &two, Window: "1m", Scope: v1alpha1.ScopeSingleComputer},
			v1alpha1.Damper{Per: v1alpha1.DamperPerComputer},
		},
		"each risk has a damper": {
			v1alpha1.Threshold{Count: &two, Window: "1m"}, v1alpha1.Damper{Per: v1alpha1.DamperPerRisk},
		},
		"each computer and risk counts by itself, without a damper": {
			v1alpha1.Threshold{Count: &two, Window: "1m", Scope: v1alpha1.ScopeSingleComputer},
			v1alpha1.Damper{Per: v1alpha1.DamperPerRisk, Period: v1alpha1.DamperNone},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := followed(t, tc.threshold, tc.damper)
			for i := range days * aDay {
				arrival := start.Add(time.Duration(i) * 24 * time.Hour / aDay)
				if fired := seen(w, Position(i+1), arrival, fmt.Sprint("c", i), fmt.Sprint("r", i)); fired != nil {
					t.Fatalf("%v fired", fired)
				}
			}
			n := 0
			for _, computers := range w.tallies.groups {
				n += len(computers)
			}
			if n != w.tallies.n || n > 3*aDay {
				t.Errorf("%d windows are remembered, counted as %d; only %d computers were heard of in the last day", n, w.tallies.n, aDay)
			}
			if len(w.tallies.groups) > n {
				t.Errorf("%d risks are remembered for %d windows", len(w.tallies.groups), n)
			}
			if len(w.dampers.byKey) > 0 || len(w.due) > 0 {
				t.Errorf("%d dampers and %d deadlines are remembered, though nothing ever fired", len(w.dampers.byKey), len(w.due))
			}
		})
	}
}

// TestManyDampersEnd: of thousands of dampers that end at the same moment, each looks at its own window alone, and none
// leaves anything behind.
func TestManyDampersEnd(t *testing.T) {
	t.Parallel()
	const n = 3000
	one := int32(1)
	for name, tc := range map[string]struct {
		scope v1alpha1.Scope
		per   v1alpha1.DamperPer
	}{
		"a computer each, counted by itself":           {v1alpha1.ScopeSingleComputer, v1alpha1.DamperPerComputer},
		"a risk each":                                  {v1alpha1.ScopeAnyComputer, v1alpha1.DamperPerRisk},
		"a risk each, computers counted by themselves": {v1alpha1.ScopeSingleComputer, v1alpha1.DamperPerRisk},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := followed(t, v1alpha1.Threshold{Count: &one, Window: "2h", Scope: tc.scope}, v1alpha1.Damper{Per: tc.per})
			for i := range n {
				seen(w, Position(i+1), start, fmt.Sprint("c", i), fmt.Sprint("r", i))
			}
			looks := 0
			for key := range w.dampers.byKey {
				looks += len(w.concerned(key, start.Add(time.Hour)))
			}
			if looks != n {
				t.Errorf("%d dampers look at %d windows", n, looks)
			}
			if fired := len(w.Advance(start.Add(time.Hour))); fired != n {
				t.Errorf("%d notifications, want %d", fired, n)
			}
			if fired := len(w.Advance(start.Add(2 * time.Hour))); fired != 0 {
				t.Errorf("%d notifications after the window, want none", fired)
			}
			if fired := len(w.Advance(start.Add(3 * time.Hour))); fired != 0 {
				t.Errorf("%d notifications when they cleared, want none", fired)
			}
			if _, running := w.NextDue(); running || len(w.due) > 0 {
				t.Errorf("%d deadlines are left", len(w.due))
			}
		})
	}
}

// fleet is an event on each of as many computers, from a number on, at a steady rate.
func fleet(w *Watch, from, n int, first time.Time, step time.Duration) (firings []Firing) {
	for i := range n {
		next := max(w.position, w.decided) + 1
		firings = append(firings, seen(w, next, first.Add(time.Duration(i)*step), ws(from+i), "")...)
	}
	return firings
}

func ws(i int) string { return fmt.Sprintf("ws-%05d", i) }

// eachComputer fires at so many events on one computer within ten seconds, and is silent about it for a minute.
func eachComputer(tb testing.TB, count int32) *Watch {
	tb.Helper()
	return followed(tb, v1alpha1.Threshold{Count: &count, Window: "10s", Scope: v1alpha1.ScopeSingleComputer},
		v1alpha1.Damper{Period: "1m", Per: v1alpha1.DamperPerComputer})
}

// TestDampersWithoutEnd: of dampers that have cleared, those that fired longest ago are forgotten.
func TestDampersWithoutEnd(t *testing.T) {
	t.Parallel()
	w := eachComputer(t, 1)
	const n = 10 * maxCleared
	for i := range n {
		fleet(w, i, 1, start.Add(time.Duration(i)*time.Second), 0)
		if n := len(w.dampers.byKey); n > 2*(maxCleared+60)+1 {
			t.Fatalf("%d dampers are remembered, of which 60 run", n)
		}
	}
	for i := range maxCleared {
		if w.dampers.byKey[ws(n-1-i)] == nil {
			t.Fatalf("%s is forgotten, though only %d fired since", ws(n-1-i), i)
		}
	}
	if len(w.due) > 2*maxCleared {
		t.Errorf("%d deadlines are remembered", len(w.due))
	}
}

// TestOnlyWhatHasClearedIsForgotten: a damper that runs, and one that has ended but not cleared, are remembered, however many
// there are, and so is what they held.
func TestOnlyWhatHasClearedIsForgotten(t *testing.T) {
	t.Parallel()
	w := eachComputer(t, 2)
	const n = 5 * maxCleared
	fleet(w, 0, n, start, 0)
	if fired := len(fleet(w, 0, n, start, 0)); fired != n {
		t.Fatalf("%d fired, want %d", fired, n)
	}
	fleet(w, 0, n, start.Add(59*time.Second), 0) // held: all is quiet ten seconds later
	for _, after := range []time.Duration{59 * time.Second, 60 * time.Second, 68 * time.Second} {
		w.dampers.most = 0
		w.Advance(start.Add(after))
		for i := range n {
			if m := w.dampers.byKey[ws(i)]; m == nil || m.Held != 1 || !m.cleared.IsZero() {
				t.Fatalf("after %s, this is known of %s: %+v", after, ws(i), m)
			}
		}
	}
	w.Advance(start.Add(69 * time.Second))
	for i := range n {
		if m := w.dampers.byKey[ws(i)]; m != nil && m.cleared.IsZero() {
			t.Fatalf("%s has not cleared: this proves nothing", ws(i))
		}
	}
	for i := range 3 * n {
		at := start.Add(time.Hour + time.Duration(i)*time.Second)
		fleet(w, n+i, 1, at, 0)
		fleet(w, n+i, 1, at, 0)
	}
	for i := range n {
		if w.dampers.byKey[ws(i)] != nil {
			t.Fatalf("%s has cleared and fired longest ago, but is not forgotten", ws(i))
		}
	}
	if most := 2*n + 2*maxCleared; len(w.dampers.byKey) > most {
		t.Errorf("%d dampers are remembered; at most %d did not clear at the same time", len(w.dampers.byKey), n)
	}
}

// TestTooManyRun: of dampers that run, too, not more are remembered than there is room for. Those that fired last are, and how
// many were forgotten too early is counted.
func TestTooManyRun(t *testing.T) {
	t.Parallel()
	w := eachComputer(t, 1)
	const n = maxDamping + maxDamping/2
	for i := range n {
		fleet(w, i, 1, start.Add(time.Duration(i/1000)*time.Second), 0)
		if known := len(w.dampers.byKey); known > maxDamping+maxCleared+1 {
			t.Fatalf("%d dampers are remembered", known)
		}
	}
	for i := range maxDamping / 2 {
		if w.dampers.byKey[ws(n-1-i)] == nil {
			t.Fatalf("%s is forgotten, though only %d fired since", ws(n-1-i), i)
		}
	}
	if got, want := w.dampers.crowded, int64(n-len(w.dampers.byKey)); got != want || got == 0 || w.Crowded() < got {
		t.Errorf("%d were forgotten too early, but %d are counted, and told as %d", want, got, w.Crowded())
	}
	if fired := len(w.Advance(start.Add(time.Hour))); fired != 0 {
		t.Errorf("%d notifications when they end", fired)
	}
}

// TestTooManyWindows: of windows in which something is left, not more are remembered than there is room for. Those in which
// something happened last are, and how many were forgotten too early is counted.
func TestTooManyWindows(t *testing.T) {
	t.Parallel()
	for name, damper := range map[string]v1alpha1.Damper{
		"of computers": {}, "of computers and risks": {Per: v1alpha1.DamperPerRisk},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			two := int32(2)
			w := followed(t, v1alpha1.Threshold{Count: &two, Window: "1h", Scope: v1alpha1.ScopeSingleComputer}, damper)
			const n = 2*maxTallies + maxTallies/2
			see := func(i int, after time.Duration) []Firing {
				return seen(w, w.position+1, start.Add(after), ws(i), fmt.Sprint("r", i%7))
			}
			for i := range n {
				see(i, time.Duration(i/1000)*time.Second)
				if w.tallies.n > maxTallies {
					t.Fatalf("%d windows are remembered", w.tallies.n)
				}
			}
			if got, want := w.Crowded(), int64(n-w.tallies.n); got != want || got == 0 {
				t.Errorf("%d were forgotten too early, but %d are counted", want, got)
			}
			if fired := see(n-maxTallies/2, time.Minute); len(fired) != 1 {
				t.Error("what happened on one of the latest computers is forgotten")
			}
			if fired := see(0, time.Minute); len(fired) != 0 {
				t.Error("what happened on the first computer is remembered: this proves nothing")
			}
		})
	}
}

// TestAForgottenDamperGoesOn: one that fires anew after it was forgotten has a number that it never had, and so has one that
// was never heard of, as nobody knows any longer whether it was.
func TestAForgottenDamperGoesOn(t *testing.T) {
	t.Parallel()
	w := eachComputer(t, 1)
	for i := range 7 { // the busy one fires seven times
		fleet(w, 0, 1, start.Add(time.Duration(i)*time.Hour), 0)
	}
	fleet(w, 1, 1, start.Add(7*time.Hour), 0)
	later := start.Add(8 * time.Hour)
	fleet(w, 2, 3*maxCleared, later, time.Second)
	for i := range 2 {
		if w.dampers.byKey[ws(i)] != nil {
			t.Fatalf("%s is not forgotten: this proves nothing", ws(i))
		}
	}
	later = later.Add(24 * time.Hour)
	next := NewWatch(w.rule) // the condition is changed
	next.Inherit(w, 0)
	w = next
	w.dampers.most = 1 << 30 // no more is forgotten
	for name, tc := range map[string]struct {
		computer int
		want     int64
	}{
		"the busy one":                             {0, 8},
		"one that fired once":                      {1, 8},
		"one that is new":                          {100_000, 8},
		"one that is remembered goes on by itself": {3*maxCleared + 1, w.dampers.byKey[ws(3*maxCleared+1)].Sequence + 1},
	} {
		fired := fleet(w, tc.computer, 1, later, 0)
		if len(fired) != 1 || fired[0].Sequence != tc.want || fired[0].Held != 0 {
			t.Errorf("%s: %+v, want #%d", name, fired, tc.want)
		}
	}
}

// TestTheSameAreForgotten by every manager, whatever order it finds them in.
func TestTheSameAreForgotten(t *testing.T) {
	t.Parallel()
	var before []string
	for range 3 {
		w := eachComputer(t, 1)
		fleet(w, 0, 3*maxCleared, start, 0) // all at the same time
		w.Advance(start.Add(time.Hour))
		w.dampers.most = 0
		w.dampers.forget()
		if n := len(w.dampers.byKey); n != maxCleared {
			t.Fatalf("%d are remembered, want %d", n, maxCleared)
		}
		now := slices.Sorted(maps.Keys(w.dampers.byKey))
		if before != nil && !slices.Equal(now, before) {
			t.Fatal("two that saw the same remember others")
		}
		before = now
	}
}

// TestTheMessageOfAnExpression is cut to what the status takes, in characters.
func TestTheMessageOfAnExpression(t *testing.T) {
	t.Parallel()
	w := eachComputer(t, 1)
	w.failures = failures{count: 1, message: strings.Repeat("ä", 5000)}
	var status v1alpha1.NotificationConditionStatus
	w.Describe(&status, 0)
	if want := strings.Repeat("ä", 1024); status.ExpressionErrors.Message != want {
		t.Errorf("the message has %d bytes, want %d", len(status.ExpressionErrors.Message), len(want))
	}
}

// TestADeadlineIsReplaced: a damper has one deadline that counts, however often it was scheduled.
func TestADeadlineIsReplaced(t *testing.T) {
	t.Parallel()
	one := int32(1)
	w := followed(t, v1alpha1.Threshold{Count: &one, Window: "1m"}, v1alpha1.Damper{})
	f := seen(w, 1, start, "a", "")[0]
	for i := range 10 {
		n := &v1alpha1.Notification{}
		n.Spec.Condition = &v1alpha1.ConditionSnapshot{UID: "u"}
		n.Spec.Trigger = &v1alpha1.Trigger{Sequence: 1, Time: metav1.NewTime(start.Add(time.Duration(i) * time.Minute)), UpTo: "1"}
		w.Yield(f, n)
	}
	w.Advance(start.Add(time.Hour)) // when the first one ended
	due, ok := w.NextDue()
	if want := start.Add(69 * time.Minute); !ok || !due.Equal(want) {
		t.Errorf("the damper ends at %s, want %s", due, want)
	}
	if fired := w.Advance(start.Add(3 * time.Hour)); fired != nil || len(w.due) > 0 {
		t.Errorf("%d notifications and %d deadlines are left", len(fired), len(w.due))
	}
}

// TestEntry: what a window counts for an event, and when.
func TestEntry(t *testing.T) {
	t.Parallel()
	at := func(d time.Duration) *metav1.Time { return &metav1.Time{Time: start.Add(d)} }
	count := int32(14)
	for name, tc := range map[string]struct {
		spec v1alpha1.SecurityEventSpec
		want window.Entry
	}{
		"nothing is said: once, when it was created, nowhere": {
			v1alpha1.SecurityEventSpec{},
			window.Entry{First: start, Time: start, Count: 1},
		},
		"what is known goes along": {
			v1alpha1.SecurityEventSpec{
				Severity: v1alpha1.SeverityCritical, Count: &count,
				Computer: &v1alpha1.Computer{Name: "ws-1"}, Risk: &v1alpha1.Risk{Name: "EICAR"},
			},
			window.Entry{First: start, Time: start, Count: 14, Severity: 4, Computer: "ws-1", Risk: "EICAR"},
		},
		"it happened earlier": {
			v1alpha1.SecurityEventSpec{Time: at(-time.Minute)},
			window.Entry{First: at(-time.Minute).Time, Time: at(-time.Minute).Time, Count: 1},
		},
		"it happened over some time: it counts at its end": {
			v1alpha1.SecurityEventSpec{Time: at(-time.Minute), LastTime: at(-time.Second)},
			window.Entry{First: at(-time.Minute).Time, Time: at(-time.Second).Time, Count: 1},
		},
		"it claims to be from the future: it happened on arrival": {
			v1alpha1.SecurityEventSpec{Time: at(time.Hour), LastTime: at(2 * time.Hour)},
			window.Entry{First: start, Time: start, Count: 1},
		},
		"it claims to go on into the future: it ended on arrival": {
			v1alpha1.SecurityEventSpec{Time: at(-time.Minute), LastTime: at(time.Hour)},
			window.Entry{First: at(-time.Minute).Time, Time: start, Count: 1},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := entry(&v1alpha1.SecurityEvent{Spec: tc.spec}, start); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

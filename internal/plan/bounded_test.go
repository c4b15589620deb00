// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
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
			if _, running := w.NextDue(); running || len(w.due) > 0 {
				t.Errorf("%d deadlines are left", len(w.due))
			}
		})
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

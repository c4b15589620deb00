// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// TestDescribe: the status shows what can be known of a condition.
func TestDescribe(t *testing.T) {
	t.Parallel()
	t.Run("of one that has seen nothing: the threshold and nothing else", func(t *testing.T) {
		t.Parallel()
		check(t, "status", describe(watch(t, none)), &v1alpha1.NotificationConditionStatus{
			Threshold: &v1alpha1.EffectiveThreshold{Count: 2, Window: "1m", Scope: anyComputer},
		})
	})
	t.Run("numbers, checkpoint, and dampers, the one that fired last first", func(t *testing.T) {
		t.Parallel()
		w := watch(t, rule{2, "1m", anyComputer, "20m", perRisk})
		observe(w, 10,
			sighting{arrives: 0, risk: "x"}, sighting{arrives: 1 * m, risk: "z"}, sighting{arrives: 1 * m, risk: "x", count: 2},
			sighting{arrives: 2 * m, risk: "y", count: 2}, sighting{arrives: 2 * m, risk: "a", count: 2},
			sighting{arrives: 22 * m, risk: "y"})
		check(t, "status", describe(w), &v1alpha1.NotificationConditionStatus{
			Threshold:    &v1alpha1.EffectiveThreshold{Count: 2, Window: "1m", Scope: anyComputer},
			MatchedTotal: 9, FiredTotal: 3, LastFiredTime: ending(2 * m), LastEvaluatedTime: ending(22 * m), Checkpoint: "15",
			Window: &v1alpha1.WindowStatus{Occurrences: 1, Time: moment(22 * m)},
			Dampers: []v1alpha1.DamperStatus{
				{Key: "a", Sequence: 1, LastFiredTime: moment(2 * m), LastTime: ending(2 * m), ClearedTime: ending(22 * m), UsedUpTo: "14"},
				{Key: "y", Sequence: 1, LastFiredTime: moment(2 * m), LastTime: ending(22 * m), ClearedTime: ending(22 * m), UsedUpTo: "13"},
				{Key: "x", Sequence: 1, LastFiredTime: moment(1 * m), LastTime: ending(1 * m), ClearedTime: ending(21 * m), UsedUpTo: "12"},
			},
		})
	})
	t.Run("what is held, and until when, of all dampers", func(t *testing.T) {
		t.Parallel()
		w := watch(t, rule{2, "1m", anyComputer, "20m", perRisk})
		observe(w, 1,
			sighting{risk: "X", computer: "a", count: 2}, sighting{arrives: 1 * m, risk: "y", count: 2},
			sighting{arrives: 2 * m, risk: "x", computer: "b", count: 3}, sighting{arrives: 2 * m, risk: "x", computer: "B", count: 4},
			sighting{arrives: 3 * m, risk: "y"}, sighting{arrives: 3 * m, risk: "x", computer: "c"})
		check(t, "status", describe(w), &v1alpha1.NotificationConditionStatus{
			Threshold:    &v1alpha1.EffectiveThreshold{Count: 2, Window: "1m", Scope: anyComputer},
			MatchedTotal: 13, HeldTotal: 9, FiredTotal: 2, Held: 9, DamperUntil: ending(21 * m),
			LastFiredTime: ending(1 * m), LastEvaluatedTime: ending(3 * m), Checkpoint: "6",
			Window: &v1alpha1.WindowStatus{Occurrences: 1, Computers: 1, Time: moment(3 * m)},
			Dampers: []v1alpha1.DamperStatus{
				{
					Key: "y", Sequence: 1, LastFiredTime: moment(1 * m), LastTime: ending(3 * m), Until: ending(21 * m), HighestSeverity: "Warning",
					Held: 1, UsedUpTo: "2",
				},
				{
					Key: "x", Sequence: 1, LastFiredTime: moment(0), LastTime: ending(3 * m), Until: ending(20 * m), HighestSeverity: "Warning",
					Held: 8, UsedUpTo: "1",
				},
			},
		})
	})
	t.Run("no more than a hundred dampers, the latest", func(t *testing.T) {
		t.Parallel()
		w := watch(t, rule{1, "1m", anyComputer, "1h", perComputer})
		for i := range 120 {
			observe(w, plan.Position(i+1), sighting{arrives: time.Duration(i) * time.Second, computer: fmt.Sprintf("ws-%03d", i)})
		}
		dampers := describe(w).Dampers
		if len(dampers) != 100 || dampers[0].Key != "ws-119" || dampers[99].Key != "ws-020" {
			t.Errorf("%d dampers from %s to %s", len(dampers), dampers[0].Key, dampers[len(dampers)-1].Key)
		}
	})
	t.Run("the checkpoint does not go back while events are taken again", func(t *testing.T) {
		t.Parallel()
		w := watch(t, none)
		w.Resume(&v1alpha1.NotificationConditionStatus{Checkpoint: "9", MatchedTotal: 8}, nil)
		observe(w, 1, sec("a", 0, 1, 2)...)
		status := describe(w)
		check(t, "checkpoint", status.Checkpoint, "9")
		check(t, "matched", status.MatchedTotal, 8)
	})
}

// TestTheWindowInTheStatus: what it shows, and when it is to be looked at again as nothing is left in it.
func TestTheWindowInTheStatus(t *testing.T) {
	t.Parallel()
	shown := func(occurrences int64, computers int32, at time.Duration) *v1alpha1.WindowStatus {
		return &v1alpha1.WindowStatus{Occurrences: occurrences, Computers: computers, Time: moment(at)}
	}
	for name, tc := range map[string]struct {
		rule   rule
		events []sighting
		want   *v1alpha1.WindowStatus
		// empty is when nothing is left.
		empty time.Duration
	}{
		"all that is in it": {
			rule: rule{9, "1m", anyComputer, "Auto", perCondition}, events: join(sec("a", 0, 10), sec("A", 20), sec("b", 30)),
			want: shown(4, 2, 30*time.Second), empty: m + 30*time.Second,
		},
		"and no longer": {
			rule: rule{9, "1m", anyComputer, "Auto", perCondition}, events: sec("a", 0, 10, 61),
			want: shown(2, 1, 61*time.Second), empty: 2*m + time.Second,
		},
		"that of the computer of the latest event": {
			rule: rule{9, "1m", single, "Auto", perCondition}, events: join(sec("a", 0, 1, 2), sec("b", 3)),
			want: shown(1, 1, 3*time.Second), empty: m + 3*time.Second,
		},
		"that of the risk of the latest event": {
			rule: rule{9, "1m", anyComputer, "Auto", perRisk}, events: risks(0, "x", "y", "X"),
			want: shown(2, 2, 2*time.Second), empty: m + 2*time.Second,
		},
		"what arrives too late is not in it": {
			rule: rule{9, "1m", anyComputer, "Auto", perCondition}, events: []sighting{{arrives: h, happened: pointer(time.Duration(0))}},
		},
		"what happened at a fraction of a second is in it until the next whole one": {
			rule:   rule{9, "1m", anyComputer, "Auto", perCondition},
			events: []sighting{{arrives: 5 * time.Second, happened: pointer(4001 * time.Millisecond)}},
			want:   shown(1, 0, 5*time.Second), empty: m + 5*time.Second,
		},
		"what was used up is not in it": {
			rule: rule{2, "1m", anyComputer, "None", perCondition}, events: sec("a", 0, 1, 2),
			want: shown(1, 1, 2*time.Second), empty: m + 2*time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, tc.rule)
			observe(w, 1, tc.events...)
			check(t, "window", describe(w).Window, tc.want)
			var last time.Time
			for due, ok := w.NextDue(); ok && describe(w).Window != nil; due, ok = w.NextDue() {
				w.Advance(due)
				last = due
			}
			check(t, "window, when nothing is due", describe(w).Window, nil)
			if tc.want != nil {
				check(t, "empty", last, since(tc.empty))
			}
		})
	}
}

// failing asks about what not every event has.
func failing(tb testing.TB) *plan.Watch {
	tb.Helper()
	condition := rule{2, "1m", anyComputer, "1h", perCondition}.condition()
	condition.Spec.Filter = &v1alpha1.EventFilter{Expression: `event.risk.name == "x"`}
	return plan.NewWatch(compiled(tb, condition))
}

// TestExpressionErrors: an event for which the expression cannot be evaluated does not match, and is counted once, whatever
// happens to the manager.
func TestExpressionErrors(t *testing.T) {
	t.Parallel()
	events := []sighting{
		{risk: "x"}, {arrives: 1 * time.Second}, {arrives: 2 * time.Second, risk: "y"}, {arrives: 3 * time.Second},
		{arrives: 4 * time.Second, kind: "SystemError"}, {arrives: 5 * time.Second, risk: "x"},
	}
	lived := failing(t)
	var verdicts []string
	for i, e := range events {
		verdict, _ := lived.Observe(plan.NewEvent(e.event(plan.Position(i+1)), plan.Position(i+1)))
		verdicts = append(verdicts, string(verdict))
	}
	check(t, "verdicts", verdicts, []string{
		"Matched", "ExpressionFailed", "OtherExpression", "ExpressionFailed", "ExpressionFailed", "Matched",
	})
	want := describe(lived)
	check(t, "fired", want.FiredTotal, 1)
	check(t, "evaluated", *want.LastEvaluatedTime, moment(5*time.Second))
	failures := *want.ExpressionErrors
	if !strings.Contains(failures.Message, "risk") {
		t.Errorf("the message does not say what is missing: %s", failures.Message)
	}
	failures.Message = ""
	check(t, "errors", failures, v1alpha1.ExpressionErrors{
		Count: 3, LastTime: moment(4 * time.Second), Namespace: "security", Event: "event-5",
	})
	for killed := range len(events) + 1 {
		old := failing(t)
		log := write(nil, observe(old, 1, events[:killed]...)...)
		restarted := restore(t, old.Rule(), describe(old), log)
		observe(restarted, 1, events...)
		check(t, fmt.Sprintf("after a restart at event %d", killed), stored(t, describe(restarted)), stored(t, want))
		inherited := plan.NewWatch(old.Rule())
		inherited.Inherit(old, 0)
		observe(inherited, 1, events...)
		check(t, fmt.Sprintf("after a change at event %d", killed), describe(inherited).ExpressionErrors, want.ExpressionErrors)
	}
}

// maxObject is what etcd takes in one request by default.
const maxObject = 3 << 19

// TestTheStatusCanBeStored, whatever names the events bring: as long as the schema admits, of the characters that take most.
func TestTheStatusCanBeStored(t *testing.T) {
	t.Parallel()
	name := func(i, length int, character string) string {
		return fmt.Sprintf("%04d", i) + strings.Repeat(character, length-4)
	}
	for character, what := range map[string]string{"<": "escaped in JSON", "\U0001F514": "of four bytes", "\u0130": "in upper case"} {
		for kind, r := range map[string]declared{
			"known risks": newRisk(1, "1m", anyComputer),
			"dampers":     rule{1, "1m", single, "None", perRisk},
		} {
			t.Run(kind+" "+what, func(t *testing.T) {
				t.Parallel()
				w := watch(t, r)
				for i := range 1100 {
					observe(w, plan.Position(i+1), sighting{computer: name(i, 253, character), risk: name(i, 256, character)})
				}
				status := describe(w)
				for _, risk := range status.KnownRisks {
					if n := utf8.RuneCountInString(risk); n > 256 {
						t.Fatalf("a risk's name has %d characters", n)
					}
				}
				for _, d := range status.Dampers {
					if n := utf8.RuneCountInString(d.Key); n > 512 {
						t.Fatalf("a key has %d characters", n)
					}
				}
				if len(status.KnownRisks) != 1000 && len(status.Dampers) != 100 {
					t.Fatalf("%d risks and %d dampers prove nothing", len(status.KnownRisks), len(status.Dampers))
				}
				data, err := json.Marshal(status)
				if err != nil {
					t.Fatal(err)
				}
				if len(data) > maxObject {
					t.Errorf("%d bytes are more than the %d that can be stored", len(data), maxObject)
				}
			})
		}
	}
}

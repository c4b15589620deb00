// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// note is that all was quiet, after it last fired.
func note(at string, sequence, held int64, event, lastFired string) told {
	return told{At: at, Reason: v1alpha1.TriggerCleared, Sequence: sequence, Held: held, Event: event, LastFired: lastFired}
}

// TestClearing: when all is quiet, and what is told of it.
func TestClearing(t *testing.T) {
	t.Parallel()
	hourly := rule{3, "10m", anyComputer, "1h", perCondition}
	fires := []sighting{{}, {arrives: time.Second, count: 2}}
	once := func(at ...time.Duration) []sighting {
		var list []sighting
		for _, arrives := range at {
			list = append(list, sighting{arrives: arrives})
		}
		return list
	}
	for name, tc := range map[string]struct {
		rule   rule
		filter *v1alpha1.EventFilter
		events []sighting
		// want are the notes alone.
		want []told
	}{
		"nothing fired: there is nothing to clear": {
			rule: hourly, events: once(0, 1),
		},
		"nothing more happens: as soon as the damper ends": {
			rule: hourly, events: fires,
			want: []told{note("1h0m1s", 2, 0, "event-2", "1s")},
		},
		"a window that is longer than the damper must pass": {
			rule: rule{3, "1h", anyComputer, "50m", perCondition}, events: fires, // it is still reached at 50m1s
			want: []told{note("1h50m1s", 3, 0, "event-2", "50m1s")},
		},
		"what was held is told": {
			rule: hourly, events: join(fires, []sighting{{arrives: 20 * m, count: 14}, {arrives: 30 * m}}),
			want: []told{note("1h0m1s", 2, 15, "event-4", "1s")},
		},
		"an event keeps it for a window, though it reaches nothing": {
			rule: hourly, events: join(fires, once(55*m, h+4*m)),
			want: []told{note("1h14m0s", 2, 1, "event-4", "1s")},
		},
		"at the very instant it is quiet, and an event comes after that": {
			rule: hourly, events: join(fires, once(55*m, h+5*m)),
			want: []told{note("1h5m0s", 2, 1, "event-3", "1s")},
		},
		"one second before, it is not": {
			rule: hourly, events: join(fires, once(55*m, h+5*m-time.Second)),
			want: []told{note("1h14m59s", 2, 1, "event-4", "1s")},
		},
		"what arrives now counts, whenever it happened": {
			rule: hourly, events: join(fires, []sighting{{arrives: h, happened: pointer(-12 * h)}}),
			want: []told{note("1h10m0s", 2, 1, "event-3", "1s")},
		},
		"events of the future happen now": {
			rule: hourly, events: join(fires, []sighting{{arrives: h, happened: pointer(12 * h)}}),
			want: []told{note("1h10m0s", 2, 1, "event-3", "1s")},
		},
		"events that do not meet the filter keep nothing": {
			rule: hourly, filter: &v1alpha1.EventFilter{EventTypes: []v1alpha1.Wildcard{"RiskDetected"}},
			events: join(fires, []sighting{{arrives: 55 * m, kind: "SystemError", count: 3}}),
			want:   []told{note("1h0m1s", 2, 0, "event-2", "1s")},
		},
		"while the threshold is still reached it is not quiet": {
			rule: hourly, events: join(fires, []sighting{{arrives: 59 * m, count: 3}}),
			want: []told{note("2h0m1s", 3, 0, "event-3", "1h0m1s")},
		},
		"it fires anew at once, and clears anew": {
			rule: hourly, events: join(fires, []sighting{{arrives: h + 2*time.Second, count: 3}}),
			want: []told{note("1h0m1s", 2, 0, "event-2", "1s"), note("2h0m2s", 4, 0, "event-3", "1h0m2s")},
		},
		"it fires anew just when all was quiet": {
			rule: hourly, events: join(fires, []sighting{{arrives: h + time.Second, count: 3}}),
			want: []told{note("1h0m1s", 2, 0, "event-2", "1s"), note("2h0m1s", 4, 0, "event-3", "1h0m1s")},
		},
		"what arrives late after that is held, and told when it fires anew": {
			rule: hourly, events: join(fires, []sighting{{arrives: 2 * h, happened: pointer(m)}, {arrives: 3 * h, count: 3}}),
			want: []told{note("1h0m1s", 2, 0, "event-2", "1s"), note("4h0m0s", 4, 0, "event-4", "3h0m0s")},
		},
		"without a damper, a window after it last fired": {
			rule: rule{2, "10m", anyComputer, "None", perCondition}, events: sec("a", 0, 1, 2, 3),
			want: []told{note("10m3s", 3, 0, "event-4", "3s")},
		},
		"without a damper, a window after what counts anew": {
			rule: rule{2, "10m", anyComputer, "None", perCondition}, events: join(sec("a", 0, 1), once(5*m)),
			want: []told{note("15m0s", 2, 0, "event-3", "1s")},
		},
		"a damper a computer: each by itself, whatever happens on the others, and case does not matter": {
			rule: rule{2, "10m", single, "1h", perComputer},
			events: []sighting{
				{computer: "a", count: 2}, {computer: "B", count: 2}, {arrives: 55 * m, computer: "b"},
				{arrives: h + 4*m, computer: "c", count: 2},
			},
			want: []told{
				{At: "1h0m0s", Reason: "Cleared", Key: "a", Sequence: 2, Event: "event-1", LastFired: "0s"},
				{At: "1h5m0s", Reason: "Cleared", Key: "b", Sequence: 2, Held: 1, Event: "event-3", LastFired: "0s"},
				{At: "2h4m0s", Reason: "Cleared", Key: "c", Sequence: 2, Event: "event-4", LastFired: "1h4m0s"},
			},
		},
		"a damper a risk: likewise": {
			rule:   rule{2, "10m", anyComputer, "1h", perRisk},
			events: []sighting{{risk: "X", count: 2}, {risk: "y", count: 2}, {arrives: 55 * m, risk: "x"}},
			want: []told{
				{At: "1h0m0s", Reason: "Cleared", Key: "y", Sequence: 2, Event: "event-2", LastFired: "0s"},
				{At: "1h5m0s", Reason: "Cleared", Key: "x", Sequence: 2, Held: 1, Event: "event-3", LastFired: "0s"},
			},
		},
		"one damper for computers that are counted by themselves: any of them keeps it": {
			rule: rule{3, "10m", single, "1h", perCondition}, events: join(fires, []sighting{{arrives: 55 * m, computer: "b"}}),
			want: []told{note("1h5m0s", 2, 1, "event-3", "1s")},
		},
		"several at the same time, in the order of their keys": {
			rule: rule{1, "10m", anyComputer, "1h", perComputer}, events: join(sec("c", 0), sec("a", 0), sec("b", 0)),
			want: []told{
				{At: "1h0m0s", Reason: "Cleared", Key: "a", Sequence: 2, Event: "event-2", LastFired: "0s"},
				{At: "1h0m0s", Reason: "Cleared", Key: "b", Sequence: 2, Event: "event-3", LastFired: "0s"},
				{At: "1h0m0s", Reason: "Cleared", Key: "c", Sequence: 2, Event: "event-1", LastFired: "0s"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play := func(notify bool) (notes []told, others []string, cleared map[string]string) {
				condition := wish{tc.rule, notify, false}.condition()
				condition.Spec.Filter = tc.filter
				w := plan.NewWatch(compiled(t, condition))
				for _, f := range tell(append(observe(w, 1, tc.events...), w.Advance(since(100*h))...)) {
					if f.Reason == v1alpha1.TriggerCleared {
						notes = append(notes, f)
					} else {
						others = append(others, fmt.Sprint(f.At, " ", f.Key, " ", f.Reason, " ", f.Event))
					}
				}
				return notes, others, clearedTimes(w)
			}
			notes, others, cleared := play(true)
			check(t, "notes", notes, tc.want)
			silent, same, sameCleared := play(false)
			check(t, "notes that nobody asked for", silent, nil)
			check(t, "told besides", same, others)
			check(t, "cleared silently", sameCleared, cleared)
		})
	}
}

// clearedTimes are those of a status, by key.
func clearedTimes(w *plan.Watch) map[string]string {
	times := map[string]string{}
	for _, d := range describe(w).Dampers {
		if d.ClearedTime != nil {
			times[d.Key] = d.ClearedTime.Sub(t0).String()
		}
	}
	return times
}

// TestClearedAcrossARestart: what the status and the log tell of it.
func TestClearedAcrossARestart(t *testing.T) {
	t.Parallel()
	r := wish{rule{3, "10m", anyComputer, "1h", perCondition}, true, false}
	events := []sighting{{count: 3}, {arrives: 55 * m}, {arrives: 5 * h, count: 3}}
	fired := tell(observe(watch(t, r), 1, events[0]))
	cleared := note("1h5m0s", 2, 1, "event-2", "0s")
	again := told{At: "5h0m0s", Reason: "ThresholdReached", Sequence: 3, Occurrences: 3, Event: "event-3"}
	for name, tc := range map[string]struct {
		// written are the decisions in the log, at is when the status was stored, and gone are the events that were deleted.
		written int
		at      time.Duration
		gone    int
		want    []told
	}{
		"it is in the status, the log is deleted":    {0, 2 * h, 0, []told{again}},
		"it is in the log, the status knows nothing": {2, -1, 0, []told{again}},
		"it is in both": {2, 2 * h, 0, []told{again}},
		"it is in the log, the status is of before":         {2, 56 * m, 0, []told{again}},
		"nobody was there, and the log knows what fired":    {1, -1, 0, []told{cleared, again}},
		"nobody was there, and the status knows what fired": {0, 56 * m, 0, []told{cleared, again}},
		"nobody was there, and neither knows":               {0, -1, 0, append(fired, cleared, again)},
		"the events are deleted, the status knows": {
			0, 56 * m, 2, []told{note("1h5m0s", 2, 1, "", "0s"), again},
		},
		"the events are deleted, the log knows, but not what happened since": {
			1, -1, 2, []told{note("1h0m0s", 2, 0, "", "0s"), again},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := watch(t, r)
			status := describe(w)
			log := observe(w, 1, events[:2]...)
			log = append(log, w.Advance(since(tc.at))...)
			if tc.at >= 0 {
				status = describe(w)
			}
			log = append(log, w.Advance(since(2*h))...)
			next := restore(t, w.Rule(), status, write(nil, log[:tc.written]...))
			check(t, "told", tell(observe(next, plan.Position(tc.gone+1), events[tc.gone:]...)), tc.want)
		})
	}
}

// TestClearingUsesNothingUp: without a damper, what counted when all was quiet still counts together with what arrives late,
// after a restart too.
func TestClearingUsesNothingUp(t *testing.T) {
	t.Parallel()
	r := wish{rule{2, "10m", anyComputer, "None", perCondition}, true, false}
	events := join(sec("a", 0, 1), []sighting{{arrives: 5 * m}, {arrives: h, happened: pointer(6 * m)}})
	w := watch(t, r)
	before := describe(w)
	log := observe(w, 1, events[:3]...)
	log = append(log, w.Advance(since(20*m))...)
	check(t, "the latest note", tell(log[1:]), []told{note("15m0s", 2, 0, "event-3", "1s")})
	want := []told{{At: "1h0m0s", Reason: "ThresholdReached", Sequence: 3, Occurrences: 2, Event: "event-4"}}
	for name, next := range map[string]*plan.Watch{
		"after a restart with the status": restore(t, w.Rule(), describe(w), nil),
		"after a restart with the log":    restore(t, w.Rule(), before, write(nil, log...)),
		"in one run":                      w,
	} {
		check(t, name, tell(observe(next, 1, events...)), want)
	}
}

// TestClearingAndANewGeneration: a condition is changed while it waits for quiet.
func TestClearingAndANewGeneration(t *testing.T) {
	t.Parallel()
	hourly := rule{3, "10m", anyComputer, "1h", perCondition}
	loud, silent := wish{hourly, true, false}, wish{hourly, false, false}
	for name, tc := range map[string]struct {
		before, after wish
		changed       time.Duration
		want          []told
	}{
		"nothing changes":              {loud, loud, 55 * m, []told{note("1h5m0s", 2, 1, "", "0s")}},
		"notes are asked for in time":  {silent, loud, 55 * m, []told{note("1h5m0s", 2, 1, "", "0s")}},
		"notes are asked for too late": {silent, loud, 2 * h, []told{}},
		"no notes are wanted any more": {loud, silent, 30 * m, []told{}},
		"it was told already":          {loud, loud, 2 * h, []told{}},
		"a longer window must pass": {
			loud, wish{rule{3, "2h", anyComputer, "10m", perCondition}, true, false}, 90 * m, []told{},
		},
		"a longer window must pass, if it has not cleared by then": {
			loud, wish{rule{9, "2h", anyComputer, "10m", perCondition}, true, false}, 30 * m, []told{note("2h0m0s", 2, 0, "", "0s")},
		},
		"no damper runs any longer, a window must pass": {
			loud, wish{rule{3, "10m", anyComputer, "None", perCondition}, true, false}, 5 * m, []told{note("10m0s", 2, 0, "", "0s")},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			old := watch(t, tc.before)
			for i, e := range []sighting{{count: 3}, {arrives: 55 * m}} {
				if e.arrives <= tc.changed {
					observe(old, plan.Position(i+1), e)
				}
			}
			old.Advance(since(tc.changed))
			inherited := plan.NewWatch(compiled(t, tc.after.condition()))
			inherited.Inherit(old, 0)
			check(t, "inherited", tell(inherited.Advance(since(9*h))), tc.want)
			restarted := restore(t, compiled(t, tc.after.condition()), describe(old), nil)
			check(t, "restarted", tell(restarted.Advance(since(9*h))), tc.want)
		})
	}
}

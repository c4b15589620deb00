// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"container/heap"
	"maps"
	"slices"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/damper"
	"github.com/tocsin-dev/tocsin/internal/window"
)

// Advance moves the clock on and decides about what is due by then, in the order in which it became due: dampers that have
// ended, and conditions that have cleared. The clock knows whole seconds only, as the API does: what is decided now and
// what is read back later are the same.
func (w *Watch) Advance(now time.Time) []Firing {
	now = now.Truncate(time.Second)
	var firings []Firing
	for {
		due, ok := w.due.next(w.dampers)
		if !ok || due.After(now) {
			break
		}
		w.clock = later(w.clock, due)
		key := heap.Pop(&w.due).(deadline).key
		m := w.dampers.byKey[key]
		m.due = time.Time{}
		if firing, ok := w.elapse(key, m, due); ok {
			firings = append(firings, firing)
		}
	}
	w.clock = later(w.clock, now)
	w.deplete()
	w.dampers.forget()
	return firings
}

// elapse decides about a damper at its deadline, unless that has moved or it has cleared already.
func (w *Watch) elapse(key string, m *memory, due time.Time) (Firing, bool) {
	switch {
	case !m.cleared.IsZero():
		return Firing{}, false
	case w.deadline(m).After(due):
		w.schedule(key, m)
		return Firing{}, false
	case m.hushed(due) && !due.Before(w.check(m)):
		w.look(key, m, due)
		return Firing{}, false
	case m.Until.IsZero():
		return w.clear(key, m, due)
	}
	summary, event, reached := w.asOf(key, m, due)
	held := m.Held
	decision, next := w.rule.damper.Expire(m.State, reached)
	m.State = next
	if decision != damper.Repeat {
		w.schedule(key, m)
		return Firing{}, false
	}
	return w.fire(key, m, v1alpha1.TriggerStillReached, summary, held, event), true
}

// clear notes that all has been quiet for a window, and tells so where that is asked for.
func (w *Watch) clear(key string, m *memory, due time.Time) (Firing, bool) {
	m.clear(due)
	if !w.rule.Condition.Spec.NotifyWhenCleared {
		return Firing{}, false
	}
	held := m.Held
	m.State = w.rule.damper.Clear(m.State)
	if w.rule.damper.Period > 0 { // else it would say that what was counted is used up
		m.upTo = m.seen
	}
	w.fired++
	return Firing{
		Rule: w.rule, Key: key, Sequence: m.Sequence, Reason: v1alpha1.TriggerCleared, Time: due, LastFired: m.LastFired,
		Window: window.Summary{End: due}, Held: held, Event: m.latest, UpTo: m.upTo,
	}, true
}

// deplete looks whether the window that the status shows is empty by now.
func (w *Watch) deplete() {
	if w.emptyAt.IsZero() || w.emptyAt.After(w.clock) {
		return
	}
	w.emptyAt = time.Time{}
	if empty := w.empties(w.current); !w.current.Empty() && empty.After(w.clock) {
		w.emptyAt = empty
	}
}

// settle moves the clock on among events that were decided about before. What the log alone tells of and was due by then
// was not told: the log would tell of that.
func (w *Watch) settle(now time.Time) {
	w.clock = later(w.clock, now)
	var open deadlines
	for {
		due, ok := w.due.next(w.dampers)
		if !ok || due.After(now) {
			break
		}
		d := heap.Pop(&w.due).(deadline)
		m := w.dampers.byKey[d.key]
		if !m.adopted {
			open = append(open, d)
			continue
		}
		switch m.due = (time.Time{}); {
		case w.deadline(m).After(due):
		case m.hushed(due) && !due.Before(w.check(m)):
			w.look(d.key, m, due)
		case !m.Until.IsZero():
			m.Until = time.Time{}
		default:
			m.clear(due)
		}
		w.schedule(d.key, m)
	}
	for _, d := range open {
		heap.Push(&w.due, d)
	}
}

// asOf looks at the windows that a damper speaks for and returns the most severe, of equals the fullest, with the latest event in it.
func (w *Watch) asOf(key string, m *memory, now time.Time) (best window.Summary, event *v1alpha1.SecurityEvent, reached bool) {
	for _, t := range w.concerned(key, now) {
		if s, ok := t.AsOf(now); ok && (!reached || fuller(s, best)) {
			best, event, reached = s, t.latest.event, true
		}
	}
	if w.rule.shared() {
		event = m.latest
	}
	return best, event, reached
}

// concerned returns the tallies that a damper looks at when it ends: with scope SingleComputer those of all its computers.
// Without a damper it is the one that is looked at whether quiet goes on. A key that the rule cannot make, as it comes from
// an earlier generation, concerns none.
func (w *Watch) concerned(key string, now time.Time) []*tally {
	if w.rule.damper.Period == 0 {
		return w.tallies.of(w.rule.groupOf(key))
	}
	var g group
	switch {
	case w.rule.per == v1alpha1.DamperPerRisk:
		g.risk = key
	case w.rule.per == v1alpha1.DamperPerComputer && w.rule.single:
		g.computer = key
	case w.rule.per == v1alpha1.DamperPerCondition && key != "":
		return nil
	}
	if w.rule.single && w.rule.per != v1alpha1.DamperPerComputer {
		return slices.Collect(maps.Values(w.tallies.groups[g.risk]))
	}
	alone := w.tallies.of(g)
	if w.rule.shared() && alone != nil && !alone[0].Holds(key, now) {
		return nil
	}
	return alone
}

// fuller orders summaries of different windows, the most severe first, so that the same one is told whatever order they are
// looked at.
func fuller(a, b window.Summary) bool {
	if a.Severity != b.Severity {
		return a.Severity > b.Severity
	}
	if a.Occurrences != b.Occurrences {
		return a.Occurrences > b.Occurrences
	}
	if !a.Last.Equal(b.Last) {
		return a.Last.After(b.Last)
	}
	return slices.Compare(a.ComputerNames, b.ComputerNames) < 0
}

// NextDue is when Advance next has something to do.
func (w *Watch) NextDue() (time.Time, bool) {
	due, ok := w.due.next(w.dampers)
	if !w.emptyAt.IsZero() && (!ok || w.emptyAt.Before(due)) {
		return w.emptyAt, true
	}
	return due, ok
}

// schedule notes when a damper next has to be looked at. It may be looked at too early: it is noted anew then.
func (w *Watch) schedule(key string, m *memory) {
	at := w.deadline(m)
	if at.IsZero() || !m.due.IsZero() && !m.due.After(at) {
		return
	}
	m.due = at
	heap.Push(&w.due, deadline{at, key})
}

// deadline is when a damper ends or, as it has, when all will have been quiet for a window; if somebody has asked for quiet, at
// the latest when to look whether that goes on. It is zero once it has cleared.
func (w *Watch) deadline(m *memory) time.Time {
	due := m.Until
	switch {
	case !m.cleared.IsZero():
		return time.Time{}
	case due.IsZero():
		due = later(w.rule.damper.Quiet(m.State, m.last), m.quiet.ended)
	}
	if check := w.check(m); m.hushed(due) && (!m.Until.IsZero() || check.Before(due)) {
		return check
	}
	return due
}

// deadline is when a damper has to be looked at; an outdated one no longer equals its damper's due.
type deadline struct {
	at  time.Time
	key string
}

type deadlines []deadline

// next is the earliest deadline that is not outdated.
func (d *deadlines) next(of dampers) (time.Time, bool) {
	for len(*d) > 0 {
		first := (*d)[0]
		if m := of.byKey[first.key]; m != nil && m.due.Equal(first.at) {
			return first.at, true
		}
		heap.Pop(d)
	}
	return time.Time{}, false
}

func (d deadlines) Len() int { return len(d) }
func (d deadlines) Less(i, j int) bool {
	return d[i].at.Before(d[j].at) || d[i].at.Equal(d[j].at) && d[i].key < d[j].key
}
func (d deadlines) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *deadlines) Push(x any)   { *d = append(*d, x.(deadline)) }
func (d *deadlines) Pop() any {
	old := *d
	last := old[len(old)-1]
	*d = old[:len(old)-1]
	return last
}

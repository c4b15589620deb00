// SPDX-License-Identifier: Apache-2.0

// Package plan decides which notifications are due: it takes events in the order in which they were created through
// match, window and damper, and says what to tell and why. It is pure: the same events in the same order, in one run or
// in several that were cut short, give the same answer.
package plan

import (
	"container/heap"
	"maps"
	"slices"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/damper"
	"github.com/tocsin-dev/tocsin/internal/match"
	"github.com/tocsin-dev/tocsin/internal/window"
)

// Lateness is how late an event may be reported and still count together with others of its time.
const Lateness = 24 * time.Hour

// Position is the place of an event in the order of creation: its resourceVersion. A later event has a higher one.
type Position = uint64

// Firing is the decision to send a notification.
type Firing struct {
	Rule     *Rule
	Key      string
	Sequence int64
	Reason   v1alpha1.TriggerReason
	// Time of the decision: when the event arrived, or when the damper ended.
	Time time.Time
	// Window is what the window held then.
	Window window.Summary
	// Held is the number of occurrences held since the last notification.
	Held int64
	// Event is the one that brought the count to the threshold, or the latest that counted when the damper ended.
	Event *v1alpha1.SecurityEvent
	// UpTo is the latest event that this decision looked at.
	UpTo Position
}

// Watch follows one condition. It is not safe for concurrent use.
type Watch struct {
	rule     *Rule
	position Position
	// decided is the position up to which decisions were made before this Watch began: those events only fill windows.
	decided Position
	// skipped is the position up to which events are left out.
	skipped Position

	tallies tallies
	dampers map[string]*memory
	due     deadlines
	clock   time.Time

	matched, fired int64
	lastFired      time.Time
	// unlisted is the time up to which fired includes dampers that the status had no room for.
	unlisted time.Time
}

// memory is one damper that has fired, with what it takes to go on after a restart.
type memory struct {
	damper.State
	// upTo is the event that last fired, or the latest one seen when a repetition was decided.
	upTo Position
	// seen is the latest event that concerned this damper; latest is the event itself.
	seen   Position
	latest *v1alpha1.SecurityEvent
	// adopted says that the log alone tells of it: what it has held since then is counted again.
	adopted bool
}

// NewWatch begins to follow a condition, after what is known of it: see Resume.
func NewWatch(rule *Rule) *Watch {
	return &Watch{rule: rule, tallies: newTallies(rule.threshold), dampers: map[string]*memory{}}
}

// Rule is the generation of the condition that is followed.
func (w *Watch) Rule() *Rule { return w.rule }

// Observe takes the next event and returns what is to be told: what dampers ended with by its arrival, and what itself
// sets off. Events at or before the Watch's position are ignored.
func (w *Watch) Observe(event *v1alpha1.SecurityEvent, at Position) (match.Verdict, []Firing) {
	if at <= w.position {
		return "", nil
	}
	w.position = at
	arrival := event.CreationTimestamp.Time
	if arrival.Before(w.rule.Condition.CreationTimestamp.Time) {
		return "", nil
	}
	verdict := w.rule.Filter.Match(&event.Spec)
	if verdict != match.Matched {
		return verdict, nil
	}
	e := entry(event, arrival)
	if at <= w.decided {
		w.settle(arrival)
		w.recall(e, event, at)
		return verdict, nil
	}
	firings := w.Advance(arrival)
	if firing, ok := w.decide(e, event, at); ok {
		firings = append(firings, firing)
	}
	return verdict, firings
}

// recall puts back an event that was decided about before: it counts in its window, unless it was used up.
func (w *Watch) recall(e window.Entry, event *v1alpha1.SecurityEvent, at Position) {
	m := w.memory(w.rule.key(e))
	m.seen, m.latest = at, event
	if w.rule.damper.Period == 0 && at <= m.upTo {
		return
	}
	t := w.tallies.get(w.rule.group(e), w.horizon())
	if m.adopted && at > m.upTo {
		_, m.State = w.rule.damper.Observe(m.State, e.Count, false, w.told(m, t, e), w.clock)
	}
	t.add(e, event)
}

func (w *Watch) decide(e window.Entry, event *v1alpha1.SecurityEvent, at Position) (Firing, bool) {
	w.matched += e.Count
	key := w.rule.key(e)
	m := w.memory(key)
	if at <= m.upTo {
		w.recall(e, event, at)
		return Firing{}, false
	}
	m.seen, m.latest = at, event
	t := w.tallies.get(w.rule.group(e), w.horizon())
	var summary window.Summary
	var told, reached bool
	if w.clock.Before(m.Until) {
		t.add(e, event)
	} else {
		told = w.told(m, t, e)
		t.add(e, event)
		if told {
			summary, reached = t.AsOf(w.clock)
		} else {
			summary, reached = t.Around(e.Time, w.clock)
		}
	}
	held := m.Held
	decision, next := w.rule.damper.Observe(m.State, e.Count, reached, told, w.clock)
	m.State = next
	if decision != damper.Fire {
		return Firing{}, false
	}
	if w.rule.damper.Period == 0 {
		t.Clear()
	}
	return w.fire(key, m, v1alpha1.TriggerThresholdReached, summary, held, event), true
}

// told says whether an earlier notification speaks for an entry that is about to be added: the last one does by its time,
// or the threshold was reached around that time already. What was told once is not told again because more of it arrives
// late.
func (w *Watch) told(m *memory, t *tally, e window.Entry) bool {
	if w.rule.damper.Period == 0 || m.Sequence == 0 {
		return false
	}
	if w.rule.damper.Speaks(m.State, e.Time) {
		return true
	}
	if !e.Time.Before(w.clock) {
		return false
	}
	s, reached := t.Around(e.Time, w.clock)
	return reached && (!w.rule.shared() || t.Holds(e.Computer, s.End))
}

func (w *Watch) fire(key string, m *memory, reason v1alpha1.TriggerReason, s window.Summary, held int64,
	event *v1alpha1.SecurityEvent) Firing {
	w.dampers[key] = m
	m.upTo = m.seen
	w.fired++
	w.lastFired = m.LastFired
	w.schedule(key, m)
	return Firing{
		Rule: w.rule, Key: key, Sequence: m.Sequence, Reason: reason, Time: m.LastFired,
		Window: s, Held: held, Event: event, UpTo: m.upTo,
	}
}

// Advance moves the clock on and decides about the dampers that have ended by then, in the order in which they did. The
// clock knows whole seconds only, as the API does: what is decided now and what is read back later are the same.
func (w *Watch) Advance(now time.Time) []Firing {
	now = now.Truncate(time.Second)
	var firings []Firing
	for {
		until, ok := w.NextDue()
		if !ok || until.After(now) {
			break
		}
		w.clock = later(w.clock, until)
		d := heap.Pop(&w.due).(deadline)
		m := w.dampers[d.key]
		summary, event, reached := w.asOf(d.key, m, until)
		held := m.Held
		decision, next := w.rule.damper.Expire(m.State, reached)
		m.State = next
		if decision == damper.Repeat {
			firings = append(firings, w.fire(d.key, m, v1alpha1.TriggerStillReached, summary, held, event))
		}
	}
	w.clock = later(w.clock, now)
	return firings
}

// settle moves the clock on among events that were decided about before. A damper that the log alone tells of and that
// ended by then was not repeated: the log would tell of that.
func (w *Watch) settle(now time.Time) {
	w.clock = later(w.clock, now)
	var open deadlines
	for {
		until, ok := w.NextDue()
		if !ok || until.After(now) {
			break
		}
		d := heap.Pop(&w.due).(deadline)
		if m := w.dampers[d.key]; m.adopted {
			m.Until = time.Time{}
		} else {
			open = append(open, d)
		}
	}
	for _, d := range open {
		heap.Push(&w.due, d)
	}
}

// asOf looks at the windows that a damper speaks for and returns the fullest, with the latest event in it.
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
// A key that the rule cannot make, as it comes from an earlier generation, concerns none.
func (w *Watch) concerned(key string, now time.Time) []*tally {
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
	t := w.tallies.groups[g.risk][g.computer]
	if t == nil || w.rule.shared() && !t.Holds(key, now) {
		return nil
	}
	return []*tally{t}
}

// fuller orders summaries of different windows, so that the same one is told whatever order they are looked at.
func fuller(a, b window.Summary) bool {
	if a.Occurrences != b.Occurrences {
		return a.Occurrences > b.Occurrences
	}
	if !a.Last.Equal(b.Last) {
		return a.Last.After(b.Last)
	}
	return slices.Compare(a.ComputerNames, b.ComputerNames) < 0
}

// NextDue is when the next damper ends.
func (w *Watch) NextDue() (time.Time, bool) {
	for len(w.due) > 0 {
		d := w.due[0]
		if m := w.dampers[d.key]; m != nil && m.Until.Equal(d.at) {
			return d.at, true
		}
		heap.Pop(&w.due)
	}
	return time.Time{}, false
}

func (w *Watch) schedule(key string, m *memory) {
	if !m.Until.IsZero() {
		heap.Push(&w.due, deadline{m.Until, key})
	}
}

// memory is what is remembered of a damper. That of one which has not fired yet is forgotten at once: there is nothing in
// it, and the keys come from events, without end.
func (w *Watch) memory(key string) *memory {
	if m := w.dampers[key]; m != nil {
		return m
	}
	return &memory{}
}

// horizon is when an entry is too old to be counted together with what arrives now.
func (w *Watch) horizon() time.Time {
	return w.clock.Add(-w.rule.threshold.Width - Lateness)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// deadline is the end of a damper; an outdated one no longer equals its damper's Until.
type deadline struct {
	at  time.Time
	key string
}

type deadlines []deadline

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

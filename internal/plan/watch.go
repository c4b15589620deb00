// SPDX-License-Identifier: Apache-2.0

// Package plan decides which notifications are due: it takes events in the order in which they were created through
// match, window and damper, and says what to tell and why. It is pure: the same events in the same order, in one run or
// in several that were cut short, give the same answer.
package plan

import (
	"container/heap"
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
	// Event is the latest that counted; nil when it is no longer kept.
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
	// skipped is the position up to which events do not count at all: see Skip.
	skipped Position

	windows map[group]*window.Window
	dampers map[string]*memory
	due     deadlines
	clock   time.Time

	matched, fired int64
	lastFired      time.Time
}

// memory is one damper with what it takes to go on after a restart.
type memory struct {
	damper.State
	// upTo is the event that last fired, or the latest one seen when a repetition was decided.
	upTo Position
	// event is the latest event that concerned this damper.
	event *v1alpha1.SecurityEvent
	seen  Position
}

// NewWatch begins to follow a condition, after what is known of it: see Resume.
func NewWatch(rule *Rule) *Watch {
	return &Watch{rule: rule, windows: map[group]*window.Window{}, dampers: map[string]*memory{}}
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
	m.event, m.seen = event, at
	if w.rule.damper.Period > 0 || at > m.upTo {
		w.window(w.rule.group(e)).Add(e)
	}
}

func (w *Watch) decide(e window.Entry, event *v1alpha1.SecurityEvent, at Position) (Firing, bool) {
	key := w.rule.key(e)
	m := w.memory(key)
	w.matched += e.Count
	if at <= m.upTo {
		w.recall(e, event, at)
		return Firing{}, false
	}
	m.event, m.seen = event, at
	now := w.clock
	win := w.window(w.rule.group(e))
	win.Forget(now.Add(-w.rule.threshold.Width - Lateness))
	win.Add(e)
	if now.Before(m.Until) {
		_, m.State = w.rule.damper.Observe(m.State, e.Time, e.Count, false, now)
		return Firing{}, false
	}
	summary, reached := win.Around(e.Time, now)
	if w.rule.damper.Speaks(m.State, e.Time) {
		summary, reached = win.AsOf(now)
	}
	held := m.Held
	decision, next := w.rule.damper.Observe(m.State, e.Time, e.Count, reached, now)
	m.State = next
	if decision != damper.Fire {
		return Firing{}, false
	}
	if w.rule.damper.Period == 0 {
		win.Clear()
	}
	return w.fire(key, m, v1alpha1.TriggerThresholdReached, summary, held), true
}

func (w *Watch) fire(key string, m *memory, reason v1alpha1.TriggerReason, s window.Summary, held int64) Firing {
	m.upTo = m.seen
	w.fired++
	w.lastFired = m.LastFired
	w.schedule(key, m)
	return Firing{
		Rule: w.rule, Key: key, Sequence: m.Sequence, Reason: reason, Time: m.LastFired,
		Window: s, Held: held, Event: m.event, UpTo: m.upTo,
	}
}

// Advance moves the clock on and decides about the dampers that have ended by then, in the order in which they did.
func (w *Watch) Advance(now time.Time) []Firing {
	var firings []Firing
	for {
		until, ok := w.NextDue()
		if !ok || until.After(now) {
			break
		}
		w.clock = later(w.clock, until)
		d := heap.Pop(&w.due).(deadline)
		m := w.dampers[d.key]
		summary, reached := w.asOf(d.key, until)
		held := m.Held
		decision, next := w.rule.damper.Expire(m.State, reached)
		m.State = next
		if decision == damper.Repeat {
			firings = append(firings, w.fire(d.key, m, v1alpha1.TriggerStillReached, summary, held))
		}
	}
	w.clock = later(w.clock, now)
	return firings
}

// asOf looks at the windows that a damper speaks for and returns the fullest.
func (w *Watch) asOf(key string, now time.Time) (best window.Summary, reached bool) {
	for g, win := range w.windows {
		if !w.rule.concerns(key, g, win, now) {
			continue
		}
		if s, ok := win.AsOf(now); ok && (!reached || fuller(s, best)) {
			best, reached = s, true
		}
	}
	return best, reached
}

// fuller orders summaries of different windows, so that the same one is told whatever order they are looked at.
func fuller(a, b window.Summary) bool {
	if a.Occurrences != b.Occurrences {
		return a.Occurrences > b.Occurrences
	}
	if !a.Last.Equal(b.Last) {
		return a.Last.After(b.Last)
	}
	return len(a.ComputerNames) > 0 && len(b.ComputerNames) > 0 && a.ComputerNames[0] < b.ComputerNames[0]
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

func (w *Watch) memory(key string) *memory {
	m := w.dampers[key]
	if m == nil {
		m = &memory{}
		w.dampers[key] = m
	}
	return m
}

func (w *Watch) window(g group) *window.Window {
	win := w.windows[g]
	if win == nil {
		win = window.New(w.rule.threshold)
		w.windows[g] = win
	}
	return win
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

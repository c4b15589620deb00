// SPDX-License-Identifier: Apache-2.0

// Package plan decides which notifications are due: it takes events in the order in which they were created through
// match, window and damper, and says what to tell and why. It is pure: the same events in the same order, in one run or
// in several that were cut short, give the same answer.
package plan

import (
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

// Event is a SecurityEvent at its place in the order of creation. It is not safe for concurrent use.
type Event struct {
	Object   *v1alpha1.SecurityEvent
	Position Position

	match *match.Event
}

// NewEvent returns the event at this place. What several Watches need to know of it is worked out once.
func NewEvent(object *v1alpha1.SecurityEvent, at Position) *Event {
	return &Event{Object: object, Position: at, match: match.NewEvent(&object.Spec)}
}

// arrival is the time of an evaluation: when the API server created the event.
func (e *Event) arrival() time.Time { return e.Object.CreationTimestamp.Time }

// Firing is the decision to send a notification.
type Firing struct {
	Rule     *Rule
	Key      string
	Sequence int64
	Reason   v1alpha1.TriggerReason
	// Time of the decision: when the event arrived, when the damper ended, or when all had been quiet for a window.
	Time time.Time
	// LastFired is, with reason Cleared, when the condition last fired.
	LastFired time.Time
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
	dampers dampers
	known   known
	due     deadlines
	clock   time.Time
	// current is the tally of the latest event that matched; emptyAt is when to look whether that is empty.
	current *tally
	emptyAt time.Time

	matched, held, fired int64
	evaluated, lastFired time.Time
	failures             failures
	// unlisted is the time up to which fired includes dampers that the status had no room for.
	unlisted time.Time
}

// failures are events for which the filter's expression could not be evaluated.
type failures struct {
	count                     int64
	last                      time.Time
	namespace, event, message string
}

// NewWatch begins to follow a condition, after what is known of it: see Resume.
func NewWatch(rule *Rule) *Watch {
	return &Watch{rule: rule, tallies: newTallies(rule.threshold), dampers: newDampers()}
}

// Rule is the generation of the condition that is followed.
func (w *Watch) Rule() *Rule { return w.rule }

// Held is the number of occurrences that dampers have held.
func (w *Watch) Held() int64 { return w.held }

// Crowded is the number of windows and dampers that were forgotten too early, as there were too many names.
func (w *Watch) Crowded() int64 { return w.tallies.crowded + w.dampers.crowded }

// Observe takes the next event and returns what is to be told: what dampers ended with by its arrival, and what itself
// sets off. Events at or before the Watch's position are ignored.
func (w *Watch) Observe(event *Event) (match.Verdict, []Firing) {
	if event.Position <= w.position {
		return "", nil
	}
	w.position = event.Position
	before := event.arrival().Before(w.rule.Condition.CreationTimestamp.Time)
	if before && !w.rule.once {
		return "", nil
	}
	verdict, err := w.rule.Filter.Match(event.match)
	if before {
		w.preclude(event, verdict)
		return "", nil
	}
	w.evaluated = later(w.evaluated, event.arrival())
	if verdict == match.ExpressionFailed && event.Position > w.decided {
		w.failures = failures{
			w.failures.count + 1, event.arrival(), event.Object.Namespace, event.Object.Name, err.Error(),
		}
	}
	if verdict != match.Matched {
		return verdict, nil
	}
	if event.Position <= w.decided {
		w.settle(event.arrival())
		w.recall(event)
		return verdict, nil
	}
	firings := w.Advance(event.arrival())
	if firing, ok := w.decide(event); ok {
		firings = append(firings, firing)
	}
	return verdict, firings
}

// recall puts back an event that was decided about before: it counts in its window, unless it was used up.
func (w *Watch) recall(event *Event) {
	e := entry(event.Object, event.arrival())
	m := w.dampers.get(w.rule.key(e))
	m.note(event)
	if w.rule.damper.Period == 0 && event.Position <= m.upTo {
		return
	}
	t := w.tallies.get(w.rule.group(e), w.horizon())
	if m.adopted && event.Position > m.upTo {
		w.rouse(w.rule.key(e), m)
		before := m.Held
		_, m.State = w.rule.damper.Observe(m.State, e.Count, false, m.hushed(w.clock) || w.told(m, t, e), w.clock)
		w.held += m.Held - before
	}
	w.count(t, e, event)
}

// useUp says, where there is no damper, that what was counted does not count again.
func (w *Watch) useUp(m *memory, t *tally, event *Event) {
	if w.rule.damper.Period == 0 {
		t.Clear()
		m.upTo = event.Position
	}
}

func (w *Watch) decide(event *Event) (Firing, bool) {
	e := entry(event.Object, event.arrival())
	w.matched += e.Count
	if w.rule.once {
		return w.discover(e, event)
	}
	key := w.rule.key(e)
	m := w.dampers.get(key)
	if event.Position <= m.upTo || m.adopted && w.clock.Before(m.cleared) { // the log would tell if it had fired
		w.recall(event)
		return Firing{}, false
	}
	m.note(event)
	roused := w.rouse(key, m)
	t := w.tallies.get(w.rule.group(e), w.horizon())
	var summary window.Summary
	told, reached := m.hushed(w.clock), false
	if told || w.clock.Before(m.Until) {
		w.count(t, e, event)
	} else {
		told = !roused && w.told(m, t, e)
		w.count(t, e, event)
		if told {
			summary, reached = t.AsOf(w.clock)
		} else {
			summary, reached = t.Around(e.Time, w.clock)
		}
	}
	held := m.Held
	decision, next := w.rule.damper.Observe(m.State, e.Count, reached, told, w.clock)
	m.State = next
	if decision == damper.Hold {
		w.held += e.Count
	}
	if decision != damper.Fire {
		return Firing{}, false
	}
	w.useUp(m, t, event)
	m.cleared, m.wishes, m.quiet = time.Time{}, nil, quiet{}
	w.dampers.put(key, m)
	m.run = m.Sequence
	return w.fire(key, m, v1alpha1.TriggerThresholdReached, summary, held, event.Object), true
}

// count adds an entry to its tally, and remembers when that may be empty again, unless it is already: what was due before
// now would never be.
func (w *Watch) count(t *tally, e window.Entry, event *Event) {
	t.add(e, event.Object)
	w.current = t
	if empty := w.empties(t); w.emptyAt.IsZero() && empty.After(w.clock) {
		w.emptyAt = empty
	}
}

// empties is when a window holds nothing any longer: the first whole second, as the clock knows no other.
func (w *Watch) empties(t *tally) time.Time {
	return t.latest.at.Add(w.rule.threshold.Width + time.Second - 1).Truncate(time.Second)
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
	return reached && (!m.quiet.untold(s.End) || m.LastFired.After(m.quiet.ended)) && (!w.rule.shared() || t.Holds(e.Computer, s.End))
}

func (w *Watch) fire(key string, m *memory, reason v1alpha1.TriggerReason, s window.Summary, held int64,
	event *v1alpha1.SecurityEvent) Firing {
	m.upTo, m.highest = m.seen, 0
	w.fired++
	w.lastFired = later(w.lastFired, m.LastFired)
	w.schedule(key, m)
	return Firing{
		Rule: w.rule, Key: key, Sequence: m.Sequence, Reason: reason, Time: m.LastFired,
		Window: s, Held: held, Event: event, UpTo: m.upTo,
	}
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

// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/damper"
)

// maxDampers is how many dampers a condition's status shows.
const maxDampers = 100

// Resume goes on from a condition's stored status and the notifications of it that the log holds. What the log says is
// always current, as a notification is written when it is decided; the status may lag behind.
func (w *Watch) Resume(status *v1alpha1.NotificationConditionStatus, log []v1alpha1.Notification) {
	w.decided = ParsePosition(status.Checkpoint)
	w.Skip(ParsePosition(status.SkippedUpTo))
	w.matched, w.held, w.fired = status.MatchedTotal, status.HeldTotal, status.FiredTotal
	w.evaluated, w.lastFired = timeOf(status.LastEvaluatedTime), timeOf(status.LastFiredTime)
	if f := status.ExpressionErrors; f != nil {
		w.failures = failures{f.Count, f.LastTime.Time, f.Namespace, f.Event, f.Message}
	}
	if len(status.Dampers) == maxDampers { // what those without room held is counted again
		w.unlisted = later(w.evaluated, w.lastFired)
		w.held -= status.Held
	}
	for _, d := range status.Dampers {
		if !w.unlisted.IsZero() {
			w.unlisted = later(w.unlisted, timeOf(d.ClearedTime))
			w.held += d.Held
		}
		w.restore(d.Key, &memory{
			State: damper.State{Sequence: d.Sequence, LastFired: d.LastFiredTime.Time, Until: timeOf(d.Until), Held: d.Held},
			upTo:  ParsePosition(d.UsedUpTo), last: timeOf(d.LastTime), cleared: timeOf(d.ClearedTime),
			highest: d.HighestSeverity.Number(), quiet: quietOf(d.Quiet),
		})
	}
	for _, risk := range status.KnownRisks {
		w.known.add(risk)
	}
	own := w.inOrder(log)
	for _, n := range own {
		w.Adopt(n)
	}
	w.resumeQuiet(own)
}

// inOrder returns the notifications of this condition, each damper's in the order in which they were decided, and the first
// ones of all in the order of their events.
func (w *Watch) inOrder(log []v1alpha1.Notification) []*v1alpha1.Notification {
	var own []*v1alpha1.Notification
	for i := range log {
		if w.about(&log[i]) {
			own = append(own, &log[i])
		}
	}
	slices.SortFunc(own, func(a, b *v1alpha1.Notification) int {
		x, y := a.Spec.Trigger, b.Spec.Trigger
		return cmp.Or(cmp.Compare(x.Sequence, y.Sequence), x.Time.Compare(y.Time.Time),
			cmp.Compare(ParsePosition(x.UpTo), ParsePosition(y.UpTo)))
	})
	return own
}

// Adopt takes over a notification that the log holds and this Watch did not decide: another manager did, or this one
// before it stopped.
func (w *Watch) Adopt(n *v1alpha1.Notification) {
	if !w.about(n) {
		return
	}
	trigger := n.Spec.Trigger
	if w.rule.once {
		w.adoptKnown(trigger)
		return
	}
	before := w.dampers.get(trigger.Key)
	run := before.run
	if trigger.Reason != v1alpha1.TriggerStillReached || run == 0 {
		run = trigger.Sequence
	}
	if trigger.Sequence <= before.Sequence {
		before.run = run
		return
	}
	listed := before.Sequence > 0 && !before.adopted
	switch {
	case listed || w.unlisted.IsZero():
		w.fired += trigger.Sequence - before.Sequence
		w.held += max(0, trigger.Held-before.Held)
	case trigger.Time.After(w.unlisted), ParsePosition(trigger.UpTo) > w.decided:
		w.fired++
		w.held += trigger.Held
	}
	m := w.remembered(trigger)
	if m.run = run; run < trigger.Sequence && before.quiet.at.After(trigger.Time.Time) { // else it was over
		m.quiet, m.wishes = before.quiet, before.wishes
	}
	w.lastFired = later(w.lastFired, m.LastFired)
	w.restore(trigger.Key, m)
}

// adoptKnown takes over that a risk was told, unless the status says so, or said so before it was forgotten.
func (w *Watch) adoptKnown(trigger *v1alpha1.Trigger) {
	if w.known.has(trigger.Key) || ParsePosition(trigger.UpTo) <= w.decided {
		return
	}
	w.known.add(trigger.Key)
	w.fired++
	w.lastFired = later(w.lastFired, trigger.Time.Time)
}

// remembered is what a notification tells of its damper.
func (w *Watch) remembered(trigger *v1alpha1.Trigger) *memory {
	m := &memory{
		State: w.rule.damper.Resume(trigger.Sequence, trigger.Time.Time),
		upTo:  ParsePosition(trigger.UpTo), adopted: true,
	}
	if trigger.Reason == v1alpha1.TriggerCleared {
		m.State = damper.State{Sequence: trigger.Sequence, LastFired: timeOf(trigger.LastFiredTime)}
		m.cleared = trigger.Time.Time
	}
	return m
}

// about says whether the notification is one of this condition.
func (w *Watch) about(n *v1alpha1.Notification) bool {
	return n.Spec.Trigger != nil && n.Spec.Condition != nil && n.Spec.Condition.UID == w.rule.Condition.UID
}

// restore puts back a damper. None runs any longer once the condition asks for none.
func (w *Watch) restore(key string, m *memory) {
	if w.rule.damper.Period == 0 {
		m.Until = time.Time{}
	}
	w.dampers.byKey[key] = m
	w.schedule(key, m)
}

// Inherit goes on from the Watch of an earlier generation of the same condition: its dampers stay, and events up to the given
// one, which it has seen or would have seen had they concerned it, only fill the windows of the new one. What it skipped
// stays left out.
func (w *Watch) Inherit(old *Watch, upTo Position) {
	w.decided = max(old.position, old.decided, upTo)
	w.Skip(old.skipped)
	w.matched, w.held, w.fired = old.matched, old.held, old.fired
	w.evaluated, w.lastFired, w.failures, w.unlisted = old.evaluated, old.lastFired, old.failures, old.unlisted
	for key, m := range old.dampers.byKey {
		w.restore(key, &memory{State: m.State, upTo: m.upTo, last: m.last, cleared: m.cleared, run: m.run,
			highest: m.highest, wishes: m.wishes, quiet: old.inheritQuiet(m)})
	}
	w.dampers.forgotten = old.dampers.forgotten
	w.known = old.known
	w.clock = old.clock
}

// Skip leaves out the events up to the given one: they were created while the condition was not evaluated. They do not
// count later either, in this Watch or in one that goes on from its description.
func (w *Watch) Skip(upTo Position) {
	w.skipped = max(w.skipped, upTo)
	w.position = max(w.position, upTo)
}

// Yield gives way to a notification that the log holds already under the name of a firing. It returns what is to be told
// all the same. Where another manager decided it: with a damper nothing, the event is held; without one, or if the other
// notification says that all was quiet, the event under the next sequence number, unless the other notification covers it.
// Where the name is taken by something else, be it a notification of long ago that this Watch has forgotten: the same under
// the next sequence number.
func (w *Watch) Yield(f Firing, existing *v1alpha1.Notification) (Firing, bool) {
	m := w.dampers.get(f.Key)
	if !w.about(existing) || existing.Spec.Trigger.Key != f.Key {
		return w.renumber(f, m), true
	}
	if w.rule.once {
		return Firing{}, false
	}
	trigger := existing.Spec.Trigger
	covered, holds := w.weigh(f, trigger)
	if !covered && !holds {
		return w.renumber(f, m), true
	}
	if trigger.Sequence >= m.Sequence {
		held := m.Held
		now := w.remembered(trigger)
		m.State, m.upTo, m.cleared = now.State, now.upTo, now.cleared
		w.lastFired = later(w.lastFired, m.LastFired)
		if m.seen > m.upTo {
			m.Held = held
		} else {
			m.highest = 0
		}
		w.restore(f.Key, m)
	}
	w.Heed(existing)
	switch {
	case covered && f.UpTo > m.upTo: // it was made before all had come in that this firing tells to have been held
		m.Held += max(0, f.Held-trigger.Held)
	case !covered && f.Event != nil: // else it was refused: nobody knows how many it told of
		held := entry(f.Event, f.Time).Count
		m.Held += held
		w.held += held
	}
	return Firing{}, false
}

// weigh says of a notification under the name of a firing whether it covers that, as it looked at the same events or more, or
// has overtaken a timer, and whether its damper holds it.
func (w *Watch) weigh(f Firing, other *v1alpha1.Trigger) (covered, holds bool) {
	period := w.rule.damper.Period
	runs := other.Time.Add(period).After(f.Time)
	covered = f.UpTo <= ParsePosition(other.UpTo) || f.Reason != v1alpha1.TriggerThresholdReached && runs
	return covered, runs && period > 0 && other.Reason != v1alpha1.TriggerCleared
}

// renumber gives a firing the next sequence number. Later ones that are not written yet find theirs taken, and yield too.
func (w *Watch) renumber(f Firing, m *memory) Firing {
	f.Sequence++
	if f.Sequence > m.Sequence {
		w.fired++
		m.Sequence = f.Sequence
	}
	return f
}

// ParsePosition reads a resourceVersion; what is none is 0, before every event.
func ParsePosition(resourceVersion string) Position {
	p, err := strconv.ParseUint(resourceVersion, 10, 64)
	if err != nil {
		return 0
	}
	return p
}

// FormatPosition writes a resourceVersion; 0 is empty.
func FormatPosition(p Position) string {
	if p == 0 {
		return ""
	}
	return strconv.FormatUint(p, 10)
}

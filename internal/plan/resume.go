// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/damper"
)

// maxDampers is how many dampers a condition's status shows.
const maxDampers = 100

// Resume goes on from a condition's stored status and the notifications that the log holds of it. What the log says is
// always current, as a notification is written when it is decided; the status may lag behind.
func (w *Watch) Resume(status *v1alpha1.NotificationConditionStatus, log []*v1alpha1.Notification) {
	w.decided = ParsePosition(status.Checkpoint)
	w.Skip(ParsePosition(status.SkippedUpTo))
	w.matched, w.fired = status.MatchedTotal, status.FiredTotal
	if status.LastFiredTime != nil {
		w.lastFired = status.LastFiredTime.Time
	}
	if len(status.Dampers) == maxDampers {
		w.unlisted = w.lastFired
	}
	for _, d := range status.Dampers {
		state := damper.State{Sequence: d.Sequence, LastFired: d.LastFiredTime.Time, Held: d.Held}
		if d.Until != nil {
			state.Until = d.Until.Time
		}
		w.restore(d.Key, &memory{State: state, upTo: ParsePosition(d.UsedUpTo)})
	}
	for _, n := range log {
		w.Adopt(n)
	}
	var total int64
	for _, m := range w.dampers {
		total += m.Sequence
	}
	w.fired = max(w.fired, total)
}

// Adopt takes over a notification that the log holds and this Watch did not decide: another manager did, or this one
// before it stopped.
func (w *Watch) Adopt(n *v1alpha1.Notification) {
	if !w.about(n) {
		return
	}
	trigger := n.Spec.Trigger
	known := w.memory(trigger.Key).Sequence
	if trigger.Sequence <= known {
		return
	}
	switch {
	case known > 0 || w.unlisted.IsZero():
		w.fired += trigger.Sequence - known
	case trigger.Time.After(w.unlisted):
		w.fired++
	}
	state := w.rule.damper.Resume(trigger.Sequence, trigger.Time.Time)
	w.lastFired = later(w.lastFired, state.LastFired)
	w.restore(trigger.Key, &memory{State: state, upTo: ParsePosition(trigger.UpTo), adopted: true})
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
	w.dampers[key] = m
	w.schedule(key, m)
}

// Inherit goes on from the Watch of an earlier generation of the same condition: its dampers stay, and events that it has
// seen only fill the windows of the new one. What it skipped stays left out.
func (w *Watch) Inherit(old *Watch) {
	w.decided = max(old.position, old.decided)
	w.Skip(old.skipped)
	w.matched, w.fired, w.lastFired = old.matched, old.fired, old.lastFired
	for key, m := range old.dampers {
		w.restore(key, &memory{State: m.State, upTo: m.upTo})
	}
	w.clock = old.clock
}

// Skip leaves out the events up to the given one: they were created while the condition was not evaluated. They do not
// count later either, in this Watch or in one that goes on from its description.
func (w *Watch) Skip(upTo Position) {
	w.skipped = max(w.skipped, upTo)
	w.position = max(w.position, upTo)
}

// Yield gives way to a notification that the log holds already under the name of a firing. It returns what is to be told
// all the same. Where another manager decided it: with a damper nothing, the event is held; without one, the event under
// the next sequence number, unless the other notification covers it. Where somebody took the name for something else: the
// same under the next sequence number.
func (w *Watch) Yield(f Firing, existing *v1alpha1.Notification) (Firing, bool) {
	m := w.memory(f.Key)
	if !w.about(existing) || existing.Spec.Trigger.Key != f.Key {
		return w.renumber(f, m), true
	}
	trigger := existing.Spec.Trigger
	covered := f.UpTo <= ParsePosition(trigger.UpTo) || f.Reason != v1alpha1.TriggerThresholdReached
	if w.rule.damper.Period == 0 {
		m.upTo = max(m.upTo, ParsePosition(trigger.UpTo))
		if covered {
			return Firing{}, false
		}
		return w.renumber(f, m), true
	}
	if trigger.Sequence >= m.Sequence {
		held := m.Held
		m.State = w.rule.damper.Resume(trigger.Sequence, trigger.Time.Time)
		m.upTo = ParsePosition(trigger.UpTo)
		if m.seen > m.upTo {
			m.Held = held
		}
		w.schedule(f.Key, m)
	}
	if !covered {
		m.Held += entry(f.Event, f.Time).Count
	}
	return Firing{}, false
}

// renumber gives a firing the next sequence number. Later ones that are not written yet find theirs taken, and yield too.
func (w *Watch) renumber(f Firing, m *memory) Firing {
	f.Sequence++
	if f.Sequence > m.Sequence {
		w.fired += f.Sequence - m.Sequence
		m.Sequence = f.Sequence
	}
	return f
}

// Describe writes what there is to know about the Watch into a condition's status.
func (w *Watch) Describe(status *v1alpha1.NotificationConditionStatus) {
	threshold := w.rule.Threshold
	status.Threshold = &threshold
	status.MatchedTotal, status.FiredTotal = w.matched, w.fired
	status.LastFiredTime = timeOrNil(metav1.NewTime(w.lastFired))
	status.Checkpoint = FormatPosition(max(w.position, w.decided))
	status.SkippedUpTo = FormatPosition(w.skipped)
	status.Dampers = nil
	for key, m := range w.dampers {
		status.Dampers = append(status.Dampers, v1alpha1.DamperStatus{
			Key: key, Sequence: m.Sequence, LastFiredTime: metav1.NewTime(m.LastFired),
			Until: timeOrNil(metav1.NewTime(m.Until)), Held: m.Held, UsedUpTo: FormatPosition(m.upTo),
		})
	}
	slices.SortFunc(status.Dampers, func(a, b v1alpha1.DamperStatus) int {
		return cmp.Or(b.LastFiredTime.Compare(a.LastFiredTime.Time), cmp.Compare(a.Key, b.Key))
	})
	status.Dampers = status.Dampers[:min(len(status.Dampers), maxDampers)]
}

func timeOrNil(t metav1.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	return &t
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

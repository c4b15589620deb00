// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"
	"strconv"

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
	for _, d := range status.Dampers {
		m := w.memory(d.Key)
		m.State = damper.State{Sequence: d.Sequence, LastFired: d.LastFiredTime.Time, Held: d.Held}
		m.upTo = ParsePosition(d.UsedUpTo)
		if d.Until != nil {
			m.Until = d.Until.Time
			w.schedule(d.Key, m)
		}
	}
	for _, n := range log {
		w.Adopt(n)
	}
}

// Adopt takes over a notification that the log holds and this Watch did not decide: another manager did, or this one
// before it stopped.
func (w *Watch) Adopt(n *v1alpha1.Notification) {
	trigger, condition := n.Spec.Trigger, n.Spec.Condition
	if trigger == nil || condition == nil || condition.UID != w.rule.Condition.UID {
		return
	}
	m := w.memory(trigger.Key)
	if trigger.Sequence <= m.Sequence {
		return
	}
	w.fired += trigger.Sequence - m.Sequence
	m.State = w.rule.damper.Resume(trigger.Sequence, trigger.Time.Time)
	m.upTo = ParsePosition(trigger.UpTo)
	w.lastFired = later(w.lastFired, m.LastFired)
	w.schedule(trigger.Key, m)
}

// Inherit goes on from the Watch of an earlier generation of the same condition: its dampers stay, and events that it has
// seen only fill the windows of the new one.
func (w *Watch) Inherit(old *Watch) {
	var status v1alpha1.NotificationConditionStatus
	old.Describe(&status)
	w.Resume(&status, nil)
	for key, m := range old.dampers {
		own := w.memory(key)
		own.State, own.upTo = m.State, m.upTo
		w.schedule(key, own)
	}
	w.clock = old.clock
}

// Skip leaves out the events up to the given one: they were created while the condition was not evaluated. They do not
// count later either, in this Watch or in one that goes on from its description.
func (w *Watch) Skip(upTo Position) {
	w.skipped = max(w.skipped, upTo)
	w.position = max(w.position, w.skipped)
}

// Yield gives way to a notification that the log holds already under the name of a firing: another manager decided it. It
// returns what is to be told all the same: with a damper nothing, the event is held; without one, the event under the next
// sequence number, unless the other notification covers it.
func (w *Watch) Yield(f Firing, existing *v1alpha1.Notification) (Firing, bool) {
	trigger := existing.Spec.Trigger
	m := w.memory(f.Key)
	m.State = w.rule.damper.Resume(trigger.Sequence, trigger.Time.Time)
	m.upTo = ParsePosition(trigger.UpTo)
	w.schedule(f.Key, m)
	if f.UpTo <= m.upTo || f.Reason != v1alpha1.TriggerThresholdReached {
		return Firing{}, false
	}
	if w.rule.damper.Period > 0 {
		m.Held += entry(f.Event, f.Time).Count
		return Firing{}, false
	}
	m.State = w.rule.damper.Resume(trigger.Sequence+1, f.Time)
	m.upTo = f.UpTo
	f.Sequence = m.Sequence
	return f, true
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
		if m.Sequence == 0 {
			continue
		}
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

// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// quiet is that somebody has acknowledged a notification and wants to hear no more of it until it is over. The zero quiet is
// that nobody does.
type quiet struct {
	// since is when it was acknowledged.
	since time.Time
	// severity is the highest that was told by then: what is more severe ends the quiet.
	severity int
	// check is when to look next whether the threshold is still reached; zero before the first time.
	check time.Time
	// ended is when it ended, unless the condition has cleared since; zero while it lasts.
	ended time.Time
}

// lasts says whether somebody has asked for it, be it for later, and it has not ended.
func (q quiet) lasts() bool { return !q.since.IsZero() && q.ended.IsZero() }

// hushed says whether somebody has asked for quiet by now.
func (m *memory) hushed(now time.Time) bool { return m.quiet.lasts() && !now.Before(m.quiet.since) }

// Heed takes notice of an acknowledgement. With the wish for quiet its damper holds all that arrives from then on, until the
// threshold is no longer reached or something more severe arrives. The wish does nothing where it has cleared since, has
// begun to tell of something new, or something more severe has come up that was not told yet. Without the wish, one that
// it had is taken back. Heed says whether it did anything.
func (w *Watch) Heed(n *v1alpha1.Notification) bool {
	a := n.Spec.Acknowledgement
	if !w.about(n) || a == nil {
		return false
	}
	at := a.Time
	if at == nil {
		at = n.Status.AcknowledgedTime
	}
	key, sequence := n.Spec.Trigger.Key, n.Spec.Trigger.Sequence
	m := w.dampers.byKey[key]
	switch {
	case at == nil, m == nil, !m.cleared.IsZero(), sequence < m.run, sequence > m.Sequence:
		return false
	case sequence < m.Sequence && !m.LastFired.Before(at.Time): // it was over before the next one was told
		return false
	case !a.QuietUntilCleared:
		return w.rescind(key, m, at.Time)
	}
	switch {
	case m.highest > m.told, !at.After(m.quiet.ended):
		return false
	case m.quiet.lasts() && !at.Time.Before(m.quiet.since):
		return false
	}
	m.quiet = quiet{since: at.Time, severity: m.told}
	w.schedule(key, m)
	return true
}

// rescind takes back the wish for quiet that was made at this time.
func (w *Watch) rescind(key string, m *memory, at time.Time) bool {
	if !m.quiet.lasts() || !m.quiet.since.Equal(at) {
		return false
	}
	m.quiet = quiet{}
	w.schedule(key, m)
	return true
}

// rouse ends the quiet if something has arrived that is more severe than what was told before, and disregards the wish if
// that was before it was made.
func (w *Watch) rouse(key string, m *memory) {
	switch {
	case !m.quiet.lasts() || m.highest <= m.quiet.severity:
		return
	case m.hushed(w.clock):
		m.quiet.ended = w.clock
	default:
		m.quiet = quiet{}
	}
	w.schedule(key, m)
}

// look decides whether the quiet goes on: as long as the threshold is still reached each time.
func (w *Watch) look(key string, m *memory, due time.Time) {
	if !m.Until.After(due) {
		m.Until = time.Time{}
	}
	if _, _, reached := w.asOf(key, m, due); reached {
		m.quiet.check = due.Add(w.pause())
	} else {
		m.quiet.ended = due
	}
	w.schedule(key, m)
}

// check is when to look next whether the quiet goes on: when the damper that runs ends, and then after every pause.
func (w *Watch) check(m *memory) time.Time {
	switch {
	case !m.quiet.check.IsZero():
		return m.quiet.check
	case !m.Until.Before(m.quiet.since):
		return m.Until
	default:
		return m.quiet.since.Add(w.pause())
	}
}

// pause is how long to wait before looking again: a damper's period or, where there is no damper, a window.
func (w *Watch) pause() time.Duration {
	if w.rule.damper.Period > 0 {
		return w.rule.damper.Period
	}
	return w.rule.threshold.Width
}

func (w *Watch) describeQuiet(m *memory) *v1alpha1.QuietStatus {
	q := m.quiet
	if q.since.IsZero() {
		return nil
	}
	status := &v1alpha1.QuietStatus{
		Since: metav1.NewTime(q.since), Severity: v1alpha1.SeverityOf(q.severity), EndedTime: timeOrNil(q.ended),
	}
	if q.lasts() {
		status.NextCheckTime = timeOrNil(w.check(m))
	}
	return status
}

func quietOf(status *v1alpha1.QuietStatus) quiet {
	if status == nil {
		return quiet{}
	}
	return quiet{
		since: status.Since.Time, severity: status.Severity.Number(),
		check: timeOf(status.NextCheckTime), ended: timeOf(status.EndedTime),
	}
}

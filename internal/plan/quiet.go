// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// wish is that somebody has acknowledged a notification and wants to hear no more of it until it is over.
type wish struct {
	// notification is its name, by is who acknowledged it, at is when.
	notification, by string
	sequence         int64
	at               time.Time
	// severity is the notification's: what is more severe is told all the same.
	severity int
}

// quiet is the wish that holds, or held last. The zero quiet is that there was none.
type quiet struct {
	wish
	// check is when to look next whether the threshold is still reached; zero before the first time.
	check time.Time
	// ended is when the latest quiet ended, this one or one before.
	ended time.Time
}

// lasts says whether somebody has asked for it, be it for later, and it has not ended.
func (q quiet) lasts() bool { return !q.at.IsZero() && q.ended.Before(q.at) }

// untold says whether nobody was told of what was reached at this time, for the sake of a quiet that is over.
func (q quiet) untold(at time.Time) bool {
	return !q.at.IsZero() && !q.lasts() && !at.Before(q.at) && !at.After(q.ended)
}

// hushed says whether somebody has asked for quiet by now.
func (m *memory) hushed(now time.Time) bool { return m.quiet.lasts() && !now.Before(m.quiet.at) }

// Heed takes notice of an acknowledgement. With the wish for quiet its damper holds all that arrives from then on, until the
// threshold is no longer reached or something more severe arrives. The wish does nothing where it has cleared since, has
// begun to tell of something new, or something more severe has been held. Without the wish, one that it had is taken back.
// Heed says whether it did anything; to do it again does nothing.
func (w *Watch) Heed(n *v1alpha1.Notification) bool {
	m, known := w.weighed(n)
	switch a := n.Spec.Acknowledgement; {
	case a == nil:
		return false
	case !a.QuietUntilCleared:
		return w.Forget(n)
	case !known:
		return false
	}
	return w.choose(n.Spec.Trigger.Key, m)
}

// weighed notes the wish of a notification, if it has one that can be granted.
func (w *Watch) weighed(n *v1alpha1.Notification) (*memory, bool) {
	a := n.Spec.Acknowledgement
	if !w.about(n) || a == nil || !a.QuietUntilCleared {
		return nil, false
	}
	at := a.Time
	if at == nil {
		at = n.Status.AcknowledgedTime
	}
	m, sequence := w.dampers.byKey[n.Spec.Trigger.Key], n.Spec.Trigger.Sequence
	if at == nil || m == nil || !m.cleared.IsZero() || sequence < m.run || sequence > m.Sequence {
		return nil, false
	}
	if m.wishes == nil {
		m.wishes = map[string]wish{}
	}
	m.wishes[n.Name] = wish{n.Name, a.By, sequence, at.Time, n.Spec.Severity.Number()}
	return m, true
}

// choose grants, where none holds, the earliest wish that can still be granted.
func (w *Watch) choose(key string, m *memory) bool {
	if m.quiet.lasts() {
		return false
	}
	var first wish
	for _, x := range m.wishes {
		switch {
		case m.highest > x.severity, !x.at.After(m.quiet.ended):
		case x.sequence < m.Sequence && !x.at.After(m.LastFired): // it was over before the next one was told
		case first.at.IsZero(), x.at.Before(first.at), x.at.Equal(first.at) && x.notification < first.notification:
			first = x
		}
	}
	if first.at.IsZero() {
		return false
	}
	m.quiet = quiet{wish: first, ended: m.quiet.ended}
	w.schedule(key, m)
	return true
}

// Forget takes back the wish of a notification, as somebody took it back or the notification is gone from the log. It says
// whether anything comes of that.
func (w *Watch) Forget(n *v1alpha1.Notification) bool {
	if !w.about(n) {
		return false
	}
	key := n.Spec.Trigger.Key
	m := w.dampers.byKey[key]
	if m == nil {
		return false
	}
	delete(m.wishes, n.Name)
	if !m.quiet.lasts() || m.quiet.notification != n.Name {
		return false
	}
	w.unhush(key, m)
	return true
}

// unhush is as if nobody had made the wish that holds; another may hold in its place.
func (w *Watch) unhush(key string, m *memory) {
	m.quiet = quiet{ended: m.quiet.ended}
	w.choose(key, m)
	w.schedule(key, m)
}

// resumeQuiet takes over the wishes of the log. One that the status tells of and the log does not is gone.
func (w *Watch) resumeQuiet(log []*v1alpha1.Notification) {
	for _, n := range log {
		w.weighed(n)
	}
	for key, m := range w.dampers.byKey {
		if _, stands := m.wishes[m.quiet.notification]; m.quiet.lasts() && !stands {
			w.unhush(key, m)
			continue
		}
		w.choose(key, m)
	}
}

// rouse ends the quiet if something has arrived that is more severe than what was acknowledged, and disregards the wish if
// that was before it was made. It says whether it ended it.
func (w *Watch) rouse(key string, m *memory) bool {
	switch {
	case !m.quiet.lasts() || m.highest <= m.quiet.severity:
		return false
	case m.hushed(w.clock):
		w.end(key, m, w.clock)
		return true
	default:
		w.unhush(key, m)
		return false
	}
}

// look decides whether the quiet goes on: as long as the threshold is still reached each time.
func (w *Watch) look(key string, m *memory, due time.Time) {
	if !m.Until.After(due) {
		m.Until = time.Time{}
	}
	if _, _, reached := w.asOf(key, m, due); reached {
		m.quiet.check = due.Add(w.pause())
		w.schedule(key, m)
		return
	}
	w.end(key, m, due)
}

func (w *Watch) end(key string, m *memory, at time.Time) {
	m.quiet.ended = at
	w.choose(key, m)
	w.schedule(key, m)
}

// check is when to look next whether the quiet goes on: when the damper that runs ends, and then after every pause.
func (w *Watch) check(m *memory) time.Time {
	switch {
	case !m.quiet.check.IsZero():
		return m.quiet.check
	case !m.Until.Before(m.quiet.at):
		return m.Until
	default:
		return m.quiet.at.Add(w.pause())
	}
}

// pause is how long to wait before looking again: a damper's period or, where there is no damper, a window.
func (w *Watch) pause() time.Duration {
	if w.rule.damper.Period > 0 {
		return w.rule.damper.Period
	}
	return w.rule.threshold.Width
}

// inheritQuiet is the quiet under the next generation: it is looked at when it was going to be.
func (w *Watch) inheritQuiet(m *memory) quiet {
	q := m.quiet
	if q.lasts() {
		q.check = w.check(m)
	}
	return q
}

func (w *Watch) describeQuiet(m *memory) *v1alpha1.QuietStatus {
	q := m.quiet
	if q.at.IsZero() {
		return nil
	}
	status := &v1alpha1.QuietStatus{
		Notification: q.notification, By: q.by, Since: metav1.NewTime(q.at), Severity: v1alpha1.SeverityOf(q.severity),
	}
	if q.lasts() {
		status.NextCheckTime = timeOrNil(w.check(m))
	} else {
		status.EndedTime = timeOrNil(q.ended)
	}
	return status
}

func quietOf(status *v1alpha1.QuietStatus) quiet {
	if status == nil {
		return quiet{}
	}
	return quiet{
		wish:  wish{status.Notification, status.By, 0, status.Since.Time, status.Severity.Number()},
		check: timeOf(status.NextCheckTime), ended: timeOf(status.EndedTime),
	}
}

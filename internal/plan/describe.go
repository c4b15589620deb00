// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/legible"
)

// maxFailure is how long the text of an expression's error gets in the status, in characters.
const maxFailure = 1024

// Describe writes what there is to know about the Watch into a condition's status. All events up to the given one that could
// concern it were observed.
func (w *Watch) Describe(status *v1alpha1.NotificationConditionStatus, upTo Position) {
	threshold := w.rule.Threshold
	status.Threshold = &threshold
	status.MatchedTotal, status.HeldTotal, status.FiredTotal = w.matched, w.held, w.fired
	status.LastEvaluatedTime, status.LastFiredTime = timeOrNil(w.evaluated), timeOrNil(w.lastFired)
	status.Checkpoint = FormatPosition(max(w.position, w.decided, upTo))
	status.SkippedUpTo = FormatPosition(w.skipped)
	status.Window = w.describeWindow()
	status.ExpressionErrors = w.describeFailures()
	status.KnownRisks = nil
	if w.rule.once {
		status.KnownRisks = slices.Clone(w.known.inTurn)
	}
	w.describeDampers(status)
}

func (w *Watch) describeDampers(status *v1alpha1.NotificationConditionStatus) {
	var until time.Time
	status.Dampers, status.Held = nil, 0
	for key, m := range w.dampers.byKey {
		status.Held += m.Held
		until = later(until, m.Until)
		status.Dampers = append(status.Dampers, v1alpha1.DamperStatus{
			Key: key, Sequence: m.Sequence, LastFiredTime: metav1.NewTime(m.LastFired), LastTime: timeOrNil(m.last),
			Until: timeOrNil(m.Until), ClearedTime: timeOrNil(m.cleared), Quiet: w.describeQuiet(m),
			HighestSeverity: v1alpha1.SeverityOf(m.highest), Held: m.Held, UsedUpTo: FormatPosition(m.upTo),
		})
	}
	status.DamperUntil = timeOrNil(until)
	slices.SortFunc(status.Dampers, func(a, b v1alpha1.DamperStatus) int {
		return cmp.Or(b.LastFiredTime.Compare(a.LastFiredTime.Time), cmp.Compare(a.Key, b.Key))
	})
	status.Dampers = status.Dampers[:min(len(status.Dampers), maxDampers)]
}

func (w *Watch) describeWindow() *v1alpha1.WindowStatus {
	if w.current == nil {
		return nil
	}
	s := w.current.Sum(w.clock)
	if s.Occurrences == 0 {
		return nil
	}
	return &v1alpha1.WindowStatus{
		Occurrences: s.Occurrences,
		Computers:   int32(s.Computers), //nolint:gosec // a window holds some ten thousand entries at most
		Time:        metav1.NewTime(w.clock),
	}
}

func (w *Watch) describeFailures() *v1alpha1.ExpressionErrors {
	if w.failures.count == 0 {
		return nil
	}
	message := []rune(legible.Text(w.failures.message))
	return &v1alpha1.ExpressionErrors{
		Count: w.failures.count, LastTime: metav1.NewTime(w.failures.last),
		Namespace: w.failures.namespace, Event: w.failures.event,
		Message: string(message[:min(len(message), maxFailure)]),
	}
}

func timeOrNil(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	stored := metav1.NewTime(t)
	return &stored
}

func timeOf(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

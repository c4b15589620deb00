// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// t0 is when every story begins: the condition exists since then.
var t0 = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// since is a time of a story.
func since(d time.Duration) time.Time { return t0.Add(d) }

func pointer[T any](value T) *T { return &value }

// rule is a condition in short: Custom, so that every event counts.
type rule struct {
	count  int32
	window v1alpha1.Duration
	scope  v1alpha1.Scope
	damper v1alpha1.DamperPeriod
	per    v1alpha1.DamperPer
}

func (r rule) String() string {
	return fmt.Sprintf("%d in %s, %s; damper %s per %s", r.count, r.window, r.scope, r.damper, r.per)
}

func (r rule) condition() *v1alpha1.NotificationCondition {
	return &v1alpha1.NotificationCondition{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "security", Name: "outbreak", UID: "6f9a6b0e-3f0a-4a57-9d3c-0d8f0c1f9a11", Generation: 1,
			CreationTimestamp: metav1.NewTime(t0),
		},
		Spec: v1alpha1.NotificationConditionSpec{
			Type:      "Custom",
			Threshold: &v1alpha1.Threshold{Count: &r.count, Window: r.window, Scope: r.scope},
			Damper:    &v1alpha1.Damper{Period: r.damper, Per: r.per},
		},
	}
}

// wish is a rule with what else a condition can ask for.
type wish struct {
	rule
	// cleared asks for a note when all is quiet again.
	cleared bool
	// once is the type NewRiskDetected: each risk is told once, whatever the damper.
	once bool
}

func (w wish) String() string {
	if w.once {
		return fmt.Sprintf("NewRiskDetected, %d in %s, %s", w.count, w.window, w.scope)
	}
	if w.cleared {
		return w.rule.String() + "; notify when cleared"
	}
	return w.rule.String()
}

func (w wish) condition() *v1alpha1.NotificationCondition {
	c := w.rule.condition()
	c.Spec.NotifyWhenCleared = w.cleared
	if w.once {
		c.Spec.Type, c.Spec.Damper = "NewRiskDetected", nil
	}
	return c
}

// declared is a rule or a wish.
type declared interface {
	fmt.Stringer
	condition() *v1alpha1.NotificationCondition
}

func compiled(tb testing.TB, condition *v1alpha1.NotificationCondition) *plan.Rule {
	tb.Helper()
	r, err := plan.Compile(condition, 0)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func watch(tb testing.TB, r declared) *plan.Watch {
	tb.Helper()
	return plan.NewWatch(compiled(tb, r.condition()))
}

// sighting is an event in short. It arrives (is created) and, unless it says so, happens at that time.
type sighting struct {
	arrives        time.Duration
	happened, last *time.Duration
	computer, risk string
	count          int32
	kind           v1alpha1.EventType
	severity       v1alpha1.Severity
}

// event is the object, at its place in the order of creation.
func (s sighting) event(at plan.Position) *v1alpha1.SecurityEvent {
	e := &v1alpha1.SecurityEvent{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "security", Name: fmt.Sprintf("event-%d", at), UID: types.UID(fmt.Sprintf("uid-%d", at)),
			ResourceVersion: plan.FormatPosition(at), CreationTimestamp: metav1.NewTime(since(s.arrives)),
		},
		Spec: v1alpha1.SecurityEventSpec{Type: "RiskDetected", Severity: v1alpha1.SeverityWarning, Title: "Risk found"},
	}
	if s.kind != "" {
		e.Spec.Type = s.kind
	}
	if s.severity != "" {
		e.Spec.Severity = s.severity
	}
	if s.happened != nil {
		e.Spec.Time = pointer(metav1.NewTime(since(*s.happened)))
	}
	if s.last != nil {
		e.Spec.LastTime = pointer(metav1.NewTime(since(*s.last)))
	}
	if s.computer != "" {
		e.Spec.Computer = &v1alpha1.Computer{Name: s.computer}
	}
	if s.risk != "" {
		e.Spec.Risk = &v1alpha1.Risk{Name: s.risk}
	}
	if s.count != 0 {
		e.Spec.Count = &s.count
	}
	return e
}

// observe takes sightings, numbered from the given position on, and returns what fired.
func observe(w *plan.Watch, from plan.Position, sightings ...sighting) []plan.Firing {
	var firings []plan.Firing
	for i, s := range sightings {
		at := from + plan.Position(i)
		_, fired := w.Observe(plan.NewEvent(s.event(at), at))
		firings = append(firings, fired...)
	}
	return firings
}

// told is a notification, as far as somebody who reads the log would compare two of them.
type told struct {
	At          string
	Reason      v1alpha1.TriggerReason
	Key         string
	Sequence    int64
	Held        int64
	Occurrences int64
	Computers   int
	Event       string
	// LastFired is told with the reason Cleared alone.
	LastFired string
}

// shown is the event that a notification shows, if it was not deleted.
func shown(f plan.Firing) string {
	if f.Event == nil {
		return ""
	}
	return f.Event.Name
}

func lastFired(f plan.Firing) string {
	if f.LastFired.IsZero() {
		return ""
	}
	return f.LastFired.Sub(t0).String()
}

func tell(firings []plan.Firing) []told {
	list := make([]told, 0, len(firings))
	for _, f := range firings {
		list = append(list, told{
			At: f.Time.Sub(t0).String(), Reason: f.Reason, Key: f.Key, Sequence: f.Sequence, Held: f.Held,
			Occurrences: f.Window.Occurrences, Computers: f.Window.Computers, Event: shown(f), LastFired: lastFired(f),
		})
	}
	return list
}

// stored is an object as the API gives it back: in whole seconds.
func stored[T any](tb testing.TB, object *T) *T {
	tb.Helper()
	data, err := json.Marshal(object)
	if err != nil {
		tb.Fatal(err)
	}
	back := new(T)
	if err := json.Unmarshal(data, back); err != nil {
		tb.Fatal(err)
	}
	return back
}

// acknowledge has somebody ask for quiet in the log: in the latest notification of each key up to the given one. The Watch is
// told, if there is one.
func acknowledge(log []v1alpha1.Notification, h hush, w *plan.Watch) {
	if h.back {
		for i := range log {
			if a := log[i].Spec.Acknowledgement; a != nil && a.QuietUntilCleared && log[i].Spec.Trigger.Key <= h.upTo {
				a.QuietUntilCleared = false
				w.Heed(&log[i])
			}
		}
		return
	}
	latest := map[string]*v1alpha1.Notification{}
	for i, n := range log {
		x := n.Spec.Trigger
		if before := latest[x.Key]; x.Reason != v1alpha1.TriggerCleared && x.Key <= h.upTo &&
			(before == nil || x.Sequence > before.Spec.Trigger.Sequence) {
			latest[x.Key] = &log[i]
		}
	}
	for _, n := range latest {
		if n.Spec.Acknowledgement == nil {
			n.Spec.Acknowledgement = &v1alpha1.Acknowledgement{
				Comment: "seen", By: "carol", Time: pointer(metav1.NewTime(since(h.at))), QuietUntilCleared: true,
			}
			w.Heed(n)
		}
	}
}

// write puts firings into a log.
func write(log []v1alpha1.Notification, firings ...plan.Firing) []v1alpha1.Notification {
	for _, f := range firings {
		log = append(log, *journal.Compose(f, nil))
	}
	return log
}

func describe(w *plan.Watch) *v1alpha1.NotificationConditionStatus {
	status := &v1alpha1.NotificationConditionStatus{}
	w.Describe(status, 0)
	return status
}

// restore is a new Watch that goes on from a stored status and the stored log.
func restore(tb testing.TB, compiled *plan.Rule, status *v1alpha1.NotificationConditionStatus, log []v1alpha1.Notification) *plan.Watch {
	tb.Helper()
	kept := make([]v1alpha1.Notification, 0, len(log))
	for i := range log {
		kept = append(kept, *stored(tb, &log[i]))
	}
	w := plan.NewWatch(compiled)
	w.Resume(stored(tb, status), kept)
	return w
}

// check compares values whose fields are all exported.
func check[T any](tb testing.TB, what string, got, want T) {
	tb.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		tb.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

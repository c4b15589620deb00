// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/controllers"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// The status is written when a notification is made; so the last event here makes one, with what b held before.
func TestStatusTellsWhatAnOperatorAsks(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	c := damped(condition(ns, "each", "SingleRiskEvent"), 1, "12s", "1h")
	c.Spec.Damper.Per = v1alpha1.DamperPerComputer
	ready(t, c)
	last := detection(ns, "c", "Worm")
	k8s.Create(t, detection(ns, "b", "Worm"), burst(ns, "b", 7), last)

	k8s.Until(t, c, func() error {
		s := &c.Status
		if s.MatchedTotal != 9 || s.HeldTotal != 7 || s.FiredTotal != 2 || s.Held != 7 {
			return fmt.Errorf("matched %d, held %d and %d, fired %d, want 9, 7 and 7, 2",
				s.MatchedTotal, s.HeldTotal, s.Held, s.FiredTotal)
		}
		if w := s.Window; w == nil || w.Occurrences != 9 || w.Computers != 2 || !w.Time.Equal(&last.CreationTimestamp) {
			return fmt.Errorf("the window is %+v, want 9 occurrences on 2 computers as of %s", w, last.CreationTimestamp)
		}
		return nil
	})
	arrived := &last.CreationTimestamp
	until := metav1.NewTime(arrived.Add(time.Hour))
	if s := &c.Status; !arrived.Equal(s.LastEvaluatedTime) || !arrived.Equal(s.LastFiredTime) || !until.Equal(s.DamperUntil) {
		t.Errorf("evaluated at %s, fired at %s, damper until %s, want %s, the same, and an hour later",
			s.LastEvaluatedTime, s.LastFiredTime, s.DamperUntil, arrived)
	}
	for _, d := range c.Status.Dampers {
		if want := map[string]int64{"b": 7, "c": 0}; d.Held != want[d.Key] || d.Sequence != 1 || d.Until == nil {
			t.Errorf("the damper of %q is %+v", d.Key, d)
		}
	}

	// Nothing more happens, and the window empties all the same.
	k8s.Until(t, c, func() error {
		if c.Status.Window != nil {
			return fmt.Errorf("the window is %+v", c.Status.Window)
		}
		return nil
	})
	if ends := arrived.Add(12 * time.Second); time.Now().Before(ends) {
		t.Errorf("the window is empty before %s", ends)
	}
	if s := &c.Status; s.Held != 7 || s.MatchedTotal != 9 || !until.Equal(s.DamperUntil) {
		t.Errorf("the rest of the status went with the window: %+v", s)
	}
	awaitCondition(t, c, v1alpha1.ReasonReady)
}

// regarding waits for so many Kubernetes Events about a condition that have this reason.
func regarding(t *testing.T, c *v1alpha1.NotificationCondition, reason string, n int) []eventsv1.Event {
	t.Helper()
	var found []eventsv1.Event
	cluster.Eventually(t, reason+" about "+c.Name, func(ctx context.Context) error {
		var list eventsv1.EventList
		if err := k8s.Client.List(ctx, &list, client.InNamespace(c.Namespace)); err != nil {
			return err
		}
		found = slices.DeleteFunc(list.Items, func(e eventsv1.Event) bool { return e.Regarding.UID != c.UID || e.Reason != reason })
		if len(found) != n {
			return fmt.Errorf("there are %d Events, want %d", len(found), n)
		}
		return nil
	})
	return found
}

// hostile is an event of which every text is made to do harm, more than 8 KB in all.
func hostile(namespace string) *v1alpha1.SecurityEvent {
	const evil = "EVIL\r\nWarning: all is lost\x1b[2J\x1b]0;EVIL\a\u202eEVIL\u2028<script>EVIL</script>"
	e := detection(namespace, evil, evil)
	e.Spec.Title, e.Spec.User, e.Spec.Task, e.Spec.Server = evil, evil, evil, evil
	e.Spec.Description = strings.Repeat(evil, 50)
	e.Spec.Attributes = map[string]v1alpha1.AttributeValue{}
	for i := range 8 {
		e.Spec.Attributes[fmt.Sprintf("evil-%d", i)] = v1alpha1.AttributeValue(strings.Repeat(evil, 10))
	}
	return e
}

func TestKubernetesEventTellsThatAConditionFiredAndNothingThatAnEventSays(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	c := damped(condition(ns, "each", "SingleRiskEvent"), 1, "1h", v1alpha1.DamperNone)
	c.Spec.Threshold.Scope = v1alpha1.ScopeSingleComputer // so that the computer's name is the damper's key
	ready(t, c)
	k8s.Create(t, hostile(ns))
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonLogged)[0]
	if got := n.Spec.Trigger.Event.Description; len(got) < 2000 {
		t.Fatalf("the event did not reach the log as it was: its description has %d bytes", len(got))
	}

	e := regarding(t, c, "Fired", 1)[0]
	if e.Type != corev1.EventTypeNormal || e.Action != "Notify" || e.Related == nil || e.Related.Name != n.Name {
		t.Errorf("the Event is %+v, want Normal, Notify, related to %s", e, n.Name)
	}
	contains(t, e.Note, n.Name, "ThresholdReached", "occurrences: 1, computers: 1, within 1h")
	harmless(t, e)
	awaitCondition(t, c, v1alpha1.ReasonReady)
}

// harmless checks that there is nothing of a hostile event in a Kubernetes Event.
func harmless(t *testing.T, e eventsv1.Event) {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(strings.ToLower(string(text)), "evil") || strings.ContainsFunc(e.Note, unicode.IsControl) {
		t.Errorf("the Event holds what a SecurityEvent says: %s", text)
	}
}

func TestBadExpressionIsRefusedAndMended(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		expression string
		wants      []string
	}{
		"unfinished":    {"event.severity ==", []string{"line 1, column 18"}},
		"unknown field": {"true &&\n  event.colour == 'red'", []string{"line 2, column 8", "colour"}},
		"unknown name":  {"evnet.severity == 'Critical'", []string{"line 1, column 1", "evnet"}},
		"no verdict":    {"event.title", []string{"must be true or false"}},
		"too expensive": {"event.attributes.all(a, event.attributes.all(b, event.attributes.all(c, a + b != c)))", []string{"costs up to"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := k8s.Namespace(t)
			bad, good := condition(ns, "bad", "SingleRiskEvent"), condition(ns, "good", "SingleRiskEvent")
			bad.Spec.Filter = &v1alpha1.EventFilter{Expression: tc.expression}
			good.Spec.Filter = &v1alpha1.EventFilter{Expression: "event.computer.name == 'a'"}
			k8s.Create(t, bad)
			awaitCondition(t, bad, v1alpha1.ReasonInvalid)
			contains(t, status.Message(bad.Status.Conditions, v1alpha1.StalledCondition), append(tc.wants, "`spec.filter.expression`: ")...)
			ready(t, good)

			k8s.Create(t, detection(ns, "a", "Worm"))
			if got := awaitNotifications(t, ns, 1, v1alpha1.ReasonLogged)[0].Spec.Condition.Name; got != "good" {
				t.Errorf("%s fired, want good", got)
			}
			k8s.Change(t, bad, func() { bad.Spec.Filter.Expression = "event.computer.name == 'b'" })
			awaitCondition(t, bad, v1alpha1.ReasonReady)
			k8s.Create(t, detection(ns, "b", "Worm"))
			if got := inOrder(awaitNotifications(t, ns, 2, v1alpha1.ReasonLogged))[1].Spec.Condition.Name; got != "bad" {
				t.Errorf("%s fired, want the one that was mended", got)
			}
		})
	}
}

func TestExpressionThatCannotBeEvaluatedIsNoMatchAndShows(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	c := condition(ns, "inbound", "SingleRiskEvent")
	c.Spec.Damper = &v1alpha1.Damper{Period: v1alpha1.DamperNone}
	c.Spec.Filter = &v1alpha1.EventFilter{Expression: `event.network.direction == "Inbound"`}
	ready(t, c)
	from := func(computer, direction string) *v1alpha1.SecurityEvent {
		e := detection(ns, computer, "Worm")
		e.Spec.Network = &v1alpha1.Network{Activity: v1alpha1.ActivityTraffic, Direction: direction}
		return e
	}
	first, second := detection(ns, "nowhere", "Worm"), hostile(ns)
	k8s.Create(t, first, from("a", "Outbound"), from("b", "Inbound"))
	if got := awaitNotifications(t, ns, 1, v1alpha1.ReasonLogged)[0].Spec.Trigger.Event.Computer.Name; got != "b" {
		t.Errorf("fired for %s, want b alone", got)
	}
	failed(t, c, 1, first)
	w := regarding(t, c, "ExpressionFailed", 1)[0]
	if w.Type != corev1.EventTypeWarning {
		t.Errorf("the Event is of type %s, want Warning", w.Type)
	}
	contains(t, w.Note, "spec.filter.expression", "status.expressionErrors")
	k8s.Create(t, second)
	failed(t, c, 2, second)
	for _, e := range regarding(t, c, "ExpressionFailed", 2) { // one for each time that the status tells of more
		harmless(t, e)
	}

	k8s.Change(t, c, func() { c.Spec.Filter.Expression = `has(event.network) && event.network.direction == "Inbound"` })
	awaitCondition(t, c, v1alpha1.ReasonReady)
	k8s.Create(t, detection(ns, "nowhere", "Worm"), from("c", "Inbound"))
	if got := inOrder(awaitNotifications(t, ns, 2, v1alpha1.ReasonLogged))[1].Spec.Trigger.Event.Computer.Name; got != "c" {
		t.Errorf("fired for %s, want c", got)
	}
	failed(t, c, 2, second)
	awaitCondition(t, c, v1alpha1.ReasonReady)
}

// failed waits until the status tells of so many events that could not be evaluated, this one the latest.
func failed(t *testing.T, c *v1alpha1.NotificationCondition, count int64, last *v1alpha1.SecurityEvent) {
	t.Helper()
	k8s.Until(t, c, func() error {
		e := c.Status.ExpressionErrors
		if e == nil || e.Count != count || e.Event != last.Name || !e.LastTime.Equal(&last.CreationTimestamp) {
			return fmt.Errorf("expressionErrors are %+v, want %d, the latest %s", e, count, last.Name)
		}
		return nil
	})
	contains(t, c.Status.ExpressionErrors.Message, "network")
}

// What an expression complains of may be what the event says: it comes clean into the status.
func TestExpressionErrorIsCleanEvenWhereItRepeatsWhatAnEventSays(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	c := condition(ns, "number", "SingleRiskEvent")
	c.Spec.Filter = &v1alpha1.EventFilter{Expression: "int(event.user) > 1 || int(event.description) > 1"}
	ready(t, c)
	k8s.Create(t, hostile(ns))
	k8s.Until(t, c, func() error {
		if c.Status.ExpressionErrors == nil {
			return fmt.Errorf("no error")
		}
		return nil
	})
	if got := c.Status.ExpressionErrors.Message; strings.ContainsFunc(got, func(r rune) bool { return unicode.In(r, unicode.C, unicode.Zl) }) {
		t.Errorf("the message holds what a terminal would obey: %q", got)
	}
	harmless(t, regarding(t, c, "ExpressionFailed", 1)[0])
	awaitCondition(t, c, v1alpha1.ReasonReady)
}

// writes counts the requests that change something, by method and path.
type writes struct {
	mu   sync.Mutex
	seen map[string]int
}

func (w *writes) through(next http.RoundTripper) http.RoundTripper { return &counted{next, w} }

type counted struct {
	next http.RoundTripper
	*writes
}

// RoundTrip counts a request.
func (c *counted) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		c.mu.Lock()
		c.seen[r.Method+" "+r.URL.Path]++
		c.mu.Unlock()
	}
	return c.next.RoundTrip(r)
}

// take returns what was counted since it was last asked.
func (w *writes) take() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	seen := w.seen
	w.seen = map[string]int{}
	return seen
}

func TestEventsAloneCauseHardlyAnyWrites(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	w := &writes{seen: map[string]int{}}
	h.enter(t, controllers.Options{}, w.through)
	many := damped(condition(h.namespace, "many", "SingleRiskEvent"), 10000, "1h", "1h")
	many.Spec.Filter = &v1alpha1.EventFilter{Risks: []v1alpha1.Wildcard{"Worm"}}
	none := condition(h.namespace, "none", "SingleRiskEvent")
	none.Spec.Filter = &v1alpha1.EventFilter{Risks: []v1alpha1.Wildcard{"Witnessed"}}
	h.follow(t, many)
	h.follow(t, none)

	w.take()
	h.storm(t, "Worm")
	h.Until(t, many, func() error {
		if many.Status.MatchedTotal != 300 {
			return fmt.Errorf("matched %d", many.Status.MatchedTotal)
		}
		return nil
	})
	seen := w.take()
	described := fmt.Sprintf("PATCH /apis/tocsin.dev/v1alpha1/namespaces/%s/notificationconditions/many/status", h.namespace)
	if n := seen[described]; n < 1 || n > 10 || len(seen) > 1 {
		t.Errorf("300 events that fire nothing caused %v, want a handful of writes of the status", seen)
	}

	// The last event shows that the others, which nothing is about, were looked at.
	h.storm(t, "Other")
	h.Create(t, detection(h.namespace, "last", "Witnessed"))
	h.log(t, 1)
	seen = w.take()
	var all int
	for _, n := range seen {
		all += n
	}
	if seen[described] > 0 || all > 10 {
		t.Errorf("300 events that match nothing, and one that fires, caused %v, want what the one takes", seen)
	}
	for _, c := range []*v1alpha1.NotificationCondition{many, none} {
		awaitConditionIn(t, h.Cluster, c, v1alpha1.ReasonReady)
	}
}

// storm creates 300 events, several at a time.
func (h *house) storm(t *testing.T, risk string) {
	t.Helper()
	var reporters sync.WaitGroup
	for reporter := range 4 {
		reporters.Go(func() {
			for i := range 75 {
				e := detection(h.namespace, fmt.Sprintf("ws-%d-%d", reporter, i), risk)
				if err := h.Client.Create(t.Context(), e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	reporters.Wait()
}

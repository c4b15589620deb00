// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/controllers"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

const tenant = "tenant"

// anywhere is a condition of the house that watches the namespaces with the house's label.
func (h *house) anywhere(name string) *v1alpha1.NotificationCondition {
	c := condition(h.namespace, name, "SingleRiskEvent")
	c.Spec.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{tenant: h.namespace}}
	return c
}

// label gives a namespace the house's label, or takes it.
func (h *house) label(t *testing.T, namespace string, selected bool) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	h.Change(t, ns, func() {
		delete(ns.Labels, tenant)
		if selected {
			ns.Labels[tenant] = h.namespace
		}
	})
}

// selected makes a namespace with the house's label.
func (h *house) selected(t *testing.T) string {
	t.Helper()
	namespace := h.Namespace(t)
	h.label(t, namespace, true)
	return namespace
}

// counts says whether events of a namespace count for a condition of the house that tells of each. An event of the house's
// own namespace shows that the one before it was looked at.
func (h *house) counts(t *testing.T, namespace string) bool {
	t.Helper()
	tried, witness := detection(namespace, "tried", "Worm"), detection(h.namespace, "witness", "Worm")
	h.Create(t, tried, witness)
	var told []string
	cluster.Eventually(t, "the witness", func(context.Context) error {
		told = nil
		for _, n := range h.Notifications(t, h.namespace) {
			told = append(told, string(n.Spec.Trigger.Event.UID))
		}
		if !slices.Contains(told, string(witness.UID)) {
			return errors.New("is not told of")
		}
		return nil
	})
	return slices.Contains(told, string(tried.UID))
}

func TestNamespaceSelectorIsForTheOperatorsOwnNamespace(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	elsewhere := h.Namespace(t)
	h.annexes = []string{elsewhere}
	h.enter(t, controllers.Options{Namespace: h.namespace})

	bad := h.anywhere("bad")
	bad.Namespace = elsewhere
	h.Create(t, bad)
	awaitConditionIn(t, h.Cluster, bad, v1alpha1.ReasonInvalid)
	contains(t, status.Message(bad.Status.Conditions, v1alpha1.StalledCondition), "`spec.namespaceSelector`", h.namespace)

	nonsense := h.anywhere("nonsense")
	nonsense.Spec.NamespaceSelector.MatchExpressions = []metav1.LabelSelectorRequirement{{Key: tenant, Operator: "Like"}}
	h.Create(t, nonsense)
	awaitConditionIn(t, h.Cluster, nonsense, v1alpha1.ReasonInvalid)
	contains(t, status.Message(nonsense.Status.Conditions, v1alpha1.StalledCondition), "`spec.namespaceSelector`", "Like")

	h.follow(t, h.anywhere("good"))
	h.Create(t, detection(elsewhere, "a", "Worm"), detection(h.namespace, "b", "Worm"))
	if n := h.log(t, 1)[0]; n.Spec.Condition.Name != "good" || n.Spec.Trigger.Event.Computer.Name != "b" {
		t.Errorf("%s tells of %s, want good to tell of b", n.Spec.Condition.Name, n.Spec.Trigger.Event.Computer.Name)
	}
	if n := len(h.Notifications(t, elsewhere)); n > 0 {
		t.Errorf("%d notifications of a condition that is not in force", n)
	}
	h.Change(t, bad, func() { bad.Spec.NamespaceSelector = nil })
	awaitConditionIn(t, h.Cluster, bad, v1alpha1.ReasonReady)
}

func TestManagerThatDoesNotKnowItsNamespaceSaysWhatHelps(t *testing.T) {
	t.Parallel()
	c := condition(k8s.Namespace(t), "anywhere", "SingleRiskEvent")
	c.Spec.NamespaceSelector = &metav1.LabelSelector{}
	k8s.Create(t, c)
	awaitCondition(t, c, v1alpha1.ReasonInvalid)
	contains(t, status.Message(c.Status.Conditions, v1alpha1.StalledCondition), "`spec.namespaceSelector`", "--namespace")
}

func TestEventsOfSelectedNamespacesCount(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	here, other := h.selected(t), h.Namespace(t)
	h.enter(t, controllers.Options{Namespace: h.namespace})
	c := h.anywhere("anywhere")
	c.Spec.Damper = &v1alpha1.Damper{Period: v1alpha1.DamperNone}
	h.follow(t, c)
	if h.counts(t, other) {
		t.Error("an event of a namespace without the label counts")
	}
	if !h.counts(t, here) {
		t.Error("an event of a namespace with the label does not count")
	}

	log := h.log(t, 3)
	i := slices.IndexFunc(log, func(n v1alpha1.Notification) bool { return n.Spec.Trigger.Event.Computer.Name == "tried" })
	if i < 0 || log[i].Spec.Trigger.Event.Namespace != here {
		t.Fatalf("no notification names %s as the event's namespace", here)
	}
	for _, namespace := range []string{here, other} {
		if n := len(h.Notifications(t, namespace)); n > 0 {
			t.Errorf("%d notifications are outside the condition's namespace", n)
		}
	}
	awaitConditionIn(t, h.Cluster, c, v1alpha1.ReasonReady)
}

// A label says which namespaces count from now on, in both directions.
func TestNamespaceThatChangesItsLabel(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.enter(t, controllers.Options{Namespace: h.namespace})
	moving := h.Namespace(t)
	c := h.anywhere("anywhere")
	c.Spec.Damper = &v1alpha1.Damper{Period: v1alpha1.DamperNone}
	h.follow(t, c)
	early := detection(moving, "early", "Worm")
	h.Create(t, early)
	if h.counts(t, moving) {
		t.Error("an event of a namespace without the label counts")
	}

	h.label(t, moving, true)
	h.becomes(t, moving, true)
	h.label(t, moving, false)
	h.becomes(t, moving, false)

	for _, n := range h.Notifications(t, h.namespace) {
		if n.Spec.Trigger.Event.UID == early.UID {
			t.Error("an event counts that was created before its namespace had the label")
		}
	}
	awaitConditionIn(t, h.Cluster, c, v1alpha1.ReasonReady)
}

// becomes waits until events of a namespace count, or no longer do.
func (h *house) becomes(t *testing.T, namespace string, counting bool) {
	t.Helper()
	cluster.Eventually(t, "counting of "+namespace, func(context.Context) error {
		if h.counts(t, namespace) != counting {
			return fmt.Errorf("is not %t", counting)
		}
		return nil
	})
}

func TestEmptySelectorSelectsAllNamespaces(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	before := h.Namespace(t)
	h.enter(t, controllers.Options{Namespace: h.namespace})
	c := condition(h.namespace, "everywhere", "SingleRiskEvent")
	c.Spec.NamespaceSelector = &metav1.LabelSelector{}
	c.Spec.Damper = &v1alpha1.Damper{Period: v1alpha1.DamperNone}
	// The other tests' events are everywhere too.
	risk := "everywhere-" + h.namespace
	c.Spec.Filter = &v1alpha1.EventFilter{Risks: []v1alpha1.Wildcard{v1alpha1.Wildcard(risk)}}
	h.follow(t, c)
	h.Create(t, detection(before, "a", risk))
	if got := h.log(t, 1)[0].Spec.Trigger.Event.Namespace; got != before {
		t.Errorf("the event's namespace is %q, want %q", got, before)
	}
	since := h.Namespace(t)
	cluster.Eventually(t, "counting of "+since, func(context.Context) error {
		h.Create(t, detection(since, "b", risk))
		if !slices.ContainsFunc(h.Notifications(t, h.namespace), func(n v1alpha1.Notification) bool {
			return n.Spec.Trigger.Event.Namespace == since
		}) {
			return errors.New("is to come")
		}
		return nil
	})
	awaitConditionIn(t, h.Cluster, c, v1alpha1.ReasonReady)
}

func TestNamespacesReachOneThresholdTogetherAlsoOverARestart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a, b, other := h.selected(t), h.selected(t), h.Namespace(t)
	h.enter(t, controllers.Options{Namespace: h.namespace})
	c := damped(h.anywhere("outbreak"), 4, "1h", "1h")
	c.Spec.Threshold.Scope = v1alpha1.ScopeDistinctComputers
	two := damped(h.anywhere("two"), 2, "1h", "1h")
	h.follow(t, two)
	h.follow(t, c)
	h.Create(t, detection(a, "ws-1", "Worm"), detection(other, "ws-9", "Worm"), detection(b, "ws-2", "Worm"))
	if got := h.log(t, 1)[0]; got.Spec.Condition.Name != "two" || got.Spec.Trigger.Computers != 2 || got.Spec.Trigger.Event.Namespace != b {
		t.Errorf("fired: %s with %+v, want two, with one event of each namespace", got.Spec.Condition.Name, got.Spec.Trigger)
	}

	h.leave()
	h.Create(t, detection(a, "ws-3", "Worm"), detection(other, "ws-8", "Worm"))
	h.enter(t, controllers.Options{Namespace: h.namespace})
	h.Create(t, detection(b, "ws-4", "Worm"))
	log := h.log(t, 2)
	i := slices.IndexFunc(log, func(n v1alpha1.Notification) bool { return n.Spec.Condition.Name == "outbreak" })
	if i < 0 {
		t.Fatal("the outbreak was not told of")
	}
	got := log[i].Spec.Trigger
	if names := slices.Sorted(slices.Values(got.ComputerNames)); !slices.Equal(names, []string{"ws-1", "ws-2", "ws-3", "ws-4"}) {
		t.Errorf("the outbreak is on %v", names)
	}
	for _, c := range []*v1alpha1.NotificationCondition{two, c} {
		awaitConditionIn(t, h.Cluster, c, v1alpha1.ReasonReady)
	}
}

func deleteAll(t *testing.T, in *cluster.Cluster, kind client.Object, namespace string) {
	t.Helper()
	if err := in.Client.DeleteAllOf(t.Context(), kind, client.InNamespace(namespace)); err != nil {
		t.Fatalf("deleting all %T: %v", kind, err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/controllers"
	"github.com/tocsin-dev/tocsin/internal/plan"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// quiet is a second API server, for tests that start and stop managers: none runs there but theirs. It starts when the
// first of them asks for it; TestMain stops it.
var quiet struct {
	sync.Mutex
	*cluster.Cluster
}

func stopQuiet() error {
	quiet.Lock()
	defer quiet.Unlock()
	if quiet.Cluster == nil {
		return nil
	}
	return quiet.Stop()
}

// house is a namespace of the quiet API server, with a manager at a time that knows the conditions of this namespace alone.
type house struct {
	*cluster.Cluster
	namespace string
	// annexes are further namespaces whose conditions the manager knows.
	annexes []string
	leave   func()
}

// newHouse makes a house without a manager.
func newHouse(t *testing.T) *house {
	t.Helper()
	quiet.Lock()
	defer quiet.Unlock()
	if quiet.Cluster == nil {
		c, err := cluster.Start()
		if err != nil {
			t.Fatal(err)
		}
		quiet.Cluster = c
	}
	h := &house{Cluster: quiet.Cluster, leave: func() {}}
	h.namespace = h.Namespace(t)
	return h
}

// enter starts a manager, after it has stopped the one before; it stops with the test.
func (h *house) enter(t *testing.T, options controllers.Options, through ...func(http.RoundTripper) http.RoundTripper) {
	t.Helper()
	h.leave()
	to := rest.CopyConfig(h.Config)
	for _, wrap := range through {
		to.Wrap(wrap)
	}
	known := map[string]cache.Config{h.namespace: {}}
	for _, namespace := range h.annexes {
		known[namespace] = cache.Config{}
	}
	mgr, err := ctrl.NewManager(to, ctrl.Options{
		Scheme: cluster.Scheme(), Metrics: server.Options{BindAddress: "0"},
		Cache:      cache.Options{DefaultNamespaces: known},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)}, // there are other managers in this process
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := controllers.Setup(ctx, mgr, options); err != nil {
		cancel()
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- mgr.Start(ctx) }()
	h.leave = sync.OnceFunc(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error("manager:", err)
		}
	})
	t.Cleanup(h.leave)
}

// follow creates a condition and waits until it is in force.
func (h *house) follow(t *testing.T, c *v1alpha1.NotificationCondition) {
	t.Helper()
	h.Create(t, c)
	awaitConditionIn(t, h.Cluster, c, v1alpha1.ReasonReady)
}

// log waits until the namespace has that many notifications, all logged, and returns them in the order of the decisions.
func (h *house) log(t *testing.T, n int) []v1alpha1.Notification {
	t.Helper()
	return inOrder(awaitNotificationsIn(t, h.Cluster, h.namespace, n, v1alpha1.ReasonLogged))
}

func inOrder(log []v1alpha1.Notification) []v1alpha1.Notification {
	slices.SortFunc(log, func(a, b v1alpha1.Notification) int {
		x, y := a.Spec.Trigger, b.Spec.Trigger
		return cmp.Or(x.Time.Compare(y.Time.Time), cmp.Compare(plan.ParsePosition(x.UpTo), plan.ParsePosition(y.UpTo)),
			cmp.Compare(x.Sequence, y.Sequence))
	})
	return log
}

// awaitTime waits until an instant has passed.
func awaitTime(t *testing.T, at time.Time) {
	t.Helper()
	cluster.Eventually(t, "the time "+at.String(), func(context.Context) error {
		if time.Now().Before(at) {
			return errors.New("is to come")
		}
		return nil
	})
}

// burst is a detection that stands for so many occurrences.
func burst(namespace, computer string, count int32) *v1alpha1.SecurityEvent {
	e := detection(namespace, computer, "Worm")
	e.Spec.Count = &count
	return e
}

// at says when an event happened.
func at(e *v1alpha1.SecurityEvent, when time.Time) *v1alpha1.SecurityEvent {
	e.Spec.Time = ptr.To(metav1.NewTime(when))
	return e
}

// damped sets how many occurrences within which time it takes, and for how long they are told then.
func damped(c *v1alpha1.NotificationCondition, count int32, window v1alpha1.Duration,
	period v1alpha1.DamperPeriod) *v1alpha1.NotificationCondition {
	c.Spec.Threshold = &v1alpha1.Threshold{Count: &count, Window: window}
	c.Spec.Damper = &v1alpha1.Damper{Period: period}
	return c
}

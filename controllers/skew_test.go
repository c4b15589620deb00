// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/controllers"
	"github.com/tocsin-dev/tocsin/internal/serverclock"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// skewed is the clock of a machine that is ahead of the API server's.
type skewed struct {
	clock.RealClock
	by time.Duration
}

func (s skewed) Now() time.Time { return s.RealClock.Now().Add(s.by) }

func (s skewed) Since(t time.Time) time.Duration { return s.Now().Sub(t) }

// The clock of a process cannot be set: Go asks the kernel. So the manager runs here, as cmd/manager wires it, with a
// machine's clock that is wrong. A creationTimestamp is the API server's clock, in whole seconds.
func TestDampersEndByTheAPIServersClock(t *testing.T) {
	t.Parallel()
	own, err := cluster.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := own.Stop(); err != nil {
			t.Error(err)
		}
	})
	for _, skew := range []time.Duration{10 * time.Minute, -10 * time.Minute} {
		t.Run(fmt.Sprintf("on a machine that is ahead by %s", skew), func(t *testing.T) {
			manage(t, own.Config, skewed{by: skew})
			ns := own.Namespace(t)
			c := condition(ns, "burst", "SingleRiskEvent")
			c.Spec.Threshold = &v1alpha1.Threshold{Count: ptr.To[int32](2), Window: "1h"}
			c.Spec.Damper = &v1alpha1.Damper{Period: "4s"}
			own.Create(t, c)
			own.Until(t, c, func() error { return reasonIs(c.Status.Conditions, v1alpha1.ReadyCondition, v1alpha1.ReasonReady) })

			held := detection(ns, "c", "Worm")
			held.Spec.Count = ptr.To[int32](7)
			own.Create(t, detection(ns, "a", "Worm"), detection(ns, "b", "Worm"), held)
			first, second := awaitTrigger(t, own, ns, 1), awaitTrigger(t, own, ns, 2)

			want := first.Spec.Trigger.Time.Add(4 * time.Second)
			if got := second.Spec.Trigger; got.Reason != v1alpha1.TriggerStillReached || !got.Time.Time.Equal(want) || got.Held != 7 {
				t.Errorf("the second is decided as %s at %s with %d held, want %s at %s with 7",
					got.Reason, got.Time, got.Held, v1alpha1.TriggerStillReached, want)
			}
			if got := second.CreationTimestamp.Time; got.Before(want) {
				t.Errorf("the repetition was written at %s, before the damper ended at %s", got, want)
			}
		})
	}
}

// manage runs a manager for as long as the test.
func manage(t *testing.T, to *rest.Config, machine clock.Clock) {
	t.Helper()
	clk := serverclock.New(machine, slog.New(slog.DiscardHandler))
	to = rest.CopyConfig(to)
	to.Wrap(clk.Wrap)
	mgr, err := ctrl.NewManager(to, ctrl.Options{
		Scheme: cluster.Scheme(), Metrics: server.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: ptr.To(true)}, // there is another manager in this process
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := controllers.Setup(ctx, mgr, controllers.Options{Clock: clk}); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Error("manager:", err)
		}
	})
}

// awaitTrigger waits until the namespace's log has the notification with that sequence number, and returns it.
func awaitTrigger(t *testing.T, c *cluster.Cluster, namespace string, sequence int64) v1alpha1.Notification {
	t.Helper()
	var found v1alpha1.Notification
	cluster.Eventually(t, fmt.Sprintf("notification %d", sequence), func(context.Context) error {
		list := c.Notifications(t, namespace)
		i := slices.IndexFunc(list, func(n v1alpha1.Notification) bool {
			return n.Spec.Trigger != nil && n.Spec.Trigger.Sequence == sequence
		})
		if i < 0 {
			return fmt.Errorf("it is not among the %d of %s", len(list), namespace)
		}
		found = list[i]
		if got := status.Reason(found.Status.Conditions, v1alpha1.SucceededCondition); got != v1alpha1.ReasonLogged {
			return fmt.Errorf("it is %q", got)
		}
		return nil
	})
	return found
}

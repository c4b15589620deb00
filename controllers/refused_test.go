// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// usedUp is a quota that takes no Notifications. Its numbers are kept by kube-controller-manager, which this cluster has
// not: the test writes them in its place.
func usedUp(t *testing.T, namespace string) *corev1.ResourceQuota {
	t.Helper()
	none := corev1.ResourceList{"count/notifications.tocsin.dev": resource.MustParse("0")}
	quota := &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "log"},
		Spec:       corev1.ResourceQuotaSpec{Hard: none},
	}
	k8s.Create(t, quota)
	quota.Status.Hard, quota.Status.Used = none, none
	if err := k8s.Client.Status().Update(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	return quota
}

// What is due waits in memory, but no more of it than the bound: the condition takes no further events, and goes on from those
// that are kept.
func TestConditionWhoseNotificationsAreRefusedWaitsAndThenMissesNothing(t *testing.T) {
	t.Parallel()
	const events = 252
	refused, free := k8s.Namespace(t), k8s.Namespace(t)
	quota := usedUp(t, refused)
	every := damped(condition(refused, "every", "SingleRiskEvent"), 1, "1m", v1alpha1.DamperNone)
	other := damped(condition(free, "every", "SingleRiskEvent"), 1, "1m", v1alpha1.DamperNone)
	ready(t, every, other)
	var reporters sync.WaitGroup
	for reporter := range 6 {
		reporters.Go(func() {
			for n := range events / 6 {
				k8s.Create(t, detection(refused, fmt.Sprintf("ws-%d-%d", reporter, n), "Worm"))
			}
		})
	}
	reporters.Wait()
	k8s.Until(t, every, func() error {
		if err := reasonIs(every.Status.Conditions, v1alpha1.ReadyCondition, v1alpha1.ReasonNotificationsRefused); err != nil {
			return err
		}
		message := status.Message(every.Status.Conditions, v1alpha1.ReadyCondition)
		if !strings.Contains(message, "and 200 wait") || !strings.Contains(message, "exceeded quota: log") ||
			!strings.Contains(message, "later events are evaluated when it does") {
			return fmt.Errorf("it says: %s", message)
		}
		return nil
	})
	k8s.Create(t, detection(free, "ws", "Worm"))
	awaitNotifications(t, free, 1, v1alpha1.ReasonLogged)

	if err := k8s.Client.Delete(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	cluster.Eventually(t, "all notifications", func(context.Context) error {
		told := map[string]int{}
		log := k8s.Notifications(t, refused)
		for _, n := range log {
			told[n.Spec.Trigger.Event.Computer.Name]++
		}
		if len(log) != events || len(told) != events {
			return fmt.Errorf("there are %d, of %d computers", len(log), len(told))
		}
		return nil
	})
	k8s.Until(t, every, func() error {
		if every.Status.FiredTotal != events {
			return fmt.Errorf("it has fired %d times", every.Status.FiredTotal)
		}
		return reasonIs(every.Status.Conditions, v1alpha1.ReadyCondition, v1alpha1.ReasonReady)
	})
}

// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// flood creates that many events of a severity.
func flood(t *testing.T, ns string, severity v1alpha1.Severity, n int) {
	t.Helper()
	var reporters sync.WaitGroup
	for range 10 {
		reporters.Go(func() {
			for range n / 10 {
				e := detection(ns, "ws")
				e.Spec.Severity = severity
				k8s.Create(t, e)
			}
		})
	}
	reporters.Wait()
}

func awaitEvents(t *testing.T, ns string, severity v1alpha1.Severity, least, most int) {
	t.Helper()
	cluster.Eventually(t, fmt.Sprintf("%d to %d events of severity %s", least, most, severity), func(ctx context.Context) error {
		var list v1alpha1.SecurityEventList
		err := k8s.Client.List(ctx, &list, client.InNamespace(ns), client.MatchingFields{"spec.severity": string(severity)})
		if n := len(list.Items); err == nil && (n < least || n > most) {
			return fmt.Errorf("there are %d", n)
		}
		return err
	})
}

// With no other rights than those of config/, and killed on the way.
func TestRetentionGoesOnAfterAKill(t *testing.T) {
	ns := k8s.Namespace(t)
	args := []string{"--event-retention=Info=1s", "--event-limit=1000"}
	first := start(t, args...)
	flood(t, ns, v1alpha1.SeverityInfo, 20)
	awaitEvents(t, ns, v1alpha1.SeverityInfo, 0, 0)
	first.kill()

	flood(t, ns, v1alpha1.SeverityInfo, 20)
	flood(t, ns, v1alpha1.SeverityWarning, 1150)
	start(t, args...)
	awaitEvents(t, ns, v1alpha1.SeverityInfo, 0, 0)
	awaitEvents(t, ns, v1alpha1.SeverityWarning, 800, 1000)
	cluster.Eventually(t, "the Event", func(ctx context.Context) error {
		var events eventsv1.EventList
		if err := k8s.Client.List(ctx, &events, client.InNamespace(ns)); err != nil {
			return err
		}
		for _, e := range events.Items {
			if e.Reason == "EventsShed" && strings.Contains(e.Note, "SecurityEvents of severity Warning") {
				return nil
			}
		}
		return fmt.Errorf("there are %d others", len(events.Items))
	})
	if err := k8s.Client.DeleteAllOf(t.Context(), &v1alpha1.SecurityEvent{}, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
}

func TestManagerMayDeleteNotifications(t *testing.T) {
	ns := k8s.Namespace(t)
	n := &v1alpha1.Notification{Spec: v1alpha1.NotificationSpec{
		Type: v1alpha1.NotificationTypeTest, ChannelRef: &v1alpha1.ChannelReference{Name: "mail"},
	}}
	n.Namespace, n.Name = ns, "test"
	k8s.Create(t, n)
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	manager, err := client.New(config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	if err := manager.Delete(t.Context(), n, client.Preconditions{UID: &n.UID}); err != nil {
		t.Error(err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/internal/retention"
)

// Reasons and action of the Kubernetes Events about what was shed, in the namespace where it was.
const (
	// reasonEventsShed: SecurityEvents were deleted before their time.
	reasonEventsShed = "EventsShed"
	// reasonNotificationsShed: Notifications were.
	reasonNotificationsShed = "NotificationsShed"

	actionShed = "Shed"

	// recorderName is what Events say that they come from.
	recorderName = "tocsin"
)

// crier tells the people of a namespace what was shed there. It does not use the manager's recorder, which makes one Event of
// those that differ in their note alone: the numbers would be lost.
type crier struct {
	client client.Client
	clock  clock.PassiveClock
	// describe says what was shed, and what to do about it.
	describe func(retention.Note) string
	reason   string
}

// say fails where it may help to try again.
func (c crier) say(ctx context.Context, n retention.Note) error {
	err := c.client.Create(ctx, c.event(n))
	if apierrors.IsNotFound(err) || apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return nil // there is nobody left to tell
	}
	return err
}

func (c crier) event(n retention.Note) *eventsv1.Event {
	host, _ := os.Hostname()
	return &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.Namespace, GenerateName: "tocsin-shed-"},
		EventTime:  metav1.NewMicroTime(c.clock.Now()),
		Type:       corev1.EventTypeWarning, Reason: c.reason, Action: actionShed, Note: c.describe(n),
		ReportingController: recorderName, ReportingInstance: recorderName + "-" + host,
		Regarding: corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: n.Namespace, Namespace: n.Namespace},
	}
}

func describeEvents(p retention.Policy) func(retention.Note) string {
	return func(n retention.Note) string {
		flag, limit := exceeded(p, n, "event")
		return fmt.Sprintf("%s %s of the manager is %s for the whole cluster, and this namespace holds most of this severity: "+
			"find the reporter that creates so many, give the namespace a ResourceQuota, or raise the flag",
			deleted("SecurityEvents", n), flag, limit)
	}
}

func describeNotifications(p retention.Policy) func(retention.Note) string {
	return func(n retention.Note) string {
		flag, limit := exceeded(p, n, "notification")
		return fmt.Sprintf("%s %s of the manager is %s for the whole cluster, and this namespace holds most of this severity: "+
			"raise the threshold or the damper of the condition that fires so often, or raise the flag",
			deleted("Notifications", n), flag, limit)
	}
}

// exceeded is the flag, and its value, for which something was shed.
func exceeded(p retention.Policy, n retention.Note, kind string) (flag, limit string) {
	if n.Reason == retention.Memory {
		return "--" + kind + "-memory-limit", resource.NewQuantity(p.MemoryLimit, resource.BinarySI).String()
	}
	return "--" + kind + "-limit", strconv.Itoa(p.Limit)
}

func deleted(kind string, n retention.Note) string {
	return fmt.Sprintf("%d %s of severity %s were deleted before their time since %s.",
		n.Number, kind, n.Severity, n.Since.UTC().Format(time.RFC3339))
}

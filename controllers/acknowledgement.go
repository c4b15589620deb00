// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
)

// acknowledge tells in a Notification's status who has acknowledged it and when. Where the API server did not write when, it
// was when Tocsin first saw it, which is now.
func acknowledge(n *v1alpha1.Notification, now time.Time) {
	a := n.Spec.Acknowledgement
	if a == nil {
		return
	}
	if n.Status.AcknowledgedTime == nil {
		at := metav1.NewTime(now.Truncate(time.Second))
		if a.Time != nil {
			at = *a.Time
		}
		n.Status.AcknowledgedTime = &at
	}
	n.Status.Acknowledged = true
	status.Set(&n.Status.Conditions, n.Generation, v1alpha1.AcknowledgedCondition, metav1.ConditionTrue,
		v1alpha1.ReasonAcknowledged, fmt.Sprintf("by %s at %s", cmp.Or(a.By, "somebody for whom nobody vouches"),
			n.Status.AcknowledgedTime.UTC().Format(time.RFC3339)))
}

// unheeded says that a Notification was acknowledged, or the wish for quiet taken back, and its status does not tell so yet.
func unheeded(n *v1alpha1.Notification) bool {
	return n.Spec.Acknowledgement != nil && (!n.Status.Acknowledged || n.Status.ObservedGeneration != n.Generation)
}

// heeding tells the Evaluator of acknowledgements when they are heard of: they must not wait for deliveries, which may take as
// long as a server is silent.
type heeding struct {
	handler.TypedEventHandler[client.Object, deliveryRequest]
	evaluator *Evaluator
}

type deliveryQueue = workqueue.TypedRateLimitingInterface[deliveryRequest]

func (h heeding) Create(ctx context.Context, e event.TypedCreateEvent[client.Object], queue deliveryQueue) {
	h.heed(e.Object)
	h.TypedEventHandler.Create(ctx, e, queue)
}

func (h heeding) Update(ctx context.Context, e event.TypedUpdateEvent[client.Object], queue deliveryQueue) {
	if n, ok := e.ObjectOld.(*v1alpha1.Notification); ok && replaced(n, e.ObjectNew) {
		h.evaluator.Forget(n)
	}
	h.heed(e.ObjectNew)
	h.TypedEventHandler.Update(ctx, e, queue)
}

func (h heeding) Delete(ctx context.Context, e event.TypedDeleteEvent[client.Object], queue deliveryQueue) {
	if n, ok := e.Object.(*v1alpha1.Notification); ok {
		h.evaluator.Forget(n)
	}
	h.TypedEventHandler.Delete(ctx, e, queue)
}

func (h heeding) heed(o client.Object) {
	if n, ok := o.(*v1alpha1.Notification); ok {
		h.evaluator.Heed(n)
	}
}

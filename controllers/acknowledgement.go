// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
	if !n.Status.Acknowledged {
		at := metav1.NewTime(now.Truncate(time.Second))
		if a.Time != nil {
			at = *a.Time
		}
		n.Status.Acknowledged, n.Status.AcknowledgedTime = true, &at
	}
	who := a.By
	if who == "" {
		who = "somebody for whom nobody vouches"
	}
	status.Set(&n.Status.Conditions, n.Generation, v1alpha1.AcknowledgedCondition, metav1.ConditionTrue,
		v1alpha1.ReasonAcknowledged, fmt.Sprintf("by %s at %s", who, acknowledgedAt(n).UTC().Format(time.RFC3339)))
}

// acknowledgedAt is when a Notification was acknowledged; zero while that is not known.
func acknowledgedAt(n *v1alpha1.Notification) time.Time {
	switch a := n.Spec.Acknowledgement; {
	case a == nil:
		return time.Time{}
	case a.Time != nil:
		return a.Time.Time
	case n.Status.AcknowledgedTime != nil:
		return n.Status.AcknowledgedTime.Time
	}
	return time.Time{}
}

// unheeded says that a Notification was acknowledged and its status does not tell so yet.
func unheeded(n *v1alpha1.Notification) bool {
	return n.Spec.Acknowledgement != nil && !n.Status.Acknowledged
}

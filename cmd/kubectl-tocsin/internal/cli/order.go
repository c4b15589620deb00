// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// turn is the order within a second, which is as exact as the API server tells times.
type turn struct {
	position         plan.Position
	sequence, second int64
}

// turnOf is that of the engine: an event's is its resourceVersion, as it is never changed, and a decision's is that of the
// latest event that it looked at. A notification's own resourceVersion changes with its state.
func turnOf(o client.Object) turn {
	t := turn{second: o.GetCreationTimestamp().Unix()}
	switch o := o.(type) {
	case *v1alpha1.SecurityEvent:
		t.position = plan.ParsePosition(o.ResourceVersion)
	case *v1alpha1.Notification:
		if trigger := o.Spec.Trigger; trigger != nil {
			t.position, t.sequence = plan.ParsePosition(trigger.UpTo), trigger.Sequence
		}
	}
	return t
}

func (t turn) compare(other turn) int {
	return cmp.Or(cmp.Compare(t.position, other.position), cmp.Compare(t.sequence, other.sequence), cmp.Compare(t.second, other.second))
}

// createdOrder is the order in which events were created.
func createdOrder(a, b *v1alpha1.SecurityEvent) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), turnOf(a).compare(turnOf(b)))
}

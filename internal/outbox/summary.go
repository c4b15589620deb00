// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// Channels returns the names of the channels that a notification goes through.
func Channels(spec *v1alpha1.NotificationSpec) []string {
	if spec.ChannelRef != nil {
		return []string{spec.ChannelRef.Name}
	}
	channels := make([]string, 0, len(spec.Deliveries))
	for _, d := range spec.Deliveries {
		channels = append(channels, d.Channel)
	}
	return channels
}

// Find returns a channel's delivery, or one that has not been begun.
func Find(deliveries []v1alpha1.DeliveryStatus, channel string) v1alpha1.DeliveryStatus {
	for _, d := range deliveries {
		if d.Channel == channel {
			return *d.DeepCopy()
		}
	}
	return v1alpha1.DeliveryStatus{Channel: channel, State: v1alpha1.DeliveryPending}
}

// Put replaces a channel's delivery.
func Put(deliveries []v1alpha1.DeliveryStatus, d v1alpha1.DeliveryStatus) []v1alpha1.DeliveryStatus {
	deliveries = slices.Clone(deliveries)
	for i := range deliveries {
		if deliveries[i].Channel == d.Channel {
			deliveries[i] = d
			return deliveries
		}
	}
	return append(deliveries, d)
}

// Outcome is what the deliveries of one notification add up to: the Succeeded status condition.
type Outcome struct {
	Status          metav1.ConditionStatus
	Reason, Message string
}

// urgency orders the states in which a delivery is under way: what is nearest to somebody's inbox stands for the whole.
var urgency = []struct {
	state  v1alpha1.DeliveryState
	reason string
}{
	{v1alpha1.DeliverySending, v1alpha1.ReasonSending},
	{v1alpha1.DeliveryRetrying, v1alpha1.ReasonRetrying},
	{v1alpha1.DeliveryPending, v1alpha1.ReasonPending},
	{v1alpha1.DeliveryStandby, v1alpha1.ReasonPending},
}

// Summarize adds up the deliveries of a notification.
func Summarize(spec *v1alpha1.NotificationSpec, deliveries []v1alpha1.DeliveryStatus) Outcome {
	channels := Channels(spec)
	if len(channels) == 0 {
		return Outcome{metav1.ConditionTrue, v1alpha1.ReasonLogged, "no channel to tell through: kept in the log alone"}
	}
	byState := group(spec, channels, deliveries)
	for _, u := range urgency {
		if under := byState[u.state]; len(under) > 0 {
			return Outcome{metav1.ConditionUnknown, u.reason, strings.Join(under, "; ")}
		}
	}
	done, failed := byState[v1alpha1.DeliveryDelivered], byState[v1alpha1.DeliveryFailed]
	partly, suppressed := byState[v1alpha1.DeliveryPartlyDelivered], byState[v1alpha1.DeliverySuppressed]
	switch {
	case len(done) == 0 && len(failed) == 0 && len(partly) == 0:
		return Outcome{metav1.ConditionFalse, v1alpha1.ReasonSuppressed, strings.Join(suppressed, "; ")}
	case len(failed) == 0 && len(partly) == 0:
		return Outcome{metav1.ConditionTrue, v1alpha1.ReasonDelivered, strings.Join(slices.Concat(done, suppressed), "; ")}
	case len(done) == 0 && len(partly) == 0:
		return Outcome{metav1.ConditionFalse, v1alpha1.ReasonFailed, strings.Join(slices.Concat(failed, suppressed), "; ")}
	default:
		return Outcome{metav1.ConditionFalse, v1alpha1.ReasonPartlyDelivered,
			strings.Join(slices.Concat(failed, partly, done, suppressed), "; ")}
	}
}

// group describes the deliveries by state. What a fallback has delivered in place of a channel counts as delivered.
func group(spec *v1alpha1.NotificationSpec, channels []string, deliveries []v1alpha1.DeliveryStatus) map[v1alpha1.DeliveryState][]string {
	byState := map[v1alpha1.DeliveryState][]string{}
	for _, channel := range channels {
		d := Find(deliveries, channel)
		state := d.State
		if state == v1alpha1.DeliveryFailed && replaced(spec, deliveries, channel) {
			state = v1alpha1.DeliveryDelivered
		}
		byState[state] = append(byState[state], describe(d))
	}
	return byState
}

// replaced says whether a channel that failed has a fallback that reached somebody, or has one itself that did.
func replaced(spec *v1alpha1.NotificationSpec, deliveries []v1alpha1.DeliveryStatus, channel string) bool {
	for _, d := range spec.Deliveries {
		if !slices.Contains(d.FallbackFor, channel) {
			continue
		}
		switch status := Find(deliveries, d.Channel); {
		case status.State == v1alpha1.DeliveryDelivered, status.State == v1alpha1.DeliveryPartlyDelivered:
			return true
		case status.State == v1alpha1.DeliveryFailed, refusedPlace(status):
			return replaced(spec, deliveries, d.Channel)
		}
	}
	return false
}

func describe(d v1alpha1.DeliveryStatus) string {
	text := fmt.Sprintf("%s: %s", d.Channel, d.State)
	if d.State == v1alpha1.DeliveryDelivered && len(d.Recipients) > 0 {
		return fmt.Sprintf("%s (%d of %d recipients)", text, len(d.Recipients), len(d.Recipients))
	}
	if d.Message != "" {
		text += ", " + d.Message
	}
	return text
}

// SPDX-License-Identifier: Apache-2.0

// Package outbox decides what happens next with a delivery, and writes down what came of it. It is pure: it changes
// nothing but the status it returns, and time comes in as a parameter.
package outbox

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
)

// DefaultFor is how long a delivery is tried when its channel does not say, and DefaultForFallback how long if another channel
// stands by.
const (
	DefaultFor         = 24 * time.Hour
	DefaultForFallback = 15 * time.Minute
)

// Verb is what is to be done with a delivery.
type Verb string

// The verbs.
const (
	// Done: its state is final.
	Done Verb = "Done"
	// Send: make an attempt now.
	Send Verb = "Send"
	// Wait: the next attempt is due at Decision.At.
	Wait Verb = "Wait"
	// Hold: it waits for its channel; a change of the channel brings it back, or its end at Decision.At.
	Hold Verb = "Hold"
	// Expire: its time is over.
	Expire Verb = "Expire"
)

// Reasons of a delivery's state that are not the outcome of an attempt.
const (
	ReasonChannelNotFound  = "ChannelNotFound"
	ReasonChannelNotReady  = "ChannelNotReady"
	ReasonChannelSuspended = "ChannelSuspended"
	ReasonExpired          = "Expired"
	ReasonInterrupted      = "Interrupted"
)

// Decision is what is to be done, and why.
type Decision struct {
	Verb    Verb
	At      time.Time
	Reason  string
	Message string
}

// Next decides about a delivery that was decided on at the given time. The channel is nil when it does not exist; fallback says
// that another stands by for it.
func Next(d v1alpha1.DeliveryStatus, channel *v1alpha1.NotificationChannel, fallback bool, since, now time.Time) Decision {
	if Final(d.State) {
		return Decision{Verb: Done}
	}
	end := End(channel, fallback, since)
	if !now.Before(end) {
		return Decision{Verb: Expire, Reason: ReasonExpired, Message: expiredMessage(d, end.Sub(since))}
	}
	if reason, message := obstacle(d.Channel, channel); reason != "" {
		return Decision{Verb: Hold, At: end, Reason: reason, Message: message}
	}
	waiting := d.State == v1alpha1.DeliveryRetrying && d.NextAttemptTime != nil && now.Before(d.NextAttemptTime.Time)
	if waiting && d.ChannelRevision == channel.Status.Revision {
		at := d.NextAttemptTime.Time
		if at.After(end) {
			at = end
		}
		return Decision{Verb: Wait, At: at}
	}
	return Decision{Verb: Send}
}

// obstacle says why the channel cannot be used now; empty when it can.
func obstacle(name string, channel *v1alpha1.NotificationChannel) (reason, message string) {
	switch {
	case channel == nil:
		return ReasonChannelNotFound, fmt.Sprintf("NotificationChannel %q does not exist; the delivery waits for it", name)
	case channel.Spec.Suspend:
		return ReasonChannelSuspended, fmt.Sprintf("NotificationChannel %q is suspended; the delivery waits", name)
	case channel.Status.ObservedGeneration != channel.Generation:
		return ReasonChannelNotReady, fmt.Sprintf("NotificationChannel %q is being checked", name)
	case !status.IsTrue(channel.Status.Conditions, v1alpha1.ReadyCondition):
		why := status.Message(channel.Status.Conditions, v1alpha1.ReadyCondition)
		return ReasonChannelNotReady, fmt.Sprintf("NotificationChannel %q is not ready: %s", name, why)
	}
	return "", ""
}

func expiredMessage(d v1alpha1.DeliveryStatus, after time.Duration) string {
	text := fmt.Sprintf("not delivered within %s", v1alpha1.FormatDuration(after))
	if d.Message != "" {
		text += "; last: " + d.Message
	}
	return text
}

// End is when the time of a delivery is over that was decided on at the given time.
func End(channel *v1alpha1.NotificationChannel, fallback bool, since time.Time) time.Time {
	unset := DefaultFor
	if fallback {
		unset = DefaultForFallback
	}
	if channel == nil || channel.Spec.Retry == nil {
		return since.Add(unset)
	}
	return since.Add(durationOr(channel.Spec.Retry.For, unset))
}

func durationOr(d v1alpha1.Duration, fallback time.Duration) time.Duration {
	if parsed, err := d.Duration(); err == nil && parsed > 0 {
		return parsed
	}
	return fallback
}

// Final says whether a delivery's state never changes again.
func Final(s v1alpha1.DeliveryState) bool {
	switch s {
	case v1alpha1.DeliveryDelivered, v1alpha1.DeliveryPartlyDelivered, v1alpha1.DeliveryFailed,
		v1alpha1.DeliverySuppressed, v1alpha1.DeliveryNotNeeded:
		return true
	}
	return false
}

func at(t time.Time) *metav1.Time {
	m := metav1.NewTime(t)
	return &m
}

// SPDX-License-Identifier: Apache-2.0

package outbox_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/outbox"
	"github.com/tocsin-dev/tocsin/internal/status"
)

var t0 = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func after(d time.Duration) *metav1.Time { return &metav1.Time{Time: t0.Add(d)} }

func check[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// ready is a channel that can be used, at its first revision.
func ready() *v1alpha1.NotificationChannel {
	c := &v1alpha1.NotificationChannel{ObjectMeta: metav1.ObjectMeta{Name: "soc-mail", Generation: 3}}
	c.Status.ObservedGeneration, c.Status.Revision = 3, "3-a"
	status.SetReady(&c.Status.Conditions, 3, status.Verdict{Ready: true, Reason: v1alpha1.ReasonReady, Message: "the channel can be used"})
	return c
}

func but(change func(*v1alpha1.NotificationChannel)) *v1alpha1.NotificationChannel {
	c := ready()
	change(c)
	return c
}

// TestNext: what is to be done with a delivery that was decided on at t0.
func TestNext(t *testing.T) {
	t.Parallel()
	type delivery = v1alpha1.DeliveryStatus
	retrying := delivery{
		State: v1alpha1.DeliveryRetrying, ChannelRevision: "3-a", NextAttemptTime: after(10 * time.Minute), Message: "450 later",
	}
	patient := func(c *v1alpha1.NotificationChannel) { c.Spec.Retry = &v1alpha1.RetryPolicy{For: "1h"} }
	day := t0.Add(24 * time.Hour)
	for name, tc := range map[string]struct {
		delivery delivery
		channel  *v1alpha1.NotificationChannel
		now      time.Duration
		want     outbox.Decision
	}{
		"it was never tried": {
			delivery{State: v1alpha1.DeliveryPending}, ready(), 0, outbox.Decision{Verb: outbox.Send},
		},
		"an attempt was interrupted: it is made again at once, as nobody knows": {
			delivery{State: v1alpha1.DeliverySending, ChannelRevision: "3-a"}, ready(), time.Minute, outbox.Decision{Verb: outbox.Send},
		},

		"it is to be tried again, but not yet": {
			retrying, ready(), 9 * time.Minute, outbox.Decision{Verb: outbox.Wait, At: t0.Add(10 * time.Minute)},
		},
		"the time has come": {retrying, ready(), 10 * time.Minute, outbox.Decision{Verb: outbox.Send}},
		"the channel was changed: no need to wait": {
			retrying, but(func(c *v1alpha1.NotificationChannel) { c.Status.Revision = "4-a" }), time.Minute,
			outbox.Decision{Verb: outbox.Send},
		},
		"nobody said when": {
			delivery{State: v1alpha1.DeliveryRetrying, ChannelRevision: "3-a"}, ready(), time.Minute, outbox.Decision{Verb: outbox.Send},
		},
		"the next attempt would come too late: wait for the end": {
			delivery{State: v1alpha1.DeliveryRetrying, ChannelRevision: "3-a", NextAttemptTime: after(2 * time.Hour)}, but(patient),
			time.Minute, outbox.Decision{Verb: outbox.Wait, At: t0.Add(time.Hour)},
		},

		"there is no such channel": {
			delivery{Channel: "soc-mail", State: v1alpha1.DeliveryPending}, nil, time.Minute, outbox.Decision{
				Verb: outbox.Hold, At: day, Reason: "ChannelNotFound",
				Message: `NotificationChannel "soc-mail" does not exist; the delivery waits for it`,
			},
		},
		"there is no such channel any longer": {
			delivery{Channel: "soc-mail", State: v1alpha1.DeliveryRetrying, NextAttemptTime: after(time.Hour)}, nil, time.Minute,
			outbox.Decision{
				Verb: outbox.Hold, At: day, Reason: "ChannelNotFound",
				Message: `NotificationChannel "soc-mail" does not exist; the delivery waits for it`,
			},
		},
		"the channel is suspended": {
			delivery{Channel: "soc-mail", State: v1alpha1.DeliveryPending},
			but(func(c *v1alpha1.NotificationChannel) { c.Spec.Suspend = true }), time.Minute, outbox.Decision{
				Verb: outbox.Hold, At: day, Reason: "ChannelSuspended",
				Message: `NotificationChannel "soc-mail" is suspended; the delivery waits`,
			},
		},
		"the channel was changed, and nobody has looked at it yet": {
			delivery{Channel: "soc-mail", State: v1alpha1.DeliveryPending},
			but(func(c *v1alpha1.NotificationChannel) { c.Generation = 4 }), time.Minute, outbox.Decision{
				Verb: outbox.Hold, At: day, Reason: "ChannelNotReady", Message: `NotificationChannel "soc-mail" is being checked`,
			},
		},
		"the channel is not ready": {
			delivery{Channel: "soc-mail", State: v1alpha1.DeliveryPending},
			but(func(c *v1alpha1.NotificationChannel) {
				status.SetReady(&c.Status.Conditions, 3, status.Verdict{Reason: "SecretNotFound", Message: "there is no Secret"})
				c.Spec.Retry = &v1alpha1.RetryPolicy{For: "2h"}
			}),
			time.Minute, outbox.Decision{
				Verb: outbox.Hold, At: t0.Add(2 * time.Hour), Reason: "ChannelNotReady",
				Message: `NotificationChannel "soc-mail" is not ready: there is no Secret`,
			},
		},

		"its time is over": {
			retrying, but(patient), time.Hour, outbox.Decision{
				Verb: outbox.Expire, Reason: "Expired", Message: "not delivered within 1h; last: 450 later",
			},
		},
		"just before": {retrying, but(patient), time.Hour - 1, outbox.Decision{Verb: outbox.Send}},
		"its time is over, though the channel is not ready": {
			delivery{State: v1alpha1.DeliveryPending}, but(func(c *v1alpha1.NotificationChannel) { c.Spec.Suspend = true }), 24 * time.Hour,
			outbox.Decision{Verb: outbox.Expire, Reason: "Expired", Message: "not delivered within 24h"},
		},
		"its time is over, and the channel never was": {
			delivery{State: v1alpha1.DeliveryPending, Message: "no channel"}, nil, 25 * time.Hour,
			outbox.Decision{Verb: outbox.Expire, Reason: "Expired", Message: "not delivered within 24h; last: no channel"},
		},
		"its time is over, though it was being sent": {
			delivery{State: v1alpha1.DeliverySending}, ready(), 24 * time.Hour,
			outbox.Decision{Verb: outbox.Expire, Reason: "Expired", Message: "not delivered within 24h"},
		},
		"a time to try that cannot be read is a day": {
			delivery{State: v1alpha1.DeliveryPending},
			but(func(c *v1alpha1.NotificationChannel) { c.Spec.Retry = &v1alpha1.RetryPolicy{For: "soon"} }), 24*time.Hour - 1,
			outbox.Decision{Verb: outbox.Send},
		},

		"it is delivered": {
			delivery{State: v1alpha1.DeliveryDelivered}, ready(), time.Minute, outbox.Decision{Verb: outbox.Done},
		},
		"it is delivered to some": {
			delivery{State: v1alpha1.DeliveryPartlyDelivered}, ready(), time.Minute, outbox.Decision{Verb: outbox.Done},
		},
		"it has failed": {
			delivery{State: v1alpha1.DeliveryFailed}, ready(), time.Minute, outbox.Decision{Verb: outbox.Done},
		},
		"it is done, and time went on": {
			delivery{State: v1alpha1.DeliveryDelivered}, nil, 100 * time.Hour, outbox.Decision{Verb: outbox.Done},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, "decision", outbox.Next(tc.delivery, tc.channel, false, t0, t0.Add(tc.now)), tc.want)
		})
	}
}

// TestFinal: three states never change again.
func TestFinal(t *testing.T) {
	t.Parallel()
	for state, want := range map[v1alpha1.DeliveryState]bool{
		v1alpha1.DeliveryPending: false, v1alpha1.DeliverySending: false, v1alpha1.DeliveryRetrying: false,
		v1alpha1.DeliveryDelivered: true, v1alpha1.DeliveryPartlyDelivered: true, v1alpha1.DeliveryFailed: true,
		"FromTheFuture": false,
	} {
		if got := outbox.Final(state); got != want {
			t.Errorf("%s is final: %t", state, got)
		}
	}
}

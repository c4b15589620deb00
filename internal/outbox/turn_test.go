// SPDX-License-Identifier: Apache-2.0

package outbox_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/outbox"
)

// told is a notification through mail, with sms standing by for it and the pager for that, and through chat.
func told(states map[string]v1alpha1.DeliveryState) *v1alpha1.Notification {
	n := &v1alpha1.Notification{}
	n.CreationTimestamp = metav1.NewTime(t0)
	n.Spec.Type = "RiskOutbreak"
	n.Spec.Deliveries = []v1alpha1.Delivery{
		{Channel: "mail"}, {Channel: "chat"}, {Channel: "sms", FallbackFor: []string{"mail", "chat"}},
		{Channel: "pager", FallbackFor: []string{"sms"}},
	}
	for _, channel := range []string{"mail", "chat", "sms", "pager"} {
		if state := states[channel]; state != "" {
			d := v1alpha1.DeliveryStatus{Channel: channel, State: state}
			if outbox.Final(state) {
				d.FinishedTime = after(time.Hour)
			}
			n.Status.Deliveries = append(n.Status.Deliveries, d)
		}
	}
	return n
}

type states = map[string]v1alpha1.DeliveryState

const (
	waiting    = v1alpha1.DeliveryPending
	retrying   = v1alpha1.DeliveryRetrying
	delivered  = v1alpha1.DeliveryDelivered
	partly     = v1alpha1.DeliveryPartlyDelivered
	failed     = v1alpha1.DeliveryFailed
	suppressed = v1alpha1.DeliverySuppressed
	notNeeded  = v1alpha1.DeliveryNotNeeded
	standby    = v1alpha1.DeliveryStandby
)

// TestTurn: a fallback steps in as soon as one of its channels has failed, and is not needed once none of them can any more.
func TestTurn(t *testing.T) {
	t.Parallel()
	turn := outbox.Decision{}
	for name, tc := range map[string]struct {
		states  states
		channel string
		want    outbox.Decision
		since   time.Duration
	}{
		"a channel of the condition":       {states{}, "mail", turn, 0},
		"one that has delivered":           {states{"mail": delivered}, "mail", outbox.Decision{Verb: outbox.Done}, 0},
		"a fallback that has stepped in":   {states{"mail": failed, "sms": retrying}, "sms", turn, time.Hour},
		"one of its channels has failed":   {states{"mail": failed, "chat": waiting}, "sms", turn, time.Hour},
		"the other has":                    {states{"mail": delivered, "chat": failed}, "sms", turn, time.Hour},
		"the fallback's fallback":          {states{"mail": failed, "sms": failed}, "pager", turn, time.Hour},
		"a fallback that was not needed":   {states{"mail": delivered, "sms": notNeeded}, "sms", outbox.Decision{Verb: outbox.Done}, 0},
		"nothing is known of its channels": {states{}, "sms", waits("steps in should mail or chat reach nobody"), 0},
		"one of them is under way":         {states{"mail": delivered, "chat": retrying}, "sms", waits("steps in should chat reach nobody"), 0},
		"the fallback itself stands by":    {states{"sms": standby}, "pager", waits("steps in should sms reach nobody"), 0},
		"all have delivered, one in part":  {states{"mail": delivered, "chat": partly}, "sms", skipped("mail and chat did not fail"), 0},
		"one was held back by its limit":   {states{"mail": suppressed, "chat": delivered}, "sms", skipped("mail and chat did not fail"), 0},
		"the fallback is not needed, so its own is not": {
			states{"mail": delivered, "chat": delivered, "sms": notNeeded}, "pager", skipped("sms did not fail"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := told(tc.states)
			got, since := outbox.Turn(n, outbox.Find(n.Status.Deliveries, tc.channel))
			check(t, "decision", got, tc.want)
			check(t, "since", since, t0.Add(tc.since))
		})
	}
}

func waits(message string) outbox.Decision {
	return outbox.Decision{Verb: outbox.StandBy, Reason: "Standby", Message: message}
}

func skipped(message string) outbox.Decision {
	return outbox.Decision{Verb: outbox.Skip, Reason: "NotNeeded", Message: message}
}

// TestSuppressed: what the limit holds back is final, and its number only grows.
func TestSuppressed(t *testing.T) {
	t.Parallel()
	n := told(nil)
	n.Spec.Deliveries[0].Limit = &v1alpha1.LimitPlace{
		Since: metav1.NewTime(t0.Add(-time.Minute)), Until: metav1.NewTime(t0.Add(59 * time.Minute)), Count: 20,
	}
	d := outbox.Find(nil, "mail")
	decision, _ := outbox.Turn(n, d)
	check(t, "decision", decision, outbox.Decision{
		Verb: outbox.Suppress, Reason: "LimitReached",
		Message: "the channel's limit of 20 in 1h is used up until 2026-11-22T08:59:00Z; a digest will sum up what it holds back",
	})
	d = outbox.Suppressed(d, decision, nil, t0)
	check(t, "state", d.State, suppressed)
	check(t, "finished", d.FinishedTime, after(0))
	five := &v1alpha1.Suppression{Count: 5}
	d = outbox.Suppressed(d, decision, five, t0.Add(time.Minute))
	d = outbox.Suppressed(d, decision, &v1alpha1.Suppression{Count: 4}, t0.Add(time.Minute))
	d = outbox.Suppressed(d, decision, nil, t0.Add(time.Minute))
	check(t, "it speaks for", d.Suppressed, five)
	check(t, "finished", d.FinishedTime, after(0))
	n.Status.Deliveries = outbox.Put(n.Status.Deliveries, d)
	again, _ := outbox.Turn(n, d)
	check(t, "decision, once it is recorded", again, decision)
}

// TestLimits: a place in the limit is taken when the notification is decided, save for what is decided later.
func TestLimits(t *testing.T) {
	t.Parallel()
	n := told(states{"mail": failed})
	test := &v1alpha1.Notification{}
	test.Spec.Type = v1alpha1.NotificationTypeTest
	check(t, "a channel of the condition", outbox.Limits(n, outbox.Find(nil, "mail")), false)
	check(t, "a fallback", outbox.Limits(n, outbox.Find(nil, "sms")), true)
	check(t, "a test", outbox.Limits(test, outbox.Find(nil, "mail")), true)
	check(t, "one that has its place", outbox.Limits(n, v1alpha1.DeliveryStatus{Channel: "sms", Limit: &v1alpha1.LimitPlace{}}), false)
	check(t, "one that was tried", outbox.Limits(test, v1alpha1.DeliveryStatus{Channel: "mail", AttemptCount: 1}), false)
	digest := told(states{"mail": failed})
	digest.Spec.Digest = &v1alpha1.Digest{}
	check(t, "a digest through a fallback", outbox.Limits(digest, outbox.Find(nil, "sms")), false)

	place := &v1alpha1.LimitPlace{Since: metav1.NewTime(t0), Until: *after(time.Hour), Count: 1}
	refused := outbox.Refused(outbox.Find(nil, "sms"), n.Spec.Type, place, t0)
	check(t, "refused", refused.State, suppressed)
	tried := outbox.Refused(outbox.Find(nil, "mail"), test.Spec.Type, place, t0)
	check(t, "what a test says", tried.Message,
		"the channel's limit of 1 in 1h is used up until 2026-11-22T09:00:00Z; a test counts as any other notification: try again then")
	n.Status.Deliveries = outbox.Put(n.Status.Deliveries, refused)
	decision, since := outbox.Turn(n, outbox.Find(n.Status.Deliveries, "pager"))
	check(t, "the fallback of a fallback that had no place", decision, outbox.Decision{})
	check(t, "since", since, t0)
	n.Status.Deliveries = outbox.Put(n.Status.Deliveries, v1alpha1.DeliveryStatus{Channel: "pager", State: delivered})
	n.Status.Deliveries = outbox.Put(n.Status.Deliveries, v1alpha1.DeliveryStatus{Channel: "chat", State: delivered})
	check(t, "outcome", outbox.Summarize(&n.Spec, n.Status.Deliveries).Reason, "Delivered")
}

// TestSummaryWithFallbacks: what a fallback delivers is delivered.
func TestSummaryWithFallbacks(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		states states
		want   string
	}{
		"no channel failed":                       {states{"mail": delivered, "chat": delivered, "sms": notNeeded, "pager": notNeeded}, "True Delivered"},
		"the fallback reached somebody":           {states{"mail": failed, "chat": delivered, "sms": delivered, "pager": notNeeded}, "True Delivered"},
		"the fallback's fallback did":             {states{"mail": failed, "chat": failed, "sms": failed, "pager": partly}, "False PartlyDelivered"},
		"all failed":                              {states{"mail": failed, "chat": failed, "sms": failed, "pager": failed}, "False Failed"},
		"the fallback is under way":               {states{"mail": failed, "chat": delivered, "sms": retrying, "pager": standby}, "Unknown Retrying"},
		"the fallback has no place in its limit":  {states{"mail": failed, "chat": failed, "sms": suppressed, "pager": notNeeded}, "False Failed"},
		"the limits of all were used up":          {states{"mail": suppressed, "chat": suppressed, "sms": notNeeded, "pager": notNeeded}, "False Suppressed"},
		"that of one was, the other delivered":    {states{"mail": suppressed, "chat": delivered, "sms": notNeeded, "pager": notNeeded}, "True Delivered"},
		"that of one was, the other reached some": {states{"mail": suppressed, "chat": partly, "sms": notNeeded, "pager": notNeeded}, "False PartlyDelivered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := told(tc.states)
			outcome := outbox.Summarize(&n.Spec, n.Status.Deliveries)
			check(t, "outcome", string(outcome.Status)+" "+outcome.Reason, tc.want)
		})
	}
}

// TestPatienceWithFallback: a channel for which another stands by is tried for a quarter of an hour, if it does not say, also
// if it does not exist.
func TestPatienceWithFallback(t *testing.T) {
	t.Parallel()
	n := told(nil)
	check(t, "mail has a fallback", outbox.HasFallback(&n.Spec, "mail"), true)
	check(t, "the pager has none", outbox.HasFallback(&n.Spec, "pager"), false)
	d := v1alpha1.DeliveryStatus{State: waiting}
	for name, channel := range map[string]*v1alpha1.NotificationChannel{"ready": ready(), "none": nil} {
		before := outbox.Next(d, channel, true, t0, t0.Add(15*time.Minute-1)).Verb
		if before != outbox.Send && before != outbox.Hold {
			t.Errorf("%s: %s before its time is over", name, before)
		}
		check(t, name, outbox.Next(d, channel, true, t0, t0.Add(15*time.Minute)).Verb, outbox.Expire)
	}
	patient := but(func(c *v1alpha1.NotificationChannel) { c.Spec.Retry = &v1alpha1.RetryPolicy{For: "2h"} })
	check(t, "as it says", outbox.Next(d, patient, true, t0, t0.Add(time.Hour)).Verb, outbox.Send)
}

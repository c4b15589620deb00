// SPDX-License-Identifier: Apache-2.0

package outbox_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/outbox"
)

const (
	pending  = v1alpha1.RecipientPending
	accepted = v1alpha1.RecipientAccepted
	refused  = v1alpha1.RecipientRefused
)

// to are recipients a, b, c, in these states.
func to(states ...v1alpha1.RecipientState) []v1alpha1.RecipientStatus {
	var list []v1alpha1.RecipientStatus
	for i, s := range states {
		list = append(list, v1alpha1.RecipientStatus{Address: string(rune('a'+i)) + "@example.com", State: s})
	}
	return list
}

// sending is a delivery to a, b and c during its first attempt, a minute after t0.
func sending() v1alpha1.DeliveryStatus {
	return outbox.Begin(v1alpha1.DeliveryStatus{Channel: "soc-mail", State: v1alpha1.DeliveryPending},
		[]string{"a@example.com", "b@example.com", "c@example.com"}, "id@example.com", "3-a", t0.Add(time.Minute))
}

func said(address string, state notify.RecipientState, code int) notify.Recipient {
	return notify.Recipient{Address: address + "@example.com", State: state, Code: code, EnhancedCode: "5.1.1", Response: "so"}
}

func answered(r v1alpha1.RecipientStatus, state v1alpha1.RecipientState, code int32) v1alpha1.RecipientStatus {
	r.State, r.Code, r.EnhancedCode, r.Response = state, code, "5.1.1", "so"
	return r
}

// TestBegin: that an attempt starts is recorded before anything is sent.
func TestBegin(t *testing.T) {
	t.Parallel()
	first := v1alpha1.DeliveryStatus{
		Channel: "soc-mail", State: v1alpha1.DeliverySending, Reason: "Sending", MessageID: "id@example.com", ChannelRevision: "3-a",
		AttemptCount: 1, Recipients: to(pending, pending, pending),
		Attempts: []v1alpha1.Attempt{{Number: 1, StartTime: *after(time.Minute)}},
	}
	t.Run("the first attempt: all are to be told", func(t *testing.T) {
		t.Parallel()
		check(t, "delivery", sending(), first)
	})
	t.Run("the next one: who was accepted is not asked again, whoever the recipients are now", func(t *testing.T) {
		t.Parallel()
		d := first
		d.State, d.Reason, d.Message, d.NextAttemptTime = v1alpha1.DeliveryRetrying, "Deferred", "450 later", after(time.Hour)
		d.Recipients = to(accepted, pending, refused)
		d.Attempts = []v1alpha1.Attempt{{Number: 1, StartTime: *after(time.Minute), EndTime: after(2 * time.Minute), Reason: "Deferred"}}
		want := d
		want.State, want.Reason, want.Message, want.NextAttemptTime = v1alpha1.DeliverySending, "Sending", "", nil
		want.AttemptCount, want.ChannelRevision = 2, "4-a"
		want.Attempts = append(want.Attempts[:1:1], v1alpha1.Attempt{Number: 2, StartTime: *after(time.Hour)})
		got := outbox.Begin(d, []string{"x@example.com"}, "id@example.com", "4-a", t0.Add(time.Hour))
		check(t, "delivery", got, want)
		check(t, "pending", outbox.Pending(got), []string{"b@example.com"})
	})
	t.Run("after an attempt that never ended: it says so", func(t *testing.T) {
		t.Parallel()
		got := outbox.Begin(sending(), nil, "id@example.com", "3-a", t0.Add(time.Hour))
		want := first
		want.AttemptCount = 2
		want.Attempts = []v1alpha1.Attempt{
			{
				Number: 1, StartTime: *after(time.Minute), Reason: "Interrupted",
				Message: "the manager stopped during this attempt; it may or may not have been sent",
			},
			{Number: 2, StartTime: *after(time.Hour)},
		}
		check(t, "delivery", got, want)
	})
	t.Run("an address that is listed twice is told once", func(t *testing.T) {
		t.Parallel()
		got := outbox.Begin(v1alpha1.DeliveryStatus{}, []string{"a@example.com", "b@example.com", "a@example.com"}, "", "", t0)
		check(t, "recipients", got.Recipients, to(pending, pending))
	})
	t.Run("the latest ten attempts are kept, and all are counted", func(t *testing.T) {
		t.Parallel()
		d := v1alpha1.DeliveryStatus{State: v1alpha1.DeliveryPending}
		for i := range 25 {
			d = outbox.Begin(d, []string{"a@example.com"}, "", "", t0.Add(time.Duration(i)*time.Minute))
			d = outbox.Finish(d, notify.Result{Reason: notify.ReasonTimeout, Temporary: true}, nil, 0, t0)
		}
		var numbers []int32
		for _, a := range d.Attempts {
			numbers = append(numbers, a.Number)
		}
		check(t, "numbers", numbers, []int32{16, 17, 18, 19, 20, 21, 22, 23, 24, 25})
		check(t, "count", d.AttemptCount, 25)
	})
}

// TestFinish: how an attempt ended, five minutes after t0.
func TestFinish(t *testing.T) {
	t.Parallel()
	abc := to(pending, pending, pending)
	a, b, c := abc[0], abc[1], abc[2]
	for name, tc := range map[string]struct {
		result     notify.Result
		retry      *v1alpha1.RetryPolicy
		jitter     float64
		state      v1alpha1.DeliveryState
		recipients []v1alpha1.RecipientStatus
		// next is when it is tried again; 0 if never
		next time.Duration
	}{
		"accepted for all": {
			result: notify.Result{Reason: notify.ReasonAccepted, Recipients: []notify.Recipient{
				said("a", notify.Accepted, 250), said("b", notify.Accepted, 250), said("c", notify.Accepted, 250),
			}},
			state:      v1alpha1.DeliveryDelivered,
			recipients: []v1alpha1.RecipientStatus{answered(a, accepted, 250), answered(b, accepted, 250), answered(c, accepted, 250)},
		},
		"accepted for some, refused for good for others": {
			result: notify.Result{Reason: notify.ReasonPartlyRefused, Recipients: []notify.Recipient{
				said("a", notify.Accepted, 250), said("b", notify.Refused, 550), said("c", notify.Refused, 550),
			}},
			state:      v1alpha1.DeliveryPartlyDelivered,
			recipients: []v1alpha1.RecipientStatus{answered(a, accepted, 250), answered(b, refused, 550), answered(c, refused, 550)},
		},
		"refused for good for all": {
			result: notify.Result{Reason: notify.ReasonRefused, Recipients: []notify.Recipient{
				said("a", notify.Refused, 550), said("b", notify.Refused, 550), said("c", notify.Refused, 550),
			}},
			state:      v1alpha1.DeliveryFailed,
			recipients: []v1alpha1.RecipientStatus{answered(a, refused, 550), answered(b, refused, 550), answered(c, refused, 550)},
		},
		"accepted, refused, and not now: only the last is tried again": {
			result: notify.Result{Reason: notify.ReasonPartlyDeferred, Temporary: true, Recipients: []notify.Recipient{
				said("a", notify.Accepted, 250), said("b", notify.Refused, 550), said("c", notify.Deferred, 450),
			}},
			jitter: 0.5, state: v1alpha1.DeliveryRetrying, next: 5*time.Minute + 30*time.Second,
			recipients: []v1alpha1.RecipientStatus{answered(a, accepted, 250), answered(b, refused, 550), answered(c, pending, 450)},
		},
		"nobody was asked, and it may work later": {
			result: notify.Result{Reason: notify.ReasonConnectionRefused, Temporary: true},
			jitter: 0.5, state: v1alpha1.DeliveryRetrying, next: 5*time.Minute + 30*time.Second, recipients: abc,
		},
		"with an interval of the channel's own": {
			result: notify.Result{Reason: notify.ReasonTimeout, Temporary: true}, retry: &v1alpha1.RetryPolicy{Interval: "10m"},
			jitter: 0.5, state: v1alpha1.DeliveryRetrying, next: 15 * time.Minute, recipients: abc,
		},
		"with a policy that says nothing about it": {
			result: notify.Result{Reason: notify.ReasonTimeout, Temporary: true}, retry: &v1alpha1.RetryPolicy{For: "1h"},
			jitter: 0.5, state: v1alpha1.DeliveryRetrying, next: 5*time.Minute + 30*time.Second, recipients: abc,
		},
		"with jitter": {
			result: notify.Result{Reason: notify.ReasonTimeout, Temporary: true},
			jitter: 0, state: v1alpha1.DeliveryRetrying, next: 5*time.Minute + 27*time.Second, recipients: abc,
		},
		"nobody was asked, and it never can work: that is so for all": {
			result: notify.Result{Reason: notify.ReasonInvalidMessage}, state: v1alpha1.DeliveryFailed,
			recipients: to(refused, refused, refused),
		},
		"the message was refused after some recipients had been named": {
			result: notify.Result{Reason: notify.ReasonMessageRefused, Recipients: []notify.Recipient{said("a", notify.Refused, 554)}},
			state:  v1alpha1.DeliveryFailed, recipients: []v1alpha1.RecipientStatus{
				answered(a, refused, 554), to(refused, refused, refused)[1], to(refused, refused, refused)[2],
			},
		},
		"deferred, but the server will not hear of it again": {
			result: notify.Result{Reason: notify.ReasonSenderRefused, Recipients: []notify.Recipient{said("a", notify.Deferred, 450)}},
			state:  v1alpha1.DeliveryFailed, recipients: []v1alpha1.RecipientStatus{
				answered(a, refused, 450), to(refused, refused, refused)[1], to(refused, refused, refused)[2],
			},
		},
		"an answer about somebody else is none": {
			result: notify.Result{
				Reason: notify.ReasonDeferred, Temporary: true,
				Recipients: []notify.Recipient{said("x", notify.Accepted, 250)},
			},
			jitter: 0.5, state: v1alpha1.DeliveryRetrying, next: 5*time.Minute + 30*time.Second, recipients: abc,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.result.Message, tc.result.Server, tc.result.TLS = "so it ended", "mx.example.com:25", "TLS 1.3"
			tc.result.Verified, tc.result.QueueID = notify.VerifiedByCA, "4XyZk91Q2bz1"
			before := sending()
			got := outbox.Finish(before, tc.result, tc.retry, tc.jitter, t0.Add(5*time.Minute))
			want := before
			want.State, want.Reason, want.Message, want.Recipients = tc.state, string(tc.result.Reason), "so it ended", tc.recipients
			want.Attempts = []v1alpha1.Attempt{{
				Number: 1, StartTime: *after(time.Minute), EndTime: after(5 * time.Minute), Reason: string(tc.result.Reason),
				Message: "so it ended", Server: "mx.example.com:25", TLS: "TLS 1.3", Verified: "CA", QueueID: "4XyZk91Q2bz1",
			}}
			if tc.next > 0 {
				want.NextAttemptTime = after(tc.next)
			} else {
				want.FinishedTime = after(5 * time.Minute)
			}
			check(t, "delivery", got, want)
			check(t, "the delivery before is left alone", before, sending())
		})
	}
	t.Run("what was accepted or refused before is not asked about, and stays", func(t *testing.T) {
		t.Parallel()
		d := sending()
		d.Recipients = to(accepted, refused, pending)
		got := outbox.Finish(d, notify.Result{Reason: notify.ReasonRefused, Recipients: []notify.Recipient{
			said("a", notify.Refused, 550), said("b", notify.Accepted, 250), said("c", notify.Refused, 550),
		}}, nil, 0, t0)
		check(t, "recipients", got.Recipients,
			[]v1alpha1.RecipientStatus{to(accepted)[0], to(accepted, refused)[1], answered(c, refused, 550)})
		check(t, "state", got.State, v1alpha1.DeliveryPartlyDelivered)
	})
	t.Run("each further attempt waits twice as long", func(t *testing.T) {
		t.Parallel()
		d, waits := sending(), []string{}
		for range 8 {
			d = outbox.Finish(d, notify.Result{Reason: notify.ReasonTimeout, Temporary: true}, nil, 0.5, t0)
			waits = append(waits, d.NextAttemptTime.Sub(t0).String())
			d = outbox.Begin(d, nil, "", "", t0)
		}
		check(t, "waits", waits, []string{"30s", "1m0s", "2m0s", "4m0s", "8m0s", "16m0s", "30m0s", "30m0s"})
	})
	t.Run("a long reply is cut, and cut shorter where there are many, so that all of them can be stored", func(t *testing.T) {
		t.Parallel()
		for recipients, room := range map[int]int{1: 512, 20: 512, 21: 128, 100: 128} {
			var all []string
			result := notify.Result{Reason: notify.ReasonAccepted}
			for i := range recipients {
				all = append(all, fmt.Sprintf("%d@example.com", i))
				result.Recipients = append(result.Recipients, notify.Recipient{
					Address: all[i], State: notify.Accepted, Response: strings.Repeat("x", 2000),
				})
			}
			got := outbox.Finish(outbox.Begin(v1alpha1.DeliveryStatus{}, all, "", "", t0), result, nil, 0, t0)
			for _, r := range got.Recipients {
				if len(r.Response) != room {
					t.Errorf("%d recipients: %d bytes, want %d", recipients, len(r.Response), room)
				}
			}
		}
	})
	t.Run("a long message is cut to what the API admits", func(t *testing.T) {
		t.Parallel()
		got := outbox.Finish(sending(),
			notify.Result{Reason: notify.ReasonTimeout, Temporary: true, Message: strings.Repeat("ä", 2000)}, nil, 0, t0)
		if n := len(got.Message); n > 1024 || n < 1000 || got.Attempts[0].Message != got.Message {
			t.Errorf("%d bytes, and %d in the attempt", n, len(got.Attempts[0].Message))
		}
	})
}

// TestHeld: it waits for its channel.
func TestHeld(t *testing.T) {
	t.Parallel()
	decision := outbox.Decision{Verb: outbox.Hold, Reason: "ChannelSuspended", Message: "the channel is suspended"}
	t.Run("before the first attempt", func(t *testing.T) {
		t.Parallel()
		check(t, "delivery", outbox.Held(v1alpha1.DeliveryStatus{Channel: "c", State: v1alpha1.DeliveryPending}, decision),
			v1alpha1.DeliveryStatus{Channel: "c", State: v1alpha1.DeliveryPending, Reason: decision.Reason, Message: decision.Message})
	})
	t.Run("between two attempts: what is known of them stays", func(t *testing.T) {
		t.Parallel()
		d := outbox.Finish(sending(), notify.Result{Reason: notify.ReasonTimeout, Temporary: true}, nil, 0, t0)
		want := d
		want.State, want.NextAttemptTime = v1alpha1.DeliveryPending, nil
		want.Reason, want.Message = "ChannelSuspended", "the channel is suspended"
		check(t, "delivery", outbox.Held(d, decision), want)
	})
	t.Run("after an attempt that never ended: it says so, once", func(t *testing.T) {
		t.Parallel()
		got := outbox.Held(sending(), decision)
		check(t, "state", got.State, v1alpha1.DeliveryPending)
		check(t, "attempt", got.Attempts[0].Reason, "Interrupted")
		check(t, "held again", outbox.Held(got, decision), got)
	})
	t.Run("a long message is cut", func(t *testing.T) {
		t.Parallel()
		got := outbox.Held(sending(), outbox.Decision{Message: strings.Repeat("x", 5000)})
		check(t, "length", len(got.Message), 1024)
	})
}

// TestExpired: its time is over; what was accepted stays accepted.
func TestExpired(t *testing.T) {
	t.Parallel()
	decision := outbox.Decision{Verb: outbox.Expire, Reason: "Expired", Message: "not delivered within 1h"}
	for name, tc := range map[string]struct {
		recipients []v1alpha1.RecipientStatus
		want       v1alpha1.DeliveryState
	}{
		"nobody was told":            {to(pending, pending), v1alpha1.DeliveryFailed},
		"somebody was told":          {to(accepted, pending), v1alpha1.DeliveryPartlyDelivered},
		"nobody was to be told ever": {nil, v1alpha1.DeliveryFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := sending()
			d.State, d.Recipients, d.NextAttemptTime = v1alpha1.DeliveryRetrying, tc.recipients, after(time.Hour)
			want := d
			want.State, want.Reason, want.Message = tc.want, "Expired", "not delivered within 1h"
			want.NextAttemptTime, want.FinishedTime = nil, after(time.Hour)
			check(t, "delivery", outbox.Expired(d, decision, t0.Add(time.Hour)), want)
		})
	}
	t.Run("during an attempt that never ended: it says so", func(t *testing.T) {
		t.Parallel()
		got := outbox.Expired(sending(), decision, t0.Add(time.Hour))
		check(t, "attempt", got.Attempts[0].Reason, "Interrupted")
	})
}

// TestPending: whom an attempt still has to tell.
func TestPending(t *testing.T) {
	t.Parallel()
	check(t, "some", outbox.Pending(v1alpha1.DeliveryStatus{Recipients: to(accepted, pending, refused, pending)}),
		[]string{"b@example.com", "d@example.com"})
	check(t, "none", outbox.Pending(v1alpha1.DeliveryStatus{Recipients: to(accepted, refused)}), nil)
	check(t, "not begun", outbox.Pending(v1alpha1.DeliveryStatus{}), nil)
}

func describe(d v1alpha1.DeliveryStatus) string {
	return fmt.Sprintf("%s, %d pending, attempt %d", d.State, len(outbox.Pending(d)), d.AttemptCount)
}

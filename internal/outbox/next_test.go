// SPDX-License-Identifier: Apache-2.0

package outbox_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/outbox"
	"github.com/tocsin-dev/tocsin/internal/status"
)

var decided = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// channel is one that can be used, changed as a case wants it.
func channel(change func(*v1alpha1.NotificationChannel)) *v1alpha1.NotificationChannel {
	c := &v1alpha1.NotificationChannel{
		ObjectMeta: metav1.ObjectMeta{Name: "mail", Generation: 2},
		Spec:       v1alpha1.NotificationChannelSpec{Type: v1alpha1.ChannelEmail, Retry: &v1alpha1.RetryPolicy{For: "1h"}},
		Status:     v1alpha1.NotificationChannelStatus{ObservedGeneration: 2, Revision: "2-7"},
	}
	status.SetReady(&c.Status.Conditions, 2, status.Verdict{Ready: true, Reason: "Ready", Message: "fine"})
	if change != nil {
		change(c)
	}
	return c
}

func at(after time.Duration) *metav1.Time {
	t := metav1.NewTime(decided.Add(after))
	return &t
}

func TestNext(t *testing.T) {
	t.Parallel()
	pending := v1alpha1.DeliveryStatus{Channel: "mail", State: v1alpha1.DeliveryPending}
	retrying := v1alpha1.DeliveryStatus{
		Channel: "mail", State: v1alpha1.DeliveryRetrying, NextAttemptTime: at(10 * time.Minute), ChannelRevision: "2-7",
		Message: "451 later",
	}
	for name, tc := range map[string]struct {
		delivery v1alpha1.DeliveryStatus
		channel  *v1alpha1.NotificationChannel
		after    time.Duration
		verb     outbox.Verb
		at       time.Duration
		reason   string
		message  string
	}{
		"a new delivery is sent":                {pending, channel(nil), 0, outbox.Send, 0, "", ""},
		"one that waits is not sent early":      {retrying, channel(nil), 9 * time.Minute, outbox.Wait, 10 * time.Minute, "", ""},
		"one that waits is sent when it is due": {retrying, channel(nil), 10 * time.Minute, outbox.Send, 0, "", ""},
		"one that waits is sent at once when the channel has changed": {
			retrying, channel(func(c *v1alpha1.NotificationChannel) { c.Status.Revision = "3-7" }), time.Minute, outbox.Send, 0, "", ""},
		"one that the manager stopped in the midst of is sent again": {
			v1alpha1.DeliveryStatus{Channel: "mail", State: v1alpha1.DeliverySending}, channel(nil), time.Minute, outbox.Send, 0, "", ""},
		"without its channel it is held until its end": {
			pending, nil, time.Minute, outbox.Hold, outbox.DefaultFor, outbox.ReasonChannelNotFound, `"mail" does not exist`},
		"a suspended channel holds it": {
			pending, channel(func(c *v1alpha1.NotificationChannel) { c.Spec.Suspend = true }), 0, outbox.Hold, time.Hour,
			outbox.ReasonChannelSuspended, "suspended"},
		"a channel that is not checked yet holds it": {
			pending, channel(func(c *v1alpha1.NotificationChannel) { c.Generation = 3 }), 0, outbox.Hold, time.Hour,
			outbox.ReasonChannelNotReady, "is being checked"},
		"a channel that is not ready holds it, and says why": {
			pending, channel(func(c *v1alpha1.NotificationChannel) {
				status.SetReady(&c.Status.Conditions, 2, status.Verdict{Reason: "SecretNotFound", Message: "no Secret"})
			}), 0, outbox.Hold, time.Hour, outbox.ReasonChannelNotReady, "no Secret"},
		"when its time is over it expires, and tells the last cause": {
			retrying, channel(nil), time.Hour, outbox.Expire, 0, outbox.ReasonExpired, "not delivered within 1h; last: 451 later"},
		"it expires although its channel holds it": {
			pending, nil, outbox.DefaultFor, outbox.Expire, 0, outbox.ReasonExpired, "not delivered within 24h"},
		"the next attempt is not waited for beyond the end": {
			v1alpha1.DeliveryStatus{State: v1alpha1.DeliveryRetrying, NextAttemptTime: at(2 * time.Hour), ChannelRevision: "2-7"},
			channel(nil), time.Minute, outbox.Wait, time.Hour, "", ""},
		"what is delivered is done": {
			v1alpha1.DeliveryStatus{State: v1alpha1.DeliveryDelivered}, channel(nil), 48 * time.Hour, outbox.Done, 0, "", ""},
		"what has failed is done": {
			v1alpha1.DeliveryStatus{State: v1alpha1.DeliveryFailed}, nil, 0, outbox.Done, 0, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := outbox.Next(tc.delivery, tc.channel, decided, decided.Add(tc.after))
			if got.Verb != tc.verb || got.Reason != tc.reason || !strings.Contains(got.Message, tc.message) {
				t.Errorf("Next() = %+v, want %s %s %q", got, tc.verb, tc.reason, tc.message)
			}
			if tc.at > 0 && !got.At.Equal(decided.Add(tc.at)) {
				t.Errorf("at %s, want %s", got.At, decided.Add(tc.at))
			}
		})
	}
}

func answer(reason notify.Reason, states map[string]notify.RecipientState) notify.Result {
	r := notify.Result{Reason: reason, Temporary: reason.Temporary(), Message: "said so", Server: "mx:25", TLS: "TLS 1.3"}
	for _, address := range []string{"a@x", "b@x"} {
		if state, ok := states[address]; ok {
			r.Recipients = append(r.Recipients, notify.Recipient{Address: address, State: state, Code: 250})
		}
	}
	return r
}

func TestFinish(t *testing.T) {
	t.Parallel()
	type states = map[string]notify.RecipientState
	for name, tc := range map[string]struct {
		result  notify.Result
		want    v1alpha1.DeliveryState
		pending []string
	}{
		"accepted for all":             {answer(notify.ReasonAccepted, states{"a@x": notify.Accepted, "b@x": notify.Accepted}), v1alpha1.DeliveryDelivered, nil},
		"refused for one":              {answer(notify.ReasonPartlyRefused, states{"a@x": notify.Accepted, "b@x": notify.Refused}), v1alpha1.DeliveryPartlyDelivered, nil},
		"refused for all":              {answer(notify.ReasonRefused, states{"a@x": notify.Refused, "b@x": notify.Refused}), v1alpha1.DeliveryFailed, nil},
		"deferred for one":             {answer(notify.ReasonPartlyDeferred, states{"a@x": notify.Accepted, "b@x": notify.Deferred}), v1alpha1.DeliveryRetrying, []string{"b@x"}},
		"no server reached":            {answer(notify.ReasonConnectionRefused, nil), v1alpha1.DeliveryRetrying, []string{"a@x", "b@x"}},
		"the answer was lost":          {answer(notify.ReasonUnknown, nil), v1alpha1.DeliveryRetrying, []string{"a@x", "b@x"}},
		"the message refused for good": {answer(notify.ReasonMessageRefused, nil), v1alpha1.DeliveryFailed, nil},
		"nothing that could be sent":   {answer(notify.ReasonInvalidMessage, nil), v1alpha1.DeliveryFailed, nil},
		"a login that may be mended":   {answer(notify.ReasonAuthenticationFailed, nil), v1alpha1.DeliveryRetrying, []string{"a@x", "b@x"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := outbox.Begin(v1alpha1.DeliveryStatus{Channel: "mail"}, []string{"a@x", "b@x", "a@x"}, "id@x", "2-7", decided)
			got := outbox.Finish(begun, tc.result, &v1alpha1.RetryPolicy{Interval: "1m"}, 0.5, decided.Add(time.Second))
			if got.State != tc.want {
				t.Errorf("state is %s, want %s", got.State, tc.want)
			}
			if diff := cmp.Diff(tc.pending, outbox.Pending(got)); diff != "" {
				t.Error("pending (-want +got):", diff)
			}
			if waits := got.NextAttemptTime != nil; waits != (tc.want == v1alpha1.DeliveryRetrying) || waits == outbox.Final(got.State) {
				t.Errorf("next attempt is %v in state %s", got.NextAttemptTime, got.State)
			}
			if waits := got.NextAttemptTime; waits != nil && waits.Sub(decided) != time.Minute+time.Second {
				t.Errorf("waits until %s, want a minute after the attempt", waits)
			}
			last := got.Attempts[len(got.Attempts)-1]
			if last.EndTime == nil || last.Reason != string(tc.result.Reason) || last.Server != "mx:25" || last.TLS != "TLS 1.3" {
				t.Errorf("the attempt is recorded as %+v", last)
			}
			if begun.Attempts[0].EndTime != nil {
				t.Error("Finish changed what it was given")
			}
		})
	}
}

func TestInterruptedAttemptIsMarkedWhateverComesNext(t *testing.T) {
	t.Parallel()
	begun := outbox.Begin(v1alpha1.DeliveryStatus{Channel: "mail"}, []string{"a@x"}, "id@x", "2-7", decided)
	for name, next := range map[string]v1alpha1.DeliveryStatus{
		"another attempt": outbox.Begin(begun, []string{"a@x"}, "id@x", "2-7", decided.Add(time.Minute)),
		"waiting":         outbox.Held(begun, outbox.Decision{Reason: outbox.ReasonChannelNotFound, Message: "gone"}),
		"the end":         outbox.Expired(begun, outbox.Decision{Reason: outbox.ReasonExpired, Message: "over"}, decided.Add(time.Hour)),
	} {
		if got := next.Attempts[0]; got.Reason != outbox.ReasonInterrupted || got.EndTime != nil {
			t.Errorf("%s: the first attempt is %+v", name, got)
		}
	}
	if begun.Attempts[0].Reason != "" {
		t.Error("what was given has changed")
	}
}

// Whatever servers say: final states stay, recipients are only ever told once, and what is kept is bounded.
func TestDeliveriesWhateverServersSay(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 500 {
		d := v1alpha1.DeliveryStatus{Channel: "mail"}
		accepted := map[string]bool{}
		for range 30 {
			if outbox.Final(d.State) {
				break
			}
			d = outbox.Begin(d, []string{"a@x", "b@x"}, "id@x", "1", decided)
			reasons := notify.Reasons()
			states := map[string]notify.RecipientState{}
			for _, address := range outbox.Pending(d) {
				if accepted[address] {
					t.Fatalf("seed %d: %s was accepted and is told again", seed, address)
				}
				states[address] = []notify.RecipientState{notify.Accepted, notify.Deferred, notify.Deferred, notify.Refused}[random.IntN(4)]
				accepted[address] = states[address] == notify.Accepted
			}
			d = outbox.Finish(d, answer(reasons[random.IntN(len(reasons))], states), nil, random.Float64(), decided)
			if len(d.Attempts) > 10 {
				t.Fatalf("seed %d: %d attempts are kept", seed, len(d.Attempts))
			}
		}
	}
}

func TestSummarize(t *testing.T) {
	t.Parallel()
	deliveries := func(states ...v1alpha1.DeliveryState) (*v1alpha1.NotificationSpec, []v1alpha1.DeliveryStatus) {
		spec, list := &v1alpha1.NotificationSpec{}, []v1alpha1.DeliveryStatus(nil)
		for i, state := range states {
			name := fmt.Sprintf("c%d", i)
			spec.Deliveries = append(spec.Deliveries, v1alpha1.Delivery{Channel: name})
			list = append(list, v1alpha1.DeliveryStatus{Channel: name, State: state})
		}
		return spec, list
	}
	for name, tc := range map[string]struct {
		states []v1alpha1.DeliveryState
		status metav1.ConditionStatus
		reason string
	}{
		"no channel":                  {nil, metav1.ConditionTrue, v1alpha1.ReasonLogged},
		"all delivered":               {[]v1alpha1.DeliveryState{"Delivered", "Delivered"}, metav1.ConditionTrue, v1alpha1.ReasonDelivered},
		"one still to be tried again": {[]v1alpha1.DeliveryState{"Delivered", "Retrying", "Pending"}, metav1.ConditionUnknown, v1alpha1.ReasonRetrying},
		"one under way":               {[]v1alpha1.DeliveryState{"Retrying", "Sending", "Failed"}, metav1.ConditionUnknown, v1alpha1.ReasonSending},
		"one waiting":                 {[]v1alpha1.DeliveryState{"Failed", "Pending"}, metav1.ConditionUnknown, v1alpha1.ReasonPending},
		"one failed":                  {[]v1alpha1.DeliveryState{"Delivered", "Failed"}, metav1.ConditionFalse, v1alpha1.ReasonPartlyDelivered},
		"one delivered in part":       {[]v1alpha1.DeliveryState{"PartlyDelivered"}, metav1.ConditionFalse, v1alpha1.ReasonPartlyDelivered},
		"all failed":                  {[]v1alpha1.DeliveryState{"Failed", "Failed"}, metav1.ConditionFalse, v1alpha1.ReasonFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := outbox.Summarize(deliveries(tc.states...))
			if got.Status != tc.status || got.Reason != tc.reason || got.Message == "" {
				t.Errorf("Summarize() = %+v, want %s %s", got, tc.status, tc.reason)
			}
		})
	}
}

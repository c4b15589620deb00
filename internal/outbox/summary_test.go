// SPDX-License-Identifier: Apache-2.0

package outbox_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/outbox"
)

// through is a notification that goes through these channels.
func through(channels ...string) *v1alpha1.NotificationSpec {
	spec := &v1alpha1.NotificationSpec{Type: "RiskOutbreak"}
	for _, c := range channels {
		spec.Deliveries = append(spec.Deliveries, v1alpha1.Delivery{Channel: c})
	}
	return spec
}

// TestSummarize: what the deliveries add up to. While one is under way nothing is decided; then all must have succeeded.
func TestSummarize(t *testing.T) {
	t.Parallel()
	is := func(channel string, state v1alpha1.DeliveryState, message string) v1alpha1.DeliveryStatus {
		return v1alpha1.DeliveryStatus{Channel: channel, State: state, Message: message}
	}
	delivered := v1alpha1.DeliveryStatus{
		Channel: "a", State: v1alpha1.DeliveryDelivered, Message: "250 ok", Recipients: to(accepted, accepted),
	}
	partly := is("b", v1alpha1.DeliveryPartlyDelivered, "550 no such user")
	failed := is("c", v1alpha1.DeliveryFailed, "550 go away")
	pending := is("d", v1alpha1.DeliveryPending, "the channel is suspended")
	sending := is("e", v1alpha1.DeliverySending, "")
	retrying := is("f", v1alpha1.DeliveryRetrying, "450 later")
	type list = []v1alpha1.DeliveryStatus
	for name, tc := range map[string]struct {
		spec       *v1alpha1.NotificationSpec
		deliveries list
		want       outbox.Outcome
	}{
		"no channel: kept in the log alone": {
			through(), nil, outbox.Outcome{Status: "True", Reason: "Logged", Message: "no channel to tell through: kept in the log alone"},
		},
		"nothing was begun": {
			through("a", "b"), nil, outbox.Outcome{Status: "Unknown", Reason: "Pending", Message: "a: Pending; b: Pending"},
		},
		"delivered": {
			through("a"), list{delivered}, outbox.Outcome{Status: "True", Reason: "Delivered", Message: "a: Delivered (2 of 2 recipients)"},
		},
		"delivered through all": {
			through("a", "z"), list{delivered, {Channel: "z", State: v1alpha1.DeliveryDelivered, Recipients: to(accepted)}},
			outbox.Outcome{
				Status: "True", Reason: "Delivered", Message: "a: Delivered (2 of 2 recipients); z: Delivered (1 of 1 recipients)",
			},
		},
		"failed": {
			through("c"), list{failed}, outbox.Outcome{Status: "False", Reason: "Failed", Message: "c: Failed, 550 go away"},
		},
		"to some": {
			through("b"), list{partly}, outbox.Outcome{
				Status: "False", Reason: "PartlyDelivered", Message: "b: PartlyDelivered, 550 no such user",
			},
		},
		"delivered through one, failed through another": {
			through("a", "c"), list{delivered, failed}, outbox.Outcome{
				Status: "False", Reason: "PartlyDelivered", Message: "c: Failed, 550 go away; a: Delivered (2 of 2 recipients)",
			},
		},
		"to some through one, failed through another": {
			through("b", "c"), list{partly, failed}, outbox.Outcome{
				Status: "False", Reason: "PartlyDelivered", Message: "c: Failed, 550 go away; b: PartlyDelivered, 550 no such user",
			},
		},
		"what went wrong comes first": {
			through("a", "b", "c"), list{delivered, partly, failed}, outbox.Outcome{
				Status: "False", Reason: "PartlyDelivered",
				Message: "c: Failed, 550 go away; b: PartlyDelivered, 550 no such user; a: Delivered (2 of 2 recipients)",
			},
		},
		"delivered through one, the other waits": {
			through("a", "d"), list{delivered, pending},
			outbox.Outcome{Status: "Unknown", Reason: "Pending", Message: "d: Pending, the channel is suspended"},
		},
		"failed through one, the other was not begun": {
			through("c", "x"), list{failed}, outbox.Outcome{Status: "Unknown", Reason: "Pending", Message: "x: Pending"},
		},
		"one is being sent: that is nearest to somebody's inbox": {
			through("d", "e", "f"), list{pending, sending, retrying}, outbox.Outcome{
				Status: "Unknown", Reason: "Sending", Message: "e: Sending",
			},
		},
		"one is retried, one waits": {
			through("d", "f"), list{pending, retrying}, outbox.Outcome{
				Status: "Unknown", Reason: "Retrying", Message: "f: Retrying, 450 later",
			},
		},
		"a test, through the one channel that it names": {
			&v1alpha1.NotificationSpec{Type: "Test", ChannelRef: &v1alpha1.ChannelReference{Name: "a"}}, list{delivered},
			outbox.Outcome{Status: "True", Reason: "Delivered", Message: "a: Delivered (2 of 2 recipients)"},
		},
		"a delivery that the notification does not ask for does not count": {
			through("a"), list{delivered, failed}, outbox.Outcome{
				Status: "True", Reason: "Delivered", Message: "a: Delivered (2 of 2 recipients)",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, "outcome", outbox.Summarize(tc.spec, tc.deliveries), tc.want)
		})
	}
}

// TestSummarizeEveryMix: True only if all is delivered, Unknown as long as anything is under way, else False; and the
// message names what the reason speaks of.
func TestSummarizeEveryMix(t *testing.T) {
	t.Parallel()
	states := []v1alpha1.DeliveryState{
		v1alpha1.DeliveryPending, v1alpha1.DeliverySending, v1alpha1.DeliveryRetrying,
		v1alpha1.DeliveryDelivered, v1alpha1.DeliveryPartlyDelivered, v1alpha1.DeliveryFailed,
	}
	for _, x := range states {
		for _, y := range states {
			for _, z := range states {
				mix := []v1alpha1.DeliveryState{x, y, z}
				var deliveries []v1alpha1.DeliveryStatus
				want, count := metav1.ConditionTrue, map[v1alpha1.DeliveryState]int{}
				for i, state := range mix {
					deliveries = append(deliveries, v1alpha1.DeliveryStatus{Channel: string(rune('a' + i)), State: state})
					count[state]++
				}
				switch {
				case count[v1alpha1.DeliveryPending]+count[v1alpha1.DeliverySending]+count[v1alpha1.DeliveryRetrying] > 0:
					want = metav1.ConditionUnknown
				case count[v1alpha1.DeliveryDelivered] < 3:
					want = metav1.ConditionFalse
				}
				got := outbox.Summarize(through("a", "b", "c"), deliveries)
				if got.Status != want || !strings.Contains(got.Message, ": ") {
					t.Errorf("%v: %+v, want %s", mix, got, want)
				}
				if failed := count[v1alpha1.DeliveryFailed] == 3; failed != (got.Reason == v1alpha1.ReasonFailed) {
					t.Errorf("%v: the reason is %s", mix, got.Reason)
				}
			}
		}
	}
}

// TestChannels: a test goes through the channel that it names, everything else through those of its deliveries.
func TestChannels(t *testing.T) {
	t.Parallel()
	check(t, "several", outbox.Channels(through("b", "a")), []string{"b", "a"})
	check(t, "none", outbox.Channels(through()), []string{})
	check(t, "test", outbox.Channels(&v1alpha1.NotificationSpec{ChannelRef: &v1alpha1.ChannelReference{Name: "t"}}), []string{"t"})
}

// TestFindAndPut: a channel's delivery is found, put in its place, and nothing is changed that somebody else holds.
func TestFindAndPut(t *testing.T) {
	t.Parallel()
	list := []v1alpha1.DeliveryStatus{
		{Channel: "a", State: v1alpha1.DeliveryFailed},
		{Channel: "b", State: v1alpha1.DeliverySending, Recipients: to(pending)},
	}
	before := append([]v1alpha1.DeliveryStatus{}, list...)
	check(t, "one that was not begun", outbox.Find(list, "c"), v1alpha1.DeliveryStatus{Channel: "c", State: v1alpha1.DeliveryPending})
	b := outbox.Find(list, "b")
	check(t, "one that was", b, list[1])
	b.State, b.Recipients[0].State = v1alpha1.DeliveryDelivered, accepted
	check(t, "put in its place", outbox.Put(list, b), []v1alpha1.DeliveryStatus{list[0], b})
	check(t, "put at the end", outbox.Put(list, v1alpha1.DeliveryStatus{Channel: "c"}),
		append(before[:2:2], v1alpha1.DeliveryStatus{Channel: "c"}))
	check(t, "the list before", list, before)
	check(t, "its recipients", list[1].Recipients, to(pending))
}

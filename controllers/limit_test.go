// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/controllers"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

func limited(c *v1alpha1.NotificationChannel, count int32, interval v1alpha1.Duration) *v1alpha1.NotificationChannel {
	c.Spec.Limit = &v1alpha1.Limit{Count: count, Interval: interval}
	return c
}

// every fires at each event.
func every(namespace, name string, channels ...string) *v1alpha1.NotificationCondition {
	return damped(condition(namespace, name, "SingleRiskEvent", channels...), 1, "1m", v1alpha1.DamperNone)
}

func subjects(mails []fakesmtp.Message) string {
	var all []string
	for _, m := range mails {
		for line := range strings.SplitSeq(string(m.Data), "\r\n") {
			if text, found := strings.CutPrefix(line, "Subject: "); found {
				all = append(all, text)
				break
			}
		}
	}
	return strings.Join(all, "\n")
}

// Two of the twelve that are due go out; the log has one entry for the other ten; when the interval ends, one digest tells
// of them. It goes to those who would have been told.
func TestLimitSumsUpWhatItHoldsBack(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	c := every(ns, "every", "mail")
	c.Spec.Actions[0].Email = &v1alpha1.EmailOverride{Recipients: []v1alpha1.MailAddress{"ciso@example.com"}}
	ready(t, limited(mailChannel(ns, "mail", server.Port()), 2, "8s"), c)
	for n := range 12 {
		k8s.Create(t, detection(ns, fmt.Sprintf("ws-%d", n), "Worm"))
	}
	var entry v1alpha1.Notification
	cluster.Eventually(t, "the log", func(context.Context) error {
		log := k8s.Notifications(t, ns)
		if len(log) < 3 {
			return fmt.Errorf("there are %d entries", len(log))
		}
		for _, n := range log {
			d := n.Status.Deliveries
			if len(d) == 1 && d[0].State == v1alpha1.DeliverySuppressed && d[0].Suppressed != nil && d[0].Suppressed.Count == 10 {
				entry = n
				return reasonIs(n.Status.Conditions, v1alpha1.SucceededCondition, v1alpha1.ReasonSuppressed)
			}
		}
		return fmt.Errorf("no entry speaks for ten")
	})
	place := entry.Spec.Deliveries[0].Limit
	if place == nil || place.Number != 0 || place.Count != 2 || place.Until.Sub(place.Since.Time) != 8*time.Second {
		t.Errorf("its place is %+v", place)
	}
	k8s.Until(t, c, func() error {
		if s := c.Status.Suppressed; len(s) != 1 || s[0].Channel != "mail" || s[0].Count != 10 || s[0].Notification != entry.Name ||
			c.Status.FiredTotal != 12 {
			return fmt.Errorf("%d fired, suppressed are %+v", c.Status.FiredTotal, s)
		}
		return nil
	})
	mails := awaitMails(t, server, 3)
	contains(t, subjects(mails[2:]), "10 notifications held back by the limit of mail")
	contains(t, string(mails[2].Data), "every", "ciso@example.com")
	log := k8s.Notifications(t, ns)
	if len(log) != 4 {
		t.Errorf("the log has %d entries, want two that went out, one that speaks for ten, and the digest", len(log))
	}
	for _, n := range log {
		if n.Spec.Type != v1alpha1.NotificationTypeDigest {
			continue
		}
		d := n.Spec.Digest
		if d.Suppressed != 10 || len(d.Conditions) != 1 || d.Conditions[0].Condition != "every" || d.Conditions[0].Count != 10 {
			t.Errorf("the digest is %+v", d)
		}
		if p := n.Spec.Deliveries[0].Limit; p != nil {
			t.Errorf("the digest takes the place %+v", p)
		}
	}
}

// A test counts, and is not sent when the limit is used up.
func TestTestsCountAgainstTheLimit(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	ready(t, limited(mailChannel(ns, "mail", server.Port()), 1, "1h"), every(ns, "every", "mail"))
	test := func(name string) *v1alpha1.Notification {
		n := &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
		n.Spec.Type, n.Spec.ChannelRef = v1alpha1.NotificationTypeTest, &v1alpha1.ChannelReference{Name: "mail"}
		k8s.Create(t, n)
		return n
	}
	first := test("first")
	k8s.Until(t, first, func() error {
		return reasonIs(first.Status.Conditions, v1alpha1.SucceededCondition, v1alpha1.ReasonDelivered)
	})
	if p := first.Status.Deliveries[0].Limit; p == nil || p.Number != 1 {
		t.Errorf("the first test has the place %+v", p)
	}
	second := test("second")
	k8s.Create(t, detection(ns, "ws", "Worm"))
	for _, n := range []*v1alpha1.Notification{second, awaitOther(t, ns, "first", "second")} {
		k8s.Until(t, n, func() error {
			if err := reasonIs(n.Status.Conditions, v1alpha1.SucceededCondition, v1alpha1.ReasonSuppressed); err != nil {
				return err
			}
			contains(t, n.Status.Deliveries[0].Message, "the channel's limit of 1 in 1h is used up until")
			return nil
		})
	}
	if n := len(server.Messages()); n != 1 {
		t.Errorf("%d mails went out", n)
	}
}

// awaitOther waits for a notification that is none of those named.
func awaitOther(t *testing.T, namespace string, names ...string) *v1alpha1.Notification {
	t.Helper()
	var other *v1alpha1.Notification
	cluster.Eventually(t, "another notification", func(context.Context) error {
		log := k8s.Notifications(t, namespace)
		for i := range log {
			if log[i].Name != names[0] && log[i].Name != names[1] {
				other = &log[i]
				return nil
			}
		}
		return fmt.Errorf("there are %d", len(log))
	})
	return other
}

// What the first channel could not deliver the second does, and the notification has succeeded. Where nothing fails the
// fallback is not needed.
func TestFallbackStepsIn(t *testing.T) {
	t.Parallel()
	ns, good := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	bad := fakesmtp.Start(t, fakesmtp.Options{Recipients: map[string]*smtp.SMTPError{
		"soc@example.com": {Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"},
	}})
	first, second := mailChannel(ns, "first", bad.Port()), mailChannel(ns, "second", good.Port())
	first.Spec.FallbackRef = &v1alpha1.ChannelReference{Name: "second"}
	ready(t, second, first, every(ns, "every", "first"))
	k8s.Create(t, detection(ns, "ws", "Worm"))
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)[0]
	for _, d := range n.Status.Deliveries {
		if want := map[string]v1alpha1.DeliveryState{"first": v1alpha1.DeliveryFailed, "second": v1alpha1.DeliveryDelivered}[d.Channel]; d.State != want {
			t.Errorf("%s is %s, want %s", d.Channel, d.State, want)
		}
	}
	awaitMails(t, good, 1)

	k8s.Change(t, first, func() { first.Spec.Email.Port = second.Spec.Email.Port })
	awaitChannel(t, first, v1alpha1.ReasonReady)
	k8s.Create(t, detection(ns, "ws-2", "Worm"))
	log := inOrder(awaitNotifications(t, ns, 2, v1alpha1.ReasonDelivered))
	for _, d := range log[1].Status.Deliveries {
		if want := map[string]v1alpha1.DeliveryState{"first": v1alpha1.DeliveryDelivered, "second": v1alpha1.DeliveryNotNeeded}[d.Channel]; d.State != want {
			t.Errorf("%s is %s, want %s", d.Channel, d.State, want)
		}
	}
	awaitMails(t, good, 2)
}

// What a fallback's limit holds back is told by its digest, too.
func TestLimitOfAFallback(t *testing.T) {
	t.Parallel()
	ns, good := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	bad := fakesmtp.Start(t, fakesmtp.Options{Recipients: map[string]*smtp.SMTPError{
		"soc@example.com": {Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"},
	}})
	first, second := mailChannel(ns, "first", bad.Port()), limited(mailChannel(ns, "second", good.Port()), 1, "8s")
	first.Spec.FallbackRef = &v1alpha1.ChannelReference{Name: "second"}
	c := every(ns, "every", "first")
	ready(t, second, first, c)
	for n := range 3 {
		k8s.Create(t, detection(ns, fmt.Sprintf("ws-%d", n), "Worm"))
	}
	mails := awaitMails(t, good, 2)
	contains(t, subjects(mails[1:]), "2 notifications held back by the limit of second")
	k8s.Until(t, c, func() error {
		if s := c.Status.Suppressed; len(s) != 1 || s[0].Channel != "second" || s[0].Count != 2 || s[0].Entries != 2 {
			return fmt.Errorf("suppressed are %+v", s)
		}
		return nil
	})
}

// A channel that is replaced, as some pipelines do, goes on with its interval, and tells of it when that ends.
func TestChannelThatIsReplacedTellsWhatWasHeldBack(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	channel := func() *v1alpha1.NotificationChannel { return limited(mailChannel(ns, "mail", server.Port()), 1, "12s") }
	old, c := channel(), every(ns, "every", "mail")
	ready(t, old, c)
	k8s.Create(t, detection(ns, "a", "Worm"), detection(ns, "b", "Worm"))
	held := func(count int64) {
		k8s.Until(t, c, func() error {
			if s := c.Status.Suppressed; len(s) != 1 || s[0].Count != count {
				return fmt.Errorf("suppressed are %+v", s)
			}
			return nil
		})
	}
	held(1)
	if err := k8s.Client.Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	ready(t, channel())
	k8s.Create(t, detection(ns, "c", "Worm"))
	held(2)
	contains(t, subjects(awaitMails(t, server, 2)[1:]), "2 notifications held back by the limit of mail")
}

// Somebody who may create tests takes the names that the digest would have. It is told under another, and once, also when a
// restart finds one of those names free again.
func TestTakenNamesDoNotKeepADigestFromBeingTold(t *testing.T) {
	t.Parallel()
	h, server := newHouse(t), fakesmtp.Start(t, fakesmtp.Options{})
	channel, c := limited(mailChannel(h.namespace, "mail", server.Port()), 1, "8s"), every(h.namespace, "every", "mail")
	h.enter(t, controllers.Options{})
	h.Create(t, channel)
	h.follow(t, c)
	heldBack := func(intervals int) {
		for n := range 3 {
			h.Create(t, detection(h.namespace, fmt.Sprintf("ws-%d-%d", intervals, n), "Worm"))
		}
		h.Until(t, c, func() error {
			if s := c.Status.Suppressed; len(s) != intervals || s[0].Count != 2 {
				return fmt.Errorf("suppressed are %+v", s)
			}
			return nil
		})
	}
	digests := func(want int) {
		cluster.Eventually(t, "the digests", func(context.Context) error {
			var found []string
			for _, n := range h.Notifications(t, h.namespace) {
				if n.Spec.Digest != nil {
					found = append(found, n.Name)
				}
			}
			if len(found) != want {
				return fmt.Errorf("there are %v, want %d", found, want)
			}
			return nil
		})
	}
	heldBack(1)
	h.leave()
	var taken []client.Object
	for number := range 3 {
		name := journal.DigestName(channel, &v1alpha1.Digest{Since: c.Status.Suppressed[0].Since}, number)
		n := &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{Namespace: h.namespace, Name: name}}
		n.Spec.Type, n.Spec.ChannelRef = v1alpha1.NotificationTypeTest, &v1alpha1.ChannelReference{Name: "nowhere"}
		taken = append(taken, n)
	}
	h.Create(t, taken...)
	h.enter(t, controllers.Options{})
	digests(1)
	contains(t, subjects(awaitMails(t, server, 2)[1:]), "2 notifications held back by the limit of mail")

	h.leave()
	if err := h.Client.Delete(t.Context(), taken[1]); err != nil {
		t.Fatal(err)
	}
	h.enter(t, controllers.Options{})
	heldBack(2)
	digests(2) // of what is due the earliest is told first: had the first been told again there were three
	awaitMails(t, server, 4)
}

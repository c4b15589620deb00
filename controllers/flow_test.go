// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

func TestEventBecomesMail(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	ready(t, mailChannel(ns, "mail", server.Port()), condition(ns, "single-risk", "SingleRiskEvent", "mail"))

	k8s.Create(t, detection(ns, "ws-0042", "EICAR-Test-File"))

	mail := awaitMails(t, server, 1)[0]
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)[0]
	contains(t, string(mail.Data), "Subject: [Critical] Malicious object detected on ws-0042",
		"To: <soc@example.com>", "Auto-Submitted: auto-generated", "text/plain", "text/html")
	if got, want := headerOf(t, mail, "Message-ID"), "<"+n.Status.Deliveries[0].MessageID+">"; got != want {
		t.Errorf("Message-ID is %s, recorded is %s", got, want)
	}
	d := n.Status.Deliveries[0]
	if d.AttemptCount != 1 || len(d.Attempts) != 1 || d.Attempts[0].EndTime == nil || d.Attempts[0].TLS != "none" {
		t.Errorf("the attempt is not recorded: %+v", d)
	}
	if got := d.Recipients; len(got) != 1 || got[0].Address != "soc@example.com" || got[0].State != v1alpha1.RecipientAccepted {
		t.Errorf("the recipient is not recorded: %+v", got)
	}
}

func TestOutbreakTellsOnceAndCountsWhatItHolds(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	outbreak := condition(ns, "outbreak", "RiskOutbreak", "mail")
	outbreak.Spec.Actions[0].Email = &v1alpha1.EmailOverride{
		Recipients: []v1alpha1.MailAddress{"ciso@example.com"},
		Subject:    "OUTBREAK of %RISK%: %COMPUTERS% computers in %WINDOW%, 100%%",
		Message:    "%OCCURRENCES% occurrences, last on %COMPUTER%",
	}
	ready(t, mailChannel(ns, "mail", server.Port()), outbreak)

	for i := range 4 {
		k8s.Create(t, detection(ns, fmt.Sprintf("ws-%d", i), "Worm"), detection(ns, fmt.Sprintf("ws-%d", i), "Worm"))
	}
	k8s.Create(t, detection(ns, "ws-4", "Worm"))
	mail := awaitMails(t, server, 1)[0]
	contains(t, string(mail.Data), "Subject: OUTBREAK of Worm: 5 computers in 1h, 100%", "9 occurrences, last on ws-4")
	if !slices.Equal(mail.To, []string{"ciso@example.com"}) {
		t.Errorf("went to %v", mail.To)
	}

	for i := range 3 {
		k8s.Create(t, detection(ns, fmt.Sprintf("ws-%d", 5+i), "Worm"))
	}
	k8s.Until(t, outbreak, func() error {
		if d := outbreak.Status.Dampers; len(d) != 1 || d[0].Held != 3 || d[0].Until == nil {
			return fmt.Errorf("dampers are %+v, want 3 held", d)
		}
		return nil
	})
	awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)
	if s := outbreak.Status; s.MatchedTotal != 12 || s.FiredTotal != 1 || s.LastFiredTime == nil || s.Threshold == nil {
		t.Errorf("status is %+v", s)
	}
}

func TestWhenTheDamperEndsWhileTheRateLastsOneMoreTellsWhatWasHeld(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	c := condition(ns, "burst", "SingleRiskEvent", "mail")
	count := int32(2)
	c.Spec.Threshold = &v1alpha1.Threshold{Count: &count, Window: "1h"}
	c.Spec.Damper = &v1alpha1.Damper{Period: "3s"}
	ready(t, mailChannel(ns, "mail", server.Port()), c)

	many := int32(7)
	k8s.Create(t, detection(ns, "a", "Worm"), detection(ns, "b", "Worm"))
	awaitMails(t, server, 1)
	held := detection(ns, "c", "Worm")
	held.Spec.Count = &many
	k8s.Create(t, held)

	contains(t, string(awaitMails(t, server, 2)[1].Data), "7 further occurrences were held since the last notification.")
	k8s.Until(t, c, func() error { return nil })
	k8s.Change(t, c, func() { c.Spec.Suspend = true })
	awaitCondition(t, c, v1alpha1.ReasonSuspended)
}

func TestScopesCountWhatTheySay(t *testing.T) {
	t.Parallel()
	three := int32(3)
	for name, tc := range map[string]struct {
		scope   v1alpha1.Scope
		on      []string
		fires   bool
		because string
	}{
		"any computer counts all":               {v1alpha1.ScopeAnyComputer, []string{"a", "b", "a"}, true, "three occurrences"},
		"single computer counts each by itself": {v1alpha1.ScopeSingleComputer, []string{"a", "b", "a"}, false, "two on a"},
		"single computer reaches it":            {v1alpha1.ScopeSingleComputer, []string{"a", "b", "a", "a"}, true, "three on a"},
		"distinct computers are different ones": {v1alpha1.ScopeDistinctComputers, []string{"a", "b", "a"}, false, "two computers"},
		"distinct computers reach it":           {v1alpha1.ScopeDistinctComputers, []string{"a", "b", "c"}, true, "three computers"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := k8s.Namespace(t)
			c := condition(ns, "scoped", "SingleRiskEvent")
			c.Spec.Threshold = &v1alpha1.Threshold{Count: &three, Window: "1h", Scope: tc.scope}
			ready(t, c)
			for _, computer := range tc.on {
				k8s.Create(t, detection(ns, computer, "Worm"))
			}
			k8s.Until(t, c, func() error {
				if c.Status.MatchedTotal != int64(len(tc.on)) {
					return fmt.Errorf("matched %d of %d", c.Status.MatchedTotal, len(tc.on))
				}
				return nil
			})
			if got := len(k8s.Notifications(t, ns)); got > 0 != tc.fires {
				t.Errorf("there are %d notifications, with %s", got, tc.because)
			}
		})
	}
}

func TestConditionsWithoutActionsUseTheDefaultChannels(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	first, second := mailChannel(ns, "first", server.Port()), mailChannel(ns, "second", server.Port())
	first.Spec.Default, second.Spec.Default = true, true
	ready(t, first, second, mailChannel(ns, "third", server.Port()), condition(ns, "single-risk", "SingleRiskEvent"))
	k8s.Create(t, detection(ns, "ws", "Worm"))
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)[0]
	if len(n.Status.Deliveries) != 2 || len(server.Messages()) != 2 {
		t.Errorf("%d deliveries and %d mails, want one for each of the two default channels",
			len(n.Status.Deliveries), len(server.Messages()))
	}
}

func TestWithoutAnyChannelTheLogAloneKeepsIt(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	ready(t, condition(ns, "single-risk", "SingleRiskEvent"))
	k8s.Create(t, detection(ns, "ws", "Worm"))
	awaitNotifications(t, ns, 1, v1alpha1.ReasonLogged)
}

func TestTestNotificationGoesThroughItsChannel(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	ready(t, mailChannel(ns, "mail", server.Port()))
	k8s.Create(t, &v1alpha1.Notification{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "test-"},
		Spec:       v1alpha1.NotificationSpec{Type: v1alpha1.NotificationTypeTest, ChannelRef: &v1alpha1.ChannelReference{Name: "mail"}},
	})
	contains(t, string(awaitMails(t, server, 1)[0].Data), "This is a test of the channel mail.")
	awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)
}

// What stands in the log does not change with the condition or the channel (design: I3).
func TestTheLogKeepsWhatWasSaid(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	channel, c := mailChannel(ns, "mail", server.Port()), condition(ns, "single-risk", "SingleRiskEvent", "mail")
	ready(t, channel, c)
	k8s.Create(t, detection(ns, "ws", "Worm"))
	before := awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)[0]
	k8s.Change(t, channel, func() { channel.Spec.Email.Subject = "other" })
	k8s.Change(t, c, func() { c.Spec.Threshold = &v1alpha1.Threshold{Window: "2h"} })
	awaitChannel(t, channel, v1alpha1.ReasonReady)
	awaitCondition(t, c, v1alpha1.ReasonReady)
	after := awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)[0]
	if before.ResourceVersion != after.ResourceVersion {
		t.Error("the notification was written again")
	}
}

func TestEventsThatArriveWhileSuspendedAreNotLookedAtLater(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	c := condition(ns, "single-risk", "SingleRiskEvent")
	c.Spec.Suspend = true
	k8s.Create(t, c)
	awaitCondition(t, c, v1alpha1.ReasonSuspended)
	k8s.Create(t, detection(ns, "ws", "Worm"))
	k8s.Change(t, c, func() { c.Spec.Suspend = false })
	awaitCondition(t, c, v1alpha1.ReasonReady)
	k8s.Create(t, detection(ns, "other", "Worm"))
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonLogged)[0]
	if got := n.Spec.Trigger.Event.Computer.Name; got != "other" {
		t.Errorf("the notification is about %q, want the event after the suspension", got)
	}
}

// An event that a reporter tells of late takes its place by time (design: section 2.2).
func TestBacklogOfAnHourAgoStillCounts(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	c := condition(ns, "outbreak", "RiskOutbreak")
	three := int32(3)
	c.Spec.Threshold = &v1alpha1.Threshold{Count: &three, Window: "1m"}
	ready(t, c)
	hourAgo := time.Now().Add(-time.Hour)
	for i, computer := range []string{"c", "a", "b"} {
		e := detection(ns, computer, "Worm")
		at := metav1.NewTime(hourAgo.Add(time.Duration(10-i) * time.Second))
		e.Spec.Time = &at
		k8s.Create(t, e)
	}
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonLogged)[0]
	if got := n.Spec.Trigger.Computers; got != 3 {
		t.Errorf("%d computers, want 3", got)
	}
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/notify"
)

func mailChannel(name string) *v1alpha1.NotificationChannel {
	return &v1alpha1.NotificationChannel{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "security"},
		Spec: v1alpha1.NotificationChannelSpec{Type: "Email", Email: &v1alpha1.EmailChannel{
			Sender: "Tocsin <tocsin@example.com>", Recipients: []v1alpha1.MailAddress{"soc@example.com"}, Subject: "a template",
		}},
	}
}

func fired(uid types.UID, key string, sequence int64) *v1alpha1.Notification {
	return &v1alpha1.Notification{
		ObjectMeta: metav1.ObjectMeta{Name: "n-1", Namespace: "security", UID: uid},
		Spec: v1alpha1.NotificationSpec{
			Type:      "RiskOutbreak",
			Condition: &v1alpha1.ConditionSnapshot{Name: "outbreak", UID: "6f9a6b0e-3f0a-4a57-9d3c-0d8f0c1f9a11"},
			Trigger:   &v1alpha1.Trigger{Reason: v1alpha1.TriggerThresholdReached, Key: key, Sequence: sequence},
		},
	}
}

func sent(n *v1alpha1.Notification, channel string) notify.Message {
	return compose(n, mailChannel(channel)).to([]string{"soc@example.com"})
}

// TestRepeatsAreOneConversation: each mail has a Message-ID of its own, and those of one condition and key through one
// channel refer to the same root, the first too.
func TestRepeatsAreOneConversation(t *testing.T) {
	t.Parallel()
	first := sent(fired("uid-1", "ws-0042", 1), "soc-mail")
	if first.InReplyTo == "" || first.InReplyTo == first.ID || !slices.Equal(first.References, []string{first.InReplyTo}) {
		t.Errorf("the first refers to %q and %q", first.InReplyTo, first.References)
	}
	repeat := sent(fired("uid-2", "ws-0042", 2), "soc-mail")
	if repeat.ID == first.ID || repeat.InReplyTo != first.InReplyTo || !slices.Equal(repeat.References, first.References) {
		t.Errorf("the repeat refers to %q and %q, the first to %q", repeat.InReplyTo, repeat.References, first.InReplyTo)
	}
	if repeat.Subject != first.Subject {
		t.Errorf("subjects %q and %q", first.Subject, repeat.Subject)
	}
	for name, other := range map[string]notify.Message{
		"another key":     sent(fired("uid-3", "ws-0043", 1), "soc-mail"),
		"another channel": sent(fired("uid-1", "ws-0042", 1), "ciso-mail"),
	} {
		if other.InReplyTo == "" || other.InReplyTo == first.InReplyTo {
			t.Errorf("%s refers to %q", name, other.InReplyTo)
		}
	}
}

func TestATestStandsAlone(t *testing.T) {
	t.Parallel()
	n := fired("uid-1", "", 1)
	n.Spec = v1alpha1.NotificationSpec{Type: v1alpha1.NotificationTypeTest, ChannelRef: &v1alpha1.ChannelReference{Name: "soc-mail"}}
	if m := sent(n, "soc-mail"); m.InReplyTo != "" || m.References != nil {
		t.Errorf("it refers to %q and %q", m.InReplyTo, m.References)
	}
}

// TestADigestTellsOfTheLimitedChannel, also when a fallback carries it, and without the channel's templates.
func TestADigestTellsOfTheLimitedChannel(t *testing.T) {
	t.Parallel()
	n := fired("uid-1", "", 1)
	n.Spec = v1alpha1.NotificationSpec{
		Type: v1alpha1.NotificationTypeDigest, Severity: v1alpha1.SeverityCritical,
		Digest: &v1alpha1.Digest{Count: 20, Suppressed: 57, Conditions: []v1alpha1.DigestEntry{
			{Condition: "outbreak", Severity: v1alpha1.SeverityCritical, Suppression: v1alpha1.Suppression{Count: 57}},
		}},
	}
	for _, name := range []string{"soc-mail", "fallback"} {
		action := v1alpha1.Action{ChannelRef: v1alpha1.ChannelReference{Name: name}}
		n.Spec.Deliveries = append(n.Spec.Deliveries, journal.Deliver(n, action, mailChannel(name)))
	}
	n.Spec.Deliveries[1].FallbackFor = []string{"soc-mail"}
	for _, channel := range []string{"soc-mail", "fallback"} {
		l := compose(n, mailChannel(channel))
		if l.thread != "" {
			t.Errorf("it refers to %q", l.thread)
		}
		if l.subject != "[Critical] 57 notifications held back by the limit of soc-mail" {
			t.Errorf("through %s: subject %q", channel, l.subject)
		}
		if !strings.Contains(l.html, "of the channel soc-mail was used up") || !strings.Contains(l.html, "spec.condition.name=outbreak") {
			t.Errorf("through %s:\n%s", channel, l.html)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/message"
	"github.com/tocsin-dev/tocsin/internal/notify"
)

// letter is what goes through one channel, to all its recipients.
type letter struct {
	id, thread string
	recipients []string
	subject    string
	text, html string
	from       string
	date       time.Time
}

// compose takes the rendered text of the Notification. What its snapshot could not hold comes from the channel as it is
// now: everything for a Test, and the recipients where the channel did not exist yet.
func compose(n *v1alpha1.Notification, channel *v1alpha1.NotificationChannel) letter {
	action := v1alpha1.Action{ChannelRef: v1alpha1.ChannelReference{Name: channel.Name}}
	delivery := journal.Deliver(n, action, channel)
	for _, d := range n.Spec.Deliveries {
		if d.Channel != channel.Name {
			continue
		}
		if len(d.Recipients) == 0 && channel.Spec.SMS != nil {
			continue // the channel did not exist: what was rendered is no short text
		}
		delivery.Subject, delivery.Message = d.Subject, d.Message
		if len(d.Recipients) > 0 {
			delivery.Recipients = d.Recipients
		}
	}
	l := letter{
		recipients: delivery.Recipients, subject: delivery.Subject, text: delivery.Message,
		date: n.CreationTimestamp.Time,
	}
	l.from = senderOf(channel)
	l.id = message.ID(string(n.UID), channel.Name, l.from)
	if channel.Spec.SMS != nil { // a gateway makes something of each header and each part
		return l
	}
	l.thread = threadOf(n, channel.Name, l.from)
	page := message.Page{Subject: l.subject, Text: l.text, Values: journal.Values(n), Spec: &n.Spec}
	if html, err := message.HTML(page); err == nil {
		l.html = html
	}
	return l
}

func senderOf(channel *v1alpha1.NotificationChannel) string {
	switch {
	case channel.Spec.Email != nil:
		return string(channel.Spec.Email.Sender)
	case channel.Spec.SMS != nil:
		return string(channel.Spec.SMS.Sender)
	}
	return ""
}

// threadOf is the root that the notifications of one condition and key refer to. A Test and a Digest stand alone.
func threadOf(n *v1alpha1.Notification, channel, sender string) string {
	if n.Spec.Condition == nil || n.Spec.Trigger == nil {
		return ""
	}
	return message.ThreadID(string(n.Spec.Condition.UID), n.Spec.Trigger.Key, channel, sender)
}

// to addresses the letter.
func (l letter) to(recipients []string) notify.Message {
	m := notify.Message{
		ID: l.id, Date: l.date, From: l.from, To: recipients, Subject: l.subject, Text: l.text, HTML: l.html,
	}
	if l.thread != "" {
		// The first of a thread refers to the root as all others do: it is not the root itself, and without the reference it
		// would stand apart from its repeats.
		m.InReplyTo, m.References = l.thread, []string{l.thread}
	}
	return m
}

// graceful returns a context that ends a while after the given one does.
func graceful(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	lasting, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-lasting.Done():
		}
	})
	return lasting, func() {
		stop()
		cancel()
	}
}

// SPDX-License-Identifier: Apache-2.0

// Package notify is what all ways of telling somebody share: the message, how an attempt to send it ended, and when the
// next one is due. It does no I/O; the packages below it do.
package notify

import (
	"context"
	"time"
)

// Message is what is to be told, and to whom. Nothing in it is trusted: a Sender must see to it that no field can act as
// anything but what it is.
type Message struct {
	// ID is the Message-ID without its angle brackets. All attempts carry the same, so that a mail system can drop a twin.
	ID string
	// Date of the message.
	Date time.Time
	// From is the sender's address, bare or with a display name. Its domain may be internationalised.
	From string
	// To are the recipients' addresses, written as From is.
	To []string
	// Subject is one line.
	Subject string
	// InReplyTo is the Message-ID of the message that this one follows, and References are those of the whole thread, the
	// oldest first; both without angle brackets, and both may be empty.
	InReplyTo  string
	References []string
	// Text and HTML are the same content in two forms; either may be empty.
	Text, HTML string
}

// Sender makes one attempt to send a message.
type Sender interface {
	// Send returns when it is known how the attempt ended, or soon after ctx is done.
	Send(ctx context.Context, m Message) Result
}

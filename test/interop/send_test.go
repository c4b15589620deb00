// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"bytes"
	"crypto/rand"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
)

// newSender sends to a server on loopback, unless the configuration names others.
func newSender(t testing.TB, port int, cfg smtp.Config) *smtp.Sender {
	t.Helper()
	if cfg.Servers == nil {
		cfg.Servers = []string{"127.0.0.1"}
	}
	cfg.Port, cfg.HelloName, cfg.Timeout = port, "tocsin.example", patience
	sender, err := smtp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

// message is one to these recipients, or else to soc@example.com.
func message(to ...string) notify.Message {
	if len(to) == 0 {
		to = []string{"soc@example.com"}
	}
	return notify.Message{
		ID: rand.Text() + "@tocsin.example", Date: time.Now(), From: "Tocsin <tocsin@example.com>", To: to,
		Subject: "Worm on ws-1", Text: "A worm was found.\n", HTML: "<p>A worm was found.</p>",
	}
}

// want fails unless an attempt ended for that reason and says these words.
func want(t testing.TB, got notify.Result, reason notify.Reason, words ...string) {
	t.Helper()
	if got.Reason != reason {
		t.Fatalf("the attempt ended with %s, want %s: %+v", got.Reason, reason, got)
	}
	for _, word := range words {
		if !strings.Contains(got.Message, word) {
			t.Errorf("the message is %q, want one that says %q", got.Message, word)
		}
	}
	if strings.Contains(got.Message, password) || strings.Contains(got.Message, token) {
		t.Errorf("the message tells the password: %q", got.Message)
	}
}

// deliver sends, and returns what came to the first recipient's mailbox.
func deliver(t testing.TB, sender *smtp.Sender, m notify.Message) ([]byte, notify.Result) {
	t.Helper()
	result := sender.Send(t.Context(), m)
	want(t, result, notify.ReasonAccepted)
	return peers.dovecot.arrived(t, m.To[0], m.ID), result
}

func parse(t testing.TB, raw []byte) *mail.Message {
	t.Helper()
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("reading what arrived: %v\n%s", err, raw)
	}
	return parsed
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

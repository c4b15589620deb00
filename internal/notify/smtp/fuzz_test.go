// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

// FuzzMessage: whatever stands in a message, its header holds the fields that it is to hold and no other, it goes to those
// it is for and nobody else, and what it says arrives as it was.
func FuzzMessage(f *testing.F) {
	f.Add("Tocsin <tocsin@example.com>", "soc@example.com", "Outbreak", "text", "<p>html</p>")
	f.Add("a@b", "a@b>\r\nRCPT TO:<eve@example.com", "a\r\nBcc: eve@example.com", ".\r\n.\r\nMAIL FROM:<>", "\r\n.\r\n")
	f.Add(`"a\"<b>" <a@b>`, "Köln <soc@köln.example>", "=?utf-8?q?=0D=0ABcc:?=", "\r\r\n\n\r.", "\x00\xff\u2028")
	f.Add("a@b", "söc@example.com", strings.Repeat(" ", 100), strings.Repeat(".", 2000), "From a\nFrom b")
	f.Add("a@b", "a@b", "", "0\rääää\n0", "")
	f.Add("a@b", `\0ö<0@ö>`, "", "", "")
	f.Fuzz(func(t *testing.T, from, to, subject, text, html string) {
		m := notify.Message{
			ID: "a@b", Date: time.Date(2026, 7, 31, 0, 0, 0, 0, time.UTC), From: from, To: []string{"ops@example.com", to},
			Subject: subject, Text: text, HTML: html,
		}
		result, wire := deliver(t, m)
		checkReason(t, result, result.Reason)
		switch result.Reason {
		case notify.ReasonInvalidMessage, notify.ReasonSenderRefused:
			return
		case notify.ReasonAccepted, notify.ReasonPartlyRefused:
		default:
			t.Fatalf("%+v", result)
		}
		checkWire(t, m, wire)
		checkEnvelope(t, result, wire)
		got := parse(t, wire.content())
		if sawSubject, err := new(mime.WordDecoder).DecodeHeader(got.header.Get("Subject")); err != nil || sawSubject != oneLine(subject) {
			t.Errorf("subject is %q, %v, want %q", sawSubject, err, oneLine(subject))
		}
		if text != "" && tidy(got.text) != tidy(text) {
			t.Errorf("text is %q, want %q", got.text, text)
		}
		if html != "" && tidy(got.html) != tidy(html) {
			t.Errorf("HTML is %q, want %q", got.html, html)
		}
	})
}

// checkEnvelope compares who was told with who is said to have been, and with the header.
func checkEnvelope(t *testing.T, result notify.Result, w wire) {
	t.Helper()
	accepted := 0
	for _, recipient := range result.Recipients {
		if recipient.State == notify.Accepted {
			accepted++
		}
	}
	if want := 2 + accepted; len(w.commands) != want {
		t.Errorf("commands are %q, want %d", w.commands, want)
	}
	for i, prefix := range []string{"EHLO client.example", "MAIL FROM:<", "RCPT TO:<ops@example.com>", "RCPT TO:<"} {
		if i < len(w.commands) && !strings.HasPrefix(w.commands[i], prefix) {
			t.Errorf("command %d is %q", i, w.commands[i])
		}
	}
	to, err := parse(t, w.content()).header.AddressList("To")
	if err != nil {
		t.Fatalf("To: %v", err)
	}
	var header []string
	for _, address := range to {
		bare := *address
		bare.Name = ""
		header = append(header, "RCPT TO:"+bare.String())
	}
	if !slices.Equal(header, w.commands[2:]) {
		t.Errorf("the header is for %q, the envelope for %q", header, w.commands[2:])
	}
}

// oneLine is what a subject is to arrive as.
func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}

// tidy levels what a text may differ in when it arrives: how lines end, space at the end, and characters that it may not
// hold.
func tidy(s string) string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	return strings.TrimRight(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
			return unicode.ReplacementChar
		}
		return r
	}, s), "\n")
}

// FuzzServer: whatever a server says, the attempt ends, with a reason, in text that is bounded and without the password.
func FuzzServer(f *testing.F) {
	const hello = "220 a\r\n250-a\r\n250 AUTH PLAIN LOGIN CRAM-MD5\r\n"
	f.Add([]byte("220 a\r\n250-a\r\n250 auth=ntlm\r\n334 " + encode(string(fakesmtp.NTLMChallenge)) + "\r\n235 ok\r\n250 ok\r\n550 no\r\n"))
	f.Add([]byte(hello + "235 ok\r\n250 ok\r\n250 ok\r\n354 ok\r\n250 2.0.0 queued\r\n221 bye\r\n"))
	f.Add([]byte(hello + "334 cj14LHM9ZUE9PSxpPTQwOTY=\r\n"))
	f.Add([]byte(hello + "535 5.7.8 " + password + "\r\n"))
	f.Add([]byte(hello + "235 ok\r\n550-5.7.1 no\r\n550 5.7.1 " + user + ":" + password + "\r\n"))
	f.Add([]byte(hello + "235 ok\r\n250 ok\r\n450 \xff\x00\u202e\r\n"))
	f.Add([]byte("220 a\r\n250-a\r\n250 STARTTLS\r\n220 go\r\n\x16\x03\x03"))
	f.Add([]byte("\x00\x00\x00\r\n421-\r\n421 \r\n"))
	f.Fuzz(func(t *testing.T, said []byte) {
		login := credentials()
		login.AllowUnencrypted = true
		sender := newSender(t, smtp.Config{
			Servers: []string{"mail.example", "mx2.example"}, TLS: smtp.TLS{Mode: v1alpha1.TLSOpportunistic}, Login: login,
			Dial: func(context.Context, string, string) (net.Conn, error) {
				return &deafConn{said: io.MultiReader(strings.NewReader(string(said))), patience: 1 << 30}, nil
			},
		})
		result := send(t, sender, alert("a@example.com", "b@example.com"))
		checkReason(t, result, result.Reason)
		if !slices.Contains(notify.Reasons(), result.Reason) {
			t.Errorf("reason %q is none", result.Reason)
		}
		if strings.Contains(fmt.Sprintf("%+v", result), password) {
			t.Errorf("the password is in %+v", result)
		}
		for _, recipient := range result.Recipients {
			if !slices.Contains([]notify.RecipientState{notify.Accepted, notify.Refused, notify.Deferred}, recipient.State) {
				t.Errorf("state %q is none", recipient.State)
			}
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"mime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
)

func TestOneBadMailboxDoesNotKeepTheOthersFromTheirMail(t *testing.T) {
	t.Parallel()
	accepted := func(address string) notify.Recipient {
		return notify.Recipient{Address: address, State: notify.Accepted, Code: 250, EnhancedCode: "2.0.0"}
	}
	gone := notify.Recipient{Address: "gone@example.com", State: notify.Refused, Code: 550, EnhancedCode: "5.1.1"}
	late := notify.Recipient{Address: "late@example.com", State: notify.Deferred, Code: 450, EnhancedCode: "4.2.1"}
	for name, tc := range map[string]struct {
		to   []string
		want notify.Reason
		each []notify.Recipient
	}{
		"refused": {[]string{"a@example.com", "gone@example.com", "b@example.com"}, notify.ReasonPartlyRefused,
			[]notify.Recipient{accepted("a@example.com"), gone, accepted("b@example.com")}},
		"deferred": {[]string{"late@example.com", "a@example.com"}, notify.ReasonPartlyDeferred, []notify.Recipient{late, accepted("a@example.com")}},
		"both": {[]string{"gone@example.com", "late@example.com", "a@example.com"}, notify.ReasonPartlyDeferred,
			[]notify.Recipient{gone, late, accepted("a@example.com")}},
		"no good one is left":     {[]string{"gone@example.com"}, notify.ReasonRefused, []notify.Recipient{gone}},
		"none that is good today": {[]string{"gone@example.com", "late@example.com"}, notify.ReasonDeferred, []notify.Recipient{gone, late}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message(tc.to...)
			result := newSender(t, peers.postfix.ports["choosy"], smtp.Config{}).Send(t.Context(), m)
			want(t, result, tc.want)
			for i, got := range result.Recipients {
				if got.State == notify.Refused && !strings.Contains(got.Response, "No such person") {
					t.Errorf("%s was refused with %q, want Postfix's words", got.Address, got.Response)
				}
				if got.State == notify.Accepted {
					peers.dovecot.arrived(t, got.Address, m.ID)
				}
				result.Recipients[i].Response = ""
			}
			if !slices.Equal(result.Recipients, tc.each) {
				t.Errorf("recipients are %+v, want %+v", result.Recipients, tc.each)
			}
		})
	}
}

func TestVerdictOnTheMail(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		from string
		want notify.Reason
		code int
	}{
		"the sender is refused":       {"refused@example.com", notify.ReasonRefused, 550},
		"the message is not let in":   {"silent@example.com", notify.ReasonMessageRefused, 554},
		"the message is refused":      {"spam@example.com", notify.ReasonMessageRefused, 554},
		"the message is put off":      {"greedy@example.com", notify.ReasonDeferred, 452},
		"of another it is taken":      {"tocsin@example.com", notify.ReasonAccepted, 250},
		"from nobody there is no way": {"", notify.ReasonInvalidMessage, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message()
			m.From = tc.from
			result := newSender(t, peers.postfix.ports["moody"], smtp.Config{}).Send(t.Context(), m)
			want(t, result, tc.want)
			for _, got := range result.Recipients {
				if got.Code != tc.code {
					t.Errorf("recipient is %+v, want code %d", got, tc.code)
				}
			}
		})
	}
}

func TestMoreThanTheServerTakes(t *testing.T) {
	t.Parallel()
	sender := newSender(t, peers.postfix.ports["narrow"], smtp.Config{})
	t.Run("recipients", func(t *testing.T) {
		t.Parallel()
		m := message("a@example.com", "b@example.com", "c@example.com")
		result := sender.Send(t.Context(), m)
		want(t, result, notify.ReasonPartlyDeferred)
		if got := result.Recipients[2]; got.State != notify.Deferred || got.Code != 452 {
			t.Errorf("the third is %+v, want it put off", got)
		}
		peers.dovecot.arrived(t, "b@example.com", m.ID)
		m.To = m.To[2:]
		deliver(t, sender, m)
	})
	t.Run("text", func(t *testing.T) {
		t.Parallel()
		m := message()
		m.Text = strings.Repeat("all work and no play\n", 400)
		result := sender.Send(t.Context(), m)
		want(t, result, notify.ReasonMessageRefused)
		if got := result.Recipients[0]; got.Code != 552 || got.EnhancedCode != "5.3.4" {
			t.Errorf("the recipient is %+v, want code 552 5.3.4", got)
		}
	})
}

func TestGreylistedMailIsTakenTheSecondTime(t *testing.T) {
	t.Parallel()
	sender, m := newSender(t, peers.postfix.ports["greylisting"], smtp.Config{}), message("grey@example.com")
	m.From = rand.Text() + "@example.com" // whom the policy server has not seen
	first := sender.Send(t.Context(), m)
	want(t, first, notify.ReasonDeferred)
	if got := first.Recipients[0]; !first.Temporary || got.Code != 450 || !strings.Contains(got.Response, "Greylisted") {
		t.Errorf("the first attempt ended with %+v, want a temporary one that says why", first)
	}
	deliver(t, sender, m)
	if got := len(peers.dovecot.mails(t, m.To[0], m.ID)); got != 1 {
		t.Errorf("%d mails arrived, want one", got)
	}
}

func TestInternationalAddresses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		service, from, to, mailbox string
		want                       notify.Reason
	}{
		"domain":                         {service: "starttls", to: "soc@bücher.example", mailbox: "soc@xn--bcher-kva.example"},
		"domain, without SMTPUTF8":       {service: "ascii", to: "soc@bücher.example", mailbox: "soc@xn--bcher-kva.example"},
		"domain of the sender":           {service: "ascii", from: "Wächter <tocsin@bücher.example>", to: "soc@example.com", mailbox: "soc@example.com"},
		"local part":                     {service: "starttls", to: "jörg@utf8.example", mailbox: "utf8.example"},
		"local part of the sender":       {service: "starttls", from: "wächter@example.com", to: "soc@utf8.example", mailbox: "utf8.example"},
		"local part, without SMTPUTF8":   {service: "ascii", to: "jörg@utf8.example", want: notify.ReasonRefused},
		"sender, without SMTPUTF8":       {service: "ascii", from: "wächter@example.com", to: "soc@utf8.example", want: notify.ReasonSenderRefused},
		"display name, without SMTPUTF8": {service: "ascii", to: "Jörg Müller <soc@example.com>", mailbox: "soc@example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message(tc.to)
			if tc.from != "" {
				m.From = tc.from
			}
			result := newSender(t, peers.postfix.ports[tc.service], smtp.Config{}).Send(t.Context(), m)
			if tc.want != "" {
				want(t, result, tc.want)
				return
			}
			want(t, result, notify.ReasonAccepted)
			peers.dovecot.arrived(t, tc.mailbox, m.ID)
		})
	}
}

func TestWhatArrivesIsWhatWasSent(t *testing.T) {
	t.Parallel()
	m := message("Jörg Müller <soc@example.com>", "soc2@example.com")
	m.From = `"Tocsin, für alle" <tocsin@example.com>`
	m.Subject = "Wurm „Sämpel“ auf ws-1: " + strings.Repeat("fünf Rechner ", 12)
	m.Text = ".\n.. dots at the start\n" + strings.Repeat("ä", 2000) + "\nFrom here\n"
	m.InReplyTo = "first@tocsin.example"
	for i := range 50 {
		m.References = append(m.References, fmt.Sprintf("%s.%d@tocsin.example", rand.Text(), i))
	}
	want(t, newSender(t, peers.postfix.ports["starttls"], smtp.Config{}).Send(t.Context(), m), notify.ReasonAccepted)
	header := parse(t, peers.dovecot.arrived(t, "soc2@example.com", m.ID)).Header
	for name, wanted := range map[string]string{
		"Message-ID": "<" + m.ID + ">", "In-Reply-To": "<first@tocsin.example>",
		"References": "<" + strings.Join(m.References, "> <") + ">", "Auto-Submitted": "auto-generated",
		"Subject": strings.TrimSpace(m.Subject),
	} {
		got, err := new(mime.WordDecoder).DecodeHeader(header.Get(name))
		if err != nil || got != wanted {
			t.Errorf("%s is %q (%v), want %q", name, got, err, wanted)
		}
	}
	to, err := header.AddressList("To")
	if err != nil || len(to) != 2 || to[0].Name != "Jörg Müller" || to[0].Address != "soc@example.com" {
		t.Errorf("To is %v (%v)", to, err)
	}
	from, err := header.AddressList("From")
	if err != nil || len(from) != 1 || from[0].Name != "Tocsin, für alle" {
		t.Errorf("From is %v (%v)", from, err)
	}
	if got := header.Get("Return-Path"); got != "<tocsin@example.com>" {
		t.Errorf("Return-Path is %q, want the sender", got)
	}
}

func TestDKIM(t *testing.T) {
	t.Parallel()
	for selector, key := range peers.opendkim.keys {
		signing := &smtp.DKIM{Domain: mailDomain, Selector: selector, Key: key.Signer}
		signed := func() notify.Message {
			m := message("signed@example.com")
			m.Subject, m.Text = "Würmer  überall: "+strings.Repeat("ein langer Betreff ", 10), "Fünf.\n\n\n"
			m.InReplyTo, m.References = "a@b.example", []string{"a@b.example"}
			return m
		}
		t.Run(selector+" convinces OpenDKIM", func(t *testing.T) {
			t.Parallel()
			arrived, _ := deliver(t, newSender(t, peers.postfix.ports["signed"], smtp.Config{DKIM: signing}), signed())
			if got := parse(t, arrived).Header.Get("Authentication-Results"); !strings.Contains(got, "dkim=pass") || !strings.Contains(got, "header.s="+selector) {
				t.Errorf("OpenDKIM says %q, want that the signature is good\n%s", got, arrived)
			}
		})
		t.Run(selector+" survives Dovecot and Postfix", func(t *testing.T) {
			t.Parallel()
			cfg := smtp.Config{TLS: required(), Login: login("Plain"), DKIM: signing}
			arrived, _ := deliver(t, newSender(t, peers.dovecot.submission, cfg), signed())
			if err := verify(arrived, selector, key.record); err != nil {
				t.Errorf("the signature does not verify: %v\n%s", err, arrived)
			}
			if verify(bytes.Replace(arrived, []byte("Message-ID: <"), []byte("Message-ID: <x"), 1), selector, key.record) == nil {
				t.Error("the signature of a forged mail verifies")
			}
		})
	}
}

// verify checks the one signature of a mail in a Maildir.
func verify(mail []byte, selector, record string) error {
	crlf := bytes.ReplaceAll(mail, []byte("\n"), []byte("\r\n"))
	verifications, err := dkim.VerifyWithOptions(bytes.NewReader(crlf), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			if name != selector+"._domainkey."+mailDomain {
				return nil, fmt.Errorf("%s does not exist", name)
			}
			return []string{record}, nil
		},
	})
	if err != nil {
		return err
	}
	if len(verifications) != 1 {
		return fmt.Errorf("there are %d signatures, want one", len(verifications))
	}
	return verifications[0].Err
}

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	const burst = 50
	for service, tc := range map[string]struct {
		atOnce, most int
	}{
		"burst": {atOnce: 1, most: 1},
		"crowd": {atOnce: burst, most: 3},
	} {
		t.Run(fmt.Sprintf("%d at a time", tc.atOnce), func(t *testing.T) {
			t.Parallel()
			ends := func() []string { return peers.postfix.logged(t, service, `disconnect from .* mail=\d+ `) }
			before := len(ends())
			pool := &smtp.Pool{}
			sender := newSender(t, peers.postfix.ports[service], smtp.Config{TLS: required(), Pool: pool, Key: "ns/mail@1"})
			places := make(chan struct{}, tc.atOnce)
			messages := make([]notify.Message, burst)
			var wg sync.WaitGroup
			for i := range messages {
				messages[i] = message(service + "@example.com")
				places <- struct{}{}
				wg.Go(func() {
					defer func() { <-places }()
					if result := sender.Send(t.Context(), messages[i]); result.Reason != notify.ReasonAccepted || result.TLS != "TLS 1.3" || result.QueueID == "" {
						t.Errorf("message %d: %+v", i, result)
					}
				})
			}
			wg.Wait()
			pool.Close()
			for _, m := range messages {
				peers.dovecot.arrived(t, m.To[0], m.ID)
			}
			var connections []string
			eventually(t, "the ends of the connections in Postfix's log", func() bool {
				connections = ends()[before:]
				return mails(connections) == burst
			})
			if len(connections) > tc.most {
				t.Errorf("%d mails went over %d connections, want %d at most", burst, len(connections), tc.most)
			}
		})
	}
}

// mails are how many were sent over the connections whose ends were logged.
func mails(ends []string) int {
	sum := 0
	for _, end := range ends {
		_, count, _ := strings.Cut(end, " mail=")
		count, _, _ = strings.Cut(count, " ")
		n, _ := strconv.Atoi(count)
		sum += n
	}
	return sum
}

func TestConnectionThatTheServerHasClosedIsReplaced(t *testing.T) {
	t.Parallel()
	pool := &smtp.Pool{}
	defer pool.Close()
	sender := newSender(t, peers.postfix.ports["hasty"], smtp.Config{TLS: required(), Pool: pool, Key: "ns/mail@1"})
	timeouts := func() int { return len(peers.postfix.logged(t, "hasty", "timeout after")) }
	for range 2 {
		before := timeouts()
		deliver(t, sender, message())
		eventually(t, "Postfix to hang up", func() bool { return timeouts() > before })
	}
}

func TestNextServerIsTriedWhereOneIsDown(t *testing.T) {
	t.Parallel()
	cfg := smtp.Config{Servers: []string{"127.0.0.77", "no-such-host.invalid", "127.0.0.1"}, TLS: smtp.TLS{Mode: v1alpha1.TLSRequired, Roots: peers.ca.Pool()}}
	_, result := deliver(t, newSender(t, peers.postfix.ports["starttls"], cfg), message())
	if wanted := address(peers.postfix.ports["starttls"]); result.Server != wanted {
		t.Errorf("the server was %s, want %s", result.Server, wanted)
	}
}

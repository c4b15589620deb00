// SPDX-License-Identifier: Apache-2.0

package mx_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/tocsin-dev/tocsin/internal/mx"
)

// alter makes a message of the right answer, changed.
func alter(change func(*dns.Msg)) func(*dns.Msg) []byte {
	return func(m *dns.Msg) []byte {
		for _, record := range m.Answer {
			if record, ok := record.(*dns.MX); ok {
				record.Mx = "evil.example."
			}
		}
		change(m)
		packed, err := m.Pack()
		if err != nil {
			panic(err)
		}
		return packed
	}
}

var garbled = map[string]func(*dns.Msg) []byte{
	"another ID":       alter(func(m *dns.Msg) { m.Id++ }),
	"another name":     alter(func(m *dns.Msg) { m.Question[0].Name = "example.org." }),
	"another type":     alter(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT }),
	"another class":    alter(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS }),
	"no question":      alter(func(m *dns.Msg) { m.Question = nil }),
	"two questions":    alter(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }),
	"a question":       alter(func(m *dns.Msg) { m.Response = false }),
	"another opcode":   alter(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }),
	"nothing":          func(*dns.Msg) []byte { return nil },
	"a few bytes":      func(*dns.Msg) []byte { return []byte("hello") },
	"noise":            func(*dns.Msg) []byte { return []byte(strings.Repeat("\xc0\x00\xff", 100)) },
	"half of it":       func(m *dns.Msg) []byte { b, _ := m.Pack(); return b[:len(b)-5] },
	"a lot":            func(*dns.Msg) []byte { return make([]byte, 20_000) },
	"a pointer circle": func(m *dns.Msg) []byte { b, _ := m.Pack(); return append(b[:12], 0xc0, 12, 0, 15, 0, 1) },
}

func TestStrayDatagramsArePassedOver(t *testing.T) {
	t.Parallel()
	for name, g := range garbled {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := signed(nil)
			z["example.com MX"] = reply{records: z["example.com MX"].records, garbled: g}
			if got := names(t, newResolver(t, nil, startResolver(t, false, z)), "example.com"); got != "mx" {
				t.Errorf("hosts %q, want those of the right answer", got)
			}
		})
	}
}

func TestWrongAnswersAreNone(t *testing.T) {
	t.Parallel()
	for name, g := range garbled {
		for _, byTCP := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, TCP %v", name, byTCP), func(t *testing.T) {
				t.Parallel()
				z := signed(nil)
				// By TCP, what is wrong comes after a truncated answer by UDP, in which nothing is wrong.
				z["example.com MX"] = reply{records: z["example.com MX"].records, alone: !byTCP, byTCP: byTCP, garbled: func(m *dns.Msg) []byte {
					if m.Truncated {
						b, _ := m.Pack()
						return b
					}
					return g(m)
				}}
				hosts, err := newResolver(t, impatient, startResolver(t, false, z)).Lookup(t.Context(), "example.com", 25)
				if reason(err) != mx.Failed {
					t.Errorf("Lookup() = %v, %v; want an error: nothing fits the question", hosts, err)
				}
			})
		}
	}
}

func TestNextResolverIsAsked(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]reply{
		"the first hangs":             {hangs: true},
		"the first fails":             {rcode: dns.RcodeServerFailure},
		"the first refuses":           {rcode: dns.RcodeRefused},
		"the first talks nonsense":    {garbled: garbled["noise"], alone: true},
		"the first is a loop":         records("example.com. CNAME example.com."),
		"the first cannot be reached": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first := startResolver(t, true, zone{"example.com MX": wrong, "mx.example.com A": wrong, "mx.example.com AAAA": wrong})
			if name == "the first cannot be reached" {
				first = &resolver{address: closedPort(t)}
			}
			change := func(o *mx.Options) { o.Timeout = 5 * time.Second }
			if got := names(t, newResolver(t, change, first, startResolver(t, true, signed(nil))), "example.com"); got != "mx" {
				t.Errorf("hosts %q, want those of the second resolver", got)
			}
			// Who does not answer is waited for once in a lookup.
			if asked := first.questions(); len(asked) > 1 {
				t.Errorf("the first was asked %v, want one question", asked)
			}
		})
	}
}

func closedPort(t *testing.T) string {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().String()
}

func TestLostDatagramIsSentAgain(t *testing.T) {
	t.Parallel()
	server := startResolver(t, false, signed(nil))
	right := server.zone["example.com MX"]
	server.set("example.com MX", reply{hangs: true})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for server.count("example.com MX") == 0 {
			time.Sleep(time.Millisecond)
		}
		server.set("example.com MX", right)
	}()
	change := func(o *mx.Options) { o.Timeout = 4 * time.Second }
	if got := names(t, newResolver(t, change, server), "example.com"); got != "mx" {
		t.Errorf("hosts %q, want the answer to the second question", got)
	}
	<-done
}

func TestHangingResolverEndsWithTheDeadline(t *testing.T) {
	t.Parallel()
	hangs := zone{"example.com MX": {hangs: true}}
	_, err := newResolver(t, impatient, startResolver(t, false, hangs), startResolver(t, false, hangs)).Lookup(t.Context(), "example.com", 25)
	if reason(err) != mx.Failed || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("error %v, want Failed, as nobody answers", err)
	}
}

func TestHangingHostDoesNotHoldUpTheOthers(t *testing.T) {
	t.Parallel()
	z := signed(zone{
		"example.com MX":     records("example.com. MX 1 slow.example.com.", "example.com. MX 10 mx.example.com."),
		"slow.example.com A": {hangs: true},
	})
	change := func(o *mx.Options) { o.Timeout = 4 * time.Second }
	hosts, err := newResolver(t, change, startResolver(t, true, z)).Lookup(t.Context(), "example.com", 25)
	if err != nil {
		t.Fatal(err)
	}
	if reason(hosts[0].Err) != mx.Failed || hosts[1].Err != nil || len(hosts[1].TLSA) != 1 {
		t.Errorf("hosts %v, want the first to have failed and the second to be complete", hosts)
	}
}

func TestCancelledLookupEndsAtOnce(t *testing.T) {
	t.Parallel()
	server := startResolver(t, false, zone{"example.com MX": {hangs: true}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		for server.count("example.com MX") == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	// Left alone, it would take an hour.
	_, err := newResolver(t, func(o *mx.Options) { o.Timeout = 4 * time.Hour }, server).Lookup(ctx, "example.com", 25)
	if !errors.Is(err, context.Canceled) || reason(err) != "?" {
		t.Errorf("error %v, want the context's", err)
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		options mx.Options
		message string
	}{
		"DNSSEC required, no resolver named": {mx.Options{RequireDNSSEC: true}, "DNSSEC is required, but no resolver is named"},
		"no port":                            {mx.Options{Resolvers: []string{"192.0.2.53"}}, `resolver "192.0.2.53": must be host:port`},
		"port 0":                             {mx.Options{Resolvers: []string{"192.0.2.53:0"}}, "must be host:port"},
		"port too large":                     {mx.Options{Resolvers: []string{"192.0.2.53:65536"}}, "must be host:port"},
		"no host":                            {mx.Options{Resolvers: []string{":53"}}, "must be host:port"},
		"the second is wrong":                {mx.Options{Resolvers: []string{"192.0.2.53:53", "x"}}, `resolver "x"`},
		"right":                              {mx.Options{Resolvers: []string{"192.0.2.53:53", "[2001:db8::53]:53", "unbound.dns.svc:5353"}, RequireDNSSEC: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := mx.New(tc.options)
			if tc.message == "" && err != nil || tc.message != "" && (reason(err) != mx.NoResolver || !strings.Contains(err.Error(), tc.message)) {
				t.Errorf("error %v, want %q", err, tc.message)
			}
		})
	}
}

func TestTemporary(t *testing.T) {
	t.Parallel()
	for reason, want := range map[mx.Reason]bool{
		mx.Failed: true, mx.Bogus: true, mx.NotAuthenticated: true,
		mx.NotFound: false, mx.NullMX: false, mx.NoResolver: false,
	} {
		if got := (&mx.Error{Reason: reason}).Temporary(); got != want {
			t.Errorf("%s: temporary %v, want %v", reason, got, want)
		}
	}
}

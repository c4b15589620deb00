// SPDX-License-Identifier: Apache-2.0

package mx

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

func message(t testing.TB, lines ...string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion("example.com.", dns.TypeMX)
	m.Response, m.AuthenticatedData, m.Compress = true, true, true
	for _, line := range lines {
		record, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		m.Answer = append(m.Answer, record)
	}
	return m
}

func TestOnlyNamedResolversAreBelieved(t *testing.T) {
	t.Parallel()
	for name, named := range map[string]bool{"the cluster's": false, "named": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, err := (&Resolver{named: named}).read(message(t, "example.com. MX 10 mx.example.com."),
				question{"example.com", dns.TypeMX})
			if err != nil || a.authenticated != named {
				t.Errorf("authenticated: %v, %v; want %v, whatever the AD bit says", a.authenticated, err, named)
			}
		})
	}
}

func TestClusterResolvers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config string
		want   []string
	}{
		"two":         {"search a.svc.cluster.local\nnameserver 10.96.0.10\nnameserver 2001:db8::53\n", []string{"10.96.0.10:53", "[2001:db8::53]:53"}},
		"none":        {"search example.com\n", nil},
		"not a file":  {"", nil},
		"not a thing": {"\x00\xff", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "resolv.conf")
			if tc.config != "" {
				if err := os.WriteFile(path, []byte(tc.config), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, err := clusterResolvers(path)
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("resolvers (-want +got):\n%s", d)
			}
			if e, ok := errors.AsType[*Error](err); (tc.want == nil) != (ok && e.Reason == NoResolver) {
				t.Errorf("error %v, want NoResolver just when there is none", err)
			}
		})
	}
}

// FuzzAnswer feeds whole messages, as a hostile resolver may send them.
func FuzzAnswer(f *testing.F) {
	for _, lines := range [][]string{
		{"example.com. MX 10 mx.example.com.", "example.com. MX 10 192.0.2.1.", `example.com. MX 0 \000\255.`},
		{"example.com. MX 0 ."},
		{"example.com. CNAME a.example.", "a.example. CNAME example.com."},
		{"example.com. A 192.0.2.1", "example.com. AAAA ::ffff:0.0.0.0", "example.com. TLSA 3 1 1 00", "example.com. TLSA 2 0 0 3000"},
	} {
		packed, err := message(f, lines...).Pack()
		if err != nil {
			f.Fatal(err)
		}
		for _, kind := range kinds {
			f.Add(packed, kind)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, kind uint16) {
		m := new(dns.Msg)
		if err := m.Unpack(data); err != nil {
			return
		}
		q := question{"example.com", kinds[int(kind)%len(kinds)]}
		a, err := (&Resolver{named: true, require: true}).read(m, q)
		if err != nil {
			checkError(t, err)
			return
		}
		checkAnswer(t, a)
	})
}

var kinds = []uint16{dns.TypeMX, dns.TypeA, dns.TypeAAAA, dns.TypeTLSA}

func checkError(t *testing.T, err error) {
	t.Helper()
	e, ok := errors.AsType[*Error](err)
	if !ok || len(e.Message) > 4000 || strings.ContainsFunc(e.Message, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		t.Errorf("error %q: want an *Error, bounded and printable", err)
	}
}

func checkAnswer(t *testing.T, a answer) {
	t.Helper()
	if len(a.exchanges) > maxExchanges || len(a.addresses) > maxAddresses || len(a.tlsa) > maxTLSA {
		t.Errorf("%d exchanges, %d addresses, %d TLSA records: more than are kept", len(a.exchanges), len(a.addresses), len(a.tlsa))
	}
	if !slices.IsSortedFunc(a.exchanges, func(x, y exchange) int { return int(x.preference) - int(y.preference) }) {
		t.Errorf("exchanges %v are not in order", a.exchanges)
	}
	for _, e := range a.exchanges {
		if name, err := toASCII(e.host); err != nil || name != e.host {
			t.Errorf("exchange %q is no host", e.host)
		}
	}
	for _, record := range a.tlsa {
		if !record.usable() {
			t.Errorf("TLSA record %v is not usable", record)
		}
	}
	if name, err := toASCII(a.name); err != nil || name != a.name {
		t.Errorf("the answer's name %q is no host", a.name)
	}
	if a.ttl != 0 && (a.ttl < minTTL || a.ttl > maxTTL) {
		t.Errorf("TTL %s is out of bounds", a.ttl)
	}
}

// SPDX-License-Identifier: Apache-2.0

package mx_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"github.com/tocsin-dev/tocsin/internal/mx"
)

func addrs(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

func diff(got, want []mx.Host) string {
	return cmp.Diff(want, got, cmpopts.IgnoreUnexported(mx.Host{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Err" }, cmp.Comparer(func(a, b error) bool {
			return reason(a) == reason(b)
		})))
}

// reason of an error; empty for none, and "?" for one that has no reason.
func reason(err error) mx.Reason {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*mx.Error](err); ok {
		return e.Reason
	}
	return "?"
}

func failedHost(name string, reason mx.Reason) mx.Host {
	return mx.Host{Name: name, Err: &mx.Error{Reason: reason}}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	one := []mx.Host{{Name: "mx.example.com", Addresses: addrs("192.0.2.1"), Authenticated: true}}
	for name, tc := range map[string]struct {
		zone   zone
		domain string
		want   []mx.Host
	}{
		"hosts in ascending preference, however they come": {
			zone: zone{
				"example.com MX": records("example.com. MX 30 c.example.com.", "example.com. MX 10 a.example.com.",
					"example.com. MX 20 b.example.com."),
				"a.example.com A":    records("a.example.com. A 192.0.2.1", "a.example.com. A 192.0.2.2"),
				"a.example.com AAAA": records("a.example.com. AAAA 2001:db8::1"),
				"b.example.com AAAA": records("b.example.com. AAAA 2001:db8::2"),
				"c.example.com A":    records("c.example.com. A 192.0.2.3"),
			},
			want: []mx.Host{
				{Name: "a.example.com", Addresses: addrs("192.0.2.1", "192.0.2.2", "2001:db8::1"), Authenticated: true},
				{Name: "b.example.com", Addresses: addrs("2001:db8::2"), Authenticated: true},
				{Name: "c.example.com", Addresses: addrs("192.0.2.3"), Authenticated: true},
			},
		},
		"no MX record: the domain itself": {
			zone: zone{"example.com A": records("example.com. A 192.0.2.1")},
			want: []mx.Host{{Name: "example.com", Addresses: addrs("192.0.2.1"), Authenticated: true}},
		},
		"a domain that is its own MX": {
			zone: zone{
				"example.com MX": records("example.com. MX 10 example.com."),
				"example.com A":  records("example.com. A 192.0.2.1"),
			},
			want: []mx.Host{{Name: "example.com", Addresses: addrs("192.0.2.1"), Authenticated: true}},
		},
		"a domain that is an alias": {
			zone: zone{
				"example.com MX":   records("example.com. CNAME real.example.", "real.example. MX 10 mx.example.com."),
				"mx.example.com A": records("mx.example.com. A 192.0.2.1"),
			},
			want: one,
		},
		"a host that is an alias": {
			zone: zone{
				"example.com MX": records("example.com. MX 10 mx.example.com."),
				"mx.example.com A": records("mx.example.com. CNAME other.example.", "other.example. CNAME real.example.",
					"real.example. A 192.0.2.1", "evil.example. A 192.0.2.66"),
			},
			want: one,
		},
		"upper case, a trailing dot": {
			zone: zone{
				"example.com MX":   records("EXAMPLE.com. MX 10 MX.Example.com."),
				"mx.example.com A": records("mx.EXAMPLE.com. A 192.0.2.1"),
			},
			domain: "Example.COM.",
			want:   one,
		},
		"an internationalised domain": {
			zone: zone{
				"xn--mller-kva.example MX": records("xn--mller-kva.example. MX 10 mx.example.com."),
				"mx.example.com A":         records("mx.example.com. A 192.0.2.1"),
			},
			domain: "Müller.example",
			want:   one,
		},
		"records of somebody else do not count": {
			zone: zone{
				"example.com MX":   records("example.com. MX 10 mx.example.com.", "example.org. MX 1 evil.example."),
				"mx.example.com A": records("mx.example.com. A 192.0.2.1", "example.com. A 192.0.2.66", "mx.example.com. CH A 192.0.2.66"),
			},
			want: one,
		},
		"hosts that are none are passed over": {
			zone: zone{
				"example.com MX": records("example.com. MX 1 192.0.2.66.", "example.com. MX 2 localhost.", "example.com. MX 3 a.LOCALHOST.",
					"example.com. MX 4 localhost.localdomain.", `example.com. MX 5 m\195\188ller.example.`, `example.com. MX 6 a\.b.example.`,
					`example.com. MX 7 a\000.example.`, `example.com. MX 8 a\032b.example.`, "example.com. MX 9 .",
					"example.com. MX 10 mx.example.com."),
				"mx.example.com A": records("mx.example.com. A 192.0.2.1"),
			},
			want: one,
		},
		"addresses that nobody has are passed over": {
			zone: zone{
				"example.com MX": records("example.com. MX 10 mx.example.com."),
				"mx.example.com A": records("mx.example.com. A 0.0.0.0", "mx.example.com. A 224.0.0.1",
					"mx.example.com. A 192.0.2.1"),
				"mx.example.com AAAA": records("mx.example.com. AAAA ::", "mx.example.com. AAAA ff02::1"),
			},
			want: one,
		},
		"a host that stands there twice": {
			zone: zone{
				"example.com MX":   records("example.com. MX 20 mx.example.com.", "example.com. MX 10 MX.example.com."),
				"mx.example.com A": records("mx.example.com. A 192.0.2.1"),
			},
			want: one,
		},
		"a host without an address, and one that cannot be looked up": {
			zone: zone{
				"example.com MX": records("example.com. MX 1 gone.example.com.", "example.com. MX 2 broken.example.com.",
					"example.com. MX 3 forged.example.com.", "example.com. MX 4 mx.example.com."),
				"broken.example.com A":    {rcode: dns.RcodeServerFailure},
				"broken.example.com AAAA": {rcode: dns.RcodeServerFailure},
				"forged.example.com A":    records("forged.example.com. A 192.0.2.66"),
				"forged.example.com AAAA": {rcode: dns.RcodeServerFailure, extended: dns.ExtendedErrorCodeDNSBogus},
				"mx.example.com A":        records("mx.example.com. A 192.0.2.1"),
			},
			want: append([]mx.Host{failedHost("gone.example.com", mx.NotFound), failedHost("broken.example.com", mx.Failed),
				failedHost("forged.example.com", mx.Bogus)}, one...),
		},
		"one kind of address fails, the other will do": {
			zone: zone{
				"example.com MX":      records("example.com. MX 10 mx.example.com."),
				"mx.example.com A":    records("mx.example.com. A 192.0.2.1"),
				"mx.example.com AAAA": {rcode: dns.RcodeRefused},
			},
			want: one,
		},
		"the answer does not fit into a datagram": {
			zone: zone{
				"example.com MX":   {records: []string{"example.com. MX 10 mx.example.com."}, byTCP: true},
				"mx.example.com A": records("mx.example.com. A 192.0.2.1"),
			},
			want: one,
		},
		"an IPv4 address":           {domain: "192.0.2.1", want: []mx.Host{{Name: "192.0.2.1", Addresses: addrs("192.0.2.1")}}},
		"an IPv6 address":           {domain: "2001:db8::1", want: []mx.Host{{Name: "2001:db8::1", Addresses: addrs("2001:db8::1")}}},
		"an IPv6 address, brackets": {domain: "[2001:db8::1]", want: []mx.Host{{Name: "2001:db8::1", Addresses: addrs("2001:db8::1")}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.domain == "" {
				tc.domain = "example.com"
			}
			got, err := newResolver(t, nil, startResolver(t, true, tc.zone)).Lookup(t.Context(), tc.domain, 25)
			if err != nil {
				t.Fatal(err)
			}
			if d := diff(got, tc.want); d != "" {
				t.Errorf("hosts (-want +got):\n%s", d)
			}
		})
	}
}

func TestLookupFails(t *testing.T) {
	t.Parallel()
	loop := reply{records: []string{"example.com. CNAME a.example.", "a.example. CNAME example.com."}}
	var chain []string
	for i := range 20 {
		chain = append(chain, fmt.Sprintf("a%d.example. CNAME a%d.example.", i, i+1))
	}
	for name, tc := range map[string]struct {
		zone    zone
		domain  string
		want    mx.Reason
		message string
	}{
		"the domain does not exist": {want: mx.NotFound, message: "example.com: the domain does not exist"},
		"the domain takes no mail":  {zone: zone{"example.com MX": records("example.com. MX 0 .")}, want: mx.NullMX, message: "takes no mail"},
		"neither MX nor address":    {zone: zone{"example.com MX": {}}, want: mx.NotFound, message: "no address"},
		"no MX record names a host": {zone: zone{"example.com MX": records("example.com. MX 0 192.0.2.1.", "example.com. MX 0 localhost.")}, want: mx.NotFound, message: "none of the domain's MX records"},
		"no resolver answers well":  {zone: zone{"example.com MX": {rcode: dns.RcodeServerFailure}}, want: mx.Failed, message: "SERVFAIL"},
		"the resolver refuses":      {zone: zone{"example.com MX": {rcode: dns.RcodeRefused}}, want: mx.Failed, message: "REFUSED"},
		"an unknown code":           {zone: zone{"example.com MX": {rcode: 13}}, want: mx.Failed, message: "code 13"},
		"an alias of itself":        {zone: zone{"example.com MX": records("example.com. CNAME example.com.")}, want: mx.Failed, message: "alias"},
		"aliases in a circle":       {zone: zone{"example.com MX": loop}, want: mx.Failed, message: "alias"},
		"too many aliases":          {zone: zone{"a0.example MX": records(chain...)}, domain: "a0.example", want: mx.Failed, message: "alias"},
		"an alias of no name":       {zone: zone{"example.com MX": records(`example.com. CNAME a\000b.example.`)}, want: mx.Failed, message: "alias"},
		"all hosts fail, one of them for now": {zone: zone{
			"example.com MX":       records("example.com. MX 1 gone.example.com.", "example.com. MX 2 broken.example.com."),
			"broken.example.com A": {rcode: dns.RcodeServerFailure},
		}, want: mx.Failed, message: "no server can be used: broken.example.com: "},
		"an empty domain":         {domain: "", want: mx.NotFound, message: "not a domain name"},
		"the root":                {domain: ".", want: mx.NotFound, message: "not a domain name"},
		"an empty label":          {domain: "a..example", want: mx.NotFound, message: "not a domain name"},
		"a long label":            {domain: strings.Repeat("a", 64) + ".example", want: mx.NotFound, message: "not a domain name"},
		"a long name":             {domain: strings.Repeat("a.", 127) + "a", want: mx.NotFound, message: "not a domain name"},
		"spaces":                  {domain: "exa mple.com", want: mx.NotFound, message: "not a domain name"},
		"an escape":               {domain: `a\046b.example`, want: mx.NotFound, message: "not a domain name"},
		"a name that is no IDN":   {domain: "a\u0301\u0378.example", want: mx.NotFound, message: "not a domain name"},
		"an address that is none": {domain: "192.0.2.256", want: mx.NotFound, message: "not a domain name"},
		"half a bracket":          {domain: "[192.0.2.1", want: mx.NotFound, message: "not a domain name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tc.zone != nil && tc.domain == "" || tc.message == "example.com: the domain does not exist" {
				tc.domain = "example.com"
			}
			hosts, err := newResolver(t, nil, startResolver(t, true, tc.zone)).Lookup(t.Context(), tc.domain, 25)
			if got := reason(err); got != tc.want || !strings.Contains(fmt.Sprint(err), tc.message) || hosts != nil {
				t.Errorf("Lookup() = %v, %v (%s), want an error %s that says %q", hosts, err, got, tc.want, tc.message)
			}
		})
	}
}

func TestEqualsAreShuffled(t *testing.T) {
	t.Parallel()
	z := zone{"example.com MX": records("example.com. MX 20 d.example.com.", "example.com. MX 10 a.example.com.",
		"example.com. MX 20 e.example.com.", "example.com. MX 10 b.example.com.", "example.com. MX 10 c.example.com.",
		"example.com. MX 30 f.example.com.")}
	for _, host := range "abcdef" {
		z[string(host)+".example.com A"] = records(string(host) + ".example.com. A 192.0.2.1")
	}
	reverse := func(o *mx.Options) {
		o.Shuffle = func(n int, swap func(i, j int)) {
			for i := range n / 2 {
				swap(i, n-1-i)
			}
		}
	}
	r := newResolver(t, reverse, startResolver(t, false, z))
	// The second time, the answer comes from memory, which shuffling must not have touched.
	for range 2 {
		if got := names(t, r, "example.com"); got != "c b a e d f" {
			t.Errorf("hosts %s, want each group reversed: c b a e d f", got)
		}
	}
}

// names are the first labels of the hosts.
func names(t *testing.T, r *mx.Resolver, domain string) string {
	t.Helper()
	hosts, err := r.Lookup(t.Context(), domain, 25)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, h := range hosts {
		first, _, _ := strings.Cut(h.Name, ".")
		all = append(all, first)
	}
	return strings.Join(all, " ")
}

func TestManyRecordsAreBounded(t *testing.T) {
	t.Parallel()
	var lines, addresses []string
	for i := range 3000 {
		lines = append(lines, fmt.Sprintf("example.com. MX %d h%d.example.com.", 3000-i/3, i))
	}
	for i := range 500 {
		addresses = append(addresses, fmt.Sprintf("h2999.example.com. A 10.0.%d.%d", i/256, i%256))
	}
	server := startResolver(t, false, zone{
		"example.com MX":      {records: lines, byTCP: true},
		"h2999.example.com A": {records: addresses, byTCP: true},
	})
	hosts, err := newResolver(t, nil, server).Lookup(t.Context(), "example.com", 25)
	if err != nil {
		t.Fatal(err)
	}
	usable := slices.IndexFunc(hosts, func(h mx.Host) bool { return h.Err == nil })
	if len(hosts) != 10 || usable < 0 || hosts[usable].Name != "h2999.example.com" || len(hosts[usable].Addresses) != 8 {
		t.Errorf("%d hosts, want the first 10, and of h2999 8 addresses: %v", len(hosts), hosts)
	}
	if got := len(server.questions()); got != 1+2*10 {
		t.Errorf("%d questions, want one for MX and two for each of 10 hosts", got)
	}
}

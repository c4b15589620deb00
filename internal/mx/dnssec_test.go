// SPDX-License-Identifier: Apache-2.0

package mx_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/tocsin-dev/tocsin/internal/mx"
)

const (
	digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	tlsaOf = "_25._tcp.mx.example.com"
)

// signed is a domain of which all is authenticated; changes are applied to it.
func signed(changes zone) zone {
	z := zone{
		"example.com MX":   records("example.com. MX 10 mx.example.com."),
		"mx.example.com A": records("mx.example.com. A 192.0.2.1"),
		tlsaOf + " TLSA":   records(tlsaOf + ". TLSA 3 1 1 " + digest),
	}
	for key, change := range changes {
		z[key] = change
	}
	return z
}

func unsigned(lines ...string) reply { return reply{records: lines, unsigned: true} }

// bogus is an answer of a resolver that does not say why it refuses it (unbound's default).
func bogus(lines ...string) reply { return reply{records: lines, bogus: true} }

func servfail(extended uint16) reply { return reply{rcode: dns.RcodeServerFailure, extended: extended} }

func TestRequireDNSSEC(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		changes zone
		want    mx.Reason
		message string
	}{
		"all is authenticated":                {},
		"the MX record is not":                {changes: zone{"example.com MX": unsigned("example.com. MX 10 mx.example.com.")}, want: mx.NotAuthenticated, message: "MX question is not protected by DNSSEC"},
		"that there is no MX record is not":   {changes: zone{"example.com MX": unsigned(), "example.com A": records("example.com. A 192.0.2.1")}, want: mx.NotAuthenticated},
		"that there is no domain is not":      {changes: zone{"example.com MX": {rcode: dns.RcodeNameError, unsigned: true}}, want: mx.NotAuthenticated},
		"that it takes no mail is not":        {changes: zone{"example.com MX": unsigned("example.com. MX 0 .")}, want: mx.NotAuthenticated},
		"that it takes no mail is":            {changes: zone{"example.com MX": records("example.com. MX 0 .")}, want: mx.NullMX},
		"the address is not":                  {changes: zone{"mx.example.com A": unsigned("mx.example.com. A 192.0.2.1")}, want: mx.NotAuthenticated, message: "A question is not"},
		"the TLSA record is not":              {changes: zone{tlsaOf + " TLSA": unsigned()}, want: mx.NotAuthenticated, message: "TLSA question is not"},
		"the MX record is bogus":              {changes: zone{"example.com MX": servfail(dns.ExtendedErrorCodeSignatureExpired)}, want: mx.Bogus, message: `DNSSEC: the answer is bogus; the resolver answers its MX question with SERVFAIL, Signature Expired "no\x00 good"`},
		"the MX record fails":                 {changes: zone{"example.com MX": servfail(0)}, want: mx.Failed, message: "SERVFAIL"},
		"the MX record fails for want of net": {changes: zone{"example.com MX": servfail(dns.ExtendedErrorCodeNetworkError)}, want: mx.Failed, message: "Network Error"},
		"the MX record is bogus, unsaid":      {changes: zone{"example.com MX": bogus("example.com. MX 10 mx.example.com.")}, want: mx.Bogus, message: "DNSSEC: the answer is bogus"},
		"the address is bogus":                {changes: zone{"mx.example.com AAAA": servfail(dns.ExtendedErrorCodeDNSBogus)}, want: mx.Bogus},
		"the TLSA record is bogus":            {changes: zone{tlsaOf + " TLSA": servfail(dns.ExtendedErrorCodeDNSBogus)}, want: mx.Bogus},
		"the resolver refuses":                {changes: zone{"example.com MX": {rcode: dns.RcodeRefused}}, want: mx.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newResolver(t, requireDNSSEC, startResolver(t, true, signed(tc.changes)))
			hosts, err := r.Lookup(t.Context(), "example.com", 25)
			if got := reason(err); got != tc.want || !strings.Contains(fmt.Sprint(err), tc.message) {
				t.Errorf("Lookup() = %v, %v (%s), want %q that says %q", hosts, err, got, tc.want, tc.message)
			}
		})
	}
}

func TestBogusNeverFallsBack(t *testing.T) {
	t.Parallel()
	for code := dns.ExtendedErrorCodeDNSBogus; code <= dns.ExtendedErrorCodeNSECMissing; code++ {
		t.Run(dns.ExtendedErrorCodeToString[code], func(t *testing.T) {
			t.Parallel()
			strict := startResolver(t, true, zone{"example.com MX": servfail(code), "example.com A": records("example.com. A 192.0.2.66")})
			lax := startResolver(t, false, zone{"example.com MX": records("example.com. MX 10 evil.example.")})
			_, err := newResolver(t, nil, strict, lax).Lookup(t.Context(), "example.com", 25)
			if reason(err) != mx.Bogus {
				t.Errorf("error %v, want Bogus", err)
			}
			if got := append(strict.questions(), lax.questions()...); len(got) != 1 {
				t.Errorf("asked %v, want nothing after the MX record was bogus", got)
			}
		})
	}
}

// A resolver that does not tell why it fails is asked for the answer unchecked: if it has one, that was bogus.
func TestBogusThatIsNotCalledSoNeverFallsBack(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		first reply
		want  mx.Reason
		// asked is how often the first resolver was.
		asked int
	}{
		"there is an answer":             {bogus("example.com. MX 10 mx.example.com."), mx.Bogus, 2},
		"there is no such record":        {bogus(), mx.Bogus, 2},
		"there is none, checked or not":  {servfail(0), "", 2},
		"it fails, and blames the net":   {servfail(dns.ExtendedErrorCodeNetworkError), "", 2},
		"it refuses, checked or not":     {reply{rcode: dns.RcodeRefused}, "", 1},
		"it has said that it is bogus":   {servfail(dns.ExtendedErrorCodeDNSBogus), mx.Bogus, 1},
		"it names an error of the cache": {reply{rcode: dns.RcodeServerFailure, extended: dns.ExtendedErrorCodeCachedError}, "", 2},
	} {
		for _, change := range []func(*mx.Options){nil, requireDNSSEC} {
			t.Run(fmt.Sprintf("%s, required %t", name, change != nil), func(t *testing.T) {
				t.Parallel()
				strict := startResolver(t, true, zone{"example.com MX": tc.first})
				second := startResolver(t, true, signed(nil))
				hosts, err := newResolver(t, change, strict, second).Lookup(t.Context(), "example.com", 25)
				if reason(err) != tc.want {
					t.Errorf("Lookup() = %v, %v; want %q", hosts, err, tc.want)
				}
				if got := strict.count("example.com MX"); got != tc.asked {
					t.Errorf("the first was asked %d times, want %d", got, tc.asked)
				}
				if asked := len(second.questions()) > 0; asked == (tc.want == mx.Bogus) {
					t.Errorf("the second was asked: %t", asked)
				}
			})
		}
	}
}

func TestAForgedHostIsNotUsedAndTheOthersAre(t *testing.T) {
	t.Parallel()
	const forged = "mx.example.com"
	for name, changes := range map[string]zone{
		"its address":     {"mx.example.com A": bogus("mx.example.com. A 192.0.2.66")},
		"its TLSA record": {tlsaOf + " TLSA": bogus(tlsaOf + ". TLSA 3 1 1 " + digest)},
	} {
		for _, others := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, there are others: %t", name, others), func(t *testing.T) {
				t.Parallel()
				z := signed(changes)
				if others {
					z["example.com MX"] = records("example.com. MX 10 mx.example.com.", "example.com. MX 20 last.example.com.")
				} else {
					z["example.com MX"] = records("example.com. MX 5 down.example.com.", "example.com. MX 10 mx.example.com.")
					z["down.example.com A"] = servfail(0)
				}
				z["last.example.com A"] = records("last.example.com. A 192.0.2.9")
				hosts, err := newResolver(t, nil, startResolver(t, true, z)).Lookup(t.Context(), "example.com", 25)
				if !others {
					if reason(err) != mx.Bogus {
						t.Errorf("Lookup() = %v, %v; want Bogus, as forgery comes before all else", hosts, err)
					}
					return
				}
				if err != nil || len(hosts) != 2 || hosts[0].Name != forged || reason(hosts[0].Err) != mx.Bogus || hosts[1].Err != nil {
					t.Errorf("Lookup() = %+v, %v; want the first to be forged and the second to be of use", hosts, err)
				}
			})
		}
	}
}

func TestTheClustersResolversAreNotAskedForUncheckedAnswers(t *testing.T) {
	t.Parallel()
	r := startResolver(t, true, zone{"example.com MX": bogus("example.com. MX 10 mx.example.com.")})
	resolver := newResolver(t, nil, r).Unnamed()
	if hosts, err := resolver.Lookup(t.Context(), "example.com", 25); reason(err) != mx.Failed || r.count("example.com MX") != 1 {
		t.Errorf("Lookup() = %v, %v after %d questions", hosts, err, r.count("example.com MX"))
	}
}

func TestAfterServfailAnotherResolverMayAnswer(t *testing.T) {
	t.Parallel()
	broken := zone{"example.com MX": servfail(0)}
	for name, tc := range map[string]struct {
		change   func(*mx.Options)
		validate bool
		want     mx.Reason
	}{
		"as long as nothing is required":     {},
		"if it validates what it says":       {change: requireDNSSEC, validate: true},
		"but not when it does not, required": {change: requireDNSSEC, want: mx.NotAuthenticated},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := startResolver(t, true, broken), startResolver(t, tc.validate, signed(nil))
			if _, err := newResolver(t, tc.change, first, second).Lookup(t.Context(), "example.com", 25); reason(err) != tc.want {
				t.Errorf("error %v, want %q", err, tc.want)
			}
		})
	}
}

func TestTLSA(t *testing.T) {
	t.Parallel()
	const aliased = "mx.example.com. CNAME real.example."
	found := mx.Host{Name: "mx.example.com", Addresses: addrs("192.0.2.1"), Authenticated: true, TLSRequired: true, TLSA: []mx.TLSA{tlsa(3, 1, 1)}}
	none, plain, aliasOf, onlyTLS := found, found, found, found
	none.TLSRequired, none.TLSA, onlyTLS.TLSA = false, nil, nil
	plain.TLSRequired, plain.TLSA, plain.Authenticated = false, nil, false
	aliasOf.Name = "real.example"
	for name, tc := range map[string]struct {
		changes zone
		port    int
		want    mx.Host
		unasked bool
	}{
		"found": {want: found},
		"some of them usable": {
			changes: zone{tlsaOf + " TLSA": records(tlsaOf+". TLSA 1 1 1 "+digest, tlsaOf+". TLSA 3 1 1 "+digest)},
			want:    found,
		},
		"none of them usable: TLS, but no DANE": {
			changes: zone{tlsaOf + " TLSA": records(tlsaOf+". TLSA 0 1 1 "+digest, tlsaOf+". TLSA 1 0 1 "+digest,
				tlsaOf+". TLSA 3 1 1 0123", tlsaOf+". TLSA 3 1 2 "+digest, tlsaOf+". TLSA 3 2 1 "+digest, tlsaOf+". TLSA 3 1 3 "+digest,
				tlsaOf+". TLSA 3 0 0 "+digest, tlsaOf+". TLSA 2 1 0 "+digest, tlsaOf+". TLSA 2 2 0 "+digest, tlsaOf+". TLSA 255 1 1 "+digest)},
			want: onlyTLS,
		},
		"none there":   {changes: zone{tlsaOf + " TLSA": {}}, want: none},
		"another port": {port: 587, want: none},
		"under an alias of their own": {
			changes: zone{tlsaOf + " TLSA": records(tlsaOf+". CNAME _dane.example.com.", "_dane.example.com. TLSA 3 1 1 "+digest)},
			want:    found,
		},
		"under the name that the host is an alias of": {
			changes: zone{"mx.example.com A": records(aliased, "real.example. A 192.0.2.1"),
				"_25._tcp.real.example TLSA": records("_25._tcp.real.example. TLSA 3 1 1 " + digest)},
			want: aliasOf,
		},
		"under the name of the alias only": {
			changes: zone{"mx.example.com A": records(aliased, "real.example. A 192.0.2.1")},
			want:    found,
		},
		"not authenticated":                 {changes: zone{tlsaOf + " TLSA": unsigned(tlsaOf + ". TLSA 3 1 1 " + digest)}, want: none},
		"the MX record is not":              {changes: zone{"example.com MX": unsigned("example.com. MX 10 mx.example.com.")}, want: plain, unasked: true},
		"the address is not":                {changes: zone{"mx.example.com A": unsigned("mx.example.com. A 192.0.2.1")}, want: plain, unasked: true},
		"that there is no other is not":     {changes: zone{"mx.example.com AAAA": unsigned()}, want: plain, unasked: true},
		"it fails: the host is not used":    {changes: zone{tlsaOf + " TLSA": servfail(0)}, want: failedHost("mx.example.com", mx.Failed)},
		"it is bogus: the host is not used": {changes: zone{tlsaOf + " TLSA": servfail(9)}, want: failedHost("mx.example.com", mx.Bogus)},
		"the alias has none, and the other fails": {
			changes: zone{"mx.example.com A": records(aliased, "real.example. A 192.0.2.1"), "_25._tcp.real.example TLSA": servfail(0)},
			want:    failedHost("mx.example.com", mx.Failed),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// The last host can always be used.
			tc.changes = signed(tc.changes)
			last := "example.com. MX 20 last.example.com."
			mxRecord := tc.changes["example.com MX"]
			mxRecord.records = append(mxRecord.records, last)
			tc.changes["example.com MX"] = mxRecord
			tc.changes["last.example.com A"] = records("last.example.com. A 192.0.2.9")
			server := startResolver(t, true, tc.changes)
			if tc.port == 0 {
				tc.port = 25
			}
			hosts, err := newResolver(t, nil, server).Lookup(t.Context(), "example.com", tc.port)
			if err != nil {
				t.Fatal(err)
			}
			if d := diff(hosts[:1], []mx.Host{tc.want}); d != "" {
				t.Errorf("host (-want +got):\n%s", d)
			}
			if asked := server.count(tlsaOf+" TLSA") > 0; tc.unasked && asked {
				t.Error("asked for TLSA records of a host that is not authenticated")
			}
		})
	}
}

func TestResolverThatDoesNotValidateCannotDenyTLSA(t *testing.T) {
	t.Parallel()
	strict := startResolver(t, true, signed(zone{tlsaOf + " TLSA": servfail(0)}))
	lax := startResolver(t, false, signed(zone{tlsaOf + " TLSA": {}}))
	if hosts, err := newResolver(t, nil, strict, lax).Lookup(t.Context(), "example.com", 25); reason(err) != mx.Failed {
		t.Errorf("Lookup() = %v, %v; want an error, as one resolver fails and the other proves nothing", hosts, err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package mx

import (
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxAliases is how many CNAME records lead from one name to another.
	maxAliases = 8
	// maxExchanges, maxAddresses and maxTLSA are how many records of an answer are kept.
	maxExchanges = 50
	maxAddresses = 8
	maxTLSA      = 16
	// An answer is kept for its TTL, but not so short that it would be asked for with each mail, nor so long that a mistake
	// would outlive the day's work of who mends it.
	minTTL = 5 * time.Second
	maxTTL = time.Hour
)

// question names a record of class IN; the name is in lower case and without a trailing dot.
type question struct {
	name string
	kind uint16
}

// answer is what is kept of a resolver's answer.
type answer struct {
	// name at the end of the chain of aliases.
	name string
	// nonexistent: there is nothing under that name, of any type.
	nonexistent bool
	// records is how many there are of the type that was asked for, whether they are of use or not.
	records int
	// authenticated: a named resolver says so.
	authenticated bool
	// ttl is how long the answer may be kept; 0 is not at all.
	ttl time.Duration

	// nullMX: the domain takes no mail.
	nullMX bool
	// exchanges in ascending preference, each host once.
	exchanges []exchange
	addresses []netip.Addr
	tlsa      []TLSA
}

// exchange is an MX record.
type exchange struct {
	preference uint16
	host       string
}

// read takes a message apart. Its error is an *Error.
func (r *Resolver) read(m *dns.Msg, q question) (answer, error) {
	if !isAnswer(m) {
		return answer{}, refusal(m, q)
	}
	a := answer{name: q.name, nonexistent: m.Rcode == dns.RcodeNameError, authenticated: r.named && m.AuthenticatedData}
	ttl, err := a.follow(m.Answer)
	if err != nil {
		return answer{}, &Error{Reason: Failed, Domain: q.name, Message: err.Error()}
	}
	if !a.nonexistent {
		ttl = min(ttl, a.collect(m.Answer, q.kind))
	}
	if a.records == 0 {
		lasting, ok := negativeTTL(m.Ns)
		if !ok {
			return a, nil
		}
		ttl = min(ttl, lasting)
	}
	a.ttl = min(max(time.Duration(ttl)*time.Second, minTTL), maxTTL)
	return a, nil
}

// refusal is why a message holds no answer.
func refusal(m *dns.Msg, q question) *Error {
	said := dns.RcodeToString[m.Rcode]
	if said == "" {
		said = fmt.Sprintf("code %d", m.Rcode)
	}
	refused := &Error{Reason: Failed, Domain: q.name}
	for _, option := range options(m) {
		extended, ok := option.(*dns.EDNS0_EDE)
		if !ok {
			continue
		}
		said += ", " + dns.ExtendedErrorCodeToString[extended.InfoCode]
		if extended.ExtraText != "" {
			said += fmt.Sprintf(" %.200q", extended.ExtraText)
		}
		// RFC 8914, 4.7 to 4.13.
		bogus := extended.InfoCode >= dns.ExtendedErrorCodeDNSBogus && extended.InfoCode <= dns.ExtendedErrorCodeNSECMissing
		if bogus && m.Rcode == dns.RcodeServerFailure {
			refused.Reason = Bogus
			break
		}
	}
	refused.Message = fmt.Sprintf("the resolver answers its %s question with %s", dns.TypeToString[q.kind], said)
	if refused.Reason == Bogus {
		refused.Message = bogusAnswer + refused.Message
	}
	return refused
}

const bogusAnswer = "DNSSEC: the answer is bogus; "

// isAnswer says whether a message tells of records, or of there being none.
func isAnswer(m *dns.Msg) bool { return m.Rcode == dns.RcodeSuccess || m.Rcode == dns.RcodeNameError }

func options(m *dns.Msg) []dns.EDNS0 {
	if opt := m.IsEdns0(); opt != nil {
		return opt.Option[:min(len(opt.Option), 4)]
	}
	return nil
}

// follow goes along the aliases to the name that has the records. It returns the shortest TTL, in seconds.
func (a *answer) follow(records []dns.RR) (ttl uint32, err error) {
	aliases := map[string]*dns.CNAME{}
	for _, record := range records {
		if alias, ok := record.(*dns.CNAME); ok && alias.Hdr.Class == dns.ClassINET {
			aliases[fold(alias.Hdr.Name)] = alias
		}
	}
	ttl = math.MaxUint32
	for range maxAliases {
		alias, ok := aliases[a.name]
		if !ok {
			return ttl, nil
		}
		a.name, ttl = fold(alias.Target), min(ttl, alias.Hdr.Ttl)
		if !isHostname(a.name) {
			return 0, errors.New("it is an alias of what is no name of a host")
		}
	}
	return 0, errors.New("it is an alias of an alias, and so on")
}

// collect keeps the records that belong to the name and can be used. It returns their shortest TTL, in seconds.
func (a *answer) collect(records []dns.RR, kind uint16) (ttl uint32) {
	ttl = math.MaxUint32
	for _, record := range records {
		header := record.Header()
		if header.Rrtype != kind || header.Class != dns.ClassINET || fold(header.Name) != a.name {
			continue
		}
		a.records++
		ttl = min(ttl, header.Ttl)
		a.keep(record)
	}
	slices.SortStableFunc(a.exchanges, func(x, y exchange) int { return cmp.Compare(x.preference, y.preference) })
	seen := map[string]bool{}
	a.exchanges = slices.DeleteFunc(a.exchanges, func(e exchange) bool {
		known := seen[e.host] || len(seen) == maxExchanges
		seen[e.host] = seen[e.host] || !known
		return known
	})
	a.exchanges = slices.Clip(a.exchanges)
	return ttl
}

func (a *answer) keep(record dns.RR) {
	switch record := record.(type) {
	case *dns.MX:
		if record.Mx == "." {
			a.nullMX = true
		} else if host := fold(record.Mx); isMailHost(host) {
			a.exchanges = append(a.exchanges, exchange{record.Preference, host})
		}
	case *dns.A:
		a.keepAddress(record.A)
	case *dns.AAAA:
		a.keepAddress(record.AAAA)
	case *dns.TLSA:
		data, err := hex.DecodeString(record.Certificate)
		t := TLSA{Usage: record.Usage, Selector: record.Selector, MatchingType: record.MatchingType, Data: data}
		if err == nil && t.usable() && len(a.tlsa) < maxTLSA {
			a.tlsa = append(a.tlsa, t)
		}
	}
}

func (a *answer) keepAddress(ip []byte) {
	addr, ok := netip.AddrFromSlice(ip)
	addr = addr.Unmap()
	if ok && !addr.IsUnspecified() && !addr.IsMulticast() && len(a.addresses) < maxAddresses {
		a.addresses = append(a.addresses, addr)
	}
}

// negativeTTL is how long it holds that there is nothing, in seconds (RFC 2308, 5). Where nothing tells, it is not kept.
func negativeTTL(authority []dns.RR) (ttl uint32, ok bool) {
	for _, record := range authority {
		if soa, ok := record.(*dns.SOA); ok {
			return min(soa.Hdr.Ttl, soa.Minttl), true
		}
	}
	return 0, false
}

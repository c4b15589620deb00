// SPDX-License-Identifier: Apache-2.0

// Package mx tells where mail for a domain goes, by DNS: its MX records (RFC 5321, 5.1; RFC 7505), the addresses of the hosts
// that they name, and how the certificates of those hosts are to be checked (DANE; RFC 7672).
//
// Signatures are not checked here. A resolver that was named in the channel is believed when it says that it has checked
// them (the AD bit; RFC 6840, 5.7); any other resolver is believed as far as one believes DNS without DNSSEC.
package mx

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miekg/dns"
	"k8s.io/utils/clock"
)

const (
	// maxHosts is how many hosts of a domain are used. A sender has to try two at least (RFC 5321, 5.1).
	maxHosts = 10
	// defaultTimeout is what a Lookup may take, all its questions together.
	defaultTimeout = 10 * time.Second
	// clusterConfig names the cluster's resolvers.
	clusterConfig = "/etc/resolv.conf"
)

// Options say how domains are looked up.
type Options struct {
	// Resolvers to ask, as host:port, in this order. None: the cluster's, whose AD bits are not believed.
	Resolvers []string
	// RequireDNSSEC accepts authenticated answers only. It needs Resolvers.
	RequireDNSSEC bool
	// Timeout of a whole Lookup. 0: 10 s.
	Timeout time.Duration
	// Now is the time by which answers grow old. Nil: the machine's.
	Now func() time.Time
	// Shuffle puts hosts of equal preference in random order, as rand.Shuffle does. Nil: rand.Shuffle.
	Shuffle func(n int, swap func(i, j int))
}

// Resolver looks up domains and remembers the answers as long as they last. It is safe for concurrent use.
type Resolver struct {
	servers []string
	// named: the servers were named by whoever wrote the channel, so that their AD bits count.
	named   bool
	require bool
	timeout time.Duration
	shuffle func(n int, swap func(i, j int))
	cache   *cache
}

// New returns a Resolver that has not asked anything yet. Its error is an *Error with the reason NoResolver.
func New(o Options) (*Resolver, error) {
	if o.RequireDNSSEC && len(o.Resolvers) == 0 {
		return nil, &Error{Reason: NoResolver, Message: "DNSSEC is required, but no resolver is named: what an unnamed " +
			"resolver says about signatures proves nothing; name one that validates"}
	}
	servers := o.Resolvers
	if len(servers) == 0 {
		var err error
		if servers, err = clusterResolvers(clusterConfig); err != nil {
			return nil, err
		}
	}
	for _, server := range servers {
		if err := checkServer(server); err != nil {
			return nil, err
		}
	}
	r := &Resolver{
		servers: slices.Clone(servers),
		named:   len(o.Resolvers) > 0,
		require: o.RequireDNSSEC,
		timeout: o.Timeout,
		shuffle: o.Shuffle,
		cache:   &cache{now: o.Now, entries: map[question]entry{}},
	}
	if r.timeout <= 0 {
		r.timeout = defaultTimeout
	}
	if r.shuffle == nil {
		r.shuffle = rand.Shuffle
	}
	if o.Now == nil {
		r.cache.now = clock.RealClock{}.Now
	}
	return r, nil
}

func clusterResolvers(path string) ([]string, error) {
	config, err := dns.ClientConfigFromFile(path)
	if err != nil {
		return nil, &Error{Reason: NoResolver, Message: "the cluster's resolvers are not known: " + err.Error()}
	}
	servers := make([]string, 0, len(config.Servers))
	for _, server := range config.Servers {
		servers = append(servers, net.JoinHostPort(server, config.Port))
	}
	if len(servers) == 0 {
		return nil, &Error{Reason: NoResolver, Message: path + " names no resolver"}
	}
	return servers, nil
}

func checkServer(server string) error {
	host, port, err := net.SplitHostPort(server)
	if number, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || number == 0 || host == "" {
		return &Error{Reason: NoResolver, Message: fmt.Sprintf("resolver %q: must be host:port, such as 192.0.2.53:53", server)}
	}
	return nil
}

// Host is a server that takes mail for a domain.
type Host struct {
	// Name of the host, without a trailing dot: for SNI, and to check the certificate against. Where TLSA records were found
	// under the name that the host's name is an alias of, it is that name (RFC 7672, 2.2.2).
	Name string
	// Addresses to dial, IPv4 first: from most clusters no other way leads out.
	Addresses []netip.Addr
	// Authenticated: a named resolver said that the MX and the address records are authentic.
	Authenticated bool
	// TLSRequired: the host has authentic TLSA records, usable or not, so that it gets mail by TLS only (RFC 7672, 2.2).
	TLSRequired bool
	// TLSA records that are authentic and usable. Where there are any, VerifyDANE has to accept the host's certificate.
	TLSA []TLSA
	// Err is why the host cannot be used; the next one may. Then nothing but the Name is set beside it.
	Err error

	// names that a certificate may have instead of Name (RFC 7672, 3.2.2).
	names []string
}

// Lookup finds the servers that take mail for a domain at a port, in the order in which to try them. At least one of them
// can be used, or there is an error: an *Error, or the context's own. A domain that is an IP address is its own server.
func (r *Resolver) Lookup(ctx context.Context, domain string, port int) ([]Host, error) {
	if addr, ok := literal(domain); ok {
		return []Host{{Name: addr.String(), Addresses: []netip.Addr{addr}}}, nil
	}
	name, err := toASCII(domain)
	if err != nil {
		return nil, &Error{Reason: NotFound, Domain: domain, Message: err.Error()}
	}
	bounded, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	hosts, err := (&lookup{Resolver: r, domain: name, port: port}).hosts(bounded)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("look up the mail servers of %s: %w", name, context.Cause(ctx))
	}
	return hosts, err
}

// lookup is one Lookup under way.
type lookup struct {
	*Resolver
	domain string
	port   int
	// first is the server that answered last. The next question goes there: who hangs is waited for once.
	first atomic.Int32
}

func (l *lookup) hosts(ctx context.Context) ([]Host, error) {
	answer, failure := l.ask(ctx, l.domain, dns.TypeMX)
	if failure != nil {
		return nil, failure
	}
	targets, failure := l.targets(answer)
	if failure != nil {
		return nil, failure
	}
	hosts := make([]Host, len(targets))
	var wg sync.WaitGroup
	for i, target := range targets {
		wg.Go(func() { hosts[i] = l.host(ctx, target, answer) })
	}
	wg.Wait()
	if !slices.ContainsFunc(hosts, func(h Host) bool { return h.Err == nil }) {
		return nil, l.noneUsable(hosts)
	}
	return hosts, nil
}

// targets are the names of the hosts in the order in which to try them.
func (l *lookup) targets(answer answer) ([]string, *Error) {
	switch {
	case answer.nonexistent:
		return nil, &Error{Reason: NotFound, Domain: l.domain, Message: "the domain does not exist"}
	case answer.records == 0:
		return []string{l.domain}, nil
	case answer.nullMX && len(answer.exchanges) == 0:
		return nil, &Error{Reason: NullMX, Domain: l.domain, Message: "the domain takes no mail: its MX record says so (RFC 7505)"}
	case len(answer.exchanges) == 0:
		return nil, &Error{Reason: NotFound, Domain: l.domain, Message: "none of the domain's MX records names a host"}
	}
	exchanges := slices.Clone(answer.exchanges)
	for start := 0; start < len(exchanges); {
		equals := exchanges[start:]
		if end := slices.IndexFunc(equals, func(e exchange) bool { return e.preference != equals[0].preference }); end > 0 {
			equals = equals[:end]
		}
		l.shuffle(len(equals), func(i, j int) { equals[i], equals[j] = equals[j], equals[i] })
		start += len(equals)
	}
	var targets []string
	for _, e := range exchanges[:min(len(exchanges), maxHosts)] {
		targets = append(targets, e.host)
	}
	return targets, nil
}

// noneUsable is the error of the first host that somebody forged, or else that may be usable later, or else of the first.
func (l *lookup) noneUsable(hosts []Host) error {
	var worst *Error
	for _, h := range hosts {
		e, ok := errors.AsType[*Error](h.Err)
		if ok && (worst == nil || graver(worst, e) == e || !worst.Temporary() && e.Temporary()) {
			worst = e
		}
	}
	return &Error{Reason: worst.Reason, Domain: l.domain, Message: "no server can be used: " + worst.Error()}
}

// host looks up all there is to know about one of the domain's hosts.
func (l *lookup) host(ctx context.Context, target string, mx answer) Host {
	found, failure := l.addresses(ctx, target)
	if failure != nil {
		return Host{Name: target, Err: failure}
	}
	h := Host{Name: target, Addresses: found.addresses, Authenticated: mx.authenticated && found.authenticated}
	if !h.Authenticated {
		return h
	}
	for _, base := range slices.Compact([]string{found.name, target}) {
		tlsa, failure := l.ask(ctx, fmt.Sprintf("_%d._tcp.%s", l.port, base), dns.TypeTLSA)
		if failure != nil {
			return Host{Name: target, Err: failure}
		}
		if tlsa.authenticated && tlsa.records > 0 {
			h.Name, h.TLSRequired, h.TLSA = base, true, tlsa.tlsa
			h.names = []string{target, l.domain, mx.name}
			return h
		}
	}
	return h
}

// addresses of a host, and the name that they belong to in the end. One of the two kinds will do where the other cannot be
// had, unless somebody forges answers.
func (l *lookup) addresses(ctx context.Context, name string) (answer, *Error) {
	kinds := []uint16{dns.TypeA, dns.TypeAAAA}
	answers, failures := make([]answer, len(kinds)), make([]*Error, len(kinds))
	var wg sync.WaitGroup
	for i, kind := range kinds {
		wg.Go(func() { answers[i], failures[i] = l.ask(ctx, name, kind) })
	}
	wg.Wait()
	all := answer{name: name, authenticated: true}
	var failure *Error
	for i, a := range answers {
		if failures[i] != nil {
			failure = graver(failure, failures[i])
			continue
		}
		all.authenticated = all.authenticated && a.authenticated
		if len(a.addresses) > 0 {
			all.name, all.addresses = a.name, append(all.addresses, a.addresses...)
		}
	}
	switch none := len(all.addresses) == 0; {
	case failure != nil && (none || failure.Reason == Bogus):
		return answer{}, failure
	case none:
		return answer{}, &Error{Reason: NotFound, Domain: name, Message: "the host has no address"}
	}
	return all, nil
}

// literal reads a domain that is an address, bare or in brackets.
func literal(domain string) (netip.Addr, bool) {
	if strings.HasPrefix(domain, "[") && strings.HasSuffix(domain, "]") {
		domain = domain[1 : len(domain)-1]
	}
	addr, err := netip.ParseAddr(domain)
	return addr, err == nil
}

// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"context"
	"errors"
	"net"
	"strconv"

	"github.com/tocsin-dev/tocsin/internal/mx"
	"github.com/tocsin-dev/tocsin/internal/notify"
)

// reasons of failed lookups. What is not among them is ServerNotFound.
var reasons = map[mx.Reason]notify.Reason{
	mx.NotFound:         notify.ReasonDomainNotFound,
	mx.NullMX:           notify.ReasonNullMX,
	mx.Bogus:            notify.ReasonDNSSECBogus,
	mx.NotAuthenticated: notify.ReasonDNSSECMissing,
	mx.NoResolver:       notify.ReasonNotConfigured,
}

// hosts are the servers that take mail for a configured one: itself, or what its MX records say. A failure stands in for
// each that cannot be used.
func (s *Sender) hosts(ctx context.Context, srv server) (hosts []server, failures []*failure) {
	if s.mx == nil || isAddress(srv.host) {
		return []server{srv}, nil
	}
	looking, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	found, err := s.mx.Lookup(looking, srv.host, s.port)
	if err != nil {
		failed := s.lookupFailed(srv, err)
		// Whoever forges answers about this domain must not choose another server for the mail.
		failed.final = failed.reason == notify.ReasonDNSSECBogus
		return nil, []*failure{failed}
	}
	for _, host := range found {
		target := s.hostOf(srv, host)
		if host.Err != nil {
			failures = append(failures, s.lookupFailed(target, host.Err))
			continue
		}
		hosts = append(hosts, target)
	}
	if len(hosts)+len(failures) == 0 {
		failures = []*failure{s.lookupFailed(srv, errors.New("the domain has no mail servers"))}
	}
	return hosts, failures
}

// hostOf makes a host ready to be dialled. Without DNSSEC anybody may have named it, so that a certificate of the domain
// itself is as good as one of the host.
func (s *Sender) hostOf(domain server, host mx.Host) server {
	port := strconv.Itoa(s.port)
	target := server{
		host:    host.Name,
		address: net.JoinHostPort(host.Name, port),
		domain:  domain.host,
		names:   []string{host.Name},
		mx:      &host,
	}
	if !host.Authenticated && host.Name != domain.host {
		target.names = append(target.names, domain.host)
	}
	for _, address := range host.Addresses {
		target.dials = append(target.dials, net.JoinHostPort(address.String(), port))
	}
	if len(target.dials) == 0 {
		target.dials = []string{target.address}
	}
	return target
}

func (s *Sender) lookupFailed(srv server, err error) *failure {
	c := &conversation{sender: s, server: srv}
	why, ok := errors.AsType[*mx.Error](err)
	if !ok {
		return c.failed(stepLookup, err)
	}
	reason, ok := reasons[why.Reason]
	if !ok {
		reason = notify.ReasonServerNotFound
	}
	return c.failedFor(reason, stepLookup, why.Error())
}

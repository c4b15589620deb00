// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"fmt"
	"testing"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/mx"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

// From the name of a domain to the mailbox: unbound says which host takes its mail and what certificate that has, Postfix
// has it or not.
func TestFoundByMX(t *testing.T) {
	t.Parallel()
	const none, opportunistic, mode = v1alpha1.TLSNone, v1alpha1.TLSOpportunistic, v1alpha1.TLSRequired
	known, unknown := peers.ca.Pool(), fakesmtp.NewCA("Somebody else").Pool()
	for name, tc := range map[string]struct {
		domain   string
		service  string
		tls      smtp.TLS
		dnssec   bool
		want     notify.Reason
		words    string
		verified string
	}{
		"DANE vouches where no authority does":         {service: "starttls", tls: smtp.TLS{Mode: mode, Roots: unknown}, dnssec: true, verified: "DANE"},
		"DANE binds those who encrypt where they can":  {service: "starttls", tls: smtp.TLS{Mode: opportunistic}, verified: "DANE"},
		"DANE with TLS from the beginning":             {service: "implicit", tls: smtp.TLS{Mode: mode, Roots: unknown, Implicit: true}, want: notify.ReasonRefused, verified: "DANE"},
		"another certificate than DANE says":           {service: "old", tls: smtp.TLS{Mode: mode, Roots: known}, want: notify.ReasonTLSFailed, words: "TLSA"},
		"another, and TLS would not be required":       {service: "old", tls: smtp.TLS{Mode: opportunistic}, want: notify.ReasonTLSFailed, words: "TLSA"},
		"STARTTLS is hidden from those who want it":    {service: "open", tls: smtp.TLS{Mode: opportunistic}, want: notify.ReasonTLSFailed, words: "TLSA"},
		"no TLSA record: an authority vouches":         {service: "unlisted", tls: smtp.TLS{Mode: mode, Roots: known}, dnssec: true, verified: "CA"},
		"no TLS was wanted, though there are records":  {service: "starttls", tls: smtp.TLS{Mode: none}, dnssec: true},
		"an unsigned domain: an authority vouches":     {domain: unsignedDomain, service: "starttls", tls: smtp.TLS{Mode: mode, Roots: known}, verified: "CA"},
		"an unsigned domain, where DNSSEC is required": {domain: unsignedDomain, service: "starttls", tls: smtp.TLS{Mode: mode, Roots: known}, dnssec: true, want: notify.ReasonDNSSECMissing},
		"the first host is down, the second takes it":  {domain: "failover." + mailDomain, service: "starttls", tls: smtp.TLS{Mode: mode, Roots: unknown}, dnssec: true, verified: "DANE"},
		"no MX record: the name itself":                {domain: mailHost, service: "starttls", tls: smtp.TLS{Mode: mode, Roots: unknown}, dnssec: true, verified: "DANE"},
		"a domain that takes no mail":                  {domain: "silent." + mailDomain, service: "starttls", dnssec: true, want: notify.ReasonNullMX},
		"a domain that does not exist":                 {domain: "no-such." + mailDomain, service: "starttls", dnssec: true, want: notify.ReasonDomainNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resolver, err := mx.New(mx.Options{Resolvers: []string{peers.unbound.address()}, RequireDNSSEC: tc.dnssec, Timeout: patience})
			if err != nil {
				t.Fatal(err)
			}
			if tc.domain == "" {
				tc.domain = mailDomain
			}
			if tc.want == "" {
				tc.want = notify.ReasonAccepted
			}
			port, m := peers.postfix.ports[tc.service], message()
			result := newSender(t, port, smtp.Config{Servers: []string{tc.domain}, MX: resolver, TLS: tc.tls}).Send(t.Context(), m)
			want(t, result, tc.want, tc.words)
			if result.Verified != tc.verified {
				t.Errorf("verified by %q, want %q", result.Verified, tc.verified)
			}
			if tc.want != notify.ReasonAccepted {
				return
			}
			if wanted := fmt.Sprintf("%s:%d", mailHost, port); result.Server != wanted {
				t.Errorf("the server was %s, want %s", result.Server, wanted)
			}
			peers.dovecot.arrived(t, m.To[0], m.ID)
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"errors"
	"fmt"
	"net/mail"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

func email(e *v1alpha1.EmailChannel) []finding {
	return append(transport("spec.email", &e.MailTransport),
		addresses("spec.email.recipients", e.Recipients),
		addresses("spec.email.sender", []v1alpha1.MailAddress{e.Sender}),
		template("spec.email.subject", e.Subject),
		template("spec.email.message", e.Message),
		invalid("spec.email.dkim.domain", aligned(e.DKIM, e.Sender)),
	)
}

func transport(field string, t *v1alpha1.MailTransport) []finding {
	return []finding{
		invalid(field+".servers", domains(t)),
		invalid(field+".dns.dnssec", validated(t.DNS)),
		invalid(field+".auth.mechanism", hidden(t)),
	}
}

// domains refuses addresses where domains are looked up.
func domains(t *v1alpha1.MailTransport) error {
	if !t.MXLookup {
		return nil
	}
	for _, server := range t.Servers {
		literal := strings.TrimSuffix(strings.TrimPrefix(string(server), "["), "]")
		if _, err := netip.ParseAddr(literal); err == nil {
			return fmt.Errorf("holds %q, which is an address and has no MX records; name the domain that mail is for, or leave "+
				"`mxLookup` out", server)
		}
	}
	return nil
}

// validated refuses to require DNSSEC of resolvers that nobody chose: what they say about signatures proves nothing.
func validated(dns *v1alpha1.DNSSettings) error {
	if dns == nil || dns.DNSSEC != v1alpha1.DNSSECRequire || len(dns.Resolvers) > 0 {
		return nil
	}
	return errors.New("needs `dns.resolvers`: name resolvers that validate and that you reach by a way nobody can tamper with, " +
		"such as one beside the manager")
}

// exposing are the mechanisms that show the password or the token to whoever listens on an open connection.
var exposing = []v1alpha1.AuthMechanism{"Plain", "Login", "XOAUTH2"}

// hidden refuses a login that could never be made, as its mechanism needs encryption and there is none.
func hidden(t *v1alpha1.MailTransport) error {
	if t.Auth == nil || t.Auth.AllowUnencrypted || t.TLS == nil || t.TLS.Mode != v1alpha1.TLSNone ||
		!slices.Contains(exposing, t.Auth.Mechanism) {
		return nil
	}
	return fmt.Errorf("%s would show the login to whoever listens, as `tls.mode` is None; set it to Required or Opportunistic, choose "+
		"another mechanism, or allow it by `auth.allowUnencrypted`", t.Auth.Mechanism)
}

// aligned refuses a signature that says nothing about the sender (DMARC; RFC 7489, 3.1.1).
func aligned(dkim *v1alpha1.DKIMSettings, sender v1alpha1.MailAddress) error {
	if dkim == nil {
		return nil
	}
	from, ok := senderDomain(sender)
	if !ok {
		return nil // the sender is refused already
	}
	signer := strings.ToLower(dkim.Domain)
	switch {
	case !strings.Contains(signer, "."):
		return fmt.Errorf("%q is a top-level domain; right is %q", dkim.Domain, from)
	case from != signer && !strings.HasSuffix(from, "."+signer):
		return fmt.Errorf("%q is neither the domain of `sender`, %q, nor one above it, so that the signature would not speak for the "+
			"sender; right is %q", dkim.Domain, from, from)
	}
	return nil
}

func senderDomain(sender v1alpha1.MailAddress) (ascii string, ok bool) {
	parsed, err := mail.ParseAddress(string(sender))
	if err != nil {
		return "", false
	}
	ascii, err = idna.Lookup.ToASCII(domain(parsed.Address))
	return strings.ToLower(ascii), err == nil
}

// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
)

// encryption is whether connections to a server are encrypted.
type encryption int

const (
	never encryption = iota
	whereOffered
	always
)

func (t TLS) check() error {
	switch t.Mode {
	case v1alpha1.TLSNone, v1alpha1.TLSOpportunistic, v1alpha1.TLSRequired, "":
	default:
		return fmt.Errorf("tls %q: must be None, Opportunistic or Required", t.Mode)
	}
	if t.MinVersion != 0 && (t.MinVersion < tls.VersionTLS10 || t.MinVersion > tls.VersionTLS13) {
		return fmt.Errorf("tls: minimum version %s: must be between TLS 1.0 and TLS 1.3", tls.VersionName(t.MinVersion))
	}
	return nil
}

// encryptionFor a server. TLSA records bind all who encrypt at all (RFC 7672, 2.2).
func (s *Sender) encryptionFor(srv server) encryption {
	switch {
	case s.tls.Mode == v1alpha1.TLSNone:
		return never
	case s.tls.Mode == v1alpha1.TLSRequired, srv.mx != nil && srv.mx.TLSRequired:
		return always
	default:
		return whereOffered
	}
}

// verifierFor a server is who vouches for it: nobody, where it is not to be checked.
func (s *Sender) verifierFor(srv server) string {
	switch {
	case srv.mx != nil && len(srv.mx.TLSA) > 0 && s.tls.Mode != v1alpha1.TLSNone:
		return notify.VerifiedByDANE
	case s.tls.Mode == v1alpha1.TLSRequired:
		return notify.VerifiedByCA
	default:
		return ""
	}
}

// fits says whether an open connection is encrypted and verified as one that is opened now would have to be.
func (c *conversation) fits(s *Sender, srv server) bool {
	return c.verified == s.verifierFor(srv) && (c.tls != openConnection || s.encryptionFor(srv) != always)
}

func (c *conversation) tlsConfig() *tls.Config {
	settings := c.sender.tls
	config := &tls.Config{
		ServerName: c.server.host,
		MinVersion: settings.minVersion(),
		//nolint:gosec // VerifyConnection checks; opportunistic encryption does not authenticate: who can forge can hide STARTTLS
		InsecureSkipVerify:   true,
		VerifyConnection:     c.verify,
		GetClientCertificate: c.certificate,
	}
	if config.MinVersion < tls.VersionTLS12 {
		// Servers that know nothing newer often know none but these either.
		for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
			config.CipherSuites = append(config.CipherSuites, suite.ID)
		}
	}
	return config
}

func (t TLS) minVersion() uint16 {
	if t.MinVersion == 0 {
		return tls.VersionTLS12
	}
	return t.MinVersion
}

// certificate is the client's, for a server that asks for one.
func (c *conversation) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	c.certificateWanted = true
	if c.sender.tls.Certificate == nil {
		return &tls.Certificate{}, nil
	}
	return c.sender.tls.Certificate, nil
}

// verify checks who the server is. TLSA records decide alone (RFC 7672, 3.1).
func (c *conversation) verify(state tls.ConnectionState) error {
	verifier := c.sender.verifierFor(c.server)
	switch verifier {
	case notify.VerifiedByDANE:
		if err := c.server.mx.VerifyDANE(state); err != nil {
			return fmt.Errorf("%w (%s): whoever runs the server has to mend its certificate or its TLSA records", err, c.server.host)
		}
	case notify.VerifiedByCA:
		if err := c.verifyChain(state.PeerCertificates); err != nil {
			return err
		}
	}
	c.verified = verifier
	return nil
}

func (c *conversation) verifyChain(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("the server has no certificate")
	}
	options := x509.VerifyOptions{Roots: c.sender.tls.Roots, Intermediates: x509.NewCertPool()}
	for _, intermediate := range chain[1:] {
		options.Intermediates.AddCert(intermediate)
	}
	if _, err := chain[0].Verify(options); err != nil {
		return explainChain(chain[0], err)
	}
	for _, name := range c.server.names {
		if chain[0].VerifyHostname(name) == nil {
			return nil
		}
	}
	return fmt.Errorf("the server's certificate is for %s, not for %s: name the server as its certificate does, "+
		"or have it use a certificate of its own name", namesIn(chain[0]), strings.Join(c.server.names, " or "))
}

// explainChain says what is wrong with a certificate, and what to do about it.
func explainChain(leaf *x509.Certificate, err error) error {
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		untrusted := leaf
		if unknown.Cert != nil {
			untrusted = unknown.Cert
		}
		if issuer := leaf.Issuer.String(); untrusted.Equal(leaf) && issuer == leaf.Subject.String() {
			return fmt.Errorf("the server's certificate is vouched for by nobody but itself (%s): "+
				"put it, or that of a CA that issues a new one, where `tls.caRef` points to", shown(issuer))
		}
		return fmt.Errorf("the server's certificate was issued by %s, which is not trusted: "+
			"put the certificate of that CA where `tls.caRef` points to", shown(untrusted.Issuer.String()))
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired && invalid.Cert != nil {
		return explainValidity(leaf, invalid)
	}
	return fmt.Errorf("the server's certificate is not valid: %s", strings.TrimPrefix(err.Error(), "x509: "))
}

func explainValidity(leaf *x509.Certificate, invalid x509.CertificateInvalidError) error {
	whose := "the server's certificate"
	if !invalid.Cert.Equal(leaf) {
		whose = fmt.Sprintf("the certificate of %s, which vouches for the server,", shown(invalid.Cert.Subject.String()))
	}
	//nolint:forbidigo // a certificate is valid by this machine's clock
	if time.Now().Before(invalid.Cert.NotBefore) {
		return fmt.Errorf("%s is not valid before %s: check the clocks, or have it replaced", whose, day(invalid.Cert.NotBefore))
	}
	return fmt.Errorf("%s expired on %s: have it renewed", whose, day(invalid.Cert.NotAfter))
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// maxShown is how much of a name in a certificate is told, in bytes.
const maxShown = 150

func shown(name string) string {
	if name == "" {
		return "an authority without a name"
	}
	return notify.Bound(name, maxShown)
}

// namesIn are those that a certificate is for.
func namesIn(certificate *x509.Certificate) string {
	names := slices.Clone(certificate.DNSNames)
	for _, ip := range certificate.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name of a server"
	}
	return notify.Bound(strings.Join(names, ", "), maxShown)
}

// explainTLS says in other words than the library's what went wrong with TLS, and what to do about it; empty where there
// are none better.
func (c *conversation) explainTLS(err error) string {
	alert := alertIn(err)
	switch text := err.Error(); {
	case alert == "protocol version not supported", strings.HasPrefix(text, "tls: server selected unsupported protocol version"):
		return fmt.Sprintf("the server has no version of TLS from %s on: have it updated, or lower `tls.minVersion`",
			tls.VersionName(c.sender.tls.minVersion()))
	case errors.As(err, new(tls.RecordHeaderError)) && !c.sender.tls.Implicit:
		return "the server agreed to STARTTLS, but does not speak TLS then"
	case errors.As(err, new(tls.RecordHeaderError)):
		return "the server does not speak TLS from the beginning: set `tls.implicit: false`, or take another port"
	case alert == "" || !c.certificateWanted:
		return ""
	case c.sender.tls.Certificate == nil:
		return fmt.Sprintf("the server wants a certificate of the client (it says: %s): set `tls.clientCertificateRef`", alert)
	default:
		return fmt.Sprintf("the server does not take the client's certificate (it says: %s): "+
			"put one that it trusts into the Secret that `tls.clientCertificateRef` names", alert)
	}
}

// alertIn is what the other side of TLS complained about; empty where it did not.
func alertIn(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return strings.TrimPrefix(op.Err.Error(), "tls: ")
	}
	return ""
}

// remedyForNoTLS depends on whether the channel or the server's domain wants encryption.
func (c *conversation) remedyForNoTLS() string {
	if c.sender.tls.Mode == v1alpha1.TLSRequired {
		return "have the server offer it, set `tls.implicit: true` if its port begins with TLS, or choose another `tls.mode`"
	}
	return "the TLSA records of " + c.server.host + " demand TLS"
}

// isAddress says whether a host is an IP address.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

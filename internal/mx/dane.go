// SPDX-License-Identifier: Apache-2.0

package mx

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// Certificate usages (RFC 7218). Mail uses no others (RFC 7672, 3.1.3).
const (
	usageTA = 2
	usageEE = 3
)

// TLSA is a record that says which certificate a server has (RFC 6698, 2.1).
type TLSA struct {
	// Usage is 2 (the certificate of an authority, DANE-TA) or 3 (the server's own, DANE-EE).
	Usage uint8
	// Selector is 0 (the certificate) or 1 (its public key).
	Selector uint8
	// MatchingType is how Data tells of what was selected: 0 (as it is), 1 (its SHA-256) or 2 (its SHA-512).
	MatchingType uint8
	Data         []byte
}

// usable says whether a certificate can match the record. What cannot is as if it were not there (RFC 7671, 4.1).
func (t TLSA) usable() bool {
	if t.Usage != usageTA && t.Usage != usageEE {
		return false
	}
	switch t.MatchingType {
	case 0:
		return t.readable()
	case 1:
		return t.Selector <= 1 && len(t.Data) == sha256.Size
	case 2:
		return t.Selector <= 1 && len(t.Data) == sha512.Size
	}
	return false
}

// readable says whether Data is what was selected, as it is.
func (t TLSA) readable() bool {
	var err error
	switch t.Selector {
	case 0:
		_, err = x509.ParseCertificate(t.Data)
	case 1:
		_, err = x509.ParsePKIXPublicKey(t.Data)
	default:
		return false
	}
	return err == nil
}

func (t TLSA) matches(c *x509.Certificate) bool {
	selected := c.Raw
	if t.Selector == 1 {
		selected = c.RawSubjectPublicKeyInfo
	}
	switch t.MatchingType {
	case 1:
		sum := sha256.Sum256(selected)
		selected = sum[:]
	case 2:
		sum := sha512.Sum512(selected)
		selected = sum[:]
	}
	return bytes.Equal(selected, t.Data)
}

// VerifyDANE checks a server's certificates against the TLSA records, of which one has to match. It is meant as
// tls.Config.VerifyConnection beside InsecureSkipVerify: of the server's own certificate (DANE-EE) neither name nor dates
// count, and below an authority that the records name (DANE-TA) no other authority does (RFC 7672, 3.1).
func (h Host) VerifyDANE(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("DANE: the server shows no certificate")
	}
	failure := errors.New("the server's certificate matches none of the TLSA records")
	for _, record := range h.TLSA {
		switch {
		case !record.usable():
		case record.Usage == usageEE && record.matches(state.PeerCertificates[0]):
			return nil
		case record.Usage == usageTA:
			err := h.verifyBelow(record, state.PeerCertificates)
			if err == nil {
				return nil
			}
			if !errors.Is(err, errNoAnchor) {
				failure = err
			}
		}
	}
	return fmt.Errorf("DANE: %w", failure)
}

var errNoAnchor = errors.New("no certificate is the one that the record names")

// verifyBelow checks the chain from the server's certificate up to the one that the record names, whether the server sends
// that one or the record holds it whole.
func (h Host) verifyBelow(record TLSA, chain []*x509.Certificate) error {
	var anchor *x509.Certificate
	between := x509.NewCertPool()
	for _, c := range chain {
		if anchor == nil && record.matches(c) {
			anchor = c
		}
		between.AddCert(c)
	}
	if anchor == nil && record.Selector == 0 && record.MatchingType == 0 {
		anchor, _ = x509.ParseCertificate(record.Data)
	}
	if anchor == nil {
		return errNoAnchor
	}
	roots := x509.NewCertPool()
	roots.AddCert(anchor)
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
	if err != nil {
		return err
	}
	err = chain[0].VerifyHostname(h.Name)
	for _, name := range h.names {
		if err != nil && chain[0].VerifyHostname(name) == nil {
			return nil
		}
	}
	return err
}

// SPDX-License-Identifier: Apache-2.0

// Package tlsconfig reads keys and certificates as users keep them: PEM in any order, encrypted or not, and PKCS#12. Whatever
// is wrong is said in words that tell what would be right, and without a byte of what was read. It does no I/O.
package tlsconfig

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// The keys of a Secret.
const (
	CertificateKey = "tls.crt"
	PrivateKeyKey  = "tls.key"
	KeystoreKey    = "keystore.p12"
	PasswordKey    = "password"
)

// Reason is what kind of thing is wrong.
type Reason string

// The reasons.
const (
	// NoCertificate: there is none where one is needed.
	NoCertificate Reason = "NoCertificate"
	// NoKey: there is no private key.
	NoKey Reason = "NoKey"
	// KeyMismatch: the private key belongs to none of the certificates.
	KeyMismatch Reason = "KeyMismatch"
	// WrongPassword: the password does not open it.
	WrongPassword Reason = "WrongPassword"
	// PasswordMissing: it is encrypted, and there is no password.
	PasswordMissing Reason = "PasswordMissing"
	// Ambiguous: there is more than one of what there must be one of.
	Ambiguous Reason = "Ambiguous"
	// Unsupported: it is what it should be, of a kind that cannot be read or used here.
	Unsupported Reason = "Unsupported"
	// TooCostly: to open it would keep a processor busy for long.
	TooCostly Reason = "TooCostly"
	// Malformed: it is damaged, or something else.
	Malformed Reason = "Malformed"
)

// Error says what is wrong with what key of a Secret. It holds nothing of what the Secret holds.
type Error struct {
	// Key of the Secret; empty where the text came without one.
	Key string
	// Reason in one word.
	Reason Reason
	// Message says exactly what is wrong, and what would be right.
	Message string
}

func (e *Error) Error() string {
	if e.Key == "" {
		return e.Message
	}
	return "`" + e.Key + "` " + e.Message
}

func wrong(key string, reason Reason, format string, args ...any) *Error {
	return &Error{Key: key, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Roots reads trusted CA certificates in PEM. The error is an *Error without a Key.
func Roots(text []byte) (*x509.CertPool, error) {
	found, err := readPEM("", text)
	if err != nil {
		return nil, err
	}
	if len(found.certificates) == 0 {
		return nil, found.lacks("", NoCertificate, "certificate", "CA certificates")
	}
	pool := x509.NewCertPool()
	for _, certificate := range found.certificates {
		pool.AddCert(certificate)
	}
	return pool, nil
}

// Validity says what is wrong with a certificate's time; empty when nothing is.
func Validity(certificate *x509.Certificate, now time.Time) (problem string) {
	switch {
	case now.After(certificate.NotAfter):
		return "expired at " + moment(certificate.NotAfter)
	case now.Before(certificate.NotBefore):
		return "is not valid before " + moment(certificate.NotBefore)
	}
	return ""
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// MinVersion is the oldest version of TLS that a setting admits, as crypto/tls numbers them.
func MinVersion(v v1alpha1.TLSVersion) uint16 {
	switch v {
	case "Any":
		return tls.VersionTLS10
	case "TLS13":
		return tls.VersionTLS13
	default:
		return tls.VersionTLS12
	}
}

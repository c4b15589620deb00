// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"
	"time"
)

var now = time.Now()

func TestServerIsTrustedUnderItsNamesOnly(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	pair, err := ca.Server("api", "127.0.0.1", "kubernetes.default.svc")
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, pair)
	for host, want := range map[string]bool{
		"127.0.0.1":              true,
		"kubernetes.default.svc": true,
		"127.0.0.2":              false,
		"kubernetes":             false,
	} {
		_, err := cert.Verify(x509.VerifyOptions{DNSName: host, Roots: pool(ca)})
		if got := err == nil; got != want {
			t.Errorf("trusted as %s: %t, want %t (%v)", host, got, want, err)
		}
	}
}

func TestClientCarriesUserAndGroups(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	pair, err := ca.Client("alice", "admins", "people")
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, pair)
	if cert.Subject.CommonName != "alice" || !slices.Equal(cert.Subject.Organization, []string{"admins", "people"}) {
		t.Errorf("subject is %s", cert.Subject)
	}
	clients := x509.VerifyOptions{Roots: pool(ca), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := cert.Verify(clients); err != nil {
		t.Errorf("not trusted as a client: %v", err)
	}
	servers := x509.VerifyOptions{Roots: pool(ca), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if _, err := cert.Verify(servers); err == nil {
		t.Error("trusted as a server, too")
	}
}

func TestAnotherAuthorityIsNotTrusted(t *testing.T) {
	t.Parallel()
	pair, err := newAuthority(t).Client("alice")
	if err != nil {
		t.Fatal(err)
	}
	options := x509.VerifyOptions{Roots: pool(newAuthority(t)), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	if _, err := parse(t, pair).Verify(options); err == nil {
		t.Error("trusted")
	}
}

func TestLifetime(t *testing.T) {
	t.Parallel()
	pair, err := newAuthority(t).Server("api", "localhost")
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, pair)
	if !cert.NotBefore.Before(now) || cert.NotAfter.Sub(now).Round(time.Minute) != time.Hour {
		t.Errorf("valid from %s to %s, now is %s", cert.NotBefore, cert.NotAfter, now)
	}
}

func TestSigningKeyMatchesItsPublicKey(t *testing.T) {
	t.Parallel()
	private, public, err := NewSigningKey()
	if err != nil {
		t.Fatal(err)
	}
	privateBlock, _ := pem.Decode(private)
	key, err := x509.ParseECPrivateKey(privateBlock.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	publicBlock, _ := pem.Decode(public)
	other, err := x509.ParsePKIXPublicKey(publicBlock.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if key.Curve != elliptic.P256() || !key.PublicKey.Equal(other) {
		t.Error("the keys do not belong together, or are not P-256")
	}
}

func newAuthority(t *testing.T) *Authority {
	t.Helper()
	ca, err := NewAuthority("test-ca", now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// parse checks that certificate and key belong together, which tls.X509KeyPair does.
func parse(t *testing.T, pair Pair) *x509.Certificate {
	t.Helper()
	both, err := tls.X509KeyPair(pair.Cert, pair.Key)
	if err != nil {
		t.Fatal(err)
	}
	if key, ok := both.PrivateKey.(*ecdsa.PrivateKey); !ok || key.Curve != elliptic.P256() {
		t.Errorf("the key is a %T, want one on P-256", both.PrivateKey)
	}
	return both.Leaf
}

func pool(ca *Authority) *x509.CertPool {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Cert)
	return roots
}

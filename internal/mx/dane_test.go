// SPDX-License-Identifier: Apache-2.0

package mx_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/internal/mx"
)

// tlsa is a record that holds the digest.
func tlsa(usage, selector, matching uint8) mx.TLSA {
	data, err := hex.DecodeString(digest)
	if err != nil {
		panic(err)
	}
	return mx.TLSA{Usage: usage, Selector: selector, MatchingType: matching, Data: data}
}

// certificate with its key, signed by a parent or by itself.
type certificate struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

func newCertificate(t *testing.T, parent *certificate, change func(*x509.Certificate)) *certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: t.Name()},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		BasicConstraintsValid: true,
	}
	change(template)
	if parent == nil {
		parent = &certificate{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent.Certificate, &key.PublicKey, parent.key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &certificate{parsed, key}
}

func authority(name string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage, c.Subject.CommonName = true, x509.KeyUsageCertSign, name
	}
}

func server(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.DNSNames = names }
}

// record of a certificate.
func record(usage, selector, matching uint8, c *certificate) mx.TLSA {
	data := c.Raw
	if selector == 1 {
		data = c.RawSubjectPublicKeyInfo
	}
	switch matching {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return mx.TLSA{Usage: usage, Selector: selector, MatchingType: matching, Data: data}
}

func TestVerifyDANE(t *testing.T) {
	t.Parallel()
	root := newCertificate(t, nil, authority("root"))
	between := newCertificate(t, root, authority("between"))
	stranger := newCertificate(t, nil, authority("root"))
	leaf := newCertificate(t, between, server("mx.example.com"))
	expired := newCertificate(t, between, func(c *x509.Certificate) {
		c.DNSNames, c.NotBefore, c.NotAfter = []string{"mx.example.com"}, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
	})
	misnamed := newCertificate(t, between, server("mx.example.org"))
	client := newCertificate(t, between, func(c *x509.Certificate) {
		c.DNSNames, c.ExtKeyUsage = []string{"mx.example.com"}, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})
	const noMatch, wrongName, unknown = "matches none of the TLSA records", "not mx.example.com", "unknown authority"
	for name, tc := range map[string]struct {
		records []mx.TLSA
		chain   []*certificate
		want    string
	}{
		"3 0 0":                                 {records: []mx.TLSA{record(3, 0, 0, leaf)}, chain: []*certificate{leaf}},
		"3 0 1":                                 {records: []mx.TLSA{record(3, 0, 1, leaf)}, chain: []*certificate{leaf}},
		"3 0 2":                                 {records: []mx.TLSA{record(3, 0, 2, leaf)}, chain: []*certificate{leaf}},
		"3 1 0":                                 {records: []mx.TLSA{record(3, 1, 0, leaf)}, chain: []*certificate{leaf}},
		"3 1 1":                                 {records: []mx.TLSA{record(3, 1, 1, leaf)}, chain: []*certificate{leaf}},
		"3 1 2":                                 {records: []mx.TLSA{record(3, 1, 2, leaf)}, chain: []*certificate{leaf}},
		"3 1 1, another name":                   {records: []mx.TLSA{record(3, 1, 1, misnamed)}, chain: []*certificate{misnamed}},
		"3 1 1, expired":                        {records: []mx.TLSA{record(3, 1, 1, expired)}, chain: []*certificate{expired}},
		"3 1 1 of another":                      {records: []mx.TLSA{record(3, 1, 1, stranger)}, chain: []*certificate{leaf, between}, want: noMatch},
		"3 1 1 of the authority":                {records: []mx.TLSA{record(3, 1, 1, between)}, chain: []*certificate{leaf, between}, want: noMatch},
		"3 1 1, wrong digest":                   {records: []mx.TLSA{tlsa(3, 1, 1)}, chain: []*certificate{leaf}, want: noMatch},
		"a wrong one and a right one":           {records: []mx.TLSA{tlsa(3, 1, 1), tlsa(2, 0, 1), record(3, 1, 1, leaf)}, chain: []*certificate{leaf}},
		"2 0 1":                                 {records: []mx.TLSA{record(2, 0, 1, root)}, chain: []*certificate{leaf, between, root}},
		"2 1 2":                                 {records: []mx.TLSA{record(2, 1, 2, root)}, chain: []*certificate{leaf, between, root}},
		"2 0 1 of what is between":              {records: []mx.TLSA{record(2, 0, 1, between)}, chain: []*certificate{leaf, between}},
		"2 0 1, the server does not send it":    {records: []mx.TLSA{record(2, 0, 1, root)}, chain: []*certificate{leaf, between}, want: noMatch},
		"2 0 0, the server does not send it":    {records: []mx.TLSA{record(2, 0, 0, root)}, chain: []*certificate{leaf, between}},
		"2 0 1, expired":                        {records: []mx.TLSA{record(2, 0, 1, between)}, chain: []*certificate{expired, between}, want: "expired"},
		"2 0 1, another name":                   {records: []mx.TLSA{record(2, 0, 1, between)}, chain: []*certificate{misnamed, between}, want: wrongName},
		"2 0 1, not for servers":                {records: []mx.TLSA{record(2, 0, 1, between)}, chain: []*certificate{client, between}, want: "key usage"},
		"2 0 1 of another, sent along":          {records: []mx.TLSA{record(2, 0, 1, stranger)}, chain: []*certificate{leaf, between, stranger}, want: unknown},
		"2 0 0 of another of the same name":     {records: []mx.TLSA{record(2, 0, 0, stranger)}, chain: []*certificate{leaf, between}, want: unknown},
		"not usable: 1 1 1 of the right one":    {records: []mx.TLSA{record(1, 1, 1, leaf)}, chain: []*certificate{leaf}, want: noMatch},
		"not usable: 3 1 7 of the right one":    {records: []mx.TLSA{record(3, 1, 7, leaf)}, chain: []*certificate{leaf}, want: noMatch},
		"no records":                            {chain: []*certificate{leaf}, want: noMatch},
		"no certificate":                        {records: []mx.TLSA{record(3, 1, 1, leaf)}, want: "shows no certificate"},
		"2 0 1, and a wrong name with 3 1 1 of": {records: []mx.TLSA{record(2, 0, 1, between), record(3, 1, 1, misnamed)}, chain: []*certificate{misnamed, between}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var state tls.ConnectionState
			for _, c := range tc.chain {
				state.PeerCertificates = append(state.PeerCertificates, c.Certificate)
			}
			err := mx.Host{Name: "mx.example.com", TLSA: tc.records}.VerifyDANE(state)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("VerifyDANE() = %v, want %q", err, tc.want)
			}
		})
	}
}

// A certificate below an authority may have the name of the host, of what it is an alias of, or of the domain
// (RFC 7672, 3.2.2).
func TestNamesBelowAnAuthority(t *testing.T) {
	t.Parallel()
	root := newCertificate(t, nil, authority("root"))
	ta := fmt.Sprintf(" TLSA 2 0 1 %x", record(2, 0, 1, root).Data)
	z := signed(zone{
		"example.com MX":             records("example.com. CNAME target.example.", "target.example. MX 10 mx.example.com."),
		"mx.example.com A":           records("mx.example.com. CNAME real.example.", "real.example. A 192.0.2.1"),
		"_25._tcp.real.example TLSA": records("_25._tcp.real.example. " + ta),
	})
	hosts, err := newResolver(t, requireDNSSEC, startResolver(t, true, z)).Lookup(t.Context(), "example.com", 25)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"real.example": true, "mx.example.com": true, "example.com": true, "target.example": true, "*.example.com": true,
		"example.org": false, "*.org": false, "mx.real.example": false,
	} {
		leaf := newCertificate(t, root, server(name))
		err := hosts[0].VerifyDANE(tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf.Certificate, root.Certificate}})
		if (err == nil) != want {
			t.Errorf("a certificate for %s: %v, want it accepted: %v", name, err, want)
		}
	}
}

func TestDANEInAHandshake(t *testing.T) {
	t.Parallel()
	leaf := newCertificate(t, nil, server("anything.example"))
	for name, tc := range map[string]struct {
		record mx.TLSA
		want   bool
	}{
		"the right record": {record(3, 1, 1, leaf), true},
		"a wrong record":   {tlsa(3, 1, 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			go func() {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				pair := tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: leaf.key}
				_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}}).HandshakeContext(t.Context())
			}()
			conn, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			h := mx.Host{Name: "mx.example.com", TLSA: []mx.TLSA{tc.record}}
			config := &tls.Config{ServerName: h.Name, InsecureSkipVerify: true, VerifyConnection: h.VerifyDANE}
			if err := tls.Client(conn, config).HandshakeContext(t.Context()); (err == nil) != tc.want {
				t.Errorf("handshake: %v, want it to succeed: %v", err, tc.want)
			}
		})
	}
}

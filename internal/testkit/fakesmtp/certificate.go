// SPDX-License-Identifier: Apache-2.0

package fakesmtp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"time"
)

// Always is until when a certificate lasts that no test outlives. Certificates are valid from long before the time at which
// the clocks of synctest begin.
var Always = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)

var longAgo = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)

// CA issues certificates to servers and clients.
type CA struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewCA makes an authority of that name.
func NewCA(name string) *CA {
	template, key := authority(name, Always), newKey()
	return &CA{certificate: sign(template, template, key, key), key: key}
}

// Pool trusts the authority and no other.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.certificate)
	return pool
}

// Certificate is the authority's own.
func (ca *CA) Certificate() *x509.Certificate { return ca.certificate }

// Key is the authority's own.
func (ca *CA) Key() crypto.Signer { return ca.key }

// Intermediate makes an authority below this one, that ends at that time.
func (ca *CA) Intermediate(name string, end time.Time) *CA {
	key := newKey()
	return &CA{certificate: sign(authority(name, end), ca.certificate, key, ca.key), key: key}
}

func authority(name string, end time.Time) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: longAgo, NotAfter: end,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
}

// Issue makes a certificate for a server or a client of those names, which may be IP addresses, that ends at that time. It
// comes with that of the authority, as DANE-TA needs it.
func (ca *CA) Issue(end time.Time, names ...string) tls.Certificate {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, NotBefore: longAgo, NotAfter: end,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	key := newKey()
	leaf := sign(template, ca.certificate, key, ca.key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw, ca.certificate.Raw}, PrivateKey: key, Leaf: leaf}
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func sign(template, issuer *x509.Certificate, key, issuerKey *ecdsa.PrivateKey) *x509.Certificate {
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), issuerKey)
	if err != nil {
		panic(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return certificate
}

// ServerTLS is the settings of a server with that certificate.
func ServerTLS(certificate tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
}

// serverTLS offers a certificate that it signed itself, for a name that nobody asks for.
func serverTLS() *tls.Config { return ServerTLS(selfSigned()) }

var selfSigned = sync.OnceValue(func() tls.Certificate {
	key := newKey()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "fake.example"}, DNSNames: []string{"fake.example"}, NotBefore: longAgo, NotAfter: Always,
	}
	certificate := sign(template, template, key, key)
	return tls.Certificate{Certificate: [][]byte{certificate.Raw}, PrivateKey: key, Leaf: certificate}
})

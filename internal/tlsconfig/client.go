// SPDX-License-Identifier: Apache-2.0

package tlsconfig

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"slices"
)

// ClientCertificate reads a certificate and its private key from the data of a Secret: tls.crt and tls.key in PEM, or
// keystore.p12, which is PKCS#12; password opens what is encrypted. The certificate that the key belongs to comes first, those
// that vouch for it follow. Leaf is set. The error is an *Error.
func ClientCertificate(data map[string][]byte) (*tls.Certificate, error) {
	_, isKeystore := data[KeystoreKey]
	isPEM := len(data[CertificateKey])+len(data[PrivateKeyKey]) > 0
	switch {
	case isKeystore && isPEM:
		return nil, wrong(KeystoreKey, Ambiguous, "stands beside `%s` or `%s`, and nobody can tell which is meant; remove one of the two",
			CertificateKey, PrivateKeyKey)
	case isKeystore:
		return fromKeystore(data[KeystoreKey], data[PasswordKey])
	case isPEM:
		return fromPEM(data)
	}
	return nil, wrong("", NoCertificate, "it has neither `%s` and `%s` nor `%s`: a client certificate is kept as the first two, in PEM, "+
		"or as the last, in PKCS#12; `%s` opens what is encrypted", CertificateKey, PrivateKeyKey, KeystoreKey, PasswordKey)
}

func fromPEM(data map[string][]byte) (*tls.Certificate, error) {
	certificates, err := readPEM(CertificateKey, data[CertificateKey])
	if err != nil {
		return nil, err
	}
	keys, err := readPEM(PrivateKeyKey, data[PrivateKeyKey])
	if err != nil {
		return nil, err
	}
	all := &pemFile{}
	all.merge(certificates)
	all.merge(keys)
	if len(all.certificates) == 0 {
		return nil, certificates.lacks(CertificateKey, NoCertificate, "certificate", "the client's certificate")
	}
	if len(all.keys) == 0 {
		return nil, keys.lacks(PrivateKeyKey, NoKey, "private key", "the certificate's private key")
	}
	key, err := all.key(data[PasswordKey])
	if err != nil {
		return nil, err
	}
	return pair(all.keys[0].from, all.certificates, key)
}

// pair puts the certificate that the key belongs to first, then the one that vouches for it, and so on; what is left follows.
func pair(from string, certificates []*x509.Certificate, key crypto.Signer) (*tls.Certificate, error) {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	i := slices.IndexFunc(certificates, func(c *x509.Certificate) bool { return ok && public.Equal(c.PublicKey) })
	if i < 0 {
		return nil, wrong(from, KeyMismatch, "holds a private key that does not belong to the certificate (%s); it must be the key "+
			"that the certificate was requested with", counted(len(certificates)))
	}
	leaf := certificates[i]
	result := &tls.Certificate{PrivateKey: key, Leaf: leaf}
	left := slices.Clone(certificates)
	for next := leaf; next != nil; {
		result.Certificate = append(result.Certificate, next.Raw)
		left = slices.DeleteFunc(left, func(c *x509.Certificate) bool { return bytes.Equal(c.Raw, next.Raw) })
		issuer := next.RawIssuer
		next = nil
		if i := slices.IndexFunc(left, func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, issuer) }); i >= 0 {
			next = left[i]
		}
	}
	for _, c := range left {
		result.Certificate = append(result.Certificate, c.Raw)
	}
	return result, nil
}

func counted(n int) string {
	if n == 1 {
		return "there is one"
	}
	return "there are several, and it belongs to none of them"
}

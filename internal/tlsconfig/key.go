// SPDX-License-Identifier: Apache-2.0

package tlsconfig

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
)

const (
	// minClientBits is the shortest RSA key that crypto/rsa signs with.
	minClientBits = 1024
	// minSigningBits is the shortest RSA key that DKIM signatures should be made with (RFC 8301, 3.2).
	minSigningBits = 2048
)

// SigningKey reads a private key in PEM, RSA of 2048 bits or more or Ed25519, for signatures of DKIM. The error is an *Error.
func SigningKey(text []byte) (crypto.Signer, error) {
	found, err := readPEM(PrivateKeyKey, text)
	if err != nil {
		return nil, err
	}
	if len(found.keys) == 0 {
		return nil, found.lacks(PrivateKeyKey, NoKey, "private key", "a private key, RSA or Ed25519,")
	}
	if found.keys[0].encrypted() {
		return nil, wrong(PrivateKeyKey, Unsupported, "is encrypted, and a key that signs is read without a password; "+
			"`openssl pkey` takes the encryption off")
	}
	key, err := found.key(nil)
	if err != nil {
		return nil, err
	}
	switch key := key.(type) {
	case ed25519.PrivateKey:
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < minSigningBits {
			return nil, wrong(PrivateKeyKey, Unsupported, "is an RSA key of %d bits; %d are the least that mail servers trust",
				bits, minSigningBits)
		}
	default:
		return nil, wrong(PrivateKeyKey, Unsupported, "is an ECDSA key; DKIM knows RSA, of %d bits or more, and Ed25519", minSigningBits)
	}
	return key, nil
}

func (k keyBlock) encrypted() bool {
	return k.block.Type == "ENCRYPTED PRIVATE KEY" || k.legacy()
}

// legacy says whether the block is encrypted as OpenSSL did before PKCS#8 (RFC 1421).
func (k keyBlock) legacy() bool {
	return x509.IsEncryptedPEMBlock(k.block) //nolint:staticcheck // insecure by design, and still what many users have
}

// key opens the only private key there is.
func (f *pemFile) key(password []byte) (crypto.Signer, error) {
	k := f.keys[0]
	if len(f.keys) > 1 {
		return nil, wrong(k.from, Ambiguous, "is one of several private keys; leave the one that belongs to the certificate")
	}
	der, err := k.open(password)
	if err != nil {
		return nil, err
	}
	key, err := parseKey(k.from, der)
	if err != nil && k.legacy() {
		// One wrong password of some hundred seems to open it.
		return nil, wrongPassword(k.from, password)
	}
	return key, err
}

// open decrypts a private key, if it is encrypted.
func (k keyBlock) open(password []byte) ([]byte, error) {
	switch {
	case !k.encrypted():
		return k.block.Bytes, nil
	case len(password) == 0:
		return nil, wrongPassword(k.from, password)
	case !k.legacy():
		return decryptPKCS8(k.from, k.block.Bytes, password)
	}
	der, err := x509.DecryptPEMBlock(k.block, password) //nolint:staticcheck // as above
	if err == nil {
		return der, nil
	}
	if !errors.Is(err, x509.IncorrectPasswordError) {
		return nil, wrong(k.from, Unsupported, "is encrypted in a way that cannot be read; `openssl pkcs8 -topk8` makes a key of the "+
			"common form of it")
	}
	return nil, wrongPassword(k.from, password)
}

// wrongPassword says what is wrong with a password without a word about it, but for what is most often wrong.
func wrongPassword(key string, password []byte) *Error {
	if len(password) == 0 {
		return wrong(key, PasswordMissing, "is encrypted; its password must stand under the key `%s`", PasswordKey)
	}
	hint := ""
	if last := password[len(password)-1]; last == '\n' || last == '\r' {
		hint = "; it ends with a line break, which counts"
	}
	return wrong(PasswordKey, WrongPassword, "is the wrong password for `%s`%s", key, hint)
}

func parseKey(from string, der []byte) (crypto.Signer, error) {
	var parsed any
	var err error
	for _, parse := range []func([]byte) (any, error){
		x509.ParsePKCS8PrivateKey,
		func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
		func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
	} {
		if parsed, err = parse(der); err == nil {
			return usableKey(from, parsed)
		}
	}
	return nil, wrong(from, Malformed, "holds a private key that cannot be read: it is damaged, or neither RSA nor ECDSA nor Ed25519")
}

func usableKey(from string, key any) (crypto.Signer, error) {
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if bits := key.N.BitLen(); bits < minClientBits {
			return nil, wrong(from, Unsupported, "holds an RSA key of %d bits; less than %d are not secure", bits, minClientBits)
		}
		return key, nil
	case *ecdsa.PrivateKey:
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, wrong(from, Unsupported, "holds a private key that cannot sign; it must be RSA, ECDSA or Ed25519")
}

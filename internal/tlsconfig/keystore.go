// SPDX-License-Identifier: Apache-2.0

package tlsconfig

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"strings"

	"software.sslmate.com/src/go-pkcs12"
)

// What of PKCS#12 (RFC 7292) has to be known here, to see what the library would do before it does it.
type (
	pfx struct {
		Version  int
		AuthSafe contentInfo
		MAC      macData `asn1:"optional"`
	}
	contentInfo struct {
		Raw     asn1.RawContent
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"tag:0,explicit,optional"`
	}
	macData struct {
		MAC        digestInfo
		Salt       []byte
		Iterations int `asn1:"optional,default:1"`
	}
	digestInfo struct {
		Algorithm pkix.AlgorithmIdentifier
		Digest    []byte
	}
	encryptedData struct {
		Version int
		Info    struct {
			Type      asn1.ObjectIdentifier
			Algorithm pkix.AlgorithmIdentifier
			Content   []byte `asn1:"tag:0,optional"`
		}
	}
	safeBag struct {
		ID         asn1.ObjectIdentifier
		Value      asn1.RawValue   `asn1:"tag:0,explicit"`
		Attributes []asn1.RawValue `asn1:"set,optional"`
	}
)

var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidEncryptedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 6}
	oidKeyBag        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 1}
	oidShroudedBag   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 10, 1, 2}
	oidSHA256        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
)

func fromKeystore(file, password []byte) (*tls.Certificate, error) {
	store, err := inspect(file)
	switch {
	case len(file) == 0:
		return nil, wrong(KeystoreKey, Malformed, "is empty; it must hold a keystore in PKCS#12")
	case bytes.Contains(file, []byte(beginning)):
		return nil, wrong(KeystoreKey, Malformed, "is PEM; put it under `%s` and `%s`", CertificateKey, PrivateKeyKey)
	case errors.Is(err, errCostly):
		return nil, tooCostly(KeystoreKey)
	case err != nil:
		return nil, wrong(KeystoreKey, Malformed, "is no PKCS#12 in DER, or it is damaged; `openssl pkcs12 -export` makes one")
	case store.keys == 0:
		return nil, wrong(KeystoreKey, NoKey, "holds no private key where one is looked for; `openssl pkcs12 -export` with -inkey puts "+
			"it there")
	case store.keys > 1:
		return nil, wrong(KeystoreKey, Ambiguous, "holds %d private keys; leave the one that belongs to the certificate", store.keys)
	case strings.ContainsFunc(string(password), func(r rune) bool { return r > 0xffff }):
		return nil, wrong(PasswordKey, Unsupported, "holds characters that a keystore's password cannot have (beyond U+FFFF)")
	}
	// This compares the MAC, and goes no further with a file that has two parts or a key.
	if _, err := pkcs12.DecodeTrustStore(file, string(password)); errors.Is(err, pkcs12.ErrIncorrectPassword) {
		return nil, wrongPassword(KeystoreKey, password)
	}
	return store.open(password)
}

// keystore is what can be seen of one without its password.
type keystore struct {
	// parts of it, those that are open first.
	parts []asn1.RawValue
	// keys is the number of private keys in the open parts.
	keys int
}

// inspect looks at all that can be seen without the password, and sees that opening it does not take too long.
func inspect(file []byte) (*keystore, error) {
	var outer pfx
	var authenticated []byte
	var parts []contentInfo
	if unmarshal(file, &outer) != nil || unmarshal(outer.AuthSafe.Content.Bytes, &authenticated) != nil ||
		unmarshal(authenticated, &parts) != nil {
		return nil, errMalformed
	}
	if outer.MAC.Iterations > maxIterations {
		return nil, errCostly
	}
	if err := bounded(outer.MAC.MAC.Algorithm); err != nil {
		return nil, err
	}
	store := &keystore{}
	var closed []asn1.RawValue
	for _, part := range parts {
		switch {
		case part.Type.Equal(oidData):
			if err := store.lookInto(part); err != nil {
				return nil, err
			}
			store.parts = append(store.parts, asn1.RawValue{FullBytes: part.Raw})
		case part.Type.Equal(oidEncryptedData):
			var encrypted encryptedData
			if err := unmarshal(part.Content.Bytes, &encrypted); err != nil {
				return nil, err
			}
			if err := bounded(encrypted.Info.Algorithm); err != nil {
				return nil, err
			}
			closed = append(closed, asn1.RawValue{FullBytes: part.Raw})
		}
	}
	store.parts = append(store.parts, closed...)
	return store, nil
}

func (k *keystore) lookInto(part contentInfo) error {
	var content []byte
	var bags []safeBag
	if unmarshal(part.Content.Bytes, &content) != nil || unmarshal(content, &bags) != nil {
		return errMalformed
	}
	for _, bag := range bags {
		switch {
		case bag.ID.Equal(oidKeyBag):
			k.keys++
		case bag.ID.Equal(oidShroudedBag):
			k.keys++
			var key encryptedKey
			if err := unmarshal(bag.Value.Bytes, &key); err != nil {
				return err
			}
			if err := bounded(key.Algorithm); err != nil {
				return err
			}
		default:
			continue
		}
		if len(bag.Value.Bytes) > maxKey {
			return errCostly
		}
	}
	return nil
}

// open has the library open the keystore. A further private key may hide in an encrypted part, with a derivation that takes
// hours. The library opens keys in their order and refuses a second one unseen; so the open parts, with the key that was
// looked at, are put before the encrypted ones, under a new MAC.
func (k *keystore) open(password []byte) (*tls.Certificate, error) {
	encodings := [][]byte{bmpString(password)}
	if len(password) == 0 {
		encodings = append(encodings, nil) // some programs encode no password as nothing, not even its end
	}
	var failed error
	for _, encoded := range encodings {
		sealed, err := k.seal(encoded)
		if err != nil {
			return nil, wrong(KeystoreKey, Malformed, "is damaged")
		}
		key, first, others, err := pkcs12.DecodeChain(sealed, string(password))
		if err != nil {
			failed = err
			continue
		}
		usable, err := usableKey(KeystoreKey, key)
		if err != nil {
			return nil, err
		}
		return pair(KeystoreKey, append([]*x509.Certificate{first}, others...), usable)
	}
	return nil, k.explain(failed, password)
}

// explain puts the library's error into words. It tells most of them apart by their text alone.
func (k *keystore) explain(err error, password []byte) *Error {
	text := err.Error()
	switch {
	case strings.Contains(text, "certificate missing"):
		return wrong(KeystoreKey, NoCertificate, "holds no certificate; `openssl pkcs12 -export` with -in puts it there")
	case strings.Contains(text, "exactly one key bag"):
		return wrong(KeystoreKey, Ambiguous, "holds several private keys; leave the one that belongs to the certificate")
	case errors.As(err, new(pkcs12.NotImplementedError)), strings.Contains(text, "not supported"):
		return wrong(KeystoreKey, Unsupported, "is built or encrypted in a way that cannot be read; `openssl pkcs12 -export` makes a "+
			"keystore that can")
	case errors.Is(err, pkcs12.ErrDecryption), strings.Contains(text, pkcs12.ErrDecryption.Error()):
		return wrongPassword(KeystoreKey, password)
	}
	return wrong(KeystoreKey, Malformed, "cannot be read: it is damaged, or `%s` is the wrong password", PasswordKey)
}

// seal makes a keystore of the parts, with the plainest MAC there is (RFC 7292, B.2: one round of SHA-256, without salt).
func (k *keystore) seal(encodedPassword []byte) ([]byte, error) {
	parts, err := asn1.Marshal(k.parts)
	if err != nil {
		return nil, err
	}
	content, err := asn1.Marshal(parts)
	if err != nil {
		return nil, err
	}
	const block = sha256.BlockSize
	derived := sha256.New()
	derived.Write(bytes.Repeat([]byte{3}, block)) // 3 stands for MAC
	if n := len(encodedPassword); n > 0 {
		padded := (n + block - 1) / block * block
		derived.Write(bytes.Repeat(encodedPassword, padded/n+1)[:padded])
	}
	mac := hmac.New(sha256.New, derived.Sum(nil))
	mac.Write(parts)
	return asn1.Marshal(pfx{
		Version: 3,
		AuthSafe: contentInfo{
			Type:    oidData,
			Content: asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: content},
		},
		MAC: macData{
			MAC:        digestInfo{Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidSHA256}, Digest: mac.Sum(nil)},
			Salt:       []byte{},
			Iterations: 1,
		},
	})
}

// bmpString is a password as keystores encode it (RFC 7292, B.1), with the zero at its end.
func bmpString(password []byte) []byte {
	var encoded []byte
	for _, r := range string(password) {
		encoded = append(encoded, byte(r>>8), byte(r)) //nolint:gosec // two bytes of what is no greater than two bytes
	}
	return append(encoded, 0, 0)
}

// SPDX-License-Identifier: Apache-2.0

package tlsconfig

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"slices"
	"strings"
)

// pemFile is what a text in PEM holds.
type pemFile struct {
	text         []byte
	certificates []*x509.Certificate
	// keys are private keys, each perhaps encrypted, and each once.
	keys []keyBlock
	// others are the types of what is neither, as far as they are known here.
	others []string
}

// keyBlock is a private key, and the key of the Secret that it was found under.
type keyBlock struct {
	from  string
	block *pem.Block
}

const (
	beginning = "-----BEGIN "
	// maxKey is how long a private key may be, in bytes: RSA of 8192 bits fits in, which is the most that crypto/tls uses. To check
	// a longer one takes long.
	maxKey = 8 << 10
)

// otherBlocks are known types of blocks that are neither certificates nor private keys that can be read.
var otherBlocks = map[string]string{
	"TRUSTED CERTIFICATE":     "a certificate in OpenSSL's own form (`openssl x509` makes a common one of it)",
	"CERTIFICATE REQUEST":     "a certificate request",
	"NEW CERTIFICATE REQUEST": "a certificate request",
	"X509 CRL":                "a revocation list",
	"PUBLIC KEY":              "a public key",
	"RSA PUBLIC KEY":          "a public key",
	"EC PARAMETERS":           "parameters of a key",
	"DSA PRIVATE KEY":         "a DSA key, which TLS no longer knows",
	"OPENSSH PRIVATE KEY":     "a key in OpenSSH's form",
	"PKCS7":                   "PKCS#7 (`openssl pkcs7 -print_certs` takes the certificates out)",
}

// readPEM takes a text in PEM apart. What does not belong there is passed over, what is damaged is not.
func readPEM(key string, text []byte) (*pemFile, error) {
	found := &pemFile{text: text}
	blocks, begun := 0, 0
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte(beginning)) {
			begun++
		}
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		blocks++
		if err := found.add(key, block); err != nil {
			return nil, err
		}
	}
	if blocks < begun {
		return nil, wrong(key, Malformed, "holds %d PEM blocks of which %d can be read: the others are cut off or damaged; copy the "+
			"text anew, each line as it is, from -----BEGIN to -----END", begun, blocks)
	}
	return found, nil
}

func (f *pemFile) add(key string, block *pem.Block) error {
	switch block.Type {
	case "CERTIFICATE", "X509 CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return wrong(key, Malformed, "holds certificates of which number %d cannot be read (%v); take it from its source anew",
				len(f.certificates)+1, err)
		}
		f.certificates = append(f.certificates, certificate)
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		if len(block.Bytes) > maxKey {
			return wrong(key, TooCostly, "holds a private key of %d bytes; at most %d are read", len(block.Bytes), maxKey)
		}
		f.addKey(keyBlock{key, block})
	default:
		other := otherBlocks[block.Type]
		if other == "" {
			other = "a PEM block of another type"
		}
		if !slices.Contains(f.others, other) {
			f.others = append(f.others, other)
		}
	}
	return nil
}

func (f *pemFile) addKey(k keyBlock) {
	same := func(other keyBlock) bool { return bytes.Equal(other.block.Bytes, k.block.Bytes) }
	if !slices.ContainsFunc(f.keys, same) {
		f.keys = append(f.keys, k)
	}
}

// merge adds what another text holds.
func (f *pemFile) merge(other *pemFile) {
	f.certificates = append(f.certificates, other.certificates...)
	for _, k := range other.keys {
		f.addKey(k)
	}
}

// lacks says that there is none of what was looked for, and what there is instead.
func (f *pemFile) lacks(key string, reason Reason, what, right string) *Error {
	text := bytes.TrimSpace(f.text)
	if len(text) == 0 {
		return wrong(key, reason, "is missing or empty; it must hold %s in PEM", right)
	}
	var found []string
	if len(f.certificates) > 0 {
		found = append(found, "a certificate")
	}
	if len(f.keys) > 0 {
		found = append(found, "a private key")
	}
	found = append(found, f.others...)
	switch {
	case len(found) > 0:
	case isDER(f.text):
		found = append(found, "DER, which is binary (`openssl x509 -inform DER` and `openssl pkey -inform DER` make PEM of it)")
	case isEncodedTwice(text):
		found = append(found, "PEM in base64: it was encoded once too often (`data` is base64, `stringData` is not)")
	default:
		found = append(found, "text that is no PEM")
	}
	return wrong(key, reason, "holds no %s, but %s; it must hold %s in PEM", what, strings.Join(found, " and "), right)
}

// isDER recognises a SEQUENCE of 128 bytes or more, as certificates, keys and keystores are.
func isDER(data []byte) bool {
	return len(data) > 2 && data[0] == 0x30 && data[1] > 0x80 && data[1] < 0x85
}

func isEncodedTwice(text []byte) bool {
	// As many characters as do not depend on what follows.
	return bytes.HasPrefix(text, []byte(base64.RawStdEncoding.EncodeToString([]byte(beginning)[:9])))
}

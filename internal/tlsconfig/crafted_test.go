// SPDX-License-Identifier: Apache-2.0

package tlsconfig_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"net"
	"testing"

	"github.com/tocsin-dev/tocsin/internal/tlsconfig"
)

// Here is what no honest program writes: files made to keep their reader busy, or to break it.

type oid = asn1.ObjectIdentifier

var (
	oidPBES2  = oid{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = oid{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt = oid{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	oidSHA256 = oid{1, 2, 840, 113549, 2, 9}
	oidAES256 = oid{2, 16, 840, 1, 101, 3, 4, 1, 42}
	oidData   = oid{1, 2, 840, 113549, 1, 7, 1}
	oidSealed = oid{1, 2, 840, 113549, 1, 7, 6}
	oidShroud = oid{1, 2, 840, 113549, 1, 12, 10, 1, 2}
)

// derivation says how to encrypt a private key: by PBKDF2, or by scrypt if n is set.
type derivation struct {
	iterations, keyLength, n, r, p int
	// iv is its length, 16 if it is 0; cut is how many bytes of the end are cut off.
	iv, cut int
}

func der(t testing.TB, value any) []byte {
	t.Helper()
	text, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func algorithm(t testing.TB, id oid, parameters any) pkix.AlgorithmIdentifier {
	t.Helper()
	return pkix.AlgorithmIdentifier{Algorithm: id, Parameters: asn1.RawValue{FullBytes: der(t, parameters)}}
}

type encrypted struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

// encrypt encrypts by PBES2. What would take too long is not really done.
func (d derivation) encrypt(t testing.TB, plain []byte) encrypted {
	t.Helper()
	salt, iv := []byte("salt"), make([]byte, 16)
	if d.iv > 0 {
		iv = iv[:d.iv]
	}
	var kdf pkix.AlgorithmIdentifier
	data := bytes.Repeat([]byte{1}, 32)
	if d.n > 0 {
		kdf = algorithm(t, oidScrypt, struct {
			Salt    []byte
			N, R, P int
		}{salt, d.n, d.r, d.p})
	} else {
		kdf = algorithm(t, oidPBKDF2, struct {
			Salt          []byte
			Iterations    int
			KeyLength     int `asn1:"optional"`
			Pseudorandoms pkix.AlgorithmIdentifier
		}{salt, d.iterations, d.keyLength, pkix.AlgorithmIdentifier{Algorithm: oidSHA256}})
	}
	if d.iterations > 0 && d.iterations < 1e6 {
		key, err := pbkdf2.Key(sha256.New, password, salt, d.iterations, 32)
		if err != nil {
			t.Fatal(err)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			t.Fatal(err)
		}
		padding := 16 - len(plain)%16
		data = append(bytes.Clone(plain), bytes.Repeat([]byte{byte(padding)}, padding)...)
		cipher.NewCBCEncrypter(block, make([]byte, 16)).CryptBlocks(data, data)
	}
	return encrypted{
		algorithm(t, oidPBES2, struct{ KDF, Scheme pkix.AlgorithmIdentifier }{kdf, algorithm(t, oidAES256, iv)}),
		data[:len(data)-d.cut],
	}
}

// pairEncrypted is a pair of which the key is encrypted so.
func pairEncrypted(t testing.TB, pair data, d derivation) data {
	t.Helper()
	block, _ := pem.Decode(pair["tls.key"])
	key := encode("ENCRYPTED PRIVATE KEY", der(t, d.encrypt(t, block.Bytes)))
	return data{"tls.crt": pair["tls.crt"], "tls.key": key, "password": []byte(password)}
}

// part is one part of a keystore: open, or encrypted.
type part struct {
	data       bool
	bags       []byte
	iterations int
}

type content struct {
	Type    oid
	Content asn1.RawValue
}

func explicit(inner []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: inner}
}

// shrouded is the content of a part: one private key that takes so many iterations to open.
func shrouded(t testing.TB, iterations int) []byte {
	t.Helper()
	block, _ := pem.Decode(file(t, "client.key"))
	return der(t, []content{{oidShroud, explicit(der(t, derivation{iterations: iterations}.encrypt(t, block.Bytes)))}})
}

// keystoreOf is a keystore without a MAC.
func keystoreOf(t testing.TB, parts ...part) data {
	t.Helper()
	var contents []content
	for _, p := range parts {
		if p.data {
			contents = append(contents, content{oidData, explicit(der(t, p.bags))})
			continue
		}
		sealed := derivation{iterations: p.iterations}.encrypt(t, p.bags)
		contents = append(contents, content{oidSealed, explicit(der(t, struct {
			Version int
			Info    any
		}{0, struct {
			Type      oid
			Algorithm pkix.AlgorithmIdentifier
			Content   []byte `asn1:"tag:0"`
		}{oidData, sealed.Algorithm, sealed.Data}}))})
	}
	file := der(t, struct {
		Version int
		Safe    content
	}{3, content{oidData, explicit(der(t, der(t, contents)))}})
	return data{"keystore.p12": file, "password": []byte(password)}
}

// keystoreHiding hides a key that takes so many iterations in an encrypted part, before one that can be seen.
func keystoreHiding(t testing.TB, iterations int) data {
	t.Helper()
	return keystoreOf(t, part{iterations: 1, bags: shrouded(t, iterations)}, part{data: true, bags: shrouded(t, 1)})
}

// short is a key for this test alone, by `openssl genrsa -traditional 512`.
const short = `-----BEGIN RSA PRIVATE KEY-----
MIIBOgIBAAJBAMrCeRrlQz33WdKMDOIhHuZNYkJOFiGES2mneDQRgH7N01Ja1XMI
/3W5fj5xrLqPIqRF86GDn/NBKUX4Ti8UbwcCAwEAAQJAJsyyGgh3Jpt3r8enC3ql
DBMQ03lX2NAVEkG+yc/zk8/99C4L3FxPOg+Umx64Jv1hfCpLdEiNL/NoJCZESlq1
iQIhAO11IBah7MQBe0749gdlHIxLn0jc31iZyekcwW5iWua7AiEA2pe5Ge6vcGsa
D3Qewsu1vIxh15Aea7cb1tF9vUTA4iUCIDAfxqsPkg5/RmBQ8Hu7MDf2s4duzA0G
zfbijwkyAb41AiEAwRA+WSwZ4aWGp918ibnYMsaeaACPDb31JZ9zeeYuoc0CIGSk
VmBjKOYX0uarCk9RGhw/giPEXKEgEwhR818JF0OO
-----END RSA PRIVATE KEY-----
`

// shortRSA is a key that crypto/rsa no longer makes: 512 bits.
func shortRSA() []byte {
	block, _ := pem.Decode([]byte(short))
	return block.Bytes
}

func pipe(t testing.TB) (client, server net.Conn) {
	client, server = net.Pipe()
	for _, end := range []net.Conn{client, server} {
		t.Cleanup(func() { _ = end.Close() })
	}
	return client, server
}

func FuzzRoots(f *testing.F) {
	f.Add(files(f, "ca.crt", "client.key"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if pool, err := tlsconfig.Roots(text); (pool == nil) == (err == nil) {
			t.Errorf("%v, %v", pool, err)
		}
	})
}

func FuzzKey(f *testing.F) {
	for _, name := range []string{
		"client.key", "pkcs8-default.key", "pkcs8-scrypt.key", "pkcs8-des3.key", "pkcs8-pbes1.key", "legacy-aes256.key",
	} {
		block, _ := pem.Decode(file(f, name))
		f.Add(block.Type, block.Headers["DEK-Info"], block.Bytes)
	}
	certificate := file(f, "client.crt")
	f.Fuzz(func(t *testing.T, kind, info string, der []byte) {
		block := &pem.Block{Type: kind, Bytes: der}
		if info != "" {
			block.Headers = map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": info}
		}
		text := pem.EncodeToMemory(block)
		secret := data{"tls.crt": certificate, "tls.key": text, "password": []byte(password)}
		if got, err := tlsconfig.ClientCertificate(secret); (got == nil) == (err == nil) {
			t.Errorf("%v, %v", got, err)
		}
		if got, err := tlsconfig.SigningKey(text); (got == nil) == (err == nil) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

func FuzzKeystore(f *testing.F) {
	for _, name := range []string{"default.p12", "legacy.p12", "open.p12", "no-mac.p12", "no-key.p12"} {
		f.Add(file(f, name), password)
	}
	f.Add(file(f, "empty.p12"), "")
	f.Add(keystoreHiding(f, 1e9)["keystore.p12"], password)
	f.Fuzz(func(t *testing.T, file []byte, password string) {
		secret := data{"keystore.p12": file, "password": []byte(password)}
		if got, err := tlsconfig.ClientCertificate(secret); (got == nil) == (err == nil) {
			t.Errorf("%v, %v", got, err)
		}
	})
}

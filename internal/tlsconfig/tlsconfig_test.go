// SPDX-License-Identifier: Apache-2.0

package tlsconfig_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/tlsconfig"
)

const password = "for-tests-only"

// file reads what testdata/make.sh made.
func file(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func files(t testing.TB, names ...string) []byte {
	t.Helper()
	var all []byte
	for _, name := range names {
		all = append(all, file(t, name)...)
	}
	return all
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return encode("PRIVATE KEY", der)
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var anotherKey = sync.OnceValue(func() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
})

// certify makes a certificate of a key, that of its issuer, and when it is valid.
func certify(t testing.TB, name string, key, issuer crypto.Signer, issuerName string, from, to time.Time) *x509.Certificate {
	t.Helper()
	subject := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to,
	}
	parent := &x509.Certificate{Subject: pkix.Name{CommonName: issuerName}}
	der, err := x509.CreateCertificate(rand.Reader, subject, parent, key.Public(), issuer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// refused checks an error: its key and reason, some of its words, and that it tells nothing of what was read.
func refused(t *testing.T, err error, key string, reason tlsconfig.Reason, words string, secrets ...[]byte) {
	t.Helper()
	var broken *tlsconfig.Error
	if !errors.As(err, &broken) {
		t.Fatalf("the error is %v, want a *tlsconfig.Error", err)
	}
	if broken.Key != key || broken.Reason != reason || !strings.Contains(broken.Message, words) {
		t.Errorf("the error is about %q, %s: %s\nwant %q, %s: … %s", broken.Key, broken.Reason, broken.Message, key, reason, words)
	}
	if key != "" && !strings.HasPrefix(err.Error(), "`"+key+"` ") {
		t.Errorf("the error does not begin with the key: %v", err)
	}
	for _, secret := range secrets {
		for line := range bytes.Lines(secret) {
			if line = bytes.TrimSpace(line); len(line) > 8 && !bytes.HasPrefix(line, []byte("---")) && bytes.Contains([]byte(err.Error()), line) {
				t.Errorf("the error holds what it was read from: %v", err)
			}
		}
	}
}

func TestRoots(t *testing.T) {
	t.Parallel()
	pool, err := tlsconfig.Roots(append([]byte("# our own\n"), files(t, "ca.crt", "client.crt")...))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(file(t, "client.crt"))
	client, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Errorf("what the CA signed is not trusted: %v", err)
	}
}

func TestRootsThatAreNone(t *testing.T) {
	t.Parallel()
	ca := file(t, "ca.crt")
	block, _ := pem.Decode(ca)
	for name, tc := range map[string]struct {
		text   []byte
		reason tlsconfig.Reason
		words  string
	}{
		"nothing":              {nil, tlsconfig.NoCertificate, "is missing or empty; it must hold CA certificates in PEM"},
		"blanks":               {[]byte(" \n"), tlsconfig.NoCertificate, "is missing or empty"},
		"a key":                {file(t, "client.key"), tlsconfig.NoCertificate, "holds no certificate, but a private key;"},
		"DER":                  {block.Bytes, tlsconfig.NoCertificate, "holds no certificate, but DER, which is binary (`openssl x509 -inform DER`"},
		"prose":                {[]byte("the CA"), tlsconfig.NoCertificate, "but text that is no PEM"},
		"a request and a CRL":  {append(encode("CERTIFICATE REQUEST", []byte{1}), encode("X509 CRL", []byte{1})...), tlsconfig.NoCertificate, "but a certificate request and a revocation list;"},
		"an unknown block":     {encode("MY SECRET", []byte{1}), tlsconfig.NoCertificate, "but a PEM block of another type;"},
		"base64 of base64":     {[]byte(base64.StdEncoding.EncodeToString(ca)), tlsconfig.NoCertificate, "it was encoded once too often"},
		"cut off":              {ca[:len(ca)-30], tlsconfig.Malformed, "holds 1 PEM blocks of which 0 can be read"},
		"the second cut off":   {append(slices.Clone(ca), ca[:len(ca)-30]...), tlsconfig.Malformed, "holds 2 PEM blocks of which 1 can be read"},
		"bytes that are wrong": {encode("CERTIFICATE", block.Bytes[5:]), tlsconfig.Malformed, "holds certificates of which number 1 cannot be read ("},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool, err := tlsconfig.Roots(tc.text)
			refused(t, err, "", tc.reason, tc.words, tc.text)
			if pool != nil {
				t.Error("there is a pool all the same")
			}
		})
	}
}

type data = map[string][]byte

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	certificate, key, ca := file(t, "client.crt"), file(t, "client.key"), file(t, "ca.crt")
	block, _ := pem.Decode(key)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(parsed.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	old := encode("EC PRIVATE KEY", sec1)
	pair := func(key []byte) data { return data{"tls.crt": certificate, "tls.key": key} }
	opened := func(name string) data {
		d := pair(file(t, name))
		d["password"] = []byte(password)
		return d
	}
	keystore := func(name, password string) data {
		return data{"keystore.p12": file(t, name), "password": []byte(password)}
	}
	for name, tc := range map[string]struct {
		data data
		// chain is the number of certificates
		chain int
	}{
		"a pair":                             {pair(key), 1},
		"the key as OpenSSL wrote it before": {pair(old), 1},
		"with parameters":                    {pair(append(encode("EC PARAMETERS", []byte{6, 0}), old...)), 1},
		"the chain, its order reversed":      {data{"tls.crt": files(t, "ca.crt", "client.crt"), "tls.key": key}, 2},
		"one file under tls.crt":             {data{"tls.crt": files(t, "client.key", "ca.crt", "client.crt")}, 2},
		"one file under tls.key":             {data{"tls.key": files(t, "client.crt", "client.key"), "tls.crt": nil}, 1},
		"one file under both":                {data{"tls.crt": files(t, "client.crt", "client.key", "ca.crt"), "tls.key": files(t, "client.crt", "client.key", "ca.crt")}, 2},
		"the two exchanged":                  {data{"tls.crt": key, "tls.key": certificate}, 1},
		"with words around it":               {data{"tls.crt": append([]byte("subject=CN = client\n"), certificate...), "tls.key": append(key, "\n# end\n"...)}, 1},
		"a stranger in the chain stays":      {data{"tls.crt": slices.Concat(ca, encode("CERTIFICATE", certify(t, "x", anotherKey(), anotherKey(), "y", time.Now(), time.Now()).Raw), certificate), "tls.key": key}, 3},
		"a password that nothing needs":      {data{"tls.crt": certificate, "tls.key": key, "password": []byte("x")}, 1},

		"PKCS#8 as OpenSSL does":  {opened("pkcs8-default.key"), 1},
		"PKCS#8, AES-128":         {opened("pkcs8-aes128.key"), 1},
		"PKCS#8, 3DES":            {opened("pkcs8-des3.key"), 1},
		"PKCS#8, SHA-1":           {opened("pkcs8-sha1.key"), 1},
		"PKCS#8, SHA-512":         {opened("pkcs8-sha512.key"), 1},
		"PKCS#8, scrypt":          {opened("pkcs8-scrypt.key"), 1},
		"PKCS#8 as Java does":     {pairEncrypted(t, pair(key), derivation{keyLength: 32, iterations: 10000}), 1},
		"OpenSSL's own, AES":      {opened("legacy-aes256.key"), 1},
		"OpenSSL's own, 3DES":     {opened("legacy-des3.key"), 1},
		"keystore":                {keystore("default.p12", password), 2},
		"keystore, no password":   {data{"keystore.p12": file(t, "empty.p12")}, 1},
		"keystore, none at all":   {keystore("empty.p12", ""), 1},
		"keystore, old":           {keystore("legacy.p12", password), 1},
		"keystore, Unicode":       {keystore("unicode.p12", "nur-für-Tests-Ω"), 1},
		"keystore, not encrypted": {keystore("open.p12", ""), 1},
		"keystore without a MAC":  {keystore("no-mac.p12", password), 1},
		"keystore beside empty":   {data{"keystore.p12": file(t, "empty.p12"), "tls.crt": {}, "tls.key": {}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := clone(tc.data)
			got, err := tlsconfig.ClientCertificate(tc.data)
			if err != nil {
				t.Fatal(err)
			}
			if got.Leaf == nil || got.Leaf.Subject.CommonName != "client" || !bytes.Equal(got.Leaf.Raw, got.Certificate[0]) {
				t.Errorf("the leaf is %+v, want that of the client, and first", got.Leaf)
			}
			if len(got.Certificate) != tc.chain {
				t.Errorf("there are %d certificates, want %d", len(got.Certificate), tc.chain)
			}
			if !maps.EqualFunc(before, tc.data, bytes.Equal) {
				t.Error("the Secret's data was changed")
			}
			shakeHands(t, *got)
		})
	}
}

func clone(d data) data {
	c := data{}
	for k, v := range d {
		c[k] = bytes.Clone(v)
	}
	return c
}

// shakeHands shows the certificate to a real server that wants one of the CA's.
func shakeHands(t *testing.T, certificate tls.Certificate) {
	t.Helper()
	roots, err := tlsconfig.Roots(file(t, "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	clientEnd, serverEnd := pipe(t)
	server := tls.Server(serverEnd, &tls.Config{
		Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots,
		MinVersion: tls.VersionTLS12,
	})
	done := make(chan error, 1)
	go func() { done <- server.HandshakeContext(t.Context()) }()
	client := tls.Client(clientEnd, &tls.Config{
		Certificates: []tls.Certificate{certificate}, InsecureSkipVerify: true,
	})
	if err := errors.Join(client.HandshakeContext(t.Context()), <-done); err != nil {
		t.Errorf("the handshake: %v", err)
	}
}

func TestChainIsInTheOrderOfTheHandshake(t *testing.T) {
	t.Parallel()
	now := time.Now()
	key := anotherKey()
	root := certify(t, "root", key, key, "root", now, now)
	upper := certify(t, "upper", key, key, "root", now, now)
	lower := certify(t, "lower", key, key, "upper", now, now)
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := certify(t, "leaf", leafKey, key, "lower", now, now)
	var text []byte
	for _, c := range []*x509.Certificate{root, lower, leaf, upper, lower} {
		text = append(text, encode("CERTIFICATE", c.Raw)...)
	}
	got, err := tlsconfig.ClientCertificate(data{"tls.crt": text, "tls.key": pkcs8(t, leafKey)})
	if err != nil {
		t.Fatal(err)
	}
	if want := [][]byte{leaf.Raw, lower.Raw, upper.Raw, root.Raw}; !slices.EqualFunc(got.Certificate, want, bytes.Equal) {
		t.Errorf("there are %d certificates, or in another order", len(got.Certificate))
	}
}

func TestClientCertificateThatIsNone(t *testing.T) {
	t.Parallel()
	certificate, key := file(t, "client.crt"), file(t, "client.key")
	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with := func(key []byte, password string) data {
		return data{"tls.crt": certificate, "tls.key": key, "password": []byte(password)}
	}
	keystore := func(name, password string) data {
		return data{"keystore.p12": file(t, name), "password": []byte(password)}
	}
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	for name, tc := range map[string]struct {
		data   data
		key    string
		reason tlsconfig.Reason
		words  string
	}{
		"nothing":                     {nil, "", tlsconfig.NoCertificate, "it has neither `tls.crt` and `tls.key` nor `keystore.p12`"},
		"a password alone":            {data{"password": []byte("x")}, "", tlsconfig.NoCertificate, "it has neither"},
		"empty pair":                  {data{"tls.crt": {}, "tls.key": {}}, "", tlsconfig.NoCertificate, "it has neither"},
		"two kinds":                   {data{"tls.crt": certificate, "tls.key": key, "keystore.p12": file(t, "default.p12")}, "keystore.p12", tlsconfig.Ambiguous, "stands beside `tls.crt`"},
		"no certificate":              {data{"tls.key": key}, "tls.crt", tlsconfig.NoCertificate, "is missing or empty"},
		"a key for a certificate":     {data{"tls.crt": key, "tls.key": key}, "tls.crt", tlsconfig.NoCertificate, "holds no certificate, but a private key; it must hold the client's certificate in PEM"},
		"no key":                      {data{"tls.crt": certificate}, "tls.key", tlsconfig.NoKey, "is missing or empty"},
		"a certificate for a key":     {data{"tls.crt": certificate, "tls.key": certificate}, "tls.key", tlsconfig.NoKey, "holds no private key, but a certificate;"},
		"a public key":                {with(encode("PUBLIC KEY", []byte{1}), ""), "tls.key", tlsconfig.NoKey, "but a public key;"},
		"OpenSSH's key":               {with(encode("OPENSSH PRIVATE KEY", []byte{1}), ""), "tls.key", tlsconfig.NoKey, "but a key in OpenSSH's form;"},
		"somebody else's key":         {with(pkcs8(t, anotherKey()), ""), "tls.key", tlsconfig.KeyMismatch, "does not belong to the certificate (there is one)"},
		"two keys":                    {with(slices.Concat(key, pkcs8(t, anotherKey())), ""), "tls.key", tlsconfig.Ambiguous, "is one of several private keys"},
		"a short RSA key":             {with(encode("RSA PRIVATE KEY", shortRSA()), ""), "tls.key", tlsconfig.Unsupported, "an RSA key of 512 bits"},
		"a key that cannot sign":      {with(pkcs8(t, x25519), ""), "tls.key", tlsconfig.Unsupported, "cannot sign"},
		"a damaged key":               {with(encode("PRIVATE KEY", []byte("12345678901234567890")), ""), "tls.key", tlsconfig.Malformed, "cannot be read"},
		"a key that is cut off":       {with(cut(key), ""), "tls.key", tlsconfig.Malformed, "holds 1 PEM blocks of which 0 can be read"},
		"an endless key":              {with(encode("PRIVATE KEY", make([]byte, 1<<16)), ""), "tls.key", tlsconfig.TooCostly, "65536 bytes"},
		"no password":                 {with(file(t, "pkcs8-default.key"), ""), "tls.key", tlsconfig.PasswordMissing, "is encrypted; its password must stand under the key `password`"},
		"wrong password":              {with(file(t, "pkcs8-default.key"), "wr0ng-passw0rd"), "password", tlsconfig.WrongPassword, "is the wrong password for `tls.key`"},
		"password with a line break":  {with(file(t, "pkcs8-default.key"), password+"\n"), "password", tlsconfig.WrongPassword, "for `tls.key`; it ends with a line break, which counts"},
		"wrong password, scrypt":      {with(file(t, "pkcs8-scrypt.key"), "wr0ng-passw0rd"), "password", tlsconfig.WrongPassword, "is the wrong password for `tls.key`"},
		"wrong password, OpenSSL's":   {with(file(t, "legacy-aes256.key"), "wr0ng-passw0rd"), "password", tlsconfig.WrongPassword, "is the wrong password for `tls.key`"},
		"no password, OpenSSL's":      {with(file(t, "legacy-des3.key"), ""), "tls.key", tlsconfig.PasswordMissing, "is encrypted"},
		"encrypted by PBES1":          {with(file(t, "pkcs8-pbes1.key"), password), "tls.key", tlsconfig.Unsupported, "`openssl pkcs8 -topk8 -v2 aes256`"},
		"encrypted by Camellia":       {with(file(t, "pkcs8-camellia.key"), password), "tls.key", tlsconfig.Unsupported, "`openssl pkcs8 -topk8 -v2 aes256`"},
		"just too many iterations":    {with(file(t, "pkcs8-million.key"), password), "tls.key", tlsconfig.TooCostly, "1000000 rounds"},
		"a thousand million":          {pairEncrypted(t, with(key, ""), derivation{iterations: 1e9}), "tls.key", tlsconfig.TooCostly, "1000000 rounds"},
		"scrypt with all memory":      {pairEncrypted(t, with(key, ""), derivation{n: 1 << 30, r: 8, p: 1}), "tls.key", tlsconfig.TooCostly, "1000000 rounds"},
		"scrypt, much in parallel":    {pairEncrypted(t, with(key, ""), derivation{n: 2, r: 1, p: 1 << 29}), "tls.key", tlsconfig.TooCostly, "1000000 rounds"},
		"scrypt that is none":         {pairEncrypted(t, with(key, ""), derivation{n: 3, r: 1, p: 1}), "tls.key", tlsconfig.Malformed, "is damaged"},
		"scrypt below zero":           {pairEncrypted(t, with(key, ""), derivation{n: 2, r: -1, p: 1}), "tls.key", tlsconfig.Malformed, "is damaged"},
		"no iteration":                {pairEncrypted(t, with(key, ""), derivation{iterations: -1}), "tls.key", tlsconfig.Malformed, "is damaged"},
		"an IV that is too short":     {pairEncrypted(t, with(key, ""), derivation{iterations: 1, iv: 15}), "tls.key", tlsconfig.Malformed, "is damaged"},
		"half a block":                {pairEncrypted(t, with(key, ""), derivation{iterations: 1, cut: 3}), "tls.key", tlsconfig.Malformed, "is damaged"},
		"keystore, empty":             {data{"keystore.p12": {}}, "keystore.p12", tlsconfig.Malformed, "is empty"},
		"keystore, PEM":               {data{"keystore.p12": certificate}, "keystore.p12", tlsconfig.Malformed, "is PEM; put it under `tls.crt` and `tls.key`"},
		"keystore, cut off":           {data{"keystore.p12": cut(file(t, "default.p12"))}, "keystore.p12", tlsconfig.Malformed, "is no PKCS#12 in DER, or it is damaged"},
		"keystore, no password":       {keystore("default.p12", ""), "keystore.p12", tlsconfig.PasswordMissing, "is encrypted; its password must stand under the key `password`"},
		"keystore, wrong password":    {keystore("default.p12", "wr0ng-passw0rd"), "password", tlsconfig.WrongPassword, "is the wrong password for `keystore.p12`"},
		"keystore, superfluous one":   {keystore("empty.p12", "wr0ng-passw0rd"), "password", tlsconfig.WrongPassword, "is the wrong password for `keystore.p12`"},
		"keystore, no MAC, wrong":     {keystore("no-mac.p12", "wr0ng-passw0rd"), "password", tlsconfig.WrongPassword, "is the wrong password for `keystore.p12`"},
		"keystore, emoji":             {keystore("default.p12", "🔑🔑🔑🔑🔑🔑"), "password", tlsconfig.Unsupported, "beyond U+FFFF"},
		"keystore without key":        {keystore("no-key.p12", password), "keystore.p12", tlsconfig.NoKey, "holds no private key"},
		"keystore without cert":       {keystore("no-certificate.p12", password), "keystore.p12", tlsconfig.NoCertificate, "holds no certificate"},
		"keystore, Camellia":          {keystore("camellia.p12", password), "keystore.p12", tlsconfig.Unsupported, "`openssl pkcs12 -export` makes a keystore that can"},
		"keystore, too many rounds":   {keystore("mac-million.p12", password), "keystore.p12", tlsconfig.TooCostly, "1000000 rounds"},
		"keystore, a hidden key":      {keystoreHiding(t, 1_000_000_000), "keystore.p12", tlsconfig.Ambiguous, "several private keys"},
		"keystore, a key of 10^9":     {keystoreOf(t, part{data: true, bags: shrouded(t, 1_000_000_000)}), "keystore.p12", tlsconfig.TooCostly, "1000000 rounds"},
		"keystore, certs behind 10^9": {keystoreOf(t, part{iterations: 1_000_000_000}), "keystore.p12", tlsconfig.TooCostly, "1000000 rounds"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := tlsconfig.ClientCertificate(tc.data)
			refused(t, err, tc.key, tc.reason, tc.words, slices.Collect(maps.Values(tc.data))...)
			if got != nil {
				t.Error("there is a certificate all the same")
			}
		})
	}
}

func TestSigningKey(t *testing.T) {
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big := rsaKey(t, 2048)
	for name, text := range map[string][]byte{
		"RSA":                 pkcs8(t, big),
		"RSA, the older form": encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(big)),
		"Ed25519":             pkcs8(t, ed),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if key, err := tlsconfig.SigningKey(text); err != nil || key == nil {
				t.Errorf("%v, %v", key, err)
			}
		})
	}
	for name, tc := range map[string]struct {
		text   []byte
		reason tlsconfig.Reason
		words  string
	}{
		"RSA of 1024 bits": {pkcs8(t, rsaKey(t, 1024)), tlsconfig.Unsupported, "is an RSA key of 1024 bits; 2048 are the least"},
		"ECDSA":            {file(t, "client.key"), tlsconfig.Unsupported, "is an ECDSA key; DKIM knows RSA"},
		"encrypted":        {file(t, "pkcs8-default.key"), tlsconfig.Unsupported, "is encrypted, and a key that signs is read without a password"},
		"a certificate":    {file(t, "client.crt"), tlsconfig.NoKey, "holds no private key, but a certificate"},
		"nothing":          {nil, tlsconfig.NoKey, "is missing or empty; it must hold a private key, RSA or Ed25519, in PEM"},
		"two":              {append(pkcs8(t, big), pkcs8(t, ed)...), tlsconfig.Ambiguous, "is one of several private keys"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tlsconfig.SigningKey(tc.text)
			refused(t, err, "tls.key", tc.reason, tc.words, tc.text)
		})
	}
}

func TestValidity(t *testing.T) {
	t.Parallel()
	from, to := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)
	c := &x509.Certificate{NotBefore: from, NotAfter: to}
	for now, want := range map[time.Time]string{
		from.Add(-time.Second): "is not valid before 2026-01-01T00:00:00Z",
		from:                   "",
		to:                     "",
		to.Add(time.Second):    "expired at 2026-12-31T23:59:59Z",
	} {
		if got := tlsconfig.Validity(c, now); got != want {
			t.Errorf("at %s: %q, want %q", now, got, want)
		}
	}
}

func TestMinVersion(t *testing.T) {
	t.Parallel()
	for setting, want := range map[v1alpha1.TLSVersion]uint16{
		"Any": tls.VersionTLS10, "": tls.VersionTLS12, "TLS12": tls.VersionTLS12, "TLS13": tls.VersionTLS13,
		"of the future": tls.VersionTLS12,
	} {
		if got := tlsconfig.MinVersion(setting); got != want {
			t.Errorf("%q is %s, want %s", setting, tls.VersionName(got), tls.VersionName(want))
		}
	}
}

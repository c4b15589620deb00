// SPDX-License-Identifier: Apache-2.0

package tlsconfig

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/des" //nolint:gosec // 3DES is what many keys are encrypted with
	"crypto/pbkdf2"
	"crypto/sha1" //nolint:gosec // PBKDF2 with SHA-1 is what many keys are encrypted with
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"hash"
	"slices"

	"golang.org/x/crypto/scrypt"
)

const (
	// maxIterations of a key derivation: half a second. OpenSSL takes 2048, Java 10000; OWASP asks for 600000 at most.
	maxIterations = 1_000_000
	// maxScrypt is the greatest product of scrypt's N, r and p: 64 MiB, a quarter of a second. OpenSSL takes 1<<17.
	maxScrypt = 1 << 19
)

// Object identifiers of RFC 8018, RFC 7914, RFC 7292 and RFC 9579.
var (
	pkcs5      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5}
	oidPBKDF2  = append(slices.Clone(pkcs5), 12)
	oidPBES2   = append(slices.Clone(pkcs5), 13)
	oidPBMAC1  = append(slices.Clone(pkcs5), 14)
	pkcs12PBE  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 12, 1}
	oidScrypt  = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	hmacs      = asn1.ObjectIdentifier{1, 2, 840, 113549, 2}
	oidDES3CBC = asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}
	aesModes   = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1}
)

// pbes2Params are those of PBES2 and PBMAC1: how the key is derived, and what is done with it.
type pbes2Params struct{ Derivation, Scheme pkix.AlgorithmIdentifier }

type pbkdf2Params struct {
	Salt       []byte
	Iterations int
	KeyLength  int                      `asn1:"optional"`
	PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
}

type scryptParams struct {
	Salt      []byte
	N, R, P   int
	KeyLength int `asn1:"optional"`
}

// pbeParams are those of PBES1, and of PKCS#12's own schemes.
type pbeParams struct {
	Salt       []byte
	Iterations int
}

var (
	errCostly      = errors.New("costly")
	errUnsupported = errors.New("unsupported")
	errMalformed   = errors.New("malformed")
)

// bounded returns an error when a key derivation would take too long, or cannot be read. What is not known takes no time.
func bounded(a pkix.AlgorithmIdentifier) error {
	parameters := a.Parameters.FullBytes
	switch {
	case a.Algorithm.Equal(oidPBES2), a.Algorithm.Equal(oidPBMAC1):
		var p pbes2Params
		if err := unmarshal(parameters, &p); err != nil {
			return err
		}
		return bounded(p.Derivation)
	case a.Algorithm.Equal(oidPBKDF2):
		var p pbkdf2Params
		if err := unmarshal(parameters, &p); err != nil {
			return err
		}
		return boundedIterations(p.Iterations)
	case a.Algorithm.Equal(oidScrypt):
		var p scryptParams
		if err := unmarshal(parameters, &p); err != nil {
			return err
		}
		return p.bounded()
	case isUnder(a.Algorithm, pkcs12PBE):
		var p pbeParams
		if err := unmarshal(parameters, &p); err != nil {
			return err
		}
		return boundedIterations(p.Iterations)
	}
	return nil
}

func (p scryptParams) bounded() error {
	switch {
	case p.N < 2 || p.R < 1 || p.P < 1:
		return errMalformed
	case p.N > maxScrypt || p.R > maxScrypt/p.N || p.P > maxScrypt/p.N/p.R:
		return errCostly
	}
	return nil
}

func boundedIterations(n int) error {
	switch {
	case n < 1:
		return errMalformed
	case n > maxIterations:
		return errCostly
	}
	return nil
}

type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

// decryptPKCS8 opens a private key that is encrypted by PBES2 (RFC 8018).
func decryptPKCS8(from string, der, password []byte) ([]byte, error) {
	var info encryptedKey
	err := unmarshal(der, &info)
	if err == nil {
		err = bounded(info.Algorithm)
	}
	var plain []byte
	if err == nil {
		plain, err = decrypt(info, password)
	}
	switch {
	case err == nil:
		return plain, nil
	case errors.Is(err, errCostly):
		return nil, tooCostly(from)
	case errors.Is(err, errUnsupported):
		return nil, wrong(from, Unsupported, "holds a key that is encrypted in a way that cannot be read; "+
			"`openssl pkcs8 -topk8 -v2 aes256` encrypts it in one that can (PBES2 with PBKDF2 or scrypt, and AES or 3DES)")
	case errors.Is(err, errMalformed):
		return nil, wrong(from, Malformed, "holds an encrypted private key that is damaged")
	}
	return nil, wrongPassword(from, password)
}

func tooCostly(key string) *Error {
	return wrong(key, TooCostly, "is encrypted so that opening it takes more than %d rounds, which would keep Tocsin busy for long; "+
		"encrypt it anew with fewer", maxIterations)
}

var errPassword = errors.New("wrong password")

func decrypt(info encryptedKey, password []byte) ([]byte, error) {
	if !info.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, errUnsupported
	}
	var params pbes2Params
	if err := unmarshal(info.Algorithm.Parameters.FullBytes, &params); err != nil {
		return nil, err
	}
	length, newBlock := blockCipher(params.Scheme.Algorithm)
	if newBlock == nil {
		return nil, errUnsupported
	}
	key, err := derive(params.Derivation, password, length)
	if err != nil {
		return nil, err
	}
	block, err := newBlock(key)
	if err != nil {
		return nil, errMalformed
	}
	return decryptCBC(block, params.Scheme.Parameters.FullBytes, info.Data)
}

func decryptCBC(block cipher.Block, parameters, data []byte) ([]byte, error) {
	var iv []byte
	if err := unmarshal(parameters, &iv); err != nil {
		return nil, err
	}
	size := block.BlockSize()
	if len(iv) != size || len(data) == 0 || len(data)%size != 0 {
		return nil, errMalformed
	}
	plain := make([]byte, len(data))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, data)
	padding := int(plain[len(plain)-1])
	if padding < 1 || padding > size {
		return nil, errPassword
	}
	plain = plain[:len(plain)-padding]
	var sequence asn1.RawValue
	if unmarshal(plain, &sequence) != nil {
		return nil, errPassword
	}
	return plain, nil
}

// blockCipher is the length of a cipher's key, and the cipher; nil when it is not known.
func blockCipher(oid asn1.ObjectIdentifier) (length int, newBlock func([]byte) (cipher.Block, error)) {
	if oid.Equal(oidDES3CBC) {
		return 24, des.NewTripleDESCipher
	}
	if isUnder(oid, aesModes) {
		if length = map[int]int{2: 16, 22: 24, 42: 32}[oid[len(oid)-1]]; length > 0 {
			return length, aes.NewCipher
		}
	}
	return 0, nil
}

func derive(a pkix.AlgorithmIdentifier, password []byte, length int) ([]byte, error) {
	switch {
	case a.Algorithm.Equal(oidPBKDF2):
		var p pbkdf2Params
		if err := unmarshal(a.Parameters.FullBytes, &p); err != nil {
			return nil, err
		}
		prf := pseudorandom(p.PRF.Algorithm)
		if prf == nil {
			return nil, errUnsupported
		}
		return pbkdf2.Key(prf, string(password), p.Salt, p.Iterations, length)
	case a.Algorithm.Equal(oidScrypt):
		var p scryptParams
		if err := unmarshal(a.Parameters.FullBytes, &p); err != nil {
			return nil, err
		}
		key, err := scrypt.Key(password, p.Salt, p.N, p.R, p.P, length)
		if err != nil {
			return nil, errMalformed
		}
		return key, nil
	}
	return nil, errUnsupported
}

// pseudorandom is the hash that PBKDF2 uses; nil when it is not known.
func pseudorandom(oid asn1.ObjectIdentifier) func() hash.Hash {
	if len(oid) == 0 {
		return sha1.New // the default
	}
	if !isUnder(oid, hmacs) {
		return nil
	}
	return map[int]func() hash.Hash{
		7: sha1.New, 8: sha256.New224, 9: sha256.New, 10: sha512.New384, 11: sha512.New,
	}[oid[len(oid)-1]]
}

func isUnder(oid, parent asn1.ObjectIdentifier) bool {
	return len(oid) == len(parent)+1 && parent.Equal(oid[:len(parent)])
}

// unmarshal reads all of it.
func unmarshal(der []byte, into any) error {
	if rest, err := asn1.Unmarshal(der, into); err != nil || len(rest) > 0 {
		return errMalformed
	}
	return nil
}

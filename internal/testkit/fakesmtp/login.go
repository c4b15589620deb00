// SPDX-License-Identifier: Apache-2.0

package fakesmtp

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// scramIterations is what SCRAM-SHA-256 asks for.
const scramIterations = 4096

// newLogin makes the server's side of a mechanism; done is told who has logged in.
func newLogin(mechanism string, users map[string]string, done func(user string)) (sasl.Server, error) {
	check := func(user, password string) error {
		if want, known := users[user]; !known || want != password {
			return smtp.ErrAuthFailed
		}
		done(user)
		return nil
	}
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) }), nil
	case sasl.Login:
		return &loginServer{check: check}, nil
	case "CRAM-MD5":
		return &cramServer{users: users, done: done}, nil
	case "SCRAM-SHA-256":
		return &scramServer{users: users, done: done}, nil
	case "XOAUTH2":
		return &tokenServer{check: check}, nil
	case "NTLM":
		return &ntlmServer{users: users, done: done}, nil
	default:
		return nil, smtp.ErrAuthUnknownMechanism
	}
}

// tokenServer is XOAUTH2, in which passwords are tokens.
type tokenServer struct {
	check   func(user, token string) error
	refusal error
}

// TokenRefusal is what a server of XOAUTH2 says to a token that it does not take.
const TokenRefusal = `{"status":"401","schemes":"bearer","scope":"https://mail.example/"}`

// Next implements sasl.Server.
func (t *tokenServer) Next(response []byte) ([]byte, bool, error) {
	if t.refusal != nil {
		return nil, true, t.refusal
	}
	user, rest, _ := strings.Cut(strings.TrimPrefix(string(response), "user="), "\x01auth=Bearer ")
	t.refusal = t.check(user, strings.TrimSuffix(rest, "\x01\x01"))
	return []byte(TokenRefusal), t.refusal == nil, nil
}

// loginServer is LOGIN, which no standard describes.
type loginServer struct {
	step  int
	user  string
	check func(user, password string) error
}

// Next implements sasl.Server.
func (l *loginServer) Next(response []byte) ([]byte, bool, error) {
	l.step++
	switch l.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		l.user = string(response)
		return []byte("Password:"), false, nil
	default:
		return nil, true, l.check(l.user, string(response))
	}
}

// cramServer is CRAM-MD5 (RFC 2195).
type cramServer struct {
	users map[string]string
	done  func(user string)
	asked bool
}

const cramChallenge = "<1896.697170952@fake.example>"

// Next implements sasl.Server.
func (c *cramServer) Next(response []byte) ([]byte, bool, error) {
	if !c.asked {
		c.asked = true
		return []byte(cramChallenge), false, nil
	}
	user, digest, _ := strings.Cut(string(response), " ")
	mac := hmac.New(md5.New, []byte(c.users[user]))
	mac.Write([]byte(cramChallenge))
	if _, known := c.users[user]; !known || digest != hex.EncodeToString(mac.Sum(nil)) {
		return nil, true, smtp.ErrAuthFailed
	}
	c.done(user)
	return nil, true, nil
}

// scramServer is SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding.
type scramServer struct {
	users     map[string]string
	done      func(user string)
	step      int
	user      string
	exchanged string
}

var scramSalt = []byte("fake salt")

// Next implements sasl.Server.
func (s *scramServer) Next(response []byte) ([]byte, bool, error) {
	s.step++
	switch s.step {
	case 1:
		return nil, false, nil
	case 2:
		return s.first(string(response))
	case 3:
		return s.final(string(response))
	default:
		s.done(s.user)
		return nil, true, nil
	}
}

func (s *scramServer) first(response string) ([]byte, bool, error) {
	bare, ok := strings.CutPrefix(response, "n,,")
	user, nonce, split := strings.Cut(strings.TrimPrefix(bare, "n="), ",r=")
	if !ok || !split {
		return nil, true, smtp.ErrAuthFailed
	}
	s.user = user
	challenge := fmt.Sprintf("r=%sfake,s=%s,i=%d", nonce, base64.StdEncoding.EncodeToString(scramSalt), scramIterations)
	s.exchanged = bare + "," + challenge
	return []byte(challenge), false, nil
}

func (s *scramServer) final(response string) ([]byte, bool, error) {
	withoutProof, encoded, _ := strings.Cut(response, ",p=")
	proof, err := base64.StdEncoding.DecodeString(encoded)
	password, known := s.users[s.user]
	if err != nil || !known || len(proof) != sha256.Size {
		return nil, true, smtp.ErrAuthFailed
	}
	salted, err := pbkdf2.Key(sha256.New, password, scramSalt, scramIterations, sha256.Size)
	if err != nil {
		return nil, true, err
	}
	exchanged := s.exchanged + "," + withoutProof
	stored := sha256.Sum256(keyed(salted, "Client Key"))
	signature := keyed(stored[:], exchanged)
	for i := range signature {
		signature[i] ^= proof[i]
	}
	if found := sha256.Sum256(signature); !bytes.Equal(found[:], stored[:]) {
		return nil, true, smtp.ErrAuthFailed
	}
	return []byte("v=" + base64.StdEncoding.EncodeToString(keyed(keyed(salted, "Server Key"), exchanged))), false, nil
}

func keyed(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

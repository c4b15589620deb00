// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"encoding/json"
	"errors"
	"strings"

	"github.com/Azure/go-ntlmssp"
	mailsmtp "github.com/wneessen/go-mail/smtp"
)

// maxChallenge is how much of what a server says about a token is told, in bytes.
const maxChallenge = 256

// tokenAuth is XOAUTH2 that remembers what the server has against the token. It says so in a challenge, before it refuses.
type tokenAuth struct {
	mailsmtp.Auth
	said string
}

// Next implements smtp.Auth.
func (a *tokenAuth) Next(fromServer []byte, more bool) ([]byte, error) {
	if more {
		if a.said != "" {
			return nil, mailsmtp.ErrUnexpectedServerChallange
		}
		a.said = explainToken(fromServer)
	}
	return a.Auth.Next(fromServer, more)
}

// explainToken reads the challenge: JSON with a status, such as 401, and what token is wanted.
func explainToken(challenge []byte) string {
	var problem struct {
		Status, Schemes, Scope, Error string
		Description                   string `json:"error_description"`
	}
	if json.Unmarshal(challenge, &problem) != nil {
		return string(challenge)
	}
	var parts []string
	for _, part := range [][2]string{
		{"status", problem.Status}, {"schemes", problem.Schemes}, {"scope", problem.Scope}, {"error", problem.Error},
		{"", problem.Description},
	} {
		if part[1] != "" {
			parts = append(parts, strings.TrimSpace(part[0]+" "+part[1]))
		}
	}
	if len(parts) == 0 {
		return string(challenge)
	}
	return strings.Join(parts, ", ")
}

// ntlmAuth is NTLM, version 2 (MS-NLMP; MS-SMTPNTLM), which Microsoft's products call secure password authentication. The
// domain, if one is needed, stands in the username: CORP\user or user@corp.example.
type ntlmAuth struct {
	login    *Login
	answered bool
}

// Start implements smtp.Auth.
func (*ntlmAuth) Start(*mailsmtp.ServerInfo) (string, []byte, error) {
	first, err := ntlmssp.NewNegotiateMessage("", "")
	return ntlm, first, err
}

// Next implements smtp.Auth.
func (a *ntlmAuth) Next(fromServer []byte, more bool) ([]byte, error) {
	switch {
	case !more:
		return nil, nil
	case a.answered:
		return nil, mailsmtp.ErrUnexpectedServerChallange
	}
	a.answered = true
	answer, err := ntlmssp.NewAuthenticateMessage(fromServer, a.login.Username, a.login.Password, nil)
	if err != nil {
		return nil, errors.New("the server's challenge is not one of NTLM version 2: " + err.Error())
	}
	return answer, nil
}

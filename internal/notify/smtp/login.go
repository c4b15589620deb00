// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	mailsmtp "github.com/wneessen/go-mail/smtp"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
)

// The mechanisms that are known here.
const (
	scramSHA256 = "SCRAM-SHA-256"
	cramMD5     = "CRAM-MD5"
	plain       = "PLAIN"
	login       = "LOGIN"
	ntlm        = "NTLM"
	xoauth2     = "XOAUTH2"
)

// authXOAUTH2 is the mechanism in which the password is a token.
const authXOAUTH2 v1alpha1.AuthMechanism = xoauth2

// mechanisms are what a Login can ask for. Auto has a choice, and none of XOAUTH2, for which a password is of no use.
var mechanisms = map[v1alpha1.AuthMechanism]string{
	"": "", v1alpha1.AuthAuto: "", "Plain": plain, "Login": login, cramMD5: cramMD5, scramSHA256: scramSHA256,
	authXOAUTH2: xoauth2, ntlm: ntlm,
}

var (
	// onTLS orders the mechanisms where the connection is encrypted. CRAM-MD5 and NTLM come last: they make the server keep
	// the password itself, or as good as that, and PLAIN shows it to nobody else.
	onTLS = []string{scramSHA256, plain, login, cramMD5, ntlm}
	// onOpen orders those that do not show the password to whoever listens on an open connection.
	onOpen = []string{scramSHA256, cramMD5}
	// exposing are those that do, or let it be guessed fast (NTLM). PLAIN and LOGIN come last.
	exposing = []string{ntlm, plain, login}
)

// logIn logs in by the mechanism that was named, or else the strongest that the server offers. It never tries a weaker one
// after a refusal.
func (c *conversation) logIn() *failure {
	l := c.sender.login
	if l == nil {
		return nil
	}
	parameters, _ := c.offers("AUTH")
	offered := strings.Fields(strings.ToUpper(parameters))
	mechanism, reason := l.choose(offered, c.tls != openConnection)
	switch reason {
	case notify.ReasonPlainTextLoginRefused:
		return c.failedFor(reason, stepLogin, "the connection is not encrypted, and "+l.exposes()+": "+
			"have the server offer STARTTLS, or set `auth.allowUnencrypted`")
	case notify.ReasonAuthenticationUnsupported:
		return c.failedFor(reason, stepLogin, l.unsupported(offered))
	}
	c.conn.nextStep()
	auth := l.by(mechanism, c.server.host)
	if err := c.authenticate(auth); err != nil {
		cause := mechanism + ": " + c.describe(err)
		if token, ok := auth.(*tokenAuth); ok && token.said != "" {
			cause += "; about the token it says: " + notify.Bound(c.sender.secrets.Replace(token.said), maxChallenge)
		}
		return c.failedFor(classify(stepLogin, err), stepLogin, cause)
	}
	return nil
}

// authenticate is what the library's Auth does, but has nothing to add when the server has refused: only a challenge can be
// cancelled (RFC 4954, 4). Some servers hang up on those who try, and some firewalls lock them out.
func (c *conversation) authenticate(a mailsmtp.Auth) error {
	mechanism, answer, err := a.Start(&mailsmtp.ServerInfo{Name: c.server.host, TLS: c.tls != openConnection})
	if err != nil {
		return err
	}
	line := strings.TrimSpace("AUTH " + mechanism + " " + base64.StdEncoding.EncodeToString(answer))
	for {
		code, text, err := c.exchange(0, line)
		if err != nil {
			return err
		}
		said := []byte(text)
		switch code {
		case 334:
			said, err = base64.StdEncoding.DecodeString(text)
		case 235:
		default:
			return &textproto.Error{Code: code, Msg: text}
		}
		if err == nil {
			answer, err = a.Next(said, code == 334)
		}
		if err != nil && code == 334 {
			_ = c.say(501, "*")
		}
		if err != nil || code == 235 || answer == nil {
			return err
		}
		line = base64.StdEncoding.EncodeToString(answer)
	}
}

// choose returns the mechanism to log in by, or the reason why there is none.
func (l *Login) choose(offered []string, encrypted bool) (string, notify.Reason) {
	isOffered := func(mechanism string) bool { return slices.Contains(offered, mechanism) }
	exposed := exposing
	order := onTLS
	switch named := mechanisms[l.Mechanism]; {
	case named != "" && named != ntlm && !slices.Contains(onOpen, named) && !encrypted && !l.AllowUnencrypted:
		order, exposed = nil, []string{named}
	case named != "":
		order, exposed = []string{named}, nil
	case !encrypted && l.AllowUnencrypted:
		order = slices.Concat(onOpen, exposing)
	case !encrypted:
		order = onOpen
	}
	if i := slices.IndexFunc(order, isOffered); i >= 0 {
		return order[i], ""
	}
	if slices.ContainsFunc(exposed, isOffered) {
		return "", notify.ReasonPlainTextLoginRefused
	}
	return "", notify.ReasonAuthenticationUnsupported
}

// exposes says what would show the password.
func (l *Login) exposes() string {
	if named := mechanisms[l.Mechanism]; named != "" {
		return named + " would show the password"
	}
	return "all logins that the server offers would show the password or let it be guessed"
}

func (l *Login) unsupported(offered []string) string {
	if len(offered) == 0 {
		return "the server offers no login on this connection"
	}
	wanted := "known are " + strings.Join(onTLS, ", ")
	if named := mechanisms[l.Mechanism]; named != "" {
		wanted = "`auth.mechanism` wants " + named
	}
	return fmt.Sprintf("the server offers only %s; %s", notify.Bound(strings.Join(offered, ", "), notify.MaxResponse/2), wanted)
}

// by makes the client's side of a mechanism. Whether it may be used on this connection is settled: the library need not
// look, and could not, as it does not know of TLS here.
func (l *Login) by(mechanism, host string) mailsmtp.Auth {
	switch mechanism {
	case scramSHA256:
		return boundedSCRAM{mailsmtp.ScramSHA256Auth(l.Username, l.Password)}
	case cramMD5:
		return mailsmtp.CRAMMD5Auth(l.Username, l.Password)
	case ntlm:
		return &ntlmAuth{login: l}
	case xoauth2:
		return &tokenAuth{Auth: mailsmtp.XOAuth2Auth(l.Username, l.Password)}
	case plain:
		return mailsmtp.PlainAuth("", l.Username, l.Password, host, true)
	default:
		return mailsmtp.LoginAuth(l.Username, l.Password, host, true)
	}
}

const (
	// minIterations is what a server must ask for (RFC 7677, 4). A false one would ask for less, to guess the password from
	// our proof.
	minIterations = 4096
	// maxIterations take about a second. Neither a deadline nor a context ends them.
	maxIterations = 1_000_000
)

// boundedSCRAM is SCRAM that does not let the server choose how long we compute, or how little.
type boundedSCRAM struct {
	mailsmtp.Auth
}

// Next implements smtp.Auth.
func (a boundedSCRAM) Next(fromServer []byte, more bool) ([]byte, error) {
	for field := range bytes.SplitSeq(fromServer, []byte(",")) {
		count, ok := bytes.CutPrefix(field, []byte("i="))
		if !more || !ok {
			continue
		}
		if n, err := strconv.Atoi(string(count)); err != nil || n < minIterations || n > maxIterations {
			return nil, fmt.Errorf("the server asks for %s iterations; from %d to %d are allowed",
				notify.Bound(string(count), 20), minIterations, maxIterations)
		}
	}
	return a.Auth.Next(fromServer, more)
}

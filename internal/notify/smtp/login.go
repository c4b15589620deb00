// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	mailsmtp "github.com/wneessen/go-mail/smtp"

	"github.com/tocsin-dev/tocsin/internal/notify"
)

// The mechanisms that are known here.
const (
	scramSHA256 = "SCRAM-SHA-256"
	cramMD5     = "CRAM-MD5"
	plain       = "PLAIN"
	login       = "LOGIN"
)

var (
	// onTLS orders the mechanisms where the connection is encrypted. CRAM-MD5 comes last: it makes the server keep the
	// password itself, and PLAIN shows it to nobody else.
	onTLS = []string{scramSHA256, plain, login, cramMD5}
	// onOpen orders those that do not show the password to whoever listens on an open connection.
	onOpen = []string{scramSHA256, cramMD5}
	// exposing are those that do.
	exposing = []string{plain, login}
)

// logIn logs in by the strongest mechanism that the server offers. It never tries a weaker one after a refusal.
func (c *conversation) logIn() *failure {
	if c.sender.login == nil {
		return nil
	}
	_, parameters := c.client.Extension("AUTH")
	offered := strings.Fields(strings.ToUpper(parameters))
	mechanism, reason := chooseMechanism(offered, c.tls != openConnection, c.sender.login.AllowUnencrypted)
	switch reason {
	case notify.ReasonPlainTextLoginRefused:
		return c.failedFor(reason, stepLogin, "the connection is not encrypted, and all logins that the server offers would show "+
			"the password: have the server offer STARTTLS, or set `auth.allowUnencrypted`")
	case notify.ReasonAuthenticationUnsupported:
		return c.failedFor(reason, stepLogin, unsupported(offered))
	}
	c.conn.nextStep()
	if err := c.client.Auth(c.sender.login.by(mechanism, c.server.host)); err != nil {
		return c.failedFor(classify(stepLogin, err), stepLogin, mechanism+": "+c.describe(err))
	}
	return nil
}

// chooseMechanism returns the mechanism to log in by, or the reason why there is none.
func chooseMechanism(offered []string, encrypted, allowUnencrypted bool) (string, notify.Reason) {
	order := onTLS
	if !encrypted {
		order = onOpen
		if allowUnencrypted {
			order = slices.Concat(onOpen, exposing)
		}
	}
	isOffered := func(mechanism string) bool { return slices.Contains(offered, mechanism) }
	if i := slices.IndexFunc(order, isOffered); i >= 0 {
		return order[i], ""
	}
	if slices.ContainsFunc(exposing, isOffered) {
		return "", notify.ReasonPlainTextLoginRefused
	}
	return "", notify.ReasonAuthenticationUnsupported
}

func unsupported(offered []string) string {
	if len(offered) == 0 {
		return "the server offers no login on this connection"
	}
	return fmt.Sprintf("the server offers only %s; known are %s",
		notify.Bound(strings.Join(offered, ", "), notify.MaxResponse/2), strings.Join(onTLS, ", "))
}

// by makes the client's side of a mechanism.
func (l *Login) by(mechanism, host string) mailsmtp.Auth {
	switch mechanism {
	case scramSHA256:
		return boundedSCRAM{mailsmtp.ScramSHA256Auth(l.Username, l.Password)}
	case cramMD5:
		return mailsmtp.CRAMMD5Auth(l.Username, l.Password)
	case plain:
		return mailsmtp.PlainAuth("", l.Username, l.Password, host, l.AllowUnencrypted)
	default:
		return mailsmtp.LoginAuth(l.Username, l.Password, host, l.AllowUnencrypted)
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

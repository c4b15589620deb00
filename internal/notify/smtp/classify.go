// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"syscall"

	"github.com/tocsin-dev/tocsin/internal/notify"
)

// step is how far a conversation has got.
type step int

const (
	stepLookup step = iota
	stepConnect
	stepHandshake
	stepGreeting
	stepHello
	stepStartTLS
	stepLogin
	stepSender
	stepRecipient
	stepData
	stepContent
)

func (s step) String() string {
	return [...]string{
		"looking up", "connecting", "TLS", "greeting", "EHLO", "STARTTLS", "login", "MAIL", "RCPT", "DATA", "message",
	}[s]
}

// failure is why a server came to no verdict on a message. Another server, or a later attempt, may.
type failure struct {
	at     step
	reason notify.Reason
	// cause is what the server said or what went wrong: bounded, printable and without secrets.
	cause       string
	server, tls string
	// final: no other server is asked.
	final bool
}

// ofTLS says whether it was for encryption that the server came to no verdict.
func (f *failure) ofTLS() bool {
	return f.at == stepHandshake || f.at == stepStartTLS || f.reason == notify.ReasonTLSFailed
}

// classify says what an error means that came up at a step before the verdict.
func classify(at step, err error) notify.Reason {
	var (
		said    *textproto.Error
		garbage textproto.ProtocolError
		lookup  *net.DNSError
	)
	switch {
	case errors.As(err, &said):
		return classifyReply(at, said)
	case errors.As(err, &garbage), errors.Is(err, errTooMuchSaid):
		return notify.ReasonProtocolError
	case errors.As(err, &lookup):
		return notify.ReasonServerNotFound
	case errors.Is(err, syscall.ECONNREFUSED):
		return notify.ReasonConnectionRefused
	case isTimeout(err):
		return notify.ReasonTimeout
	case at == stepHandshake, at == stepStartTLS, alertIn(err) != "":
		return notify.ReasonTLSFailed
	case at == stepLogin && !isConnectionLost(err):
		// The mechanism did not understand the server's challenge.
		return notify.ReasonProtocolError
	default:
		return notify.ReasonConnectionFailed
	}
}

// classifyReply says what a reply means that is no verdict on the message.
func classifyReply(at step, said *textproto.Error) notify.Reason {
	switch {
	case wantsTLS(said) && at != stepLogin:
		return notify.ReasonTLSFailed
	case said.Code == codeLoginWanted:
		return notify.ReasonAuthenticationFailed
	}
	switch stateOf(said.Code) {
	case notify.Refused:
		if at == stepLogin {
			return notify.ReasonAuthenticationFailed
		}
		return notify.ReasonServerUnavailable
	case notify.Deferred:
		return notify.ReasonServerUnavailable
	default:
		return notify.ReasonProtocolError
	}
}

func wantsTLS(said *textproto.Error) bool {
	return said.Code == codeLoginWanted && strings.Contains(strings.ToUpper(said.Msg), "STARTTLS")
}

// wanted says what an administrator can do about a reply.
func wanted(said *textproto.Error) string {
	switch {
	case wantsTLS(said):
		return "; the server wants the connection to be encrypted: see `tls`"
	case said.Code == codeLoginWanted:
		return "; the server wants a login: see `auth`"
	}
	return ""
}

func isTimeout(err error) bool {
	var netErr net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &netErr) && netErr.Timeout()
}

func isConnectionLost(err error) bool {
	var op *net.OpError
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe) ||
		errors.Is(err, net.ErrClosed) || errors.As(err, &op)
}

// failed turns an error at a step into a failure.
func (c *conversation) failed(at step, err error) *failure {
	return c.failedFor(classify(at, err), at, c.describe(err))
}

func (c *conversation) failedFor(reason notify.Reason, at step, cause string) *failure {
	cause = c.note + at.String() + ": " + cause + c.uncertified(reason)
	return &failure{
		at:     at,
		reason: reason,
		cause:  notify.Bound(cause, notify.MaxMessage),
		server: c.server.address,
		tls:    c.tls,
	}
}

// uncertified reminds of the certificate that the server has asked for and not got, where it turns us away after the handshake.
func (c *conversation) uncertified(reason notify.Reason) string {
	if !c.certificateWanted || c.sender.tls.Certificate != nil {
		return ""
	}
	switch reason {
	case notify.ReasonServerUnavailable, notify.ReasonAuthenticationFailed, notify.ReasonAuthenticationUnsupported:
		return "; it asked for a certificate of the client: see `tls.clientCertificateRef`"
	}
	return ""
}

// describe says what went wrong, without the addresses and the names of functions that Go's errors carry.
func (c *conversation) describe(err error) string {
	var (
		said   *textproto.Error
		op     *net.OpError
		lookup *net.DNSError
	)
	if explained := c.explainTLS(err); explained != "" {
		return explained
	}
	switch {
	case errors.As(err, &said):
		return newReply(said.Code, said.Msg, c.sender.secrets).String() + wanted(said)
	case errors.As(err, &lookup):
		return lookup.Err
	case c.conn != nil && c.conn.exceeded:
		return errTooMuchSaid.Error()
	case isTimeout(err):
		return fmt.Sprintf("timed out after %s", c.sender.timeout)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection"
	case errors.As(err, &op):
		err = op.Err
	}
	return notify.Bound(c.sender.secrets.Replace(strings.TrimPrefix(err.Error(), "smtp: ")), notify.MaxResponse)
}

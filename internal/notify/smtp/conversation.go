// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"net/textproto"

	mailsmtp "github.com/wneessen/go-mail/smtp"

	"github.com/tocsin-dev/tocsin/internal/notify"
)

// openConnection is what stands in place of a version of TLS.
const openConnection = "none"

// conversation is one connection to one server.
type conversation struct {
	sender *Sender
	server server
	conn   *conn
	stream *stream
	client *mailsmtp.Client
	// extensions are what the server said that it can do, by keyword.
	extensions map[string]string
	// tls is the version in use, or openConnection.
	tls string
	// verified is by whom the server's name was vouched for.
	verified string
	// certificateWanted: the server asked for one of ours.
	certificateWanted bool
	// note goes before all that is told about the conversation.
	note string
	// messages is how many were handed over, or tried to be.
	messages int
}

// open connects, encrypts as it is to be, and logs in.
func (s *Sender) open(ctx context.Context, srv server) (*conversation, *failure) {
	c, failed := s.openUnknown(ctx, srv)
	if failed != nil {
		return nil, failed
	}
	if failed := c.logIn(); failed != nil {
		c.close()
		return nil, failed
	}
	return c, nil
}

// openUnknown connects and encrypts. Opportunistic encryption is never a reason to fail (RFC 7435, 3): where it does not
// come about, the conversation begins anew without.
func (s *Sender) openUnknown(ctx context.Context, srv server) (*conversation, *failure) {
	encryption := s.encryptionFor(srv)
	c, failed := s.connect(ctx, srv, encryption, "")
	if failed == nil && !s.tls.Implicit {
		if failed = c.startTLS(encryption); failed != nil {
			c.close()
		}
	}
	if failed == nil {
		return c, nil
	}
	if encryption != whereOffered || !failed.ofTLS() {
		return nil, failed
	}
	return s.connect(ctx, srv, never, "not encrypted ("+failed.cause+"); ")
}

// connect dials, hears the greeting and says hello.
func (s *Sender) connect(ctx context.Context, srv server, encryption encryption, note string) (*conversation, *failure) {
	c := &conversation{sender: s, server: srv, note: note}
	var err error
	if c.conn, err = s.dialServer(ctx, srv); err != nil {
		return nil, c.failed(stepConnect, err)
	}
	c.tls, c.stream = openConnection, &stream{Conn: c.conn}
	if s.tls.Implicit && encryption != never {
		c.conn.nextStep()
		if err := c.handshake(); err != nil {
			_ = c.conn.Close()
			return nil, c.failed(stepHandshake, err)
		}
	}
	c.conn.nextStep()
	if c.client, err = mailsmtp.NewClient(c.stream, srv.host); err != nil {
		_ = c.conn.Close()
		return nil, c.failed(stepGreeting, err)
	}
	if failed := c.hello(stepHello, func() error { return c.client.Hello(s.helloName) }); failed != nil {
		c.close()
		return nil, failed
	}
	return c, nil
}

// startTLS takes up the server's offer of STARTTLS, or insists on it.
func (c *conversation) startTLS(encryption encryption) *failure {
	if encryption == never {
		return nil
	}
	if _, offered := c.offers("STARTTLS"); !offered {
		if encryption == whereOffered {
			return nil
		}
		return c.failedFor(notify.ReasonTLSFailed, stepStartTLS, "the server does not offer STARTTLS, or something on the way "+
			"takes its offer out: "+c.remedyForNoTLS())
	}
	c.conn.nextStep()
	if err := c.say(220, "STARTTLS"); err != nil {
		return c.failed(stepStartTLS, err)
	}
	if err := c.handshake(); err != nil {
		return c.failed(stepStartTLS, err)
	}
	// What was said in the open after the offer was taken up is not listened to (CVE-2011-0411).
	c.client.Text = textproto.NewConn(c.stream)
	if encryption == always {
		return c.hello(stepHello, c.helloAgain)
	}
	return c.hello(stepStartTLS, c.helloAgain) // a server that cannot go on is spoken to without
}

// handshake speaks TLS from now on.
func (c *conversation) handshake() error {
	encrypted := tls.Client(c.conn, c.tlsConfig())
	if err := encrypted.Handshake(); err != nil {
		c.conn.broken = true // nothing that is said now would be understood
		return err
	}
	c.stream.Conn, c.tls = encrypted, tls.VersionName(encrypted.ConnectionState().Version)
	return nil
}

// ask takes one step of a mail transaction. The server agrees (no reply), or refuses or defers (the reply), or comes to no
// verdict (the failure): it hung up, fell silent, talked nonsense, or closes down. Both: it wants a login first.
func (c *conversation) ask(at step, command func() error) (no *reply, failed *failure) {
	c.conn.nextStep()
	err := command()
	if err == nil {
		return nil, nil
	}
	no = c.verdict(err)
	if no != nil && no.code != codeLoginWanted {
		return no, nil
	}
	return no, c.failed(at, err)
}

// verdict is the reply in an error, if it is one about the mail.
func (c *conversation) verdict(err error) *reply {
	var said *textproto.Error
	if !errors.As(err, &said) || said.Code == codeClosing {
		return nil
	}
	no := newReply(said.Code, said.Msg, c.sender.secrets)
	if no.code == codeLoginWanted {
		no.state = notify.Deferred
	}
	if no.state != notify.Refused && no.state != notify.Deferred {
		return nil
	}
	return &no
}

// resume makes a connection that was used before ready for the next message. It says whether there still is one.
func (c *conversation) resume(ctx context.Context, s *Sender, srv server) bool {
	c.sender, c.server = s, srv
	c.conn.bind(ctx)
	c.conn.allow(min(resetPatience, s.timeout))
	return c.client.Reset() == nil
}

// close says goodbye, if there is somebody to hear it, and closes the connection.
func (c *conversation) close() {
	if !c.conn.broken {
		c.conn.allow(min(quitPatience, c.sender.timeout))
		_ = c.client.Quit()
	}
	_ = c.conn.Close()
}

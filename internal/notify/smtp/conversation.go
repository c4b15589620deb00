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
	client *mailsmtp.Client
	// tls is the version in use, or openConnection.
	tls string
	// note goes before all that is told about the conversation.
	note string
}

// open connects, encrypts where it can, and logs in.
func (s *Sender) open(ctx context.Context, srv server) (*conversation, *failure) {
	c, failed := s.connect(ctx, srv, "")
	if failed != nil {
		return nil, failed
	}
	if offered, _ := c.client.Extension("STARTTLS"); offered && s.encrypts {
		if c, failed = c.encrypt(ctx); failed != nil {
			return nil, failed
		}
	}
	if failed := c.logIn(); failed != nil {
		c.close()
		return nil, failed
	}
	return c, nil
}

// connect dials, hears the greeting and says hello.
func (s *Sender) connect(ctx context.Context, srv server, note string) (*conversation, *failure) {
	c := &conversation{sender: s, server: srv, note: note}
	var err error
	if c.conn, err = s.dialServer(ctx, srv); err != nil {
		return nil, c.failed(stepConnect, err)
	}
	c.tls = openConnection
	c.conn.nextStep()
	if c.client, err = mailsmtp.NewClient(c.conn, srv.host); err != nil {
		_ = c.conn.Close()
		return nil, c.failed(stepGreeting, err)
	}
	c.conn.nextStep()
	if err := c.client.Hello(s.helloName); err != nil {
		c.close()
		return nil, c.failed(stepHello, err)
	}
	return c, nil
}

// encrypt takes up the server's offer of STARTTLS. Opportunistic encryption is never a reason to fail (RFC 7435, 3): where
// it does not come about, the conversation begins anew without.
func (c *conversation) encrypt(ctx context.Context) (*conversation, *failure) {
	failed := c.startTLS()
	if failed == nil {
		return c, nil
	}
	c.close()
	return c.sender.connect(ctx, c.server, "not encrypted ("+failed.cause+"); ")
}

func (c *conversation) startTLS() *failure {
	c.conn.nextStep()
	err := c.client.StartTLS(&tls.Config{
		ServerName: c.server.host,
		MinVersion: tls.VersionTLS12,
		//nolint:gosec // opportunistic encryption does not authenticate (RFC 7435); who can forge a certificate can hide STARTTLS
		InsecureSkipVerify: true,
	})
	if err != nil {
		return c.failed(stepStartTLS, err)
	}
	state, _ := c.client.TLSConnectionState()
	c.tls = tls.VersionName(state.Version)
	return nil
}

// ask takes one step of a mail transaction. The server agrees (no reply), or refuses or defers (the reply), or comes to no
// verdict (the failure): it hung up, fell silent, talked nonsense, or closes down.
func (c *conversation) ask(at step, command func() error) (no *reply, failed *failure) {
	c.conn.nextStep()
	err := command()
	if err == nil {
		return nil, nil
	}
	if no := c.verdict(err); no != nil {
		return no, nil
	}
	return nil, c.failed(at, err)
}

// verdict is the reply in an error, if it is one about the mail.
func (c *conversation) verdict(err error) *reply {
	var said *textproto.Error
	if !errors.As(err, &said) || said.Code == codeClosing {
		return nil
	}
	no := newReply(said.Code, said.Msg, c.sender.secrets)
	if no.state != notify.Refused && no.state != notify.Deferred {
		return nil
	}
	return &no
}

// close says goodbye, if there is somebody to hear it, and closes the connection.
func (c *conversation) close() {
	if !c.conn.broken {
		c.conn.allow(min(quitPatience, c.sender.timeout))
		_ = c.client.Quit()
	}
	_ = c.conn.Close()
}

// SPDX-License-Identifier: Apache-2.0

// Package fakesmtp is mail servers for tests: Start runs a real one that keeps what it is sent, StartScript one that
// misbehaves on demand.
package fakesmtp

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// Options of a Server. The zero value takes any mail without a login.
type Options struct {
	// IP to listen on. Empty: 127.0.0.1.
	IP string
	// StartTLS offers it.
	StartTLS bool
	// Implicit begins every connection with TLS.
	Implicit bool
	// TLS is the server's settings. nil: a certificate that nobody has reason to trust.
	TLS *tls.Config
	// Users are names and passwords. With any, mail is taken only after a login.
	Users map[string]string
	// Mechanisms to log in by: PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-256, NTLM, and XOAUTH2, to which passwords are tokens.
	// Empty: PLAIN and LOGIN.
	Mechanisms []string
	// SMTPUTF8 offers it.
	SMTPUTF8 bool
	// Sender is the answer to MAIL; nil is yes.
	Sender *smtp.SMTPError
	// Recipients are the answers to RCPT, by address; the others are taken.
	Recipients map[string]*smtp.SMTPError
	// Content is the answer to the message; nil is yes.
	Content *smtp.SMTPError
}

// Message is a message that was taken.
type Message struct {
	From string
	To   []string
	// Data is the message itself, without its dot-stuffing.
	Data []byte
	// Hello is what the client said hello as.
	Hello string
	// TLS says whether it came over an encrypted connection.
	TLS bool
	// Certificate is for whom the client's certificate was issued; empty without one.
	Certificate string
	// Login is the user and Mechanism what that user logged in by; empty without a login.
	Login, Mechanism string
	// UTF8 says whether the client asked for SMTPUTF8, and Body what it announced: empty, 7BIT or 8BITMIME.
	UTF8 bool
	Body string
}

// Server keeps what it is sent.
type Server struct {
	options  Options
	listener net.Listener

	mu       sync.Mutex
	messages []Message
	// changed is closed, and replaced, when a message comes in.
	changed chan struct{}
}

// Start runs a server until the test is over.
func Start(t testing.TB, options Options) *Server {
	t.Helper()
	s := &Server{options: options, listener: listen(t, options.IP), changed: make(chan struct{})}
	server := smtp.NewServer(smtp.BackendFunc(s.newSession))
	server.Domain = "fake.example"
	server.AllowInsecureAuth = true
	server.EnableSMTPUTF8 = options.SMTPUTF8
	server.ErrorLog = log.New(io.Discard, "", 0)
	config := options.TLS
	if config == nil {
		config = serverTLS()
	}
	listener := s.listener
	if options.StartTLS {
		server.TLSConfig = config
	}
	if options.Implicit {
		listener = tls.NewListener(s.listener, config)
	}
	var running sync.WaitGroup
	running.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		_ = server.Close()
		running.Wait()
	})
	return s
}

func listen(t testing.TB, ip string) net.Listener {
	t.Helper()
	if ip == "" {
		ip = "127.0.0.1"
	}
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatalf("starting a mail server: %v", err)
	}
	return listener
}

// Host is the address that the server listens on.
func (s *Server) Host() string { return hostOf(s.listener) }

// Port is the port that the server listens on.
func (s *Server) Port() int { return portOf(s.listener) }

func hostOf(l net.Listener) string {
	host, _, _ := net.SplitHostPort(l.Addr().String())
	return host
}

func portOf(l net.Listener) int {
	_, text, _ := net.SplitHostPort(l.Addr().String())
	port, _ := strconv.Atoi(text)
	return port
}

// Messages that were taken so far, in the order of their arrival.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// WaitFor waits until there are n messages, and returns all.
func (s *Server) WaitFor(ctx context.Context, n int) ([]Message, error) {
	for {
		s.mu.Lock()
		messages, changed := slices.Clone(s.messages), s.changed
		s.mu.Unlock()
		if len(messages) >= n {
			return messages, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return messages, fmt.Errorf("%d of %d messages arrived: %w", len(messages), n, context.Cause(ctx))
		}
	}
}

func (s *Server) keep(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = append(s.messages, m)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) newSession(c *smtp.Conn) (smtp.Session, error) {
	return &session{server: s, conn: c}, nil
}

// session is one connection.
type session struct {
	server           *Server
	conn             *smtp.Conn
	login, mechanism string
	message          Message
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.message = Message{} }

// Logout implements smtp.Session.
func (s *session) Logout() error { return nil }

// Mail implements smtp.Session.
func (s *session) Mail(from string, options *smtp.MailOptions) error {
	if len(s.server.options.Users) > 0 && s.login == "" {
		return smtp.ErrAuthRequired
	}
	if no := s.server.options.Sender; no != nil {
		return no
	}
	state, encrypted := s.conn.TLSConnectionState()
	s.message = Message{
		From: from, Hello: s.conn.Hostname(), TLS: encrypted, Login: s.login, Mechanism: s.mechanism,
		UTF8: options.UTF8, Body: string(options.Body),
	}
	if len(state.PeerCertificates) > 0 {
		s.message.Certificate = state.PeerCertificates[0].Subject.CommonName
	}
	return nil
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if no := s.server.options.Recipients[to]; no != nil {
		return no
	}
	s.message.To = append(s.message.To, to)
	return nil
}

// Data implements smtp.Session.
func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if no := s.server.options.Content; no != nil {
		return no
	}
	s.message.Data = data
	s.server.keep(s.message)
	return nil
}

// AuthMechanisms implements smtp.AuthSession.
func (s *session) AuthMechanisms() []string {
	switch {
	case len(s.server.options.Users) == 0:
		return nil
	case len(s.server.options.Mechanisms) == 0:
		return []string{sasl.Plain, sasl.Login}
	default:
		return s.server.options.Mechanisms
	}
}

// Auth implements smtp.AuthSession.
func (s *session) Auth(mechanism string) (sasl.Server, error) {
	if !slices.Contains(s.AuthMechanisms(), mechanism) {
		return nil, smtp.ErrAuthUnknownMechanism
	}
	return newLogin(mechanism, s.server.options.Users, func(user string) {
		s.login, s.mechanism = user, mechanism
	})
}

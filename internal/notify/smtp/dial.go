// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"bytes"
	"context"
	"errors"
	"net"
	"time"
)

const (
	// maxSaid is how much a server may say in one step, a TLS handshake included. Replies have some hundred bytes.
	maxSaid = 64 << 10
	// quitPatience is how long a server may take to say goodbye. It delays a verdict that is already known.
	quitPatience = 2 * time.Second
)

var errTooMuchSaid = errors.New("the server says more than 64 KiB in one step")

// conn is a connection on which each step has a deadline and an amount that the server may say, and which is closed as
// soon as its context is done.
type conn struct {
	net.Conn
	timeout time.Duration
	unsaid  int
	// exceeded: the server said more than that. Part of it may look like an answer; none is believed.
	exceeded bool
	// broken: reading or writing failed, so that there is nobody left to say goodbye to.
	broken bool
	// sendErr: not all that was written has left.
	sendErr error
	release func() bool
}

// dialServer connects to the first of the server's addresses that answers. All of them share the step's time.
func (s *Sender) dialServer(ctx context.Context, srv server) (*conn, error) {
	dialing, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var firstErr error
	for i, address := range srv.dials {
		raw, err := s.dialOne(dialing, address, len(srv.dials)-i)
		if err == nil {
			c := &conn{Conn: raw, timeout: s.timeout}
			c.bind(ctx)
			return c, nil
		}
		if firstErr == nil {
			firstErr = err
		}
	}
	return nil, firstErr
}

// dialOne leaves as much time to each of those after it as it takes itself.
func (s *Sender) dialOne(ctx context.Context, address string, left int) (net.Conn, error) {
	dialing, cancel := share(ctx, left)
	defer cancel()
	return s.dial(dialing, "tcp", address)
}

// share is a context for one of those who are left and share what is left until the deadline, if there is one.
func share(ctx context.Context, left int) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok || left <= 1 {
		return ctx, func() {}
	}
	now := time.Now() //nolint:forbidigo // a context's deadline is a time of this machine's clock
	return context.WithDeadline(ctx, now.Add(deadline.Sub(now)/time.Duration(left)))
}

// bind closes the connection as soon as the context is done.
func (c *conn) bind(ctx context.Context) {
	c.release = context.AfterFunc(ctx, func() { _ = c.Conn.Close() })
}

// unbind lets the connection outlive its context. It says whether it does.
func (c *conn) unbind() bool { return c.release() }

// nextStep renews the deadline and what the server may say.
func (c *conn) nextStep() { c.allow(c.timeout) }

func (c *conn) allow(d time.Duration) {
	c.unsaid = maxSaid
	_ = c.SetDeadline(time.Now().Add(d)) //nolint:forbidigo // a socket's deadline is a time of this machine's clock
}

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	if c.exceeded || c.unsaid <= 0 {
		c.broken, c.exceeded = true, true
		return 0, errTooMuchSaid
	}
	n, err := c.Conn.Read(p[:min(len(p), c.unsaid)])
	c.unsaid -= n
	c.broken = c.broken || err != nil
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if c.exceeded || c.unsaid <= 0 {
		// Nothing could be heard in answer.
		return 0, errTooMuchSaid
	}
	n, err := c.Conn.Write(p)
	if err != nil {
		c.broken, c.sendErr = true, err
	}
	return n, err
}

// Close implements net.Conn. It may be called more than once.
func (c *conn) Close() error {
	c.release()
	return c.Conn.Close()
}

// stream is what the protocol is spoken on: a conn, or TLS on one.
type stream struct {
	net.Conn
	// heard, if it is there, takes down what is read.
	heard *bytes.Buffer
}

// Read implements net.Conn.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if s.heard != nil {
		s.heard.Write(p[:n])
	}
	return n, err
}

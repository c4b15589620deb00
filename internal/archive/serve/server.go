// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// maxHeader is the longest header, in bytes: the longest filter with each byte written as three, the longest token, and the
// rest.
const maxHeader = 3*maxFilter + maxToken + 16<<10

// bounds are what connections may cost before it is known whose they are.
type bounds struct {
	// open connections at once, and of one address openEach. Those of readers come from the API servers.
	open, openEach int
	// header is how long the handshake and the header may take each, and idle how long a connection waits for the next request.
	header, idle time.Duration
}

var usual = bounds{open: 256, openEach: 128, header: 5 * time.Second, idle: 30 * time.Second}

// Serve answers requests with handler, over TLS, until the context ends.
func Serve(ctx context.Context, listener net.Listener, certificate tls.Certificate, handler http.Handler, trouble *log.Logger) error {
	return serve(ctx, listener, certificate, handler, trouble, usual)
}

func serve(ctx context.Context, listener net.Listener, certificate tls.Certificate, handler http.Handler, trouble *log.Logger,
	b bounds) error {
	server := &http.Server{
		Handler:   withoutBody(handler, b.header),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}},
		// no ReadTimeout: nothing is read while a question is answered, see withoutBody
		ReadHeaderTimeout: b.header, WriteTimeout: time.Minute, IdleTimeout: b.idle,
		MaxHeaderBytes: maxHeader, Protocols: new(http.Protocols), ErrorLog: trouble,
	}
	server.Protocols.SetHTTP1(true) // a connection is one request at a time
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	listener = netutil.LimitListener(&fairListener{Listener: listener, each: b.openEach, open: map[string]int{}}, b.open)
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the archive: %w", err)
	}
	return nil
}

// withoutBody waits for no body for long: no question has one.
func withoutBody(handler http.Handler, patience time.Duration) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			deadline := time.Now().Add(patience) //nolint:forbidigo // connections go by this machine's clock
			_ = http.NewResponseController(w).SetReadDeadline(deadline)
		}
		handler.ServeHTTP(w, r)
	})
}

// fairListener closes connections from an address that has too many open already.
type fairListener struct {
	net.Listener

	each int
	mu   sync.Mutex
	// open counts by address.
	open map[string]int
}

// Accept waits for a connection from somebody who may have one more.
func (l *fairListener) Accept() (net.Conn, error) {
	for {
		connection, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		address := addressOf(connection)
		if l.enter(address) {
			return &countedConnection{Conn: connection, leave: sync.OnceFunc(func() { l.leave(address) })}, nil
		}
		_ = connection.Close()
	}
}

func (l *fairListener) enter(address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[address] >= l.each {
		return false
	}
	l.open[address]++
	return true
}

func (l *fairListener) leave(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	decrease(l.open, address)
}

// countedConnection says when it is closed.
type countedConnection struct {
	net.Conn

	leave func()
}

// Close closes the connection.
func (c *countedConnection) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

func addressOf(connection net.Conn) string {
	host, _, err := net.SplitHostPort(connection.RemoteAddr().String())
	if err != nil {
		return connection.RemoteAddr().String()
	}
	return host
}

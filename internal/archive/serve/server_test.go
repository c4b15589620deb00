// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// serveTLS serves a handler within bounds, and returns where.
func serveTLS(t *testing.T, handler http.HandlerFunc, b bounds) string {
	t.Helper()
	borrowed := httptest.NewUnstartedServer(nil)
	borrowed.StartTLS()
	certificate := borrowed.TLS.Certificates[0]
	borrowed.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, listener, certificate, handler, log.New(io.Discard, "", 0), b) }()
	t.Cleanup(func() {
		cancel()
		if err := get(t, "the end", ended); err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// connect opens a connection that waits for an answer no longer than the test does.
func connect(t *testing.T, address string) (*tls.Conn, error) {
	t.Helper()
	dialer := &net.Dialer{Timeout: patience, Deadline: time.Now().Add(patience)}
	connection, err := tls.DialWithDialer(dialer, "tcp", address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection, connection.SetDeadline(time.Now().Add(patience))
}

// sent returns the status that is answered to what is sent, or nothing if the connection is closed.
func sent(t *testing.T, connection net.Conn, text string) string {
	t.Helper()
	go func() { _, _ = io.WriteString(connection, text) }() // the server may not read all of it
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.Status
}

func fine(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func TestAHeaderIsAsLongAsItMustBe(t *testing.T) {
	t.Parallel()
	address := serveTLS(t, fine, bounds{open: 10, openEach: 10, header: patience, idle: patience})
	longest := "filter=" + strings.Repeat("%20", maxFilter)
	for name, c := range map[string]struct{ header, status string }{
		"the longest filter and token": {
			fmt.Sprintf("GET %s?%s HTTP/1.1\r\nHost: x\r\n%s: %s\r\n\r\n", ListPath, longest, TokenHeader, strings.Repeat("x", maxToken)), "204",
		},
		"a header that does not end": {"GET / HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 2*maxHeader), "431"},
	} {
		connection, err := connect(t, address)
		if err != nil {
			t.Fatal(err)
		}
		if protocol := connection.ConnectionState().NegotiatedProtocol; protocol != "http/1.1" {
			t.Errorf("a connection speaks %s", protocol)
		}
		if status := sent(t, connection, c.header); !strings.HasPrefix(status, c.status) {
			t.Errorf("%s: answered %q", name, status)
		}
	}
}

func TestAnAddressHasSoManyConnections(t *testing.T) {
	t.Parallel()
	address := serveTLS(t, fine, bounds{open: 10, openEach: 2, header: patience, idle: patience})
	var open []*tls.Conn
	for range 2 {
		connection, err := connect(t, address)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, connection)
	}
	if _, err := connect(t, address); err == nil {
		t.Fatal("a third connection is open")
	}
	_ = open[0].Close()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if _, err := connect(t, address); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("a connection that is closed counts for ever")
		}
	}
}

func TestConnectionsThatSayNothingAreClosed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ first, second string }{
		"half a header":            {"", "GET / HTTP/1.1\r\n"},
		"half a body":              {"", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"},
		"nothing after an answer":  {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", ""},
		"half a header afterwards": {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const short = 300 * time.Millisecond
			address := serveTLS(t, fine, bounds{open: 1, openEach: 1, header: short, idle: short})
			var connection *tls.Conn
			for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
				var err error
				if connection, err = connect(t, address); err == nil && (c.first == "" || strings.HasPrefix(sent(t, connection, c.first), "204")) {
					break
				}
				if err == nil {
					_ = connection.Close()
				}
				if time.Now().After(deadline) { // a machine that is busy for a moment takes longer than short
					t.Fatalf("no connection: %v", err)
				}
			}
			_, _ = io.WriteString(connection, c.second) // closed already is closed
			if _, err := io.Copy(io.Discard, connection); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Errorf("it stays open: %v", err)
			}
		})
	}
}

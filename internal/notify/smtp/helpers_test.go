// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

// stepTimeout is the step timeout of scripted conversations. Their clock is not the machine's: no test waits for it.
const stepTimeout = 30 * time.Second

// ca vouches for the servers that are to be trusted.
var ca = fakesmtp.NewCA("Fake Root CA")

// dialFunc is a Config.Dial.
type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

func newSender(t testing.TB, cfg smtp.Config) *smtp.Sender {
	t.Helper()
	if cfg.HelloName == "" {
		cfg.HelloName = "client.example"
	}
	sender, err := smtp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

// scripted is a sender whose only server is a script, without TLS.
func scripted(t testing.TB, server *fakesmtp.ScriptServer) *smtp.Sender {
	t.Helper()
	return newSender(t, smtp.Config{
		Servers: []string{"mail.example"}, TLS: smtp.TLS{Mode: v1alpha1.TLSNone}, Timeout: stepTimeout, Dial: server.Dial,
	})
}

// serverOf is a configuration for a server that listens.
func serverOf(server interface {
	Host() string
	Port() int
}) smtp.Config {
	return smtp.Config{Servers: []string{server.Host()}, Port: server.Port(), Timeout: time.Minute}
}

func alert(to ...string) notify.Message {
	if len(to) == 0 {
		to = []string{"soc@example.com"}
	}
	return notify.Message{
		ID:      "6d1f.77@example.com",
		Date:    time.Date(2026, 7, 31, 12, 30, 0, 0, time.UTC),
		From:    "Tocsin <tocsin@example.com>",
		To:      to,
		Subject: "Outbreak on web-1",
		Text:    "Five computers are infected.\n",
	}
}

// states are the recipients' states and codes, such as "Refused 550 5.1.1".
func states(r notify.Result) []string {
	var out []string
	for _, recipient := range r.Recipients {
		state := string(recipient.State)
		if recipient.Code != 0 {
			state += " " + string([]byte{byte('0' + recipient.Code/100), byte('0' + recipient.Code/10%10), byte('0' + recipient.Code%10)})
		}
		out = append(out, strings.TrimSpace(state+" "+recipient.EnhancedCode))
	}
	return out
}

// checkReason also checks what holds for all results.
func checkReason(t testing.TB, r notify.Result, want notify.Reason) {
	t.Helper()
	if r.Reason != want {
		t.Errorf("reason is %s, want %s; message: %s", r.Reason, want, r.Message)
	}
	if r.Temporary != r.Reason.Temporary() {
		t.Errorf("temporary is %t with reason %s", r.Temporary, r.Reason)
	}
	for name, text := range map[string]string{"message": r.Message, "server": r.Server, "tls": r.TLS} {
		if bounded := notify.Bound(text, notify.MaxMessage); bounded != text {
			t.Errorf("%s is not bounded: %q", name, text)
		}
	}
	for _, recipient := range r.Recipients {
		if bounded := notify.Bound(recipient.Response, notify.MaxResponse); bounded != recipient.Response {
			t.Errorf("response is not bounded: %q", recipient.Response)
		}
		if len(recipient.EnhancedCode) > len("5.999.999") {
			t.Errorf("enhanced code is %q", recipient.EnhancedCode)
		}
	}
}

// tape is what clients said on the connections that went through it, byte for byte, and how much they heard.
type tape struct {
	mu    sync.Mutex
	said  bytes.Buffer
	heard int
}

func (r *tape) record(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &tapedConn{Conn: conn, tape: r}, nil
	}
}

type tapedConn struct {
	net.Conn
	tape *tape
}

func (c *tapedConn) Write(p []byte) (int, error) {
	c.tape.mu.Lock()
	c.tape.said.Write(p)
	c.tape.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *tapedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.tape.mu.Lock()
	c.tape.heard += n
	c.tape.mu.Unlock()
	return n, err
}

// send sends, and fails if anything of the attempt stays with its context.
func send(t testing.TB, sender *smtp.Sender, m notify.Message) notify.Result {
	t.Helper()
	ctx := &endlessContext{Context: t.Context(), done: make(chan struct{})}
	result := sender.Send(ctx, m)
	if left := ctx.waiting.Load(); left != 0 {
		t.Errorf("%d functions are left waiting for the end of the context", left)
	}
	return result
}

// endlessContext is never done, not even with the test, so that it closes no connection that was left open. It counts the
// functions that wait for its end, as context.AfterFunc lets it.
type endlessContext struct {
	context.Context
	done    chan struct{}
	waiting atomic.Int32
}

func (c *endlessContext) Done() <-chan struct{} { return c.done }
func (c *endlessContext) Err() error            { return nil }

func (c *endlessContext) AfterFunc(func()) (stop func() bool) {
	c.waiting.Add(1)
	waits := atomic.Bool{}
	waits.Store(true)
	return func() bool {
		stopped := waits.CompareAndSwap(true, false)
		if stopped {
			c.waiting.Add(-1)
		}
		return stopped
	}
}

// dialForever never gets through.
func dialForever(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
}

// SPDX-License-Identifier: Apache-2.0

// Package smtp sends messages to mail servers.
package smtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
)

// Sender hands messages to the first of its servers that comes to a verdict on them. It is safe for concurrent use.
type Sender struct {
	servers   []server
	encrypts  bool
	login     *Login
	timeout   time.Duration
	helloName string
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	secrets   *strings.Replacer
}

var _ notify.Sender = (*Sender)(nil)

// New checks the configuration. It does not connect to anything.
func New(cfg Config) (*Sender, error) {
	servers, err := parseServers(cfg.Servers, cfg.Port)
	if err != nil {
		return nil, err
	}
	name, err := helloName(cfg.HelloName, os.Hostname)
	if err != nil {
		return nil, err
	}
	s := &Sender{servers: servers, timeout: cfg.Timeout, helloName: name, dial: cfg.Dial, secrets: secretsOf(cfg.Login)}
	switch cfg.TLS {
	case v1alpha1.TLSNone:
	case v1alpha1.TLSOpportunistic, "":
		s.encrypts = true
	default:
		return nil, fmt.Errorf("tls %q: must be None or Opportunistic", cfg.TLS)
	}
	if cfg.Login != nil {
		if err := cfg.Login.check(); err != nil {
			return nil, err
		}
		login := *cfg.Login
		s.login = &login
	}
	if s.timeout < 0 {
		return nil, errors.New("timeout: may not be negative")
	}
	if s.timeout == 0 {
		s.timeout = defaultTimeout
	}
	if s.dial == nil {
		s.dial = (&net.Dialer{}).DialContext
	}
	return s, nil
}

// Send makes one attempt: it goes through the servers until one comes to a verdict.
func (s *Sender) Send(ctx context.Context, m notify.Message) notify.Result {
	l, err := newLetter(m)
	if err != nil {
		return result(notify.ReasonInvalidMessage, err.Error())
	}
	var failures []*failure
	for _, srv := range s.servers {
		verdict, failed := s.talk(ctx, srv, l)
		if failed == nil {
			return verdict
		}
		if ctx.Err() != nil {
			return cancelled(context.Cause(ctx), failed)
		}
		failures = append(failures, failed)
	}
	return noVerdict(failures)
}

// talk has one conversation with one server. The Result is the server's verdict; a failure is why there was none.
func (s *Sender) talk(ctx context.Context, srv server, l *letter) (notify.Result, *failure) {
	c, failed := s.open(ctx, srv)
	if failed != nil {
		return notify.Result{}, failed
	}
	defer c.close()
	return c.transact(l)
}

// noVerdict adds up why all servers failed: the reason of the one that got furthest, which tells most, and the cause of
// each.
func noVerdict(failures []*failure) notify.Result {
	furthest, last := failures[0], failures[len(failures)-1]
	causes := make([]string, 0, len(failures))
	for _, f := range failures {
		if f.at >= furthest.at {
			furthest = f
		}
		// So many bytes for each that the last server's cause is not cut off because the first one talks a lot.
		causes = append(causes, notify.Bound(f.server+": "+f.cause, notify.MaxMessage/len(failures)-len(separator)))
	}
	r := result(furthest.reason, strings.Join(causes, separator))
	r.Server, r.TLS = last.server, last.tls
	return r
}

const separator = "; "

func cancelled(cause error, f *failure) notify.Result {
	r := result(notify.ReasonCancelled, fmt.Sprintf("called off: %v; until then: %s: %s", cause, f.server, f.cause))
	r.Server, r.TLS = f.server, f.tls
	return r
}

func result(reason notify.Reason, message string) notify.Result {
	return notify.Result{
		Reason:    reason,
		Message:   notify.Bound(message, notify.MaxMessage),
		Temporary: reason.Temporary(),
	}
}

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

	"github.com/tocsin-dev/tocsin/internal/notify"
)

// Sender hands messages to the first of its servers that comes to a verdict on them. It is safe for concurrent use.
type Sender struct {
	servers   []server
	port      int
	tls       TLS
	login     *Login
	mx        MX
	dkim      *signer
	pool      *Pool
	key       string
	made      uint64
	timeout   time.Duration
	helloName string
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	secrets   *strings.Replacer
}

var _ notify.Sender = (*Sender)(nil)

// New checks the configuration. It does not connect to anything.
func New(cfg Config) (*Sender, error) {
	s := &Sender{
		port: cfg.Port, timeout: cfg.Timeout, dial: cfg.Dial, tls: cfg.TLS, mx: cfg.MX, pool: cfg.Pool, key: cfg.Key,
		made: cfg.Pool.next(), secrets: secretsOf(cfg.Login),
	}
	if s.port == 0 {
		s.port = defaultPort
	}
	var err error
	if s.servers, err = parseServers(cfg.Servers, s.port); err != nil {
		return nil, err
	}
	if s.helloName, err = helloName(cfg.HelloName, os.Hostname); err != nil {
		return nil, err
	}
	if err := s.tls.check(); err != nil {
		return nil, err
	}
	if s.dkim, err = newSigner(cfg.DKIM); err != nil {
		return nil, err
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
	defer s.pool.begin(s.key, s.made)()
	var failures []*failure
	for i, configured := range s.servers {
		verdict, failed := s.try(ctx, configured, len(s.servers)-i, l)
		if len(failed) == 0 {
			return verdict
		}
		failures = append(failures, failed...)
		last := failures[len(failures)-1]
		if ctx.Err() != nil && !isTimeout(ctx.Err()) {
			return cancelled(context.Cause(ctx), last)
		}
		if last.final || ctx.Err() != nil {
			break
		}
	}
	return noVerdict(failures)
}

// try goes through the hosts of one configured server, of those that are left. Who hangs must leave time for the others: each
// has its share of what is left until the deadline.
func (s *Sender) try(ctx context.Context, configured server, left int, l *letter) (notify.Result, []*failure) {
	ctx, cancel := share(ctx, left)
	defer cancel()
	hosts, failures := s.hosts(ctx, configured)
	for i, srv := range hosts {
		verdict, failed := s.talkInTime(ctx, srv, len(hosts)-i, l)
		if failed == nil {
			return verdict, nil
		}
		if failures = append(failures, failed); ctx.Err() != nil {
			break
		}
	}
	return notify.Result{}, failures
}

// talkInTime talks to one of the hosts that are left.
func (s *Sender) talkInTime(ctx context.Context, srv server, left int, l *letter) (notify.Result, *failure) {
	ctx, cancel := share(ctx, left)
	defer cancel()
	began := time.Now() //nolint:forbidigo // a context's deadline is a time of this machine's clock
	verdict, failed := s.talk(ctx, srv, l)
	if deadline, ok := ctx.Deadline(); ok && failed != nil && isTimeout(ctx.Err()) {
		failed.reason = notify.ReasonTimeout
		failed.cause = fmt.Sprintf("%s: not done after %s, its share of the time of an attempt", failed.at,
			deadline.Sub(began).Round(time.Second))
	}
	return verdict, failed
}

// talk has one conversation with one server, on a connection that is still open from the last one if there is one. The
// Result is the server's verdict; a failure is why there was none.
func (s *Sender) talk(ctx context.Context, srv server, l *letter) (notify.Result, *failure) {
	waited := func(err error) *failure {
		return (&conversation{sender: s, server: srv}).failedFor(notify.ReasonCancelled, stepConnect, err.Error())
	}
	p, err := s.pool.enter(ctx, laneKey{s.key, strings.ToLower(srv.address), srv.domain})
	if err != nil {
		return notify.Result{}, waited(err)
	}
	defer p.leave()
	c := p.take()
	if c == nil {
		if err := p.sit(ctx); err != nil {
			return notify.Result{}, waited(err)
		}
	} else {
		if c.fits(s, srv) && c.resume(ctx, s, srv) {
			verdict, failed := c.transact(l)
			if failed == nil || failed.at > stepSender || ctx.Err() != nil {
				p.finish(c, verdict, failed)
				return verdict, failed
			}
		}
		c.close() // it had died meanwhile, and nothing was asked: what counts is what a fresh one says
	}
	c, failed := s.open(ctx, srv)
	if failed != nil {
		p.stand()
		return notify.Result{}, failed
	}
	verdict, failed := c.transact(l)
	p.finish(c, verdict, failed)
	return verdict, failed
}

// maxCauses is how many servers get their say in a Result's message.
const maxCauses = 16

// noVerdict adds up why all servers failed: the reason of the one that got furthest, which tells most, and the cause of
// each.
func noVerdict(failures []*failure) notify.Result {
	furthest, last := failures[0], failures[len(failures)-1]
	told := failures[:min(len(failures), maxCauses)]
	causes := make([]string, 0, len(told)+1)
	for i, f := range failures {
		if f.at >= furthest.at || f.final {
			furthest = f
		}
		if i < len(told) {
			// So many bytes for each that the last server's cause is not cut off because the first one talks a lot.
			causes = append(causes, notify.Bound(f.server+": "+f.cause, (notify.MaxMessage-maxMore)/len(told)-len(separator)))
		}
	}
	if more := len(failures) - len(told); more > 0 {
		causes = append(causes, fmt.Sprintf("and %d more", more))
	}
	r := result(furthest.reason, strings.Join(causes, separator))
	r.Server, r.TLS = last.server, last.tls
	return r
}

// maxMore is the length of the last words of such a message.
const maxMore = len("and 1000 more")

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

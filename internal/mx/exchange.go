// SPDX-License-Identifier: Apache-2.0

package mx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	// udpSize is what an answer by UDP may have; larger ones are fragmented on the way (DNS Flag Day 2020). More comes by TCP.
	udpSize = 1232
	// readSize is what is read nevertheless of an answer by UDP.
	readSize = 4096
	// maxStray is how many datagrams that answer no question are passed over.
	maxStray = 100
)

// ask asks one question, or remembers the answer.
func (l *lookup) ask(ctx context.Context, name string, kind uint16) (answer, *Error) {
	q := question{name: name, kind: kind}
	if a, ok := l.cache.get(q); ok {
		return a, nil
	}
	a, failure := l.askServers(ctx, q)
	if failure != nil {
		return answer{}, failure
	}
	if l.require && !a.authenticated {
		return answer{}, &Error{Reason: NotAuthenticated, Domain: name, Message: fmt.Sprintf(
			"the answer to its %s question is not protected by DNSSEC, which is required", dns.TypeToString[kind])}
	}
	l.cache.put(q, a)
	return a, nil
}

// askServers asks one after the other. Who does not answer in time is asked a second time in the end, as datagrams get lost.
func (l *lookup) askServers(ctx context.Context, q question) (answer, *Error) {
	n := len(l.servers)
	first := int(l.first.Load())
	var turns []int
	for i := range n {
		turns = append(turns, (first+i)%n)
	}
	var failure *Error
	for turn := 0; turn < len(turns); turn++ {
		server := turns[turn]
		a, err := l.askServer(ctx, l.servers[server], q)
		if err == nil {
			if failure != nil && q.kind == dns.TypeTLSA && !a.authenticated {
				// Who does not validate cannot prove that there are no TLSA records.
				return answer{}, failure
			}
			l.first.Store(int32(server)) //nolint:gosec // a channel names a handful of resolvers
			return a, nil
		}
		failure = graver(failure, l.failed(server, q, err))
		if failure.Reason == Bogus || ctx.Err() != nil {
			break
		}
		if isTimeout(err) && turn < n {
			turns = append(turns, server)
		}
	}
	return answer{}, failure
}

// failed is what a server's error means.
func (l *lookup) failed(server int, q question, err error) *Error {
	if refused, ok := errors.AsType[*Error](err); ok {
		return refused
	}
	return &Error{Reason: Failed, Domain: q.name, Message: unanswered(l.servers[server], err)}
}

// askServer asks one server. Not all say why they fail (unbound does not unless told to): if one that was named has an answer
// as long as nobody checks it, then that answer is bogus (RFC 4035, 3.2.2).
func (l *lookup) askServer(ctx context.Context, server string, q question) (answer, error) {
	reply, err := l.exchange(ctx, server, q, false)
	if err != nil {
		return answer{}, err
	}
	a, err := l.read(reply, q)
	refused, ok := errors.AsType[*Error](err)
	if !ok || reply.Rcode != dns.RcodeServerFailure || refused.Reason == Bogus || !l.named {
		return a, err
	}
	if unchecked, err := l.exchange(ctx, server, q, true); err == nil && isAnswer(unchecked) {
		refused.Reason, refused.Message = Bogus, bogusAnswer+refused.Message+", and has one that is not checked"
	}
	return answer{}, refused
}

// exchange asks one server by UDP and, when the answer does not fit, by TCP.
func (l *lookup) exchange(ctx context.Context, server string, q question, unchecked bool) (*dns.Msg, error) {
	// Two tries leave time for the questions that follow, and so do many servers.
	ctx, cancel := context.WithTimeout(ctx, l.timeout/time.Duration(len(l.servers)+3))
	defer cancel()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(q.name), q.kind)
	m.SetEdns0(udpSize, l.named)
	m.AuthenticatedData, m.CheckingDisabled = l.named, unchecked
	reply, err := roundTrip(ctx, "udp", server, m)
	if err == nil && reply.Truncated {
		reply, err = roundTrip(ctx, "tcp", server, m)
	}
	return reply, err
}

// roundTrip sends a question and waits for what answers it. By UDP anybody may send something under the server's address:
// what does not fit the question is passed over.
func roundTrip(ctx context.Context, network, server string, q *dns.Msg) (*dns.Msg, error) {
	var d net.Dialer
	raw, err := d.DialContext(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	release := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer release()
	conn := dns.Conn{Conn: raw, UDPSize: readSize}
	if err := conn.WriteMsg(q); err != nil {
		return nil, err
	}
	for range maxStray {
		m, err := conn.ReadMsg()
		if err == nil && fits(m, q) {
			return m, nil
		}
		if _, broken := errors.AsType[net.Error](err); broken || network == "tcp" && err != nil {
			return nil, err
		}
		if network == "tcp" {
			break
		}
	}
	return nil, errors.New("what it sends does not answer the question")
}

func fits(m, q *dns.Msg) bool {
	return m.Id == q.Id && m.Response && m.Opcode == dns.OpcodeQuery && len(m.Question) == 1 &&
		m.Question[0].Qtype == q.Question[0].Qtype && m.Question[0].Qclass == dns.ClassINET &&
		strings.EqualFold(m.Question[0].Name, q.Question[0].Name)
}

// unanswered says why a server did not answer, without the ports that are others each time.
func unanswered(server string, err error) string {
	if isTimeout(err) {
		return fmt.Sprintf("resolver %s does not answer", server)
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err
	}
	return fmt.Sprintf("resolver %s: %v", server, err)
}

func isTimeout(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}

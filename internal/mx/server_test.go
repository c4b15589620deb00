// SPDX-License-Identifier: Apache-2.0

package mx_test

import (
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/tocsin-dev/tocsin/internal/mx"
)

// reply is what a resolver does when it is asked a question.
type reply struct {
	// records of the answer, as in a zone file.
	records []string
	// authority holds the SOA of what does not exist.
	authority []string
	rcode     int
	// unsigned answers lack the AD bit of a server that validates.
	unsigned bool
	// extended is an Extended DNS Error; 0 for none.
	extended uint16
	// bogus answers fail unless the question says that nobody is to check them (the CD bit).
	bogus bool
	// byTCP: by UDP it says only that the answer does not fit.
	byTCP bool
	// hangs: it says nothing.
	hangs bool
	// garbled is sent first, made of the right answer.
	garbled func(right *dns.Msg) []byte
	// alone: nothing follows what is garbled.
	alone bool
}

// zone says what a resolver answers to questions such as "example.com MX". It knows that nothing else exists.
type zone map[string]reply

// resolver is a DNS server on loopback, by UDP and TCP.
type resolver struct {
	address string
	// validates: what it says is authenticated.
	validates bool

	mu    sync.Mutex
	zone  zone
	asked map[string]int
}

func startResolver(t *testing.T, validates bool, z zone) *resolver {
	t.Helper()
	packets, streams := listen(t)
	r := &resolver{address: packets.LocalAddr().String(), validates: validates, zone: z, asked: map[string]int{}}
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: r}, {Listener: streams, Handler: r}} {
		started := make(chan struct{})
		server.NotifyStartedFunc = func() { close(started) }
		go func() { _ = server.ActivateAndServe() }()
		<-started
		t.Cleanup(func() { _ = server.Shutdown() })
	}
	return r
}

// listen takes a port that is free for both UDP and TCP.
func listen(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		streams, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, streams
		}
		_ = packets.Close()
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Fatal(err)
		}
	}
}

// ServeDNS implements dns.Handler.
func (r *resolver) ServeDNS(w dns.ResponseWriter, q *dns.Msg) {
	m, answer := r.answer(q)
	_, byTCP := w.RemoteAddr().(*net.TCPAddr)
	if answer.hangs {
		return
	}
	if answer.byTCP && !byTCP {
		m.Truncated, m.Answer = true, nil
	}
	if answer.garbled != nil {
		_, _ = w.Write(answer.garbled(m.Copy()))
	}
	if !answer.alone {
		_ = w.WriteMsg(m)
	}
}

func (r *resolver) answer(q *dns.Msg) (*dns.Msg, reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := strings.ToLower(strings.TrimSuffix(q.Question[0].Name, ".")) + " " + dns.TypeToString[q.Question[0].Qtype]
	r.asked[key]++
	answer, ok := r.zone[key]
	if answer.bogus && !q.CheckingDisabled {
		answer = reply{rcode: dns.RcodeServerFailure}
	}
	if !ok && !r.exists(strings.Fields(key)[0]) {
		answer.rcode = dns.RcodeNameError
	}
	m := new(dns.Msg).SetReply(q)
	m.Compress = true
	m.Rcode, m.RecursionAvailable = answer.rcode, true
	// Who says neither AD nor DO does not want to know (RFC 6840, 5.8).
	m.AuthenticatedData = r.validates && !answer.unsigned && q.AuthenticatedData
	m.Answer, m.Ns = parse(answer.records), parse(answer.authority)
	if answer.extended != 0 {
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_EDE{InfoCode: answer.extended, ExtraText: "no\x00 good"}}
	}
	return m, answer
}

func (r *resolver) exists(name string) bool {
	for key := range r.zone {
		if strings.Fields(key)[0] == name {
			return true
		}
	}
	return false
}

// count is how often a question was asked.
func (r *resolver) count(key string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[key]
}

// questions that were asked.
func (r *resolver) questions() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for key := range r.asked {
		all = append(all, key)
	}
	slices.Sort(all)
	return all
}

func (r *resolver) set(key string, answer reply) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.zone[key] = answer
}

func parse(lines []string) []dns.RR {
	var records []dns.RR
	for _, line := range lines {
		record, err := dns.NewRR(line)
		if err != nil {
			panic(err)
		}
		records = append(records, record)
	}
	return records
}

func records(lines ...string) reply { return reply{records: lines} }

// keepOrder is a shuffle that does nothing.
func keepOrder(int, func(i, j int)) {}

// newResolver asks the given servers, and keeps hosts of equal preference in order.
func newResolver(t *testing.T, change func(*mx.Options), servers ...*resolver) *mx.Resolver {
	t.Helper()
	options := mx.Options{Timeout: 30 * time.Second, Shuffle: keepOrder}
	for _, server := range servers {
		options.Resolvers = append(options.Resolvers, server.address)
	}
	if change != nil {
		change(&options)
	}
	r, err := mx.New(options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func requireDNSSEC(o *mx.Options) { o.RequireDNSSEC = true }

// impatient is for servers that do not answer.
func impatient(o *mx.Options) { o.Timeout = 800 * time.Millisecond }

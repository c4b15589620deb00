// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

// names is a resolver on loopback that validates. It answers questions such as "example.com MX" and "mx.example.com A", and
// knows that no other name exists.
type names struct {
	address string

	mu      sync.Mutex
	records map[string]string
	asked   int
}

// What a resolver may answer instead of a record: it fails, it cannot prove it, it found it to be forged.
const (
	fails    = "SERVFAIL"
	unsigned = "unsigned "
	forged   = "forged"
)

func startNames(t *testing.T, records map[string]string) *names {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{address: conn.LocalAddr().String(), records: records}
	var serving sync.WaitGroup
	serving.Go(func() { n.serve(t, conn) })
	t.Cleanup(func() {
		_ = conn.Close()
		serving.Wait()
	})
	return n
}

func (n *names) serve(t *testing.T, conn net.PacketConn) {
	packet := make([]byte, 4096)
	for {
		size, from, err := conn.ReadFrom(packet)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if err = m.Unpack(packet[:size]); err == nil && len(m.Questions) == 1 {
			n.answer(&m)
			var answer []byte
			if answer, err = m.Pack(); err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
		if err != nil {
			t.Error(err)
		}
	}
}

// answer makes of a question its answer.
func (n *names) answer(m *dnsmessage.Message) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked++
	q := m.Questions[0]
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	text, ok := n.records[name+" "+strings.TrimPrefix(q.Type.String(), "Type")]
	m.Response, m.AuthenticData, m.Additionals = true, !strings.HasPrefix(text, unsigned), nil
	switch text = strings.TrimPrefix(text, unsigned); {
	case text == fails, text == forged && !m.CheckingDisabled:
		m.RCode = dnsmessage.RCodeServerFailure
	case text == forged:
	case text != "":
		m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 300}, Body: record(q.Type, text)}}
	case !ok && !n.has(name):
		m.RCode = dnsmessage.RCodeNameError
	}
}

// record is the address of a host, or the host that takes mail.
func record(kind dnsmessage.Type, text string) dnsmessage.ResourceBody {
	if kind == dnsmessage.TypeA {
		return &dnsmessage.AResource{A: netip.MustParseAddr(text).As4()}
	}
	return &dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName(text)}
}

func (n *names) has(name string) bool {
	for key := range n.records {
		if strings.HasPrefix(key, name+" ") {
			return true
		}
	}
	return false
}

func byMX(namespace string, n *names, servers ...v1alpha1.MailServer) *v1alpha1.NotificationChannel {
	channel := mailChannel(namespace, "mail", 2525)
	channel.Spec.Email.Servers, channel.Spec.Email.MXLookup = servers, true
	channel.Spec.Email.DNS = &v1alpha1.DNSSettings{Resolvers: []string{n.address}}
	return channel
}

func TestDomainsThatMailCannotGoTo(t *testing.T) {
	t.Parallel()
	n := startNames(t, map[string]string{
		"good.example MX": "mx.good.example.", "mx.good.example A": "192.0.2.1",
		"mute.example MX": ".", "forged.example MX": forged, "fails.example MX": fails,
		"plain.example MX": unsigned + "mx.good.example.",
		"hosts.example MX": "gone.example.",
	})
	const ready = v1alpha1.ReasonReady
	for name, tc := range map[string]struct {
		servers []v1alpha1.MailServer
		require bool
		want    string
		says    []string
	}{
		"it exists":                         {servers: []v1alpha1.MailServer{"good.example"}, want: ready},
		"it does not exist":                 {servers: []v1alpha1.MailServer{"gone.example"}, want: "DomainNotFound", says: []string{"`spec.email.servers`: gone.example: the domain does not exist; ", "name a domain"}},
		"its host does not exist":           {servers: []v1alpha1.MailServer{"hosts.example"}, want: "DomainNotFound", says: []string{"gone.example: the host has no address"}},
		"it takes no mail":                  {servers: []v1alpha1.MailServer{"mute.example"}, want: "NullMX", says: []string{"(RFC 7505)", "name the domain"}},
		"it is forged":                      {servers: []v1alpha1.MailServer{"forged.example"}, want: "DNSSECBogus", says: []string{"DNSSEC: the answer is bogus"}},
		"it is not signed":                  {servers: []v1alpha1.MailServer{"plain.example"}, require: true, want: "DNSSECMissing", says: []string{"not protected by DNSSEC", "`dns.resolvers`"}},
		"it need not be signed":             {servers: []v1alpha1.MailServer{"plain.example"}, want: ready},
		"nobody knows":                      {servers: []v1alpha1.MailServer{"fails.example"}, want: ready},
		"none of them":                      {servers: []v1alpha1.MailServer{"gone.example", "mute.example"}, want: "DomainNotFound", says: []string{"gone.example: ", "mute.example: "}},
		"one of them":                       {servers: []v1alpha1.MailServer{"gone.example", "good.example"}, want: ready, says: []string{"gone.example: the domain does not exist"}},
		"perhaps one of them":               {servers: []v1alpha1.MailServer{"mute.example", "fails.example"}, want: ready, says: []string{"mute.example: the domain takes no mail"}},
		"one, after a forged one that ends": {servers: []v1alpha1.MailServer{"gone.example", "forged.example", "good.example"}, want: "DNSSECBogus", says: []string{"gone.example: ", "forged.example: "}},
		"one, before a forged one":          {servers: []v1alpha1.MailServer{"good.example", "forged.example"}, want: ready, says: []string{"forged.example: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			channel := byMX(k8s.Namespace(t), n, tc.servers...)
			if tc.require {
				channel.Spec.Email.DNS.DNSSEC = v1alpha1.DNSSECRequire
			}
			k8s.Create(t, channel)
			awaitChannel(t, channel, tc.want)
			contains(t, status.Message(channel.Status.Conditions, v1alpha1.ReadyCondition), tc.says...)
			if tc.want != ready && status.Reason(channel.Status.Conditions, v1alpha1.ReconcilingCondition) != tc.want {
				t.Errorf("conditions are %+v", channel.Status.Conditions)
			}
		})
	}
}

func TestDomainThatComesToExistIsUsed(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	n := startNames(t, map[string]string{})
	channel := byMX(ns, n, "new.example")
	port := int32(server.Port())
	channel.Spec.Email.Port = &port
	k8s.Create(t, channel)
	awaitChannel(t, channel, "DomainNotFound")
	n.mu.Lock()
	n.records = map[string]string{"new.example MX": "mx.new.example.", "mx.new.example A": "127.0.0.1"}
	n.mu.Unlock()
	// A change of the channel has it looked up at once.
	k8s.Change(t, channel, func() { channel.Spec.Email.Subject = "anew" })
	awaitChannel(t, channel, v1alpha1.ReasonReady)
	ready(t, condition(ns, "single-risk", "SingleRiskEvent", "mail"))
	k8s.Create(t, detection(ns, "ws", "Worm"))
	awaitMails(t, server, 1)
}

// Neither a suspended channel nor one whose servers are hosts has anything to look up.
func TestNothingIsLookedUpInVain(t *testing.T) {
	t.Parallel()
	n := startNames(t, map[string]string{})
	for name, change := range map[string]func(*v1alpha1.NotificationChannel) string{
		"suspended": func(c *v1alpha1.NotificationChannel) string { c.Spec.Suspend = true; return v1alpha1.ReasonSuspended },
		"hosts": func(c *v1alpha1.NotificationChannel) string {
			c.Spec.Email.MXLookup, c.Spec.Email.DNS = false, nil
			return v1alpha1.ReasonReady
		},
	} {
		channel := byMX(k8s.Namespace(t), n, "gone.example")
		want := change(channel)
		k8s.Create(t, channel)
		awaitChannel(t, channel, want)
		n.mu.Lock()
		if n.asked > 0 {
			t.Error(fmt.Sprint(name, ": the resolver was asked"))
		}
		n.mu.Unlock()
	}
}

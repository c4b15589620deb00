// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/mx"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

// zone answers for domains.
type zone map[string]func(ctx context.Context) ([]mx.Host, error)

func (z zone) Lookup(ctx context.Context, domain string, port int) ([]mx.Host, error) {
	answer, ok := z[fmt.Sprintf("%s:%d", domain, port)]
	if !ok {
		return nil, &mx.Error{Reason: mx.NotFound, Domain: domain, Message: "the domain does not exist"}
	}
	return answer(ctx)
}

func hosts(hosts ...mx.Host) func(context.Context) ([]mx.Host, error) {
	return func(context.Context) ([]mx.Host, error) { return hosts, nil }
}

func lookupFails(err error) func(context.Context) ([]mx.Host, error) {
	return func(context.Context) ([]mx.Host, error) { return nil, err }
}

func host(name string, addresses ...string) mx.Host {
	h := mx.Host{Name: name}
	for _, address := range addresses {
		h.Addresses = append(h.Addresses, netip.MustParseAddr(address))
	}
	return h
}

// protected is a host that DNSSEC vouches for.
func protected(h mx.Host, records ...mx.TLSA) mx.Host {
	h.Authenticated, h.TLSRequired, h.TLSA = true, len(records) > 0, records
	return h
}

// network is servers by their addresses.
type network map[string]*fakesmtp.ScriptServer

func (n network) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if server, ok := n[address]; ok {
		return server.Dial(ctx, network, address)
	}
	return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("no route to host")}
}

func TestMailGoesToTheHostsOfADomainInTheirOrder(t *testing.T) {
	t.Parallel()
	down := fakesmtp.Script{fakesmtp.Connect: fakesmtp.Reply("421 4.3.2 down")}
	busy := fakesmtp.Script{fakesmtp.Mail: fakesmtp.Reply("421 4.3.2 busy")}
	refuses := fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.Reply("550 5.1.1 no such user")}
	defers := fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.Reply("450 4.2.0 later")}
	tests := map[string]struct {
		first   fakesmtp.Script
		want    notify.Reason
		wantAll string // who was asked
		server  string
	}{
		"the first takes it":             {nil, notify.ReasonAccepted, "192.0.2.1", "mx1.example:25"},
		"the first is down":              {down, notify.ReasonAccepted, "192.0.2.1 192.0.2.2", "mx2.example:25"},
		"the first is busy":              {busy, notify.ReasonAccepted, "192.0.2.1 192.0.2.2", "mx2.example:25"},
		"a refusal by the first stands":  {refuses, notify.ReasonRefused, "192.0.2.1", "mx1.example:25"},
		"a deferral by the first stands": {defers, notify.ReasonDeferred, "192.0.2.1", "mx1.example:25"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				servers := network{
					"192.0.2.1:25": fakesmtp.NewScript(tc.first), "192.0.2.2:25": fakesmtp.NewScript(nil),
					"192.0.2.3:25": fakesmtp.NewScript(nil),
				}
				sender := newSender(t, smtp.Config{
					Servers: []string{"example.com"}, Timeout: stepTimeout, Dial: servers.dial,
					MX: zone{"example.com:25": hosts(host("mx1.example", "192.0.2.1"), host("mx2.example", "192.0.2.2"), host("mx3.example", "192.0.2.3"))},
				})
				result := send(t, sender, alert())
				checkReason(t, result, tc.want)
				var asked []string
				for address, server := range servers {
					if server.Connections() > 0 {
						asked = append(asked, strings.TrimSuffix(address, ":25"))
					}
				}
				slices.Sort(asked)
				if got := strings.Join(asked, " "); got != tc.wantAll || result.Server != tc.server {
					t.Errorf("asked %s, want %s; server is %s", got, tc.wantAll, result.Server)
				}
			})
		})
	}
}

func TestAllAddressesOfAHostAreTriedWithinOneStep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(nil)
		sender := newSender(t, smtp.Config{
			Servers: []string{"example.com"}, Timeout: stepTimeout,
			MX: zone{"example.com:25": hosts(host("mx1.example", "192.0.2.1", "192.0.2.2", "2001:db8::1"))},
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				if address == "[2001:db8::1]:25" {
					return server.Dial(ctx, network, address)
				}
				return dialForever(ctx, network, address)
			},
		})
		result := sendWithin(t, stepTimeout*2/3, sender, alert())
		checkReason(t, result, notify.ReasonAccepted)
		if result.Server != "mx1.example:25" {
			t.Errorf("server is %s", result.Server)
		}
	})
}

func TestDomainsOfWhichTheHostsAreNotKnown(t *testing.T) {
	t.Parallel()
	says := func(reason mx.Reason) func(context.Context) ([]mx.Host, error) {
		return lookupFails(&mx.Error{Reason: reason, Domain: "example.com", Message: "because"})
	}
	tests := map[string]struct {
		answer func(context.Context) ([]mx.Host, error)
		want   notify.Reason
		say    string
	}{
		"it does not exist":          {says(mx.NotFound), notify.ReasonDomainNotFound, "example.com:25: looking up: example.com: because"},
		"it takes no mail":           {says(mx.NullMX), notify.ReasonNullMX, "because"},
		"the answer is forged":       {says(mx.Bogus), notify.ReasonDNSSECBogus, "because"},
		"the answer is not signed":   {says(mx.NotAuthenticated), notify.ReasonDNSSECMissing, "because"},
		"nobody answers":             {says(mx.Failed), notify.ReasonServerNotFound, "because"},
		"there is nobody to ask":     {says(mx.NoResolver), notify.ReasonNotConfigured, "because"},
		"a reason that is not known": {says("Else"), notify.ReasonServerNotFound, "because"},
		"no hosts, and no reason":    {hosts(), notify.ReasonConnectionFailed, "the domain has no mail servers"},
		"all hosts are unusable": {
			hosts(mx.Host{Name: "mx1.example", Err: &mx.Error{Reason: mx.Bogus, Domain: "mx1.example", Message: "because"}}),
			notify.ReasonDNSSECBogus, "mx1.example:25: looking up: mx1.example: because"},
		"silence": {func(ctx context.Context) ([]mx.Host, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, notify.ReasonTimeout, "looking up: timed out after 30s"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				servers := network{}
				sender := newSender(t, smtp.Config{
					Servers: []string{"example.com"}, Timeout: stepTimeout, Dial: servers.dial, MX: zone{"example.com:25": tc.answer},
				})
				result := sendWithin(t, stepTimeout, sender, alert())
				checkReason(t, result, tc.want)
				if !strings.Contains(result.Message, tc.say) || !result.Temporary {
					t.Errorf("temporary is %t, message is %q, want %q in it", result.Temporary, result.Message, tc.say)
				}
			})
		})
	}
}

func TestAnUnusableHostIsPassedOverAndTheNextDomainIsTried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		servers := network{"192.0.2.9:25": fakesmtp.NewScript(nil)}
		bogus := mx.Host{Name: "mx1.example", Err: &mx.Error{Reason: mx.Bogus, Domain: "mx1.example", Message: "forged"}}
		sender := newSender(t, smtp.Config{
			Servers: []string{"gone.example", "example.com", "192.0.2.9"}, Timeout: stepTimeout, Dial: servers.dial,
			MX: zone{"example.com:25": hosts(bogus, host("mx2.example", "192.0.2.2"))},
		})
		result := send(t, sender, alert())
		checkReason(t, result, notify.ReasonAccepted)
		if result.Server != "192.0.2.9:25" {
			t.Errorf("server is %s, want the address, of which there is nothing to look up", result.Server)
		}
	})
}

func TestAForgedDomainEndsTheAttempt(t *testing.T) {
	t.Parallel()
	forged := lookupFails(&mx.Error{Reason: mx.Bogus, Domain: "example.com", Message: "because"})
	missing := lookupFails(&mx.Error{Reason: mx.NotAuthenticated, Domain: "example.com", Message: "because"})
	for name, tc := range map[string]struct {
		servers []string
		answer  func(context.Context) ([]mx.Host, error)
		want    notify.Reason
	}{
		"no other domain is tried":       {[]string{"example.com", "good.example"}, forged, notify.ReasonDNSSECBogus},
		"no address is tried":            {[]string{"example.com", "192.0.2.1"}, forged, notify.ReasonDNSSECBogus},
		"it counts more than who failed": {[]string{"192.0.2.2", "example.com", "good.example"}, forged, notify.ReasonDNSSECBogus},
		"but not what came before":       {[]string{"good.example", "example.com"}, forged, notify.ReasonAccepted},
		"nor does an unsigned one":       {[]string{"example.com", "good.example"}, missing, notify.ReasonAccepted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				good := fakesmtp.NewScript(nil)
				result := send(t, newSender(t, smtp.Config{
					Servers: tc.servers, Timeout: stepTimeout, Dial: network{"192.0.2.1:25": good}.dial,
					MX: zone{"example.com:25": tc.answer, "good.example:25": hosts(host("mx1.example", "192.0.2.1"))},
				}), alert())
				checkReason(t, result, tc.want)
				if asked := good.Connections() > 0; asked != (tc.want == notify.ReasonAccepted) {
					t.Errorf("the other was asked: %t", asked)
				}
			})
		})
	}
}

func TestLookingUpStopsAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		forever := func(ctx context.Context) ([]mx.Host, error) {
			<-ctx.Done()
			return nil, fmt.Errorf("look up: %w", context.Cause(ctx))
		}
		checkCancel(t, newSender(t, smtp.Config{
			Servers: []string{"example.com", "example.net"}, Timeout: stepTimeout,
			MX: zone{"example.com:25": forever, "example.net:25": forever},
		}), notify.ReasonCancelled)
	})
}

// ofKey is the TLSA record for the key of a certificate (3 1 1).
func ofKey(certificate tls.Certificate) mx.TLSA {
	sum := sha256.Sum256(certificate.Leaf.RawSubjectPublicKeyInfo)
	return mx.TLSA{Usage: 3, Selector: 1, MatchingType: 1, Data: sum[:]}
}

func TestWhoAHostOfADomainHasToBe(t *testing.T) {
	t.Parallel()
	byHost, byDomain := ca.Issue(fakesmtp.Always, "mx1.example"), ca.Issue(fakesmtp.Always, "example.com")
	byOther, untrusted := ca.Issue(fakesmtp.Always, "evil.example"), otherCA.Issue(lastYear, "evil.example")
	plain := host("mx1.example", "192.0.2.1")
	const required, opportunistic, none = v1alpha1.TLSRequired, v1alpha1.TLSOpportunistic, v1alpha1.TLSNone
	tests := map[string]struct {
		host     mx.Host
		mode     v1alpha1.TLSMode
		shows    *tls.Certificate // nil: no TLS is offered
		want     notify.Reason
		verified string
		say      string
	}{
		"itself": {plain, required, &byHost, notify.ReasonAccepted, "CA", ""},
		"the domain, where anybody may have named it": {plain, required, &byDomain, notify.ReasonAccepted, "CA", ""},
		"not the domain, where DNSSEC vouches for it": {protected(plain), required, &byDomain, notify.ReasonTLSFailed, "", "is for example.com, not for mx1.example"},
		"nobody else":                                      {plain, required, &byOther, notify.ReasonTLSFailed, "", "is for evil.example, not for mx1.example or example.com"},
		"of an authority that is trusted":                  {plain, required, &untrusted, notify.ReasonTLSFailed, "", "expired"},
		"anybody, where encryption is a chance":            {plain, opportunistic, &untrusted, notify.ReasonAccepted, "", ""},
		"who the record says, whatever the CA says":        {protected(plain, ofKey(untrusted)), required, &untrusted, notify.ReasonAccepted, "DANE", ""},
		"who the record says, by chance, too":              {protected(plain, ofKey(untrusted)), opportunistic, &untrusted, notify.ReasonAccepted, "DANE", ""},
		"not another than the record says":                 {protected(plain, ofKey(untrusted)), required, &byHost, notify.ReasonTLSFailed, "", "none of the TLSA records (mx1.example): whoever runs the server"},
		"not another, not even by chance":                  {protected(plain, ofKey(untrusted)), opportunistic, &byHost, notify.ReasonTLSFailed, "", "none of the TLSA records"},
		"encrypted, if there is a record":                  {protected(plain, ofKey(byHost)), opportunistic, nil, notify.ReasonTLSFailed, "", "the TLSA records of mx1.example demand TLS"},
		"encrypted, if all records are of no use":          {unusable(plain), opportunistic, nil, notify.ReasonTLSFailed, "", "does not offer STARTTLS"},
		"encrypted by anybody, if they are of no use":      {unusable(plain), opportunistic, &untrusted, notify.ReasonAccepted, "", ""},
		"verified by the CA, if they are of no use":        {unusable(plain), required, &byHost, notify.ReasonAccepted, "CA", ""},
		"whatever it is, where nothing is to be encrypted": {protected(plain, ofKey(byHost)), none, nil, notify.ReasonAccepted, "", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				script := fakesmtp.Script{}
				if tc.shows != nil {
					script = speaksTLS(fakesmtp.ServerTLS(*tc.shows), false)
				}
				servers := network{"192.0.2.1:25": fakesmtp.NewScript(script)}
				result := send(t, newSender(t, smtp.Config{
					Servers: []string{"example.com"}, Timeout: stepTimeout, Dial: servers.dial, MX: zone{"example.com:25": hosts(tc.host)},
					TLS: smtp.TLS{Mode: tc.mode, Roots: ca.Pool()},
				}), alert())
				checkReason(t, result, tc.want)
				if result.Verified != tc.verified || !strings.Contains(result.Message, tc.say) {
					t.Errorf("verified by %q, message is %q, want %q in it", result.Verified, result.Message, tc.say)
				}
				if encrypted := result.TLS == "TLS 1.3"; tc.want == notify.ReasonAccepted && encrypted != (tc.shows != nil) {
					t.Errorf("TLS is %q", result.TLS)
				}
			})
		})
	}
}

// unusable has TLSA records that say nothing that is understood here.
func unusable(h mx.Host) mx.Host {
	h.Authenticated, h.TLSRequired = true, true
	return h
}

func TestTLSAHostNamesTheServerNotTheDomain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan string, 1)
		settings := fakesmtp.ServerTLS(ca.Issue(fakesmtp.Always, "mx1.example"))
		settings.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			asked <- hello.ServerName
			return nil, nil
		}
		servers := network{"192.0.2.1:25": fakesmtp.NewScript(speaksTLS(settings, false))}
		_ = send(t, newSender(t, smtp.Config{
			Servers: []string{"example.com"}, Timeout: stepTimeout, Dial: servers.dial,
			MX: zone{"example.com:25": hosts(host("mx1.example", "192.0.2.1"))},
		}), alert())
		if got := <-asked; got != "mx1.example" {
			t.Errorf("asked for %q", got)
		}
	})
}

func TestAConnectionFromBeforeTheRecordsIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		certificate := ca.Issue(fakesmtp.Always, "mx1.example")
		server := fakesmtp.NewScript(fakesmtp.Script{
			fakesmtp.Ehlo:     fakesmtp.InTurn(fakesmtp.AsItShould(fakesmtp.Ehlo), fakesmtp.Reply("250-fake.example", "250 STARTTLS")),
			fakesmtp.StartTLS: fakesmtp.EncryptWith(fakesmtp.ServerTLS(certificate)),
		})
		pool, plain := newPool(t), host("mx1.example", "192.0.2.1")
		for _, tc := range []struct {
			host     mx.Host
			verified string
		}{{plain, ""}, {protected(plain, ofKey(certificate)), "DANE"}, {protected(plain, ofKey(certificate)), "DANE"}} {
			result := send(t, newSender(t, smtp.Config{
				Servers: []string{"example.com"}, Timeout: stepTimeout, Dial: network{"192.0.2.1:25": server}.dial,
				MX: zone{"example.com:25": hosts(tc.host)}, Pool: pool, Key: "c@1",
			}), alert())
			checkReason(t, result, notify.ReasonAccepted)
			if result.Verified != tc.verified {
				t.Errorf("verified by %q, want %q", result.Verified, tc.verified)
			}
		}
		if server.Connections() != 2 {
			t.Errorf("%d connections, want one before and one after", server.Connections())
		}
	})
}

func TestAHundredHostsThatFailAreSummedUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answers, names := zone{}, []string{}
		for i := range 10 {
			name := fmt.Sprintf("d%d.example", i)
			var all []mx.Host
			for j := range 10 {
				all = append(all, host(fmt.Sprintf("mx%d.%s", j, name), "192.0.2.1"))
			}
			names, answers[name+":25"] = append(names, name), hosts(all...)
		}
		began := time.Now()
		result := send(t, newSender(t, smtp.Config{Servers: names, Timeout: stepTimeout, Dial: network{}.dial, MX: answers}), alert())
		checkReason(t, result, notify.ReasonConnectionFailed)
		for _, want := range []string{"mx0.d0.example:25: connecting: no route to host; ", "mx5.d1.example:25: ", "; and 84 more"} {
			if !strings.Contains(result.Message, want) {
				t.Errorf("message is %q, want %q in it", result.Message, want)
			}
		}
		if result.Server != "mx9.d9.example:25" || time.Since(began) != 0 {
			t.Errorf("server is %s", result.Server)
		}
	})
}

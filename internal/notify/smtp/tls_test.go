// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	offers := fakesmtp.Reply("250-fake.example", "250-STARTTLS", "250 8BITMIME")
	tests := map[string]struct {
		mode        v1alpha1.TLSMode
		script      fakesmtp.Script
		want        string
		wantMessage string
		connections int
	}{
		"offered by a server that nobody vouches for, it is used": {
			script: fakesmtp.Script{fakesmtp.Ehlo: offers}, want: "TLS 1.3", wantMessage: "250 2.0.0", connections: 1},
		"of the oldest version that protects, it is used": {
			script: fakesmtp.Script{fakesmtp.Ehlo: offers, fakesmtp.StartTLS: fakesmtp.Encrypt(tls.VersionTLS12)},
			want:   "TLS 1.2", wantMessage: "250 2.0.0", connections: 1},
		"of a version too old to protect, mail goes without": {
			script: fakesmtp.Script{fakesmtp.Ehlo: offers, fakesmtp.StartTLS: fakesmtp.Encrypt(tls.VersionTLS11)},
			want:   "none", wantMessage: "not encrypted (STARTTLS: ", connections: 2},
		"what was said before the handshake is not believed after it": {
			script: fakesmtp.Script{fakesmtp.Ehlo: offers, fakesmtp.StartTLS: fakesmtp.Then(
				fakesmtp.Raw("220 ready\r\n421 go away\r\n"), fakesmtp.Handshake(tls.VersionTLS13))},
			want: "TLS 1.3", wantMessage: "250 2.0.0", connections: 1},
		"not offered, it is not": {
			script: fakesmtp.Script{}, want: "none", wantMessage: "250 2.0.0", connections: 1},
		"None means never": {
			mode: v1alpha1.TLSNone, script: fakesmtp.Script{fakesmtp.Ehlo: offers}, want: "none", wantMessage: "250 2.0.0", connections: 1},
		"refused after all, mail goes without": {
			script: fakesmtp.Script{fakesmtp.Ehlo: offers, fakesmtp.StartTLS: fakesmtp.Reply("454 4.7.0 not now")},
			want:   "none", wantMessage: "not encrypted (STARTTLS: 454 4.7.0 not now); 250 2.0.0", connections: 2},
		"hung up on, mail goes without": {
			script: fakesmtp.Script{fakesmtp.Ehlo: offers, fakesmtp.StartTLS: fakesmtp.Drop()},
			want:   "none", wantMessage: "not encrypted (STARTTLS: the server closed the connection); ", connections: 2},
		"answered by nonsense, mail goes without": {
			script: fakesmtp.Script{fakesmtp.Ehlo: offers, fakesmtp.StartTLS: fakesmtp.Reply("220 ready", "I meant: no")},
			want:   "none", wantMessage: "not encrypted (STARTTLS: the server agreed to STARTTLS, but does not speak TLS then); ", connections: 2},
		"answered by silence, mail goes without": {
			script: fakesmtp.Script{fakesmtp.Ehlo: offers, fakesmtp.StartTLS: fakesmtp.Then(fakesmtp.Reply("220 ready"), fakesmtp.Hang())},
			want:   "none", wantMessage: "not encrypted (STARTTLS: timed out after 30s); ", connections: 2},
		"offered in small letters, it is used": {
			script: fakesmtp.Script{fakesmtp.Ehlo: fakesmtp.InTurn(fakesmtp.Reply("250-fake.example", "250-starttls", "250 8bitmime"))},
			want:   "TLS 1.3", wantMessage: "250 2.0.0", connections: 1},
		"offered by who does not greet in the new way, it is not": {
			script: fakesmtp.Script{fakesmtp.Ehlo: fakesmtp.Reply("500 what?"), fakesmtp.Helo: fakesmtp.Reply("250-a", "250 STARTTLS")},
			want:   "none", wantMessage: "250 2.0.0", connections: 1},
		"broken in the first command on it, mail goes without": {
			script: fakesmtp.Script{fakesmtp.Ehlo: fakesmtp.InTurn(offers, fakesmtp.Drop(), offers)},
			want:   "none", wantMessage: "not encrypted (STARTTLS: the server closed the connection); ", connections: 2},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := fakesmtp.NewScript(tc.script)
				sender := newSender(t, smtp.Config{
					Servers: []string{"mail.example"}, TLS: smtp.TLS{Mode: tc.mode}, Timeout: stepTimeout, Dial: server.Dial,
				})
				result := send(t, sender, alert())
				checkReason(t, result, notify.ReasonAccepted)
				if result.TLS != tc.want || !strings.HasPrefix(result.Message, tc.wantMessage) {
					t.Errorf("TLS is %q, message %q", result.TLS, result.Message)
				}
				if got := server.Connections(); got != tc.connections {
					t.Errorf("%d connections, want %d", got, tc.connections)
				}
				if tc.mode == v1alpha1.TLSNone && slices.Contains(server.Heard(), "STARTTLS") {
					t.Error("STARTTLS was said")
				}
			})
		})
	}
}

func TestFailedTLSDoesNotExposeThePassword(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(fakesmtp.Script{
			fakesmtp.Ehlo:     fakesmtp.Reply("250-fake.example", "250-STARTTLS", "250 AUTH PLAIN LOGIN"),
			fakesmtp.StartTLS: fakesmtp.Reply("454 4.7.0 not now"),
		})
		sender := newSender(t, smtp.Config{Servers: []string{"mail.example"}, Login: credentials(), Dial: server.Dial})
		result := send(t, sender, alert())
		checkReason(t, result, notify.ReasonPlainTextLoginRefused)
		if !strings.Contains(result.Message, "not encrypted (STARTTLS: 454 4.7.0 not now); login: ") {
			t.Errorf("message is %q", result.Message)
		}
		if heard := strings.Join(server.Heard(), "\n"); strings.Contains(heard, "AUTH") {
			t.Errorf("the server heard\n%s", heard)
		}
	})
}

func TestMailOverTLSArrives(t *testing.T) {
	t.Parallel()
	server := fakesmtp.Start(t, fakesmtp.Options{StartTLS: true})
	result := send(t, newSender(t, serverOf(server)), longAlert())
	checkReason(t, result, notify.ReasonAccepted)
	if messages := server.Messages(); len(messages) != 1 || !messages[0].TLS {
		t.Errorf("messages: %+v", messages)
	}
}

// lastYear is over for all clocks, also for those of synctest.
var lastYear = time.Date(1999, 3, 4, 5, 6, 0, 0, time.UTC)

// otherCA vouches for those who are not to be trusted.
var otherCA = fakesmtp.NewCA("Another Root CA")

// wantsCertificate is the settings of a server that is to be trusted and trusts only clients that ca vouches for.
func wantsCertificate(version uint16) *tls.Config {
	config := trusted()
	config.ClientAuth, config.ClientCAs, config.MaxVersion = tls.RequireAndVerifyClientCert, ca.Pool(), version
	return config
}

func trusted() *tls.Config {
	return fakesmtp.ServerTLS(ca.Issue(fakesmtp.Always, "mail.example", "192.0.2.25", "2001:db8::25"))
}

func upTo(version uint16, config *tls.Config) *tls.Config {
	config.MinVersion, config.MaxVersion = min(config.MinVersion, version), version
	return config
}

func issued(by *fakesmtp.CA, end time.Time, names ...string) *tls.Certificate {
	certificate := by.Issue(end, names...)
	return &certificate
}

func TestRequiredTLSSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	t.Parallel()
	serverOf := func(by *fakesmtp.CA, end time.Time, names ...string) *tls.Config {
		return fakesmtp.ServerTLS(by.Issue(end, names...))
	}
	tests := map[string]struct {
		host   string // empty: mail.example
		server *tls.Config
		client smtp.TLS
		say    string // empty: it is accepted
		want   string // the version
	}{
		"a trusted server":                    {server: trusted(), want: "TLS 1.3"},
		"a trusted server of TLS 1.2":         {server: upTo(tls.VersionTLS12, trusted()), want: "TLS 1.2"},
		"a trusted server by its address":     {host: "192.0.2.25", server: trusted(), want: "TLS 1.3"},
		"a trusted server by its address six": {host: "[2001:db8::25]", server: trusted(), want: "TLS 1.3"},
		"a trusted server by its A-label": {
			host: "mail.köln.example", server: serverOf(ca, fakesmtp.Always, "mail.xn--kln-sna.example"), want: "TLS 1.3"},
		"a trusted server by its star": {server: serverOf(ca, fakesmtp.Always, "*.example"), want: "TLS 1.3"},
		"a server of an unknown authority": {
			server: serverOf(otherCA, fakesmtp.Always, "mail.example"),
			say:    "the server's certificate was issued by CN=Another Root CA, which is not trusted: put the certificate of that CA where `tls.caRef`"},
		"a server that vouches for itself": {
			server: &tls.Config{Certificates: []tls.Certificate{{
				Certificate: [][]byte{otherCA.Certificate().Raw}, PrivateKey: otherCA.Key(),
			}}},
			say: "the server's certificate is vouched for by nobody but itself (CN=Another Root CA): put it"},
		"a server of another name": {
			server: serverOf(ca, fakesmtp.Always, "a.example", "b.example", "192.0.2.1"),
			say:    "the server's certificate is for a.example, b.example, 192.0.2.1, not for mail.example: name the server as"},
		"a server without its address": {
			host: "192.0.2.26", server: trusted(), say: "is for mail.example, 192.0.2.25, 2001:db8::25, not for 192.0.2.26"},
		"a server whose certificate expired": {
			server: serverOf(ca, lastYear, "mail.example"), say: "the server's certificate expired on 1999-03-04 05:06 UTC: have it renewed"},
		"a server of an old version": {
			server: upTo(tls.VersionTLS11, trusted()),
			say:    "the server has no version of TLS from TLS 1.2 on: have it updated, or lower `tls.minVersion`"},
		"a server older than it may be": {
			server: upTo(tls.VersionTLS12, trusted()), client: smtp.TLS{MinVersion: tls.VersionTLS13},
			say: "the server has no version of TLS from TLS 1.3 on"},
		"a server that wants to know who we are": {
			server: wantsCertificate(tls.VersionTLS13),
			say:    "the server wants a certificate of the client (it says: certificate required): set `tls.clientCertificateRef`"},
		"a server of TLS 1.2 that wants to know who we are": {
			server: wantsCertificate(tls.VersionTLS12), say: "the server wants a certificate of the client (it says: "},
		"a server that knows who we are": {
			server: wantsCertificate(tls.VersionTLS13), client: smtp.TLS{Certificate: issued(ca, fakesmtp.Always, "tocsin.example")},
			want: "TLS 1.3"},
		"a server that does not trust us": {
			server: wantsCertificate(tls.VersionTLS13), client: smtp.TLS{Certificate: issued(otherCA, fakesmtp.Always, "tocsin.example")},
			say: "the server does not take the client's certificate (it says: "},
		"a server that finds us too old": {
			server: wantsCertificate(tls.VersionTLS12), client: smtp.TLS{Certificate: issued(ca, lastYear, "tocsin.example")},
			say: "the server does not take the client's certificate (it says: "},
	}
	for name, tc := range tests {
		for way, implicit := range map[string]bool{"by STARTTLS": false, "from the beginning": true} {
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				server := fakesmtp.StartScript(t, speaksTLS(tc.server, implicit))
				config := smtp.Config{Servers: []string{tc.host}, Port: 25, Timeout: time.Minute, Dial: dialing(server), TLS: tc.client}
				if tc.host == "" {
					config.Servers = []string{"mail.example"}
				}
				config.TLS.Mode, config.TLS.Implicit, config.TLS.Roots = v1alpha1.TLSRequired, implicit, ca.Pool()
				result := send(t, newSender(t, config), alert())
				if tc.say != "" {
					checkNeverSent(t, server, result, tc.say)
					return
				}
				checkReason(t, result, notify.ReasonAccepted)
				if result.TLS != tc.want || result.Verified != notify.VerifiedByCA {
					t.Errorf("TLS is %q, verified by %q", result.TLS, result.Verified)
				}
			})
		}
	}
}

// dialing reaches a server that listens, whatever the address. Unlike a pipe, the network lets both sides talk at once.
func dialing(server *fakesmtp.ScriptServer) dialFunc {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(server.Host(), strconv.Itoa(server.Port())))
	}
}

func speaksTLS(config *tls.Config, implicit bool) fakesmtp.Script {
	if implicit {
		return fakesmtp.Script{fakesmtp.Connect: fakesmtp.Then(fakesmtp.HandshakeWith(config), fakesmtp.AsItShould(fakesmtp.Connect))}
	}
	return fakesmtp.Script{
		fakesmtp.Ehlo: fakesmtp.Reply("250-fake.example", "250-STARTTLS", "250 8BITMIME"), fakesmtp.StartTLS: fakesmtp.EncryptWith(config),
	}
}

// checkNeverSent wants TLS to have failed once and for all: mail that must be encrypted never goes without.
func checkNeverSent(t *testing.T, server *fakesmtp.ScriptServer, result notify.Result, say string) {
	t.Helper()
	checkReason(t, result, notify.ReasonTLSFailed)
	if !strings.Contains(result.Message, say) {
		t.Errorf("message is %q, want %q in it", result.Message, say)
	}
	if result.Verified != "" || server.Connections() != 1 {
		t.Errorf("verified by %q, %d connections", result.Verified, server.Connections())
	}
	for _, line := range server.Heard() {
		if strings.HasPrefix(line, "MAIL") || strings.HasPrefix(line, "AUTH") {
			t.Errorf("the server heard %q", line)
		}
	}
}

func TestRequiredTLSIsNeverDowngraded(t *testing.T) {
	t.Parallel()
	offers := fakesmtp.Reply("250-fake.example", "250-STARTTLS", "250 AUTH PLAIN")
	tests := map[string]struct {
		script fakesmtp.Script
		want   notify.Reason
		say    string
	}{
		"not offered, or taken out on the way": {
			script: fakesmtp.Script{fakesmtp.Ehlo: fakesmtp.Reply("250-fake.example", "250-XXXXXXXX", "250 AUTH PLAIN")},
			want:   notify.ReasonTLSFailed, say: "STARTTLS: the server does not offer STARTTLS, or something on the way takes its offer out: have"},
		"a server without EHLO": {
			script: fakesmtp.Script{fakesmtp.Ehlo: fakesmtp.Reply("500 what?")},
			want:   notify.ReasonTLSFailed, say: "the server does not offer STARTTLS"},
		"refused after all": {
			script: fakesmtp.Script{fakesmtp.Ehlo: offers, fakesmtp.StartTLS: fakesmtp.Reply("454 4.7.0 not now")},
			want:   notify.ReasonServerUnavailable, say: "STARTTLS: 454 4.7.0 not now"},
		"hung up on": {
			script: fakesmtp.Script{fakesmtp.Ehlo: offers, fakesmtp.StartTLS: fakesmtp.Drop()},
			want:   notify.ReasonTLSFailed, say: "STARTTLS: the server closed the connection"},
		"answered by nonsense": {
			script: fakesmtp.Script{fakesmtp.Ehlo: offers, fakesmtp.StartTLS: fakesmtp.Reply("220 ready", "I meant: no")},
			want:   notify.ReasonTLSFailed, say: "the server agreed to STARTTLS, but does not speak TLS then"},
		"answered by silence": {
			script: fakesmtp.Script{fakesmtp.Ehlo: offers, fakesmtp.StartTLS: fakesmtp.Then(fakesmtp.Reply("220 ready"), fakesmtp.Hang())},
			want:   notify.ReasonTimeout, say: "STARTTLS: timed out after 30s"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := fakesmtp.NewScript(tc.script)
				sender := newSender(t, smtp.Config{
					Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: server.Dial, Login: credentials(),
					TLS: smtp.TLS{Mode: v1alpha1.TLSRequired},
				})
				result := send(t, sender, alert())
				checkReason(t, result, tc.want)
				if !strings.Contains(result.Message, tc.say) || server.Connections() != 1 {
					t.Errorf("%d connections, message is %q, want %q in it", server.Connections(), result.Message, tc.say)
				}
				if heard := strings.Join(server.Heard(), "\n"); strings.Contains(heard, "MAIL") || strings.Contains(heard, "AUTH") {
					t.Errorf("the server heard\n%s", heard)
				}
			})
		})
	}
}

// An attacker who cannot break TLS can still say something before it begins (CVE-2011-0411).
func TestWhatIsSaidBeforeTheHandshakeIsNeverAnAnswerToWhatIsSaidAfterIt(t *testing.T) {
	t.Parallel()
	const injected = "250-evil.example\r\n250-AUTH PLAIN\r\n250 SMTPUTF8\r\n250 2.1.0 ok\r\n"
	for _, mode := range []v1alpha1.TLSMode{v1alpha1.TLSRequired, v1alpha1.TLSOpportunistic} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := fakesmtp.NewScript(fakesmtp.Script{
					fakesmtp.Ehlo:     fakesmtp.InTurn(fakesmtp.Reply("250-fake.example", "250 STARTTLS"), fakesmtp.Reply("250 fake.example")),
					fakesmtp.StartTLS: fakesmtp.Then(fakesmtp.Raw("220 ready\r\n"+injected), fakesmtp.HandshakeWith(trusted())),
				})
				sender := newSender(t, smtp.Config{
					Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: server.Dial, Login: credentials(),
					TLS: smtp.TLS{Mode: mode, Roots: ca.Pool()},
				})
				result := send(t, sender, alert("söc@example.com"))
				checkReason(t, result, notify.ReasonAuthenticationUnsupported)
				if result.TLS != "TLS 1.3" || server.Connections() != 1 || slices.Contains(server.Heard(), "AUTH PLAIN") {
					t.Errorf("TLS is %q, %d connections, the server heard %q", result.TLS, server.Connections(), server.Heard())
				}
			})
		})
	}
}

func TestRequiredTLSOnAPortThatBeginsInTheOpen(t *testing.T) {
	t.Parallel()
	server := fakesmtp.StartScript(t, nil)
	result := send(t, newSender(t, smtp.Config{
		Servers: []string{"mail.example"}, Timeout: time.Minute, Dial: dialing(server),
		TLS: smtp.TLS{Mode: v1alpha1.TLSRequired, Implicit: true},
	}), alert())
	checkNeverSent(t, server, result, "TLS: the server does not speak TLS from the beginning: set `tls.implicit: false`")
}

func TestOpportunisticTLSIsNeverAReasonToFail(t *testing.T) {
	t.Parallel()
	const (
		fallsBack = "not encrypted (TLS: "
		version   = "the server has no version of TLS from TLS 1.2 on"
		wants     = "the server wants a certificate of the client"
	)
	unless := func(config *tls.Config) fakesmtp.Action {
		return fakesmtp.InTurn(fakesmtp.Then(fakesmtp.HandshakeWith(config), fakesmtp.AsItShould(fakesmtp.Connect)),
			fakesmtp.AsItShould(fakesmtp.Connect))
	}
	implicitly := func(action fakesmtp.Action) fakesmtp.Script { return fakesmtp.Script{fakesmtp.Connect: action} }
	tests := map[string]struct {
		script      fakesmtp.Script
		implicit    bool
		want        string
		wantMessage string
	}{
		"a server that nobody vouches for": {
			implicitly(unless(fakesmtp.ServerTLS(otherCA.Issue(lastYear, "x.example")))), true, "TLS 1.3", "250 2.0.0"},
		"a server that does not do it":           {nil, true, "none", fallsBack + "the server does not speak TLS from the beginning"},
		"a server too old for it":                {implicitly(unless(upTo(tls.VersionTLS11, trusted()))), true, "none", fallsBack + version},
		"a server that wants to know who we are": {implicitly(unless(wantsCertificate(tls.VersionTLS12))), true, "none", fallsBack + wants},
		"a server that wants to know it later": {
			implicitly(unless(wantsCertificate(tls.VersionTLS13))), true, "none", "not encrypted (greeting: " + wants},
		"a server that hangs up": {implicitly(fakesmtp.InTurn(fakesmtp.Drop(), fakesmtp.AsItShould(fakesmtp.Connect))), true, "none", fallsBack},
		"STARTTLS of a server that wants to know who we are": {
			speaksTLS(wantsCertificate(tls.VersionTLS13), false), false, "none", "not encrypted (STARTTLS: " + wants},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := fakesmtp.StartScript(t, tc.script)
			sender := newSender(t, smtp.Config{
				Servers: []string{"mail.example"}, Timeout: time.Minute, Dial: dialing(server), TLS: smtp.TLS{Implicit: tc.implicit},
			})
			result := send(t, sender, alert())
			checkReason(t, result, notify.ReasonAccepted)
			if result.TLS != tc.want || result.Verified != "" || !strings.HasPrefix(result.Message, tc.wantMessage) {
				t.Errorf("TLS is %q, verified by %q, message %q", result.TLS, result.Verified, result.Message)
			}
		})
	}
}

func TestACertificateOnTheWayThatExpiredIsNamed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		between := ca.Intermediate("Fake Issuing CA", lastYear)
		server := fakesmtp.NewScript(speaksTLS(fakesmtp.ServerTLS(between.Issue(fakesmtp.Always, "mail.example")), true))
		result := send(t, newSender(t, smtp.Config{
			Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: server.Dial,
			TLS: smtp.TLS{Mode: v1alpha1.TLSRequired, Implicit: true, Roots: ca.Pool()},
		}), alert())
		checkNeverSent(t, server, result, "the certificate of CN=Fake Issuing CA, which vouches for the server, expired on 1999-03-04")
	})
}

func TestNamesInCertificatesAreHostile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		evil := fakesmtp.NewCA("protocol version\x1b[2J\r\n" + strings.Repeat("x", 5000))
		server := fakesmtp.NewScript(speaksTLS(fakesmtp.ServerTLS(evil.Issue(fakesmtp.Always, "mail.example")), true))
		result := send(t, newSender(t, smtp.Config{
			Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: server.Dial,
			TLS: smtp.TLS{Mode: v1alpha1.TLSRequired, Implicit: true, Roots: ca.Pool()},
		}), alert())
		checkNeverSent(t, server, result, "xx…, which is not trusted: put the certificate of that CA where `tls.caRef` points to")
	})
}

// The library leaves a connection of one's own open, and believes it to speak TLS already.
func TestImplicitTLSOnConnectionsThatSomebodyElseDialled(t *testing.T) {
	t.Parallel()
	server := fakesmtp.Start(t, fakesmtp.Options{Implicit: true, TLS: trustedOnLoopback()})
	dialled := false
	config := serverOf(server)
	config.TLS = smtp.TLS{Mode: v1alpha1.TLSRequired, Implicit: true, Roots: ca.Pool()}
	config.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		dialled = true
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	result := send(t, newSender(t, config), alert())
	checkReason(t, result, notify.ReasonAccepted)
	if messages := server.Messages(); len(messages) != 1 || !messages[0].TLS || !dialled {
		t.Errorf("messages: %+v, dialled %t", messages, dialled)
	}
}

func trustedOnLoopback() *tls.Config {
	return fakesmtp.ServerTLS(ca.Issue(fakesmtp.Always, "127.0.0.1"))
}

func TestTheClientShowsItsCertificate(t *testing.T) {
	t.Parallel()
	for name, implicit := range map[string]bool{"by STARTTLS": false, "from the beginning": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := trustedOnLoopback()
			settings.ClientAuth, settings.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
			server := fakesmtp.Start(t, fakesmtp.Options{StartTLS: !implicit, Implicit: implicit, TLS: settings})
			config := serverOf(server)
			config.TLS = smtp.TLS{Mode: v1alpha1.TLSRequired, Implicit: implicit, Roots: ca.Pool()}
			result := send(t, newSender(t, config), alert())
			checkReason(t, result, notify.ReasonTLSFailed)

			config.TLS.Certificate = issued(ca, fakesmtp.Always, "tocsin.example")
			result = send(t, newSender(t, config), alert())
			checkReason(t, result, notify.ReasonAccepted)
			if messages := server.Messages(); len(messages) != 1 || messages[0].Certificate != "tocsin.example" {
				t.Errorf("messages: %+v", messages)
			}
		})
	}
}

func TestTheServerIsAskedForByItsName(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{"mail.example": "mail.example", "mail.köln.example": "mail.xn--kln-sna.example", "192.0.2.25": ""} {
		t.Run(host, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				asked := make(chan string, 1)
				settings := trusted()
				settings.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
					asked <- hello.ServerName
					return nil, nil
				}
				server := fakesmtp.NewScript(speaksTLS(settings, false))
				_ = send(t, newSender(t, smtp.Config{Servers: []string{host}, Timeout: stepTimeout, Dial: server.Dial}), alert())
				if got := <-asked; got != want {
					t.Errorf("asked for %q, want %q", got, want)
				}
			})
		})
	}
}

func TestAnyVersionReachesServersThatKnowNothingNew(t *testing.T) {
	t.Parallel()
	ancient := func(suite uint16) *tls.Config {
		config := upTo(tls.VersionTLS10, fakesmtp.ServerTLS(selfSignedRSA(t)))
		config.CipherSuites = []uint16{suite}
		return config
	}
	for name, suite := range map[string]uint16{
		"forward secret":   tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
		"RSA key exchange": tls.TLS_RSA_WITH_AES_128_CBC_SHA,
		"triple DES":       tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := ancient(suite)
			synctest.Test(t, func(t *testing.T) {
				server := fakesmtp.NewScript(speaksTLS(settings, false))
				result := send(t, newSender(t, smtp.Config{
					Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: server.Dial, TLS: smtp.TLS{MinVersion: tls.VersionTLS10},
				}), alert())
				checkReason(t, result, notify.ReasonAccepted)
				if result.TLS != "TLS 1.0" {
					t.Errorf("TLS is %q, message %s", result.TLS, result.Message)
				}
			})
		})
	}
}

func selfSignedRSA(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.example"}, DNSNames: []string{"mail.example"},
		NotBefore: lastYear, NotAfter: fakesmtp.Always,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gosmtp "github.com/emersion/go-smtp"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

func TestNewRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		config smtp.Config
		want   string
	}{
		"no server":                  {smtp.Config{}, "servers: must name one at least"},
		"an empty server":            {smtp.Config{Servers: []string{""}}, `server "": must be a DNS name or an IP address`},
		"a server with its port":     {smtp.Config{Servers: []string{"mail.example:25"}}, "the port has a field of its own"},
		"brackets around a name":     {smtp.Config{Servers: []string{"[mail.example]"}}, "must be a DNS name or an IP address"},
		"a server that ends a line":  {smtp.Config{Servers: []string{"a\r\nb"}}, "must be a DNS name or an IP address"},
		"a name that is no domain":   {smtp.Config{Servers: []string{"mäil..example"}}, "server"},
		"a port that does not exist": {smtp.Config{Servers: []string{"a"}, Port: 65536}, "must be between 1 and 65535"},
		"time that runs backwards":   {smtp.Config{Servers: []string{"a"}, Timeout: -1}, "timeout: may not be negative"},
		"TLS of another kind": {
			smtp.Config{Servers: []string{"a"}, TLS: smtp.TLS{Mode: "Sometimes"}}, "must be None, Opportunistic or Required"},
		"a version of TLS that never was": {
			smtp.Config{Servers: []string{"a"}, TLS: smtp.TLS{MinVersion: tls.VersionTLS13 + 1}}, "must be between TLS 1.0 and TLS 1.3"},
		"a login in an unknown way": {
			smtp.Config{Servers: []string{"a"}, Login: &smtp.Login{Mechanism: "GSSAPI", Username: "tocsin", Password: "s3cret"}},
			`mechanism "GSSAPI": must be Auto, Plain`},
		"a token that ends early": {
			smtp.Config{Servers: []string{"a"}, Login: &smtp.Login{Mechanism: "XOAUTH2", Username: "tocsin", Password: "s3cret\x01auth="}},
			"may not contain control characters"},
		"a hello that ends the line": {smtp.Config{Servers: []string{"a"}, HelloName: "a\r\nMAIL FROM:<b>"}, "must be a domain"},
		"a login without a name": {
			smtp.Config{Servers: []string{"a"}, Login: &smtp.Login{Password: "s3cret"}}, "username is empty"},
		"a login without a password": {
			smtp.Config{Servers: []string{"a"}, Login: &smtp.Login{Username: "tocsin"}}, "password is empty"},
		"a password that ends early": {
			smtp.Config{Servers: []string{"a"}, Login: &smtp.Login{Username: "tocsin", Password: "s3cret\x00"}}, "may not contain NUL"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := smtp.New(tc.config)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("error is %v, want %q in it", err, tc.want)
			}
			if strings.Contains(err.Error(), "s3cret") {
				t.Errorf("the password is in the error: %v", err)
			}
		})
	}
}

func TestADeliveryFromEndToEnd(t *testing.T) {
	t.Parallel()
	server := fakesmtp.Start(t, fakesmtp.Options{})
	message := alert("soc@example.com", "Bereitschaft Köln <bereitschaft@köln.example>")
	message.Text = ".\n..\n.hidden\nend"

	result := send(t, newSender(t, serverOf(server)), message)

	checkReason(t, result, notify.ReasonAccepted)
	if want := []string{"Accepted 250 2.0.0", "Accepted 250 2.0.0"}; !slices.Equal(states(result), want) {
		t.Errorf("recipients are %q", states(result))
	}
	if result.Recipients[1].Address != message.To[1] {
		t.Errorf("address is %q, want it as it was given", result.Recipients[1].Address)
	}
	if result.Server != fmt.Sprintf("127.0.0.1:%d", server.Port()) || result.TLS != "none" {
		t.Errorf("server is %q, TLS %q", result.Server, result.TLS)
	}
	messages, err := server.WaitFor(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	got := messages[0]
	if got.From != "tocsin@example.com" || got.Hello != "client.example" {
		t.Errorf("from %q, hello %q", got.From, got.Hello)
	}
	if want := []string{"soc@example.com", "bereitschaft@xn--kln-sna.example"}; !slices.Equal(got.To, want) {
		t.Errorf("to %q, want %q", got.To, want)
	}
	if got.Body != "" || got.UTF8 {
		t.Errorf("asked for extensions that are not needed: BODY=%s, SMTPUTF8 %t", got.Body, got.UTF8)
	}
	if parsed := parse(t, got.Data); parsed.text != ".\r\n..\r\n.hidden\r\nend\r\n" {
		t.Errorf("text arrived as %q", parsed.text)
	}
}

func TestOneSenderServesManyAtATime(t *testing.T) {
	t.Parallel()
	const many = 16
	server := fakesmtp.Start(t, fakesmtp.Options{StartTLS: true, Users: map[string]string{user: password}})
	config := serverOf(server)
	config.Login = credentials()
	sender := newSender(t, config)
	var sending sync.WaitGroup
	for range many {
		sending.Go(func() { checkReason(t, send(t, sender, alert()), notify.ReasonAccepted) })
	}
	sending.Wait()
	if got := len(server.Messages()); got != many {
		t.Errorf("%d messages arrived, want %d", got, many)
	}
}

func TestOneRefusedRecipientDoesNotKeepItFromTheOthers(t *testing.T) {
	t.Parallel()
	server := fakesmtp.Start(t, fakesmtp.Options{Recipients: map[string]*gosmtp.SMTPError{
		"gone@example.com": {Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "No such user here"},
		"full@example.com": {Code: 452, EnhancedCode: gosmtp.EnhancedCode{4, 2, 2}, Message: "Mailbox full"},
	}})
	to := []string{"gone@example.com", "soc@example.com", "full@example.com", "two words@example.com", "soc@example.com"}

	result := send(t, newSender(t, serverOf(server)), alert(to...))

	checkReason(t, result, notify.ReasonPartlyDeferred)
	want := []string{"Refused 550 5.1.1", "Accepted 250 2.0.0", "Deferred 452 4.2.2", "Refused 5.1.3"}
	if got := states(result); !slices.Equal(got, want) {
		t.Errorf("recipients are %q, want %q", got, want)
	}
	if got := result.Recipients[0].Response; got != "No such user here" {
		t.Errorf("response is %q", got)
	}
	if got := server.Messages()[0].To; !slices.Equal(got, []string{"soc@example.com"}) {
		t.Errorf("it went to %q", got)
	}
}

func TestServersAreTriedInOrderUntilOneComesToAVerdict(t *testing.T) {
	t.Parallel()
	good := fakesmtp.Script{}
	tests := map[string]struct {
		first      fakesmtp.Script
		want       notify.Reason
		wantServer string
	}{
		"the first takes it": {good, notify.ReasonAccepted, "a.example:25"},
		"the first hangs up": {
			fakesmtp.Script{fakesmtp.Connect: fakesmtp.Drop()}, notify.ReasonAccepted, "b.example:25"},
		"the first is silent": {
			fakesmtp.Script{fakesmtp.Connect: fakesmtp.Hang()}, notify.ReasonAccepted, "b.example:25"},
		"the first turns us away": {
			fakesmtp.Script{fakesmtp.Connect: fakesmtp.Reply("554 no")}, notify.ReasonAccepted, "b.example:25"},
		"the first talks nonsense": {
			fakesmtp.Script{fakesmtp.Connect: fakesmtp.Reply("hello?")}, notify.ReasonAccepted, "b.example:25"},
		"the first closes down at MAIL": {
			fakesmtp.Script{fakesmtp.Mail: fakesmtp.Reply("421 later")}, notify.ReasonAccepted, "b.example:25"},
		"the first closes down at RCPT": {
			fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.Reply("421 later")}, notify.ReasonAccepted, "b.example:25"},
		"the first closes down at the final dot": {
			fakesmtp.Script{fakesmtp.FinalDot: fakesmtp.Reply("421 later")}, notify.ReasonAccepted, "b.example:25"},
		"the first hangs up at DATA": {
			fakesmtp.Script{fakesmtp.Data: fakesmtp.Drop()}, notify.ReasonAccepted, "b.example:25"},

		"a refusal by the first stands": {
			fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.Reply("550 no")}, notify.ReasonRefused, "a.example:25"},
		"a refusal for now by the first stands": {
			fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.Reply("450 later")}, notify.ReasonDeferred, "a.example:25"},
		"an answer that was lost makes no twin at the second": {
			fakesmtp.Script{fakesmtp.FinalDot: fakesmtp.Drop()}, notify.ReasonUnknown, "a.example:25"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				servers := map[string]*fakesmtp.ScriptServer{
					"a.example:25": fakesmtp.NewScript(tc.first), "b.example:25": fakesmtp.NewScript(good),
				}
				sender := newSender(t, smtp.Config{
					Servers: []string{"a.example", "b.example"}, TLS: smtp.TLS{Mode: v1alpha1.TLSNone}, Timeout: stepTimeout,
					Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
						return servers[address].Dial(ctx, network, address)
					},
				})
				result := send(t, sender, alert())
				checkReason(t, result, tc.want)
				if result.Server != tc.wantServer {
					t.Errorf("server is %s, want %s", result.Server, tc.wantServer)
				}
				if touched := servers["b.example:25"].Connections() > 0; touched != (tc.wantServer == "b.example:25") {
					t.Errorf("the second server was asked: %t", touched)
				}
			})
		})
	}
}

func TestWhenAllServersFailEachSaysWhyAndTheOneThatGotFurthestCounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		servers := map[string]*fakesmtp.ScriptServer{
			"a.example:587": fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Mail: fakesmtp.Reply("421 4.3.0 going down")}),
			"b.example:587": fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Connect: fakesmtp.Hang()}),
		}
		sender := newSender(t, smtp.Config{
			Servers: []string{"b.example", "a.example", "c.example"}, Port: 587, Timeout: stepTimeout,
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				if server := servers[address]; server != nil {
					return server.Dial(ctx, network, address)
				}
				return nil, &net.DNSError{Err: "no such host", Name: address, IsNotFound: true}
			},
		})
		result := send(t, sender, alert())
		checkReason(t, result, notify.ReasonServerUnavailable)
		want := "b.example:587: greeting: timed out after 30s; a.example:587: MAIL: 421 4.3.0 going down; " +
			"c.example:587: connecting: no such host"
		if result.Message != want {
			t.Errorf("message is %q,\nwant %q", result.Message, want)
		}
		if result.Server != "c.example:587" {
			t.Errorf("server is %q, want the last", result.Server)
		}
		if result.Recipients != nil {
			t.Errorf("nobody was asked about recipients, but there are %v", result.Recipients)
		}
	})
}

func TestEvenTheLastOfManyTalkativeServersIsHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Connect: fakesmtp.Reply("421 " + strings.Repeat("busy ", 200))})
		var names []string
		for i := range 16 {
			names = append(names, fmt.Sprintf("mx%d.example", i))
		}
		result := send(t, newSender(t, smtp.Config{Servers: names, Timeout: stepTimeout, Dial: server.Dial}), alert())
		checkReason(t, result, notify.ReasonServerUnavailable)
		for _, name := range names {
			if !strings.Contains(result.Message, name+":25: greeting: 421 busy") {
				t.Errorf("%s is missing in %q", name, result.Message)
			}
		}
	})
}

func TestIPv6ServersWithAndWithoutBrackets(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"2001:db8::25", "[2001:db8::25]"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := fakesmtp.NewScript(fakesmtp.Script{
					fakesmtp.Ehlo: fakesmtp.Reply("250-fake.example", "250-STARTTLS", "250 AUTH PLAIN"),
				})
				var dialled []string
				sender := newSender(t, smtp.Config{
					Servers: []string{name}, Timeout: stepTimeout, Login: &smtp.Login{Username: "tocsin", Password: "s3cret"},
					Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
						dialled = append(dialled, address)
						return server.Dial(ctx, network, address)
					},
				})
				result := send(t, sender, alert())
				checkReason(t, result, notify.ReasonAccepted)
				if want := []string{"[2001:db8::25]:25"}; !slices.Equal(dialled, want) || result.Server != want[0] {
					t.Errorf("dialled %q, server %q", dialled, result.Server)
				}
			})
		})
	}
}

func TestInternationalServerNamesAreLookedUpAsDNSKnowsThem(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(nil)
		result := send(t, newSender(t, smtp.Config{Servers: []string{"mail.köln.example"}, Dial: server.Dial}), alert())
		checkReason(t, result, notify.ReasonAccepted)
		if result.Server != "mail.xn--kln-sna.example:25" {
			t.Errorf("server is %q", result.Server)
		}
	})
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatal(listener.Addr())
	}
	_ = listener.Close()

	result := send(t, newSender(t, smtp.Config{Servers: []string{"127.0.0.1"}, Port: address.Port}), alert())
	checkReason(t, result, notify.ReasonConnectionRefused)
	if !strings.Contains(result.Message, "connecting: connect: connection refused") {
		t.Errorf("message is %q", result.Message)
	}
}

func TestAServerWhoseNameDoesNotExist(t *testing.T) {
	t.Parallel()
	dialer := &net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: dialNameless}}
	sender := newSender(t, smtp.Config{Servers: []string{"mail.example"}, Dial: dialer.DialContext})
	result := send(t, sender, alert())
	checkReason(t, result, notify.ReasonServerNotFound)
	if want := "mail.example:25: connecting: no such host"; result.Message != want {
		t.Errorf("message is %q, want %q", result.Message, want)
	}
}

// dialNameless connects to a name server that knows no names.
func dialNameless(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		defer func() { _ = server.Close() }()
		for answerNoSuchName(server) == nil {
			continue
		}
	}()
	return client, nil
}

func answerNoSuchName(server io.ReadWriter) error {
	var length uint16
	if err := binary.Read(server, binary.BigEndian, &length); err != nil {
		return err
	}
	packed := make([]byte, length)
	if _, err := io.ReadFull(server, packed); err != nil {
		return err
	}
	var message dnsmessage.Message
	if err := message.Unpack(packed); err != nil {
		return err
	}
	message.Response, message.RCode, message.Additionals = true, dnsmessage.RCodeNameError, nil
	answer, err := message.AppendPack(make([]byte, 2, 512))
	if err != nil {
		return err
	}
	binary.BigEndian.PutUint16(answer, uint16(len(answer)-2))
	_, err = server.Write(answer)
	return err
}

func TestMemoryIsBoundedWhateverTheServerSays(t *testing.T) {
	t.Parallel()
	for _, step := range []fakesmtp.Step{fakesmtp.Connect, fakesmtp.Ehlo, fakesmtp.Rcpt, fakesmtp.FinalDot} {
		for way, implicit := range map[string]bool{"openly": false, "over implicit TLS": true} {
			t.Run(string(step)+", "+way, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					// Endless, of which 10 MB are the beginning.
					script := fakesmtp.Script{step: fakesmtp.Flood("250-" + strings.Repeat("x", 4000) + "\r\n")}
					limit := 66 << 10
					if implicit {
						script[fakesmtp.Connect] = fakesmtp.Then(fakesmtp.HandshakeWith(trusted()), at(script, fakesmtp.Connect))
						limit = 72 << 10 // and the handshake
					}
					heard := &tape{}
					result := send(t, newSender(t, smtp.Config{
						Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: heard.record(fakesmtp.NewScript(script).Dial),
						TLS: smtp.TLS{Mode: map[bool]v1alpha1.TLSMode{true: v1alpha1.TLSRequired}[implicit], Implicit: implicit, Roots: ca.Pool()},
					}), alert())
					if heard.heard < 64<<10 || heard.heard > limit {
						t.Errorf("%d bytes were heard, want 64 KiB and what was said before; %s", heard.heard, result.Message)
					}
				})
			})
		}
	}
}

func TestTheNextAttemptCarriesTheSameMessageID(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(fakesmtp.Script{
			fakesmtp.FinalDot: fakesmtp.InTurn(fakesmtp.Drop(), fakesmtp.Reply("250 2.0.0 ok")),
		})
		sender := scripted(t, server)
		checkReason(t, send(t, sender, alert()), notify.ReasonUnknown)
		checkReason(t, send(t, sender, alert()), notify.ReasonAccepted)
		ids := 0
		for _, line := range server.Heard() {
			if line == "Message-ID: <6d1f.77@example.com>" {
				ids++
			}
		}
		if ids != 2 {
			t.Errorf("the Message-ID was said %d times, want 2", ids)
		}
	})
}

func TestSendingFailsWhileTheServerHasSpoken(t *testing.T) {
	t.Parallel()
	const before = "220 a\r\n250 a\r\n250 sender\r\n250 recipient\r\n354 go\r\n"
	tests := map[string]struct {
		said string
		want notify.Reason
	}{
		"a refusal counts":                                    {"552 5.3.4 too big\r\n", notify.ReasonMessageRefused},
		"closing down is no verdict":                          {"421 4.3.0 going down\r\n", notify.ReasonServerUnavailable},
		"a yes to what was not sent is none":                  {"250 2.0.0 ok\r\n", notify.ReasonConnectionFailed},
		"silence is a broken connection, and nothing is lost": {"", notify.ReasonConnectionFailed},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sender := newSender(t, smtp.Config{
				Servers: []string{"mail.example"}, TLS: smtp.TLS{Mode: v1alpha1.TLSNone},
				Dial: func(context.Context, string, string) (net.Conn, error) {
					return &deafConn{said: strings.NewReader(before + tc.said), patience: 10_000}, nil
				},
			})
			checkReason(t, send(t, sender, longAlert()), tc.want)
		})
	}
}

// deafConn has said all from the beginning, and stops listening after so many bytes.
type deafConn struct {
	net.Conn
	said     io.Reader
	patience int
}

func (c *deafConn) Read(p []byte) (int, error) { return c.said.Read(p) }

func (c *deafConn) Write(p []byte) (int, error) {
	if c.patience -= len(p); c.patience < 0 {
		return 0, &net.OpError{Op: "write", Err: errors.New("broken pipe")}
	}
	return len(p), nil
}

func (*deafConn) SetDeadline(time.Time) error { return nil }
func (*deafConn) Close() error                { return nil }

func TestNothingIsLeftBehindOnARealNetwork(t *testing.T) {
	for name, action := range map[string]fakesmtp.Action{
		"reset":  fakesmtp.Reset(),
		"hang":   fakesmtp.Hang(),
		"refuse": fakesmtp.Reply("550 no"),
	} {
		for _, step := range []fakesmtp.Step{fakesmtp.Connect, fakesmtp.Ehlo, fakesmtp.StartTLS, fakesmtp.Data, fakesmtp.FinalDot} {
			for way, implicit := range map[string]bool{"": false, " over implicit TLS": true} {
				if implicit && step == fakesmtp.StartTLS {
					continue
				}
				t.Run(name+" at "+string(step)+way, func(t *testing.T) {
					result := leaveNothing(t, step, action, name == "hang", implicit)
					if step != fakesmtp.StartTLS && name != "refuse" && result.Reason == notify.ReasonAccepted {
						t.Errorf("accepted: %+v", result)
					}
				})
			}
		}
	}
}

// leaveNothing sends to a server that does that at that step, and sees to it that nothing of the attempt is left.
func leaveNothing(t *testing.T, step fakesmtp.Step, action fakesmtp.Action, hangs, implicit bool) notify.Result {
	t.Helper()
	reached := make(chan struct{})
	script := fakesmtp.Script{
		fakesmtp.Ehlo: fakesmtp.Reply("250-fake.example", "250 STARTTLS"),
		step:          fakesmtp.InTurn(fakesmtp.Then(func(*fakesmtp.Session) { close(reached) }, action), action),
	}
	if implicit {
		script[fakesmtp.Connect] = fakesmtp.Then(fakesmtp.HandshakeWith(trustedOnLoopback()), at(script, fakesmtp.Connect))
	}
	server := fakesmtp.StartScript(t, script)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pool, config := &smtp.Pool{}, serverOf(server)
	defer pool.Close()
	config.Pool, config.Key = pool, "channel@1"
	if implicit {
		config.TLS = smtp.TLS{Mode: v1alpha1.TLSRequired, Implicit: true, Roots: ca.Pool()}
	}
	done := make(chan notify.Result, 1)
	sender := newSender(t, config)
	go func() { done <- sender.Send(ctx, alert()) }()
	<-reached
	if hangs {
		cancel()
	}
	result := <-done
	pool.Close()
	server.WaitClosed()
	waitForGoroutines(t)
	return result
}

// waitForGoroutines waits until none runs code of the package that is tested, save for this test.
func waitForGoroutines(t *testing.T) {
	t.Helper()
	patience := time.After(10 * time.Second)
	for {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if !strings.Contains(string(stacks), "notify/smtp.(*") {
			return
		}
		select {
		case <-patience:
			t.Fatalf("goroutines are left:\n%s", stacks)
		case <-time.After(time.Millisecond):
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

// Conversations with scripted servers run in a synctest bubble, which has a clock of its own and does not end before all
// goroutines in it have. The scripted server's goroutines end when the client closes its connections, so each of these
// tests is also one for leaks.

// fault is what a server does wrong, and what comes of it.
type fault struct {
	script      fakesmtp.Script
	to          []string
	want        notify.Reason
	wantMessage string
	wantStates  []string
	// openOnly: encrypted, it is another fault.
	openOnly bool
}

func faults() map[string]fault {
	return map[string]fault{
		"a server that does all right": {
			want: notify.ReasonAccepted, wantMessage: "250 2.0.0 queued as FAKE1", wantStates: []string{"Accepted 250 2.0.0"},
		},
		"a server without EHLO is spoken to in the old way": {
			script: fakesmtp.Script{fakesmtp.Ehlo: fakesmtp.Reply("500 what?")},
			want:   notify.ReasonAccepted, wantStates: []string{"Accepted 250 2.0.0"}, openOnly: true,
		},

		"a greeting that turns us away for now": {
			script: fakesmtp.Script{fakesmtp.Connect: fakesmtp.Reply("421 4.3.2 too many connections")},
			want:   notify.ReasonServerUnavailable, wantMessage: "mail.example:25: greeting: 421 4.3.2 too many connections",
		},
		"a greeting that turns us away is not final, as it is not about the message": {
			script: fakesmtp.Script{fakesmtp.Connect: fakesmtp.Reply("554 5.7.1 you are on a list")},
			want:   notify.ReasonServerUnavailable, wantMessage: "554 5.7.1 you are on a list",
		},
		"a greeting of several lines": {
			script: fakesmtp.Script{fakesmtp.Connect: fakesmtp.Reply("220-fake.example", "220-be nice", "220 or else")},
			want:   notify.ReasonAccepted, wantStates: []string{"Accepted 250 2.0.0"},
		},
		"a greeting of another protocol": {
			script: fakesmtp.Script{fakesmtp.Connect: fakesmtp.Reply("HTTP/1.1 400 Bad Request")},
			want:   notify.ReasonProtocolError, wantMessage: `greeting: short response: "HTTP/1.1`,
		},
		"a greeting of another protocol that looks like the first of several lines": {
			script: fakesmtp.Script{fakesmtp.Connect: fakesmtp.Reply("SSH-2.0-OpenSSH_9.6")},
			want:   notify.ReasonTimeout, wantMessage: "greeting: timed out after 30s",
		},
		"a greeting without end": {
			script: fakesmtp.Script{fakesmtp.Connect: fakesmtp.Flood(strings.Repeat("220 hello ", 100))},
			want:   notify.ReasonProtocolError, wantMessage: "more than 64 KiB",
		},
		"a greeting of NUL bytes": {
			script: fakesmtp.Script{fakesmtp.Connect: fakesmtp.Raw("\x00\x00\x00\x00\x00\r\n")},
			want:   notify.ReasonProtocolError, wantMessage: "greeting: ",
		},
		"a greeting of NUL bytes without end": {
			script: fakesmtp.Script{fakesmtp.Connect: fakesmtp.Flood(strings.Repeat("\x00", 1000))},
			want:   notify.ReasonProtocolError, wantMessage: "more than 64 KiB",
		},
		"a connection that is closed at once": {
			script: fakesmtp.Script{fakesmtp.Connect: fakesmtp.Drop()},
			want:   notify.ReasonConnectionFailed, wantMessage: "greeting: the server closed the connection",
		},
		"EHLO and HELO refused": {
			script: fakesmtp.Script{
				fakesmtp.Ehlo: fakesmtp.Reply("550 5.7.1 not you"), fakesmtp.Helo: fakesmtp.Reply("550 5.7.1 not you either"),
			},
			want: notify.ReasonServerUnavailable, wantMessage: "EHLO: 550 5.7.1 not you",
		},
		"an answer to EHLO without end": {
			script: fakesmtp.Script{fakesmtp.Ehlo: fakesmtp.Flood("250-X-MORE\r\n")},
			want:   notify.ReasonProtocolError, wantMessage: "EHLO: the server says more than 64 KiB",
		},
		"hanging up at EHLO": {
			script: fakesmtp.Script{fakesmtp.Ehlo: fakesmtp.Drop()},
			want:   notify.ReasonConnectionFailed, wantMessage: "EHLO: ",
		},

		"the sender refused for good": {
			script: fakesmtp.Script{fakesmtp.Mail: fakesmtp.Reply("550 5.7.1 sender not allowed")},
			want:   notify.ReasonSenderRefused, wantMessage: "550 5.7.1 sender not allowed",
			wantStates: []string{"Refused 550 5.7.1"},
		},
		"the sender refused for now": {
			script: fakesmtp.Script{fakesmtp.Mail: fakesmtp.Reply("451 4.7.1 greylisted")},
			want:   notify.ReasonDeferred, wantMessage: "451 4.7.1 greylisted",
			wantStates: []string{"Deferred 451 4.7.1"},
		},
		"closing down at MAIL": {
			script: fakesmtp.Script{fakesmtp.Mail: fakesmtp.Then(fakesmtp.Reply("421 4.3.0 going down"), fakesmtp.Drop())},
			want:   notify.ReasonServerUnavailable, wantMessage: "MAIL: 421 4.3.0 going down",
		},
		"a login wanted in the greeting": {
			script: fakesmtp.Script{fakesmtp.Connect: fakesmtp.Reply("530 5.7.0 Authentication required")},
			want:   notify.ReasonAuthenticationFailed, wantMessage: "the server wants a login",
		},
		"a login wanted at MAIL": {
			script:      fakesmtp.Script{fakesmtp.Mail: fakesmtp.Reply("530 5.7.0 Authentication required")},
			want:        notify.ReasonAuthenticationFailed,
			wantMessage: "MAIL: 530 5.7.0 Authentication required; the server wants a login: see `auth`",
		},
		"a login wanted at RCPT": {
			script: fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.Reply("530 5.7.0 Authentication required")},
			want:   notify.ReasonAuthenticationFailed, wantMessage: "RCPT: 530 5.7.0 Authentication required; the server wants a login",
		},
		"a login wanted for one recipient": {
			script: fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.InTurn(
				fakesmtp.Reply("250 ok"), fakesmtp.Reply("530 5.7.0 Authentication required"))},
			to:   []string{"a@example.com", "b@example.com"},
			want: notify.ReasonPartlyDeferred, wantMessage: "b@example.com: 530 5.7.0 Authentication required",
			wantStates: []string{"Accepted 250 2.0.0", "Deferred 530 5.7.0"},
		},
		"a login wanted at DATA": {
			script: fakesmtp.Script{fakesmtp.Data: fakesmtp.Reply("530 5.7.0 Authentication required")},
			want:   notify.ReasonAuthenticationFailed, wantMessage: "DATA: 530 5.7.0 Authentication required; the server wants a login",
		},
		"a login wanted for the message": {
			script: fakesmtp.Script{fakesmtp.FinalDot: fakesmtp.Reply("530 5.7.0 Authentication required")},
			want:   notify.ReasonAuthenticationFailed, wantMessage: "message: 530 5.7.0 Authentication required; the server wants a login",
		},
		"encryption wanted at MAIL": {
			script: fakesmtp.Script{fakesmtp.Mail: fakesmtp.Reply("530 5.7.0 Must issue a STARTTLS command first")},
			want:   notify.ReasonTLSFailed, wantMessage: "; the server wants the connection to be encrypted: see `tls`",
		},
		"hanging up at MAIL": {
			script: fakesmtp.Script{fakesmtp.Mail: fakesmtp.Drop()},
			want:   notify.ReasonConnectionFailed, wantMessage: "MAIL: the server closed the connection",
		},
		"nonsense at MAIL": {
			script: fakesmtp.Script{fakesmtp.Mail: fakesmtp.Reply("OK, fine")},
			want:   notify.ReasonProtocolError, wantMessage: "MAIL: ",
		},
		"a reply to MAIL that belongs to DATA": {
			script: fakesmtp.Script{fakesmtp.Mail: fakesmtp.Reply("354 go ahead")},
			want:   notify.ReasonProtocolError, wantMessage: "MAIL: 354 go ahead",
		},

		"all recipients refused for good": {
			script: fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.Reply("550 5.1.1 no such user")},
			to:     []string{"a@example.com", "b@example.com"},
			want:   notify.ReasonRefused, wantMessage: "b@example.com: 550 5.1.1 no such user",
			wantStates: []string{"Refused 550 5.1.1", "Refused 550 5.1.1"},
		},
		"one refused for good, the other for now": {
			script: fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.InTurn(
				fakesmtp.Reply("550 5.1.1 no such user"), fakesmtp.Reply("452 4.2.2 mailbox full"))},
			to:   []string{"a@example.com", "b@example.com"},
			want: notify.ReasonDeferred, wantMessage: "accepted for 0 of 2",
			wantStates: []string{"Refused 550 5.1.1", "Deferred 452 4.2.2"},
		},
		"one accepted, one refused for good": {
			script: fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.InTurn(
				fakesmtp.Reply("550 5.1.1 no such user"), fakesmtp.Reply("250 2.1.5 ok"))},
			to:   []string{"a@example.com", "b@example.com"},
			want: notify.ReasonPartlyRefused, wantMessage: "accepted for 1 of 2; a@example.com: 550 5.1.1 no such user",
			wantStates: []string{"Refused 550 5.1.1", "Accepted 250 2.0.0"},
		},
		"one accepted, one refused for now, one for good": {
			script: fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.InTurn(
				fakesmtp.Reply("251 will forward"), fakesmtp.Reply("452 4.2.2 mailbox full"), fakesmtp.Reply("550 5.1.1 no"))},
			to:   []string{"a@example.com", "b@example.com", "c@example.com"},
			want: notify.ReasonPartlyDeferred, wantMessage: "accepted for 1 of 3",
			wantStates: []string{"Accepted 250 2.0.0", "Deferred 452 4.2.2", "Refused 550 5.1.1"},
		},
		"closing down at the second recipient": {
			script: fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.InTurn(
				fakesmtp.Reply("250 2.1.5 ok"), fakesmtp.Then(fakesmtp.Reply("421 4.7.0 too much"), fakesmtp.Drop()))},
			to:   []string{"a@example.com", "b@example.com"},
			want: notify.ReasonServerUnavailable, wantMessage: "RCPT: 421 4.7.0 too much",
		},
		"a refusal of many lines, each with its code": {
			script: fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.Reply("550-5.7.1 blocked", "550-5.7.1 see", "550 5.7.1 our page")},
			want:   notify.ReasonRefused, wantMessage: "550 5.7.1 blocked  see  our page",
			wantStates: []string{"Refused 550 5.7.1"},
		},
		"a refusal that does not end": {
			script: fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.Flood("550-no\r\n")},
			want:   notify.ReasonProtocolError, wantMessage: "RCPT: the server says more than 64 KiB",
		},
		"a refusal with NUL and escapes in it": {
			script: fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.Reply("550 5.1.1 \x00\x1b[2J\xff no")},
			want:   notify.ReasonRefused, wantMessage: "550 5.1.1 \uFFFD\uFFFD[2J\uFFFD no",
			wantStates: []string{"Refused 550 5.1.1"},
		},
		"a refusal longer than a status may be": {
			script: fakesmtp.Script{fakesmtp.Rcpt: fakesmtp.Reply("550 5.1.1 " + strings.Repeat("ä", 10_000))},
			want:   notify.ReasonRefused, wantMessage: "ää…", wantStates: []string{"Refused 550 5.1.1"},
		},

		"DATA refused for good": {
			script: fakesmtp.Script{fakesmtp.Data: fakesmtp.Reply("554 5.7.1 no")},
			want:   notify.ReasonMessageRefused, wantMessage: "554 5.7.1 no", wantStates: []string{"Refused 554 5.7.1"},
		},
		"DATA refused for now": {
			script: fakesmtp.Script{fakesmtp.Data: fakesmtp.Reply("452 4.3.1 disk full")},
			want:   notify.ReasonDeferred, wantStates: []string{"Deferred 452 4.3.1"},
		},
		"DATA taken for done": {
			script: fakesmtp.Script{fakesmtp.Data: fakesmtp.Reply("250 2.0.0 done")},
			want:   notify.ReasonProtocolError, wantMessage: "DATA: 250 2.0.0 done",
		},
		"hanging up at DATA": {
			script: fakesmtp.Script{fakesmtp.Data: fakesmtp.Drop()},
			want:   notify.ReasonConnectionFailed, wantMessage: "DATA: ",
		},

		"the message refused for good, also for whom it was put off": {
			script: fakesmtp.Script{
				fakesmtp.Rcpt: fakesmtp.InTurn(
					fakesmtp.Reply("550 5.1.1 no"), fakesmtp.Reply("452 4.2.2 full"), fakesmtp.Reply("250 2.1.5 ok")),
				fakesmtp.FinalDot: fakesmtp.Reply("550 5.7.1 looks like spam"),
			},
			to:   []string{"a@example.com", "b@example.com", "c@example.com"},
			want: notify.ReasonMessageRefused, wantMessage: "550 5.7.1 looks like spam",
			wantStates: []string{"Refused 550 5.1.1", "Refused 550 5.7.1", "Refused 550 5.7.1"},
		},
		"the message refused for now, save for whom it was refused for good": {
			script: fakesmtp.Script{
				fakesmtp.Rcpt:     fakesmtp.InTurn(fakesmtp.Reply("550 5.1.1 no"), fakesmtp.Reply("250 2.1.5 ok")),
				fakesmtp.FinalDot: fakesmtp.Reply("451 4.7.1 try later"),
			},
			to:   []string{"a@example.com", "b@example.com"},
			want: notify.ReasonDeferred, wantStates: []string{"Refused 550 5.1.1", "Deferred 451 4.7.1"},
		},
		"closing down at the final dot": {
			script: fakesmtp.Script{fakesmtp.FinalDot: fakesmtp.Then(fakesmtp.Reply("421 4.3.0 going down"), fakesmtp.Drop())},
			want:   notify.ReasonServerUnavailable, wantMessage: "message: 421 4.3.0 going down",
		},
		"hanging up after the final dot": {
			script: fakesmtp.Script{fakesmtp.FinalDot: fakesmtp.Drop()},
			want:   notify.ReasonUnknown, wantMessage: "the answer was lost: message: the server closed the connection",
			wantStates: []string{"Deferred"},
		},
		"nonsense after the final dot": {
			script: fakesmtp.Script{fakesmtp.FinalDot: fakesmtp.Reply("?")},
			want:   notify.ReasonUnknown, wantMessage: "the answer was lost", wantStates: []string{"Deferred"},
		},
		"endless talk after the final dot": {
			script: fakesmtp.Script{fakesmtp.FinalDot: fakesmtp.Flood("250-ok\r\n")},
			want:   notify.ReasonUnknown, wantMessage: "64 KiB", wantStates: []string{"Deferred"},
		},
		"NUL bytes in a reply that says yes do not turn it into a no": {
			script: fakesmtp.Script{fakesmtp.FinalDot: fakesmtp.Reply("250 2.0.0 ok\x00")},
			want:   notify.ReasonAccepted, wantMessage: "250 2.0.0 ok\uFFFD", wantStates: []string{"Accepted 250 2.0.0"},
		},
		"hanging up at QUIT, when all is said": {
			script: fakesmtp.Script{fakesmtp.Quit: fakesmtp.Drop()},
			want:   notify.ReasonAccepted, wantStates: []string{"Accepted 250 2.0.0"},
		},
	}
}

// ways are those in which a server can be spoken to.
var ways = map[string]struct {
	tls string
	// over makes a server that does what the script says when it is spoken to in that way, and a sender that does so.
	over func(testing.TB, fakesmtp.Script) (*smtp.Sender, *fakesmtp.ScriptServer)
}{
	"openly":                    {"none", openly},
	"over implicit TLS":         {"TLS 1.3", overTLS},
	"for the second time":       {"none", again},
	"over STARTTLS, once again": {"TLS 1.3", againOverTLS},
}

func openly(t testing.TB, script fakesmtp.Script) (*smtp.Sender, *fakesmtp.ScriptServer) {
	server := fakesmtp.NewScript(script)
	return scripted(t, server), server
}

func overTLS(t testing.TB, script fakesmtp.Script) (*smtp.Sender, *fakesmtp.ScriptServer) {
	server := fakesmtp.NewScript(with(script, fakesmtp.Connect,
		fakesmtp.Then(fakesmtp.HandshakeWith(fakesmtp.ServerTLS(ca.Issue(fakesmtp.Always, "mail.example"))), at(script, fakesmtp.Connect))))
	return newSender(t, smtp.Config{
		Servers: []string{"mail.example"}, Port: 25, Timeout: stepTimeout, Dial: server.Dial,
		TLS: smtp.TLS{Mode: v1alpha1.TLSRequired, Implicit: true, Roots: ca.Pool()},
	}), server
}

// again is after a message that went well.
func again(t testing.TB, script fakesmtp.Script) (*smtp.Sender, *fakesmtp.ScriptServer) {
	return afterAMessage(t, secondTime(script), smtp.TLS{Mode: v1alpha1.TLSNone})
}

func againOverTLS(t testing.TB, script fakesmtp.Script) (*smtp.Sender, *fakesmtp.ScriptServer) {
	greetsAgain := at(script, fakesmtp.Ehlo)
	script = secondTime(script)
	script[fakesmtp.StartTLS] = fakesmtp.EncryptWith(fakesmtp.ServerTLS(ca.Issue(fakesmtp.Always, "mail.example")))
	offer := fakesmtp.Reply("250-fake.example", "250-STARTTLS", "250 8BITMIME")
	script[fakesmtp.Ehlo] = fakesmtp.InTurn(offer, fakesmtp.AsItShould(fakesmtp.Ehlo), offer, greetsAgain)
	return afterAMessage(t, script, smtp.TLS{Mode: v1alpha1.TLSRequired, Roots: ca.Pool()})
}

func afterAMessage(t testing.TB, script fakesmtp.Script, settings smtp.TLS) (*smtp.Sender, *fakesmtp.ScriptServer) {
	pool := &smtp.Pool{}
	t.Cleanup(pool.Close)
	server := fakesmtp.NewScript(script)
	sender := newSender(t, smtp.Config{
		Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: server.Dial, TLS: settings, Pool: pool, Key: "channel@1",
	})
	checkReason(t, send(t, sender, alert()), notify.ReasonAccepted)
	return sender, server
}

// secondTime goes wrong from the second time on. What goes wrong at the beginning of a connection begins one anew.
func secondTime(script fakesmtp.Script) fakesmtp.Script {
	later := fakesmtp.Script{}
	for step, action := range script {
		later[step] = fakesmtp.InTurn(fakesmtp.AsItShould(step), action)
		if step == fakesmtp.Connect || step == fakesmtp.Ehlo || step == fakesmtp.Helo {
			later[fakesmtp.Rset] = fakesmtp.Drop()
		}
		if step == fakesmtp.Helo || step == fakesmtp.Rset {
			later[step] = action // is not said the first time
		}
	}
	return later
}

func at(script fakesmtp.Script, step fakesmtp.Step) fakesmtp.Action {
	if action, ok := script[step]; ok {
		return action
	}
	return fakesmtp.AsItShould(step)
}

func with(script fakesmtp.Script, step fakesmtp.Step, action fakesmtp.Action) fakesmtp.Script {
	changed := fakesmtp.Script{step: action}
	for other, act := range script {
		if other != step {
			changed[other] = act
		}
	}
	return changed
}

func TestWhatServersDoWrong(t *testing.T) {
	t.Parallel()
	for way, spoken := range ways {
		for name, tc := range faults() {
			if tc.openOnly && spoken.tls != "none" {
				continue
			}
			t.Run(name+", "+way, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					sender, _ := spoken.over(t, tc.script)
					result := send(t, sender, alert(tc.to...))
					checkReason(t, result, tc.want)
					if !strings.Contains(result.Message, tc.wantMessage) {
						t.Errorf("message is %q, want %q in it", result.Message, tc.wantMessage)
					}
					if got := states(result); !slices.Equal(got, tc.wantStates) {
						t.Errorf("recipients are %q, want %q", got, tc.wantStates)
					}
					if result.Server != "mail.example:25" || result.TLS != spoken.tls && result.Recipients != nil {
						t.Errorf("server is %q and TLS %q", result.Server, result.TLS)
					}
				})
			})
		}
	}
}

func TestClosingDownIsNeverAVerdict(t *testing.T) {
	t.Parallel()
	goodbye := fakesmtp.Then(fakesmtp.Reply("421 4.3.2 closing down"), fakesmtp.Drop())
	for way, spoken := range ways {
		for step, want := range map[fakesmtp.Step]string{
			fakesmtp.Connect: "greeting", fakesmtp.Ehlo: "EHLO", fakesmtp.Mail: "MAIL", fakesmtp.Rcpt: "RCPT", fakesmtp.Data: "DATA",
			fakesmtp.FinalDot: "message",
		} {
			t.Run(string(step)+", "+way, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					sender, _ := spoken.over(t, fakesmtp.Script{step: goodbye})
					result := send(t, sender, alert())
					checkReason(t, result, notify.ReasonServerUnavailable)
					if message := "mail.example:25: " + want + ": 421 4.3.2 closing down"; result.Message != message {
						t.Errorf("message is %q, want %q", result.Message, message)
					}
				})
			})
		}
	}
}

// hangs are the steps at which a server may fall silent, and what comes of it.
var hangs = map[fakesmtp.Step]notify.Reason{
	fakesmtp.Connect:  notify.ReasonTimeout,
	fakesmtp.Ehlo:     notify.ReasonTimeout,
	fakesmtp.Mail:     notify.ReasonTimeout,
	fakesmtp.Rcpt:     notify.ReasonTimeout,
	fakesmtp.Data:     notify.ReasonTimeout,
	fakesmtp.FinalDot: notify.ReasonUnknown,
}

func TestSilenceEndsWithTheStepTimeout(t *testing.T) {
	t.Parallel()
	for way, spoken := range ways {
		for step, want := range hangs {
			t.Run(string(step)+", "+way, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					sender, _ := spoken.over(t, fakesmtp.Script{step: fakesmtp.Hang()})
					limit := stepTimeout
					if step == fakesmtp.Mail {
						limit *= 2 // a connection that was used before is replaced by a fresh one, which hangs as well
					}
					result := sendWithin(t, limit, sender, alert())
					checkReason(t, result, want)
					if !strings.Contains(result.Message, "timed out after 30s") {
						t.Errorf("message is %q", result.Message)
					}
				})
			})
		}
	}
}

func TestSilenceAtTheHandshakeEndsWithTheStepTimeout(t *testing.T) {
	t.Parallel()
	for _, mode := range []v1alpha1.TLSMode{v1alpha1.TLSRequired, v1alpha1.TLSOpportunistic} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Connect: fakesmtp.Hang()})
				sender := newSender(t, smtp.Config{
					Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: server.Dial, TLS: smtp.TLS{Mode: mode, Implicit: true},
				})
				result := sendWithin(t, 2*stepTimeout, sender, alert())
				checkReason(t, result, notify.ReasonTimeout)
				if !strings.Contains(result.Message, "TLS: timed out after 30s") {
					t.Errorf("message is %q", result.Message)
				}
			})
		})
	}
}

// longAlert does not fit into any buffer between client and server.
func longAlert() notify.Message {
	m := alert()
	m.Text = strings.Repeat("Five computers are infected.\n", 2000)
	return m
}

func TestHangingUpInTheMessageIsNoVerdict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Content: fakesmtp.Drop()})
		result := send(t, scripted(t, server), longAlert())
		checkReason(t, result, notify.ReasonConnectionFailed)
	})
}

func TestAServerThatStopsListeningInTheMessageEndsWithTheStepTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Content: fakesmtp.Stall()})
		result := sendWithin(t, stepTimeout, scripted(t, server), longAlert())
		checkReason(t, result, notify.ReasonTimeout)
	})
}

func TestAServerThatDripsEndsWithTheStepTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Mail: fakesmtp.Drip("250-", stepTimeout/3)})
		result := sendWithin(t, stepTimeout, scripted(t, server), alert())
		checkReason(t, result, notify.ReasonTimeout)
		server.WaitClosed()
	})
}

func TestSilenceAtQuitHardlyDelaysTheVerdict(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Quit: fakesmtp.Hang()})
		result := sendWithin(t, stepTimeout/10, scripted(t, server), alert())
		checkReason(t, result, notify.ReasonAccepted)
	})
}

func TestSlowButSteadyServersAreWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := func(reply string) fakesmtp.Action {
			return fakesmtp.Then(fakesmtp.Pause(stepTimeout-time.Second), fakesmtp.Reply(reply))
		}
		server := fakesmtp.NewScript(fakesmtp.Script{
			fakesmtp.Connect: slow("220 slow"), fakesmtp.Mail: slow("250 ok"), fakesmtp.Rcpt: slow("250 ok"),
			fakesmtp.Data: slow("354 ok"), fakesmtp.FinalDot: slow("250 ok"),
		})
		result := send(t, scripted(t, server), alert())
		checkReason(t, result, notify.ReasonAccepted)
	})
}

func TestDiallingEndsWithTheStepTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sender := newSender(t, smtp.Config{Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: dialForever})
		result := sendWithin(t, stepTimeout, sender, alert())
		checkReason(t, result, notify.ReasonTimeout)
		if result.TLS != "" {
			t.Errorf("TLS is %q, but there was no connection", result.TLS)
		}
	})
}

func TestCancellingStopsAtOnce(t *testing.T) {
	t.Parallel()
	for way, spoken := range ways {
		for step := range hangs {
			t.Run(string(step)+", "+way, func(t *testing.T) {
				t.Parallel()
				want := notify.ReasonCancelled
				if step == fakesmtp.FinalDot {
					want = notify.ReasonUnknown // to call it cancelled would be to say that it was not sent
				}
				synctest.Test(t, func(t *testing.T) {
					sender, _ := spoken.over(t, fakesmtp.Script{step: fakesmtp.Hang()})
					checkCancel(t, sender, want)
				})
			})
		}
	}
	t.Run("RSET", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			sender, _ := again(t, fakesmtp.Script{fakesmtp.Rset: fakesmtp.Hang()})
			checkCancel(t, sender, notify.ReasonCancelled)
		})
	})
	t.Run("implicit TLS", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server := fakesmtp.NewScript(fakesmtp.Script{fakesmtp.Connect: fakesmtp.Hang()})
			sender := newSender(t, smtp.Config{
				Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: server.Dial, TLS: smtp.TLS{Implicit: true},
			})
			checkCancel(t, sender, notify.ReasonCancelled)
		})
	})
	t.Run("connecting", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			sender := newSender(t, smtp.Config{Servers: []string{"a.example", "b.example"}, Timeout: stepTimeout, Dial: dialForever})
			checkCancel(t, sender, notify.ReasonCancelled)
		})
	})
	t.Run("STARTTLS", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server := fakesmtp.NewScript(fakesmtp.Script{
				fakesmtp.Ehlo:     fakesmtp.Reply("250-fake.example", "250 STARTTLS"),
				fakesmtp.StartTLS: fakesmtp.Then(fakesmtp.Reply("220 ready"), fakesmtp.Hang()),
			})
			sender := newSender(t, smtp.Config{
				Servers: []string{"mail.example"}, TLS: smtp.TLS{Mode: v1alpha1.TLSOpportunistic}, Timeout: stepTimeout, Dial: server.Dial,
			})
			checkCancel(t, sender, notify.ReasonCancelled)
		})
	})
}

// checkCancel cancels once nothing moves any more, and wants the result before the clock has moved.
func checkCancel(t *testing.T, sender *smtp.Sender, want notify.Reason) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	results := make(chan notify.Result, 1)
	go func() { results <- sender.Send(ctx, alert()) }()
	synctest.Wait()
	select {
	case result := <-results:
		t.Fatalf("ended before it was cancelled: %+v", result)
	default:
	}
	cancel()
	synctest.Wait()
	select {
	case result := <-results:
		checkReason(t, result, want)
		if !result.Temporary {
			t.Error("a cancelled attempt is not final")
		}
	default:
		t.Fatal("did not end when it was cancelled")
	}
}

// sendWithin sends, and fails if that takes longer.
func sendWithin(t *testing.T, limit time.Duration, sender *smtp.Sender, m notify.Message) notify.Result {
	t.Helper()
	results := make(chan notify.Result, 1)
	go func() { results <- send(t, sender, m) }()
	select {
	case result := <-results:
		return result
	case <-time.After(limit + time.Millisecond):
		t.Errorf("took longer than %s", limit)
		return <-results
	}
}

// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

const (
	user     = "tocsin"
	password = `s3"cret,=ü`
)

func credentials() *smtp.Login { return &smtp.Login{Username: user, Password: password} }

func TestTheStrongestMechanismThatIsOfferedLogsIn(t *testing.T) {
	t.Parallel()
	all := []string{"LOGIN", "CRAM-MD5", "PLAIN", "SCRAM-SHA-256", "NTLM", "XOAUTH2"}
	weaker := []string{"LOGIN", "CRAM-MD5", "PLAIN", "NTLM", "XOAUTH2"}
	tests := map[string]struct {
		offered          []string
		encrypted, allow bool
		want             string
	}{
		"of all, on TLS":                         {offered: all, encrypted: true, want: "SCRAM-SHA-256"},
		"of all, on an open connection":          {offered: all, want: "SCRAM-SHA-256"},
		"without SCRAM, on TLS":                  {offered: weaker, encrypted: true, want: "PLAIN"},
		"without SCRAM, on an open connection":   {offered: weaker, want: "CRAM-MD5"},
		"allowed to be seen, it hides if it can": {offered: weaker, allow: true, want: "CRAM-MD5"},
		"without PLAIN, on TLS":                  {offered: []string{"LOGIN", "NTLM", "CRAM-MD5"}, encrypted: true, want: "LOGIN"},
		"CRAM-MD5 alone, on TLS":                 {offered: all[1:2], encrypted: true, want: "CRAM-MD5"},
		"PLAIN on an open connection":            {offered: []string{"LOGIN", "PLAIN"}, allow: true, want: "PLAIN"},
		"NTLM where there is nothing else":       {offered: []string{"XOAUTH2", "NTLM"}, encrypted: true, want: "NTLM"},
		"NTLM hides, PLAIN does not":             {offered: []string{"PLAIN", "NTLM"}, want: "NTLM"},
		"LOGIN on an open connection":            {offered: []string{"LOGIN"}, allow: true, want: "LOGIN"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := fakesmtp.Start(t, fakesmtp.Options{
				StartTLS: tc.encrypted, Users: map[string]string{user: password}, Mechanisms: tc.offered,
			})
			config := serverOf(server)
			config.Login = credentials()
			config.Login.AllowUnencrypted = tc.allow

			result := send(t, newSender(t, config), alert())

			checkReason(t, result, notify.ReasonAccepted)
			if messages := server.Messages(); len(messages) != 1 || messages[0].Login != user || messages[0].Mechanism != tc.want {
				t.Errorf("messages: %+v, want one by %s", messages, tc.want)
			}
		})
	}
}

func TestAWrongPasswordIsRefusedByAllMechanisms(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "NTLM"} {
		t.Run(mechanism, func(t *testing.T) {
			t.Parallel()
			server := fakesmtp.Start(t, fakesmtp.Options{
				StartTLS: true, Users: map[string]string{user: "another"}, Mechanisms: []string{mechanism},
			})
			config := serverOf(server)
			config.Login = credentials()

			result := send(t, newSender(t, config), alert())

			checkReason(t, result, notify.ReasonAuthenticationFailed)
			if want := "login: " + mechanism + ": 535 5.7.8 Authentication failed"; !strings.HasSuffix(result.Message, want) {
				t.Errorf("message is %q, want %q", result.Message, want)
			}
		})
	}
}

func TestLoginsThatCannotBe(t *testing.T) {
	t.Parallel()
	ehlo := func(lines ...string) fakesmtp.Script {
		return fakesmtp.Script{fakesmtp.Ehlo: fakesmtp.Reply(append([]string{"250-fake.example"}, lines...)...)}
	}
	// 192.0.2.25 is another server than 127.0.0.1: libraries are known to make an exception for what is local.
	for _, host := range []string{"192.0.2.25", "127.0.0.1", "localhost"} {
		tests := map[string]struct {
			script fakesmtp.Script
			want   notify.Reason
			say    string
		}{
			"the password would be seen by all": {
				ehlo("250 AUTH PLAIN LOGIN"), notify.ReasonPlainTextLoginRefused, "set `auth.allowUnencrypted`"},
			"the server has no login": {
				ehlo("250 8BITMIME"), notify.ReasonAuthenticationUnsupported, "offers no login on this connection"},
			"the server has no EHLO": {
				fakesmtp.Script{fakesmtp.Ehlo: fakesmtp.Reply("500 what?")},
				notify.ReasonAuthenticationUnsupported, "offers no login on this connection"},
			"the server knows only others": {
				ehlo("250 AUTH GSSAPI XOAUTH2"), notify.ReasonAuthenticationUnsupported, "offers only GSSAPI, XOAUTH2; known are SCRAM"},
		}
		for name, tc := range tests {
			t.Run(name+" on "+host, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					server := fakesmtp.NewScript(tc.script)
					sender := newSender(t, smtp.Config{Servers: []string{host}, Login: credentials(), Dial: server.Dial})
					result := send(t, sender, alert())
					checkReason(t, result, tc.want)
					if !strings.Contains(result.Message, tc.say) {
						t.Errorf("message is %q, want %q in it", result.Message, tc.say)
					}
					if heard := strings.Join(server.Heard(), "\n"); strings.Contains(heard, "AUTH") || strings.Contains(heard, "MAIL") {
						t.Errorf("the server heard\n%s", heard)
					}
				})
			})
		}
	}
}

func TestWhatServersDoWrongAtTheLogin(t *testing.T) {
	t.Parallel()
	challenge := func(text string) fakesmtp.Action {
		return fakesmtp.Reply("334 " + base64.StdEncoding.EncodeToString([]byte(text)))
	}
	tests := map[string]struct {
		offered string
		auth    fakesmtp.Action
		want    notify.Reason
		say     string
	}{
		"it refuses": {
			"PLAIN", fakesmtp.Reply("535 5.7.8 bad credentials"), notify.ReasonAuthenticationFailed, "login: PLAIN: 535 5.7.8 bad"},
		"it wants another mechanism": {
			"PLAIN", fakesmtp.Reply("534 5.7.9 too weak"), notify.ReasonAuthenticationFailed, "534 5.7.9 too weak"},
		"it cannot look the user up now": {
			"PLAIN", fakesmtp.Reply("454 4.7.0 directory is down"), notify.ReasonServerUnavailable, "454 4.7.0"},
		"it closes down": {
			"PLAIN", fakesmtp.Then(fakesmtp.Reply("421 4.3.0 bye"), fakesmtp.Drop()), notify.ReasonServerUnavailable, "421 4.3.0"},
		"it hangs up": {
			"PLAIN", fakesmtp.Drop(), notify.ReasonConnectionFailed, "the server closed the connection"},
		"it falls silent": {
			"PLAIN", fakesmtp.Hang(), notify.ReasonTimeout, "timed out after 30s"},
		"it challenges where nothing is left to say": {
			"PLAIN", challenge("and?"), notify.ReasonProtocolError, "unexpected server challenge"},
		"it challenges in other than base64": {
			"CRAM-MD5", fakesmtp.Reply("334 !!!"), notify.ReasonProtocolError, "base64"},
		"its SCRAM is not SCRAM": {
			"SCRAM-SHA-256", challenge("hello"), notify.ReasonProtocolError, "unexpected server response"},
		"its SCRAM would take us years": {
			"SCRAM-SHA-256", challenge("r=x,s=eA==,i=2000000000"), notify.ReasonProtocolError, "asks for 2000000000 iterations"},
		"its SCRAM would take an attacker no time": {
			"SCRAM-SHA-256", challenge("r=x,s=eA==,i=1"), notify.ReasonProtocolError, "asks for 1 iterations"},
		"its SCRAM does not count": {
			"SCRAM-SHA-256", challenge("r=x,s=eA==,i=" + strings.Repeat("9", 1000)), notify.ReasonProtocolError, "999… iterations"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := fakesmtp.NewScript(fakesmtp.Script{
					fakesmtp.Ehlo: fakesmtp.Reply("250-fake.example", "250 AUTH "+tc.offered), fakesmtp.Auth: tc.auth,
				})
				login := credentials()
				login.AllowUnencrypted = true
				sender := newSender(t, smtp.Config{
					Servers: []string{"mail.example"}, Login: login, Timeout: stepTimeout, Dial: server.Dial,
				})
				result := send(t, sender, alert())
				checkReason(t, result, tc.want)
				if !strings.Contains(result.Message, tc.say) {
					t.Errorf("message is %q, want %q in it", result.Message, tc.say)
				}
				if !result.Temporary {
					t.Error("a login is for an administrator to mend; it may not be final")
				}
			})
		})
	}
}

func TestThePasswordIsNeverRepeated(t *testing.T) {
	t.Parallel()
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	echoes := map[string]string{
		"as it is":                        password,
		"in other words":                  "<" + password + ">",
		"with the user":                   user + ":" + password,
		"in base64":                       encode(password),
		"with the user in base64":         encode(user + ":" + password),
		"as PLAIN sends it":               encode("\x00" + user + "\x00" + password),
		"without padding":                 strings.TrimRight(encode(password), "="),
		"at the very end of what is kept": strings.Repeat("x", notify.MaxResponse-len("5.7.8 ")-len(password)/2) + password,
	}
	replies := map[fakesmtp.Step]string{
		fakesmtp.Connect: "554 5.7.8 ", fakesmtp.Ehlo: "550 5.7.8 ", fakesmtp.Auth: "535 5.7.8 ", fakesmtp.Mail: "550 5.7.8 ",
		fakesmtp.Rcpt: "550 5.7.8 ", fakesmtp.Data: "451 4.7.8 ", fakesmtp.FinalDot: "250 2.0.0 ",
	}
	for form, echo := range echoes {
		for step, code := range replies {
			said := map[string]string{"a reply": code + echo, "nonsense": echo}
			if step == fakesmtp.Auth {
				said["a challenge"] = "334 " + encode(echo)
			}
			for kind, reply := range said {
				t.Run(fmt.Sprintf("%s in %s to %s", form, kind, step), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						script := fakesmtp.Script{
							fakesmtp.Ehlo: fakesmtp.Reply("250-fake.example", "250 AUTH LOGIN"),
							fakesmtp.Auth: fakesmtp.Reply("235 2.7.0 welcome"),
						}
						script[step] = fakesmtp.Reply(reply)
						login := credentials()
						login.AllowUnencrypted = true
						sender := newSender(t, smtp.Config{
							Servers: []string{"mail.example"}, Login: login, Timeout: stepTimeout, Dial: fakesmtp.NewScript(script).Dial,
						})
						checkSecret(t, fmt.Sprintf("%+v", send(t, sender, alert())))
					})
				})
			}
		}
	}
	t.Run("of a user who is the password", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			server := fakesmtp.NewScript(fakesmtp.Script{
				fakesmtp.Ehlo: fakesmtp.Reply("250-fake.example", "250 AUTH LOGIN"),
				fakesmtp.Auth: fakesmtp.Reply("535 5.7.8 " + encode("aaa:aaa")),
			})
			sender := newSender(t, smtp.Config{
				Servers: []string{"mail.example"}, Dial: server.Dial,
				Login: &smtp.Login{Username: "aaa", Password: "aaa", AllowUnencrypted: true},
			})
			if message := send(t, sender, alert()).Message; !strings.HasSuffix(message, "535 5.7.8 ***==") {
				t.Errorf("message is %q", message)
			}
		})
	})
	t.Run("printed", func(t *testing.T) {
		t.Parallel()
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
			checkSecret(t, fmt.Sprintf(format, *credentials()))
		}
	})
}

// checkSecret fails if half of the password, or of one of its other forms, is in the text.
func checkSecret(t *testing.T, text string) {
	t.Helper()
	for _, form := range []string{password, user + ":" + password, "\x00" + user + "\x00" + password} {
		for _, secret := range []string{form, base64.RawStdEncoding.EncodeToString([]byte(form))} {
			if part := secret[len(secret)-len(secret)/2:]; strings.Contains(text, part) {
				t.Errorf("%q is in %s", part, text)
			}
		}
	}
}

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

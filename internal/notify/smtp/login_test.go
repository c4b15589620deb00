// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

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
		"NTLM before PLAIN where it may":         {offered: []string{"PLAIN", "NTLM"}, allow: true, want: "NTLM"},
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
			"the password could be guessed by all": {
				ehlo("250 AUTH NTLM"), notify.ReasonPlainTextLoginRefused, "would show the password or let it be guessed"},
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
	echoes := map[string]string{
		"as it is":                        password,
		"in other words":                  "<" + password + ">",
		"with the user":                   user + ":" + password,
		"in base64":                       encode(password),
		"with the user in base64":         encode(user + ":" + password),
		"as PLAIN sends it":               encode("\x00" + user + "\x00" + password),
		"as XOAUTH2 sends it":             encode("user=" + user + "\x01auth=Bearer " + password + "\x01\x01"),
		"as a token":                      "Bearer " + password,
		"as a token in base64":            encode("Bearer " + password),
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
	for _, form := range []string{
		password, user + ":" + password, "\x00" + user + "\x00" + password, "Bearer " + password,
		"user=" + user + "\x01auth=Bearer " + password + "\x01\x01",
	} {
		for _, secret := range []string{form, base64.RawStdEncoding.EncodeToString([]byte(form))} {
			if part := secret[len(secret)-len(secret)/2:]; strings.Contains(text, part) {
				t.Errorf("%q is in %s", part, text)
			}
		}
	}
}

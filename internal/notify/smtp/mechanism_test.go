// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

// everyMechanism is offered by a server that leaves all to the client.
var everyMechanism = []string{"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "NTLM"}

func named(mechanism v1alpha1.AuthMechanism, allowUnencrypted bool) *smtp.Login {
	return &smtp.Login{Mechanism: mechanism, Username: user, Password: password, AllowUnencrypted: allowUnencrypted}
}

func TestTheMechanismThatIsNamedLogsIn(t *testing.T) {
	t.Parallel()
	tests := map[v1alpha1.AuthMechanism]string{
		"Plain": "PLAIN", "Login": "LOGIN", "CRAM-MD5": "CRAM-MD5", "SCRAM-SHA-256": "SCRAM-SHA-256", "XOAUTH2": "XOAUTH2",
		"NTLM": "NTLM", "Auto": "SCRAM-SHA-256", "": "SCRAM-SHA-256",
	}
	for mechanism, want := range tests {
		t.Run(string(mechanism), func(t *testing.T) {
			t.Parallel()
			server := fakesmtp.Start(t, fakesmtp.Options{
				StartTLS: true, Users: map[string]string{user: password}, Mechanisms: everyMechanism,
			})
			config := serverOf(server)
			config.Login = named(mechanism, false)
			checkReason(t, send(t, newSender(t, config), alert()), notify.ReasonAccepted)
			if messages := server.Messages(); len(messages) != 1 || messages[0].Login != user || messages[0].Mechanism != want {
				t.Errorf("messages: %+v, want one by %s", messages, want)
			}
		})
	}
}

func TestAMechanismThatIsNamedIsNotReplacedByAnother(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []v1alpha1.AuthMechanism{"Plain", "Login", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "NTLM"} {
		t.Run(string(mechanism), func(t *testing.T) {
			t.Parallel()
			name := strings.ToUpper(string(mechanism))
			others := slices.DeleteFunc(slices.Clone(everyMechanism), func(other string) bool { return other == name })
			server := fakesmtp.Start(t, fakesmtp.Options{StartTLS: true, Users: map[string]string{user: password}, Mechanisms: others})
			config := serverOf(server)
			config.Login = named(mechanism, true)
			result := send(t, newSender(t, config), alert())
			checkReason(t, result, notify.ReasonAuthenticationUnsupported)
			want := "login: the server offers only " + strings.Join(others, ", ") + "; `auth.mechanism` wants " + name
			if !strings.HasSuffix(result.Message, want) {
				t.Errorf("message is %q, want %q", result.Message, want)
			}
		})
	}
}

func TestAMechanismThatIsNamedShowsThePasswordOnlyIfItMay(t *testing.T) {
	t.Parallel()
	hides := map[v1alpha1.AuthMechanism]bool{
		"Plain": false, "Login": false, "XOAUTH2": false, "CRAM-MD5": true, "SCRAM-SHA-256": true, "NTLM": true,
	}
	for mechanism, hidden := range hides {
		for _, allowed := range []bool{false, true} {
			t.Run(string(mechanism)+map[bool]string{true: ", allowed"}[allowed], func(t *testing.T) {
				t.Parallel()
				server := fakesmtp.Start(t, fakesmtp.Options{Users: map[string]string{user: password}, Mechanisms: everyMechanism})
				config := serverOf(server)
				config.Login = named(mechanism, allowed)
				result := send(t, newSender(t, config), alert())
				if hidden || allowed {
					checkReason(t, result, notify.ReasonAccepted)
					return
				}
				checkReason(t, result, notify.ReasonPlainTextLoginRefused)
				if want := strings.ToUpper(string(mechanism)) + " would show the password: have the server offer STARTTLS"; !strings.Contains(result.Message, want) {
					t.Errorf("message is %q, want %q in it", result.Message, want)
				}
			})
		}
	}
}

func TestAfterARefusalNoWeakerMechanismIsTried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := fakesmtp.NewScript(fakesmtp.Script{
			fakesmtp.Ehlo: fakesmtp.Reply("250-fake.example", "250 AUTH PLAIN LOGIN CRAM-MD5 NTLM"),
			fakesmtp.Auth: fakesmtp.Reply("535 5.7.8 no"),
		})
		result := send(t, newSender(t, smtp.Config{
			Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: server.Dial, Login: named("Auto", true),
		}), alert())
		checkReason(t, result, notify.ReasonAuthenticationFailed)
		tried := slices.DeleteFunc(server.Heard(), func(line string) bool { return !strings.HasPrefix(line, "AUTH") })
		if !slices.Equal(tried, []string{"AUTH CRAM-MD5"}) {
			t.Errorf("tried %q", tried)
		}
	})
}

func TestWhatTheServerHasAgainstATokenIsTold(t *testing.T) {
	t.Parallel()
	token := encode("user=" + user + "\x01auth=Bearer " + password + "\x01\x01")
	tests := map[string]struct{ challenge, say string }{
		"in JSON":                 {fakesmtp.TokenRefusal, "535 5.7.8 no; about the token it says: status 401, schemes bearer, scope https://mail.example/"},
		"as an error":             {`{"error":"invalid_token","error_description":"expired"}`, "it says: error invalid_token, expired"},
		"in other words":          {"go away", "it says: go away"},
		"in JSON of another kind": {`{"code":7}`, `it says: {"code":7}`},
		"at length":               {strings.Repeat("ä", 5000), "ää…"},
		"with the token":          {password + " is over", "it says: *** is over"},
		"with all that was said":  {`{"error":"` + token + `"}`, "it says: error ***"},
		"with NUL and escapes":    {"\x00\x1b[2J", "it says: \uFFFD\uFFFD[2J"},
		"by saying nothing":       {"", "login: XOAUTH2: 535 5.7.8 no"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := fakesmtp.NewScript(fakesmtp.Script{
					fakesmtp.Ehlo: fakesmtp.Reply("250-fake.example", "250 AUTH XOAUTH2"),
					// The client answers the challenge by an empty line, upon which the refusal comes.
					fakesmtp.Auth: fakesmtp.Reply("334 "+encode(tc.challenge), "535 5.7.8 no"),
				})
				result := send(t, newSender(t, smtp.Config{
					Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: server.Dial, Login: named("XOAUTH2", true),
				}), alert())
				checkReason(t, result, notify.ReasonAuthenticationFailed)
				if !strings.Contains(result.Message, tc.say) {
					t.Errorf("message is %q, want %q in it", result.Message, tc.say)
				}
				checkSecret(t, result.Message)
			})
		})
	}
}

func TestATokenIsNotAskedForTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		challenge := "334 " + encode(`{"status":"400"}`)
		server := fakesmtp.NewScript(fakesmtp.Script{
			fakesmtp.Ehlo: fakesmtp.Reply("250-fake.example", "250 AUTH XOAUTH2"),
			fakesmtp.Auth: fakesmtp.Reply(challenge, challenge, challenge),
		})
		result := send(t, newSender(t, smtp.Config{
			Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: server.Dial, Login: named("XOAUTH2", true),
		}), alert())
		checkReason(t, result, notify.ReasonProtocolError)
	})
}

func TestChallengesThatAreNoNTLM(t *testing.T) {
	t.Parallel()
	keyExchange := slices.Clone(fakesmtp.NTLMChallenge)
	keyExchange[23] |= 0x40
	tests := map[string]string{
		"nothing":            "",
		"text":               "NTLM supported",
		"half of it":         string(fakesmtp.NTLMChallenge[:40]),
		"without its end":    string(fakesmtp.NTLMChallenge[:len(fakesmtp.NTLMChallenge)-6]),
		"keys are exchanged": string(keyExchange),
	}
	for name, challenge := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := fakesmtp.NewScript(fakesmtp.Script{
					fakesmtp.Ehlo: fakesmtp.Reply("250-fake.example", "250 AUTH NTLM"), fakesmtp.Auth: fakesmtp.Reply("334 " + encode(challenge)),
				})
				result := send(t, newSender(t, smtp.Config{
					Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: server.Dial, Login: named("NTLM", false),
				}), alert())
				checkReason(t, result, notify.ReasonProtocolError)
				if !strings.Contains(result.Message, "login: NTLM: the server's challenge is not one of NTLM version 2: ") {
					t.Errorf("message is %q", result.Message)
				}
			})
		})
	}
}

// FuzzNTLMChallenge: whatever a server asks, the login ends.
func FuzzNTLMChallenge(f *testing.F) {
	f.Add(fakesmtp.NTLMChallenge)
	f.Fuzz(func(t *testing.T, challenge []byte) {
		server := fakesmtp.NewScript(fakesmtp.Script{
			fakesmtp.Ehlo: fakesmtp.Reply("250-fake.example", "250 AUTH NTLM"),
			fakesmtp.Auth: fakesmtp.Reply("334 " + base64.StdEncoding.EncodeToString(challenge)), // and it knows no answer
		})
		result := send(t, newSender(t, smtp.Config{Servers: []string{"mail.example"}, Dial: server.Dial, Login: named("NTLM", false)}), alert())
		if result.Reason != notify.ReasonAuthenticationFailed && result.Reason != notify.ReasonProtocolError {
			t.Errorf("%+v", result)
		}
	})
}

func TestTheDomainOfNTLMStandsInTheUsername(t *testing.T) {
	t.Parallel()
	for _, username := range []string{`CORP\tocsin`, "tocsin@corp.example"} {
		t.Run(username, func(t *testing.T) {
			t.Parallel()
			name := username[strings.IndexByte(username, '\\')+1:]
			server := fakesmtp.Start(t, fakesmtp.Options{Users: map[string]string{name: password}, Mechanisms: []string{"NTLM"}})
			config := serverOf(server)
			config.Login = &smtp.Login{Mechanism: "NTLM", Username: username, Password: password}
			checkReason(t, send(t, newSender(t, config), alert()), notify.ReasonAccepted)
			if messages := server.Messages(); len(messages) != 1 || messages[0].Login != name {
				t.Errorf("messages: %+v", messages)
			}
		})
	}
}

func TestLoginsAreOfferedInAnyCaseAndInTheOldForm(t *testing.T) {
	t.Parallel()
	for _, offer := range []string{"250 auth plain cram-md5", "250 Auth=Plain Cram-Md5", "250 AUTH  PLAIN   CRAM-MD5 "} {
		t.Run(offer, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := fakesmtp.NewScript(fakesmtp.Script{
					fakesmtp.Ehlo: fakesmtp.Reply("250-fake.example", offer), fakesmtp.Auth: fakesmtp.Reply("235 2.7.0 welcome"),
				})
				result := send(t, newSender(t, smtp.Config{
					Servers: []string{"mail.example"}, Timeout: stepTimeout, Dial: server.Dial, Login: credentials(),
				}), alert())
				checkReason(t, result, notify.ReasonAccepted)
				if !slices.Contains(server.Heard(), "AUTH CRAM-MD5") {
					t.Errorf("the server heard %q", server.Heard())
				}
			})
		})
	}
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"strings"
	"testing"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
)

// required wants TLS with a certificate of the servers' authority.
func required() smtp.TLS { return smtp.TLS{Mode: v1alpha1.TLSRequired, Roots: peers.ca.Pool()} }

func login(mechanism v1alpha1.AuthMechanism) *smtp.Login {
	return &smtp.Login{Mechanism: mechanism, Username: username, Password: password}
}

func TestLoginToPostfix(t *testing.T) {
	t.Parallel()
	for mechanism, chosen := range map[v1alpha1.AuthMechanism]string{
		v1alpha1.AuthAuto: "SCRAM-SHA-256", "Plain": "PLAIN", "Login": "LOGIN", "CRAM-MD5": "CRAM-MD5",
		"SCRAM-SHA-256": "SCRAM-SHA-256", "NTLM": "NTLM",
	} {
		t.Run(string(mechanism), func(t *testing.T) {
			t.Parallel()
			m := message()
			_, result := deliver(t, newSender(t, peers.postfix.ports["login"], smtp.Config{TLS: required(), Login: login(mechanism)}), m)
			logged := peers.postfix.logged(t, "login", result.QueueID+": .*sasl_method="+chosen+", sasl_username="+username)
			if len(logged) != 1 {
				t.Errorf("Postfix logged %q about %s, want one login by %s", logged, result.QueueID, chosen)
			}
		})
		t.Run(string(mechanism)+" with a wrong password", func(t *testing.T) {
			t.Parallel()
			wrong := login(mechanism)
			wrong.Password = "not the password"
			sender := newSender(t, peers.postfix.ports["login"], smtp.Config{TLS: required(), Login: wrong})
			want(t, sender.Send(t.Context(), message()), notify.ReasonAuthenticationFailed, chosen, "535")
		})
	}
}

func TestLoginToDovecot(t *testing.T) {
	t.Parallel()
	for _, mechanism := range []v1alpha1.AuthMechanism{v1alpha1.AuthAuto, "Plain", "Login", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2"} {
		secret := password
		if mechanism == "XOAUTH2" {
			secret = token
		}
		t.Run(string(mechanism), func(t *testing.T) {
			t.Parallel()
			right := &smtp.Login{Mechanism: mechanism, Username: username, Password: secret}
			deliver(t, newSender(t, peers.dovecot.submission, smtp.Config{TLS: required(), Login: right}), message())
		})
		t.Run(string(mechanism)+" with a wrong secret", func(t *testing.T) {
			t.Parallel()
			wrong := &smtp.Login{Mechanism: mechanism, Username: username, Password: "not it"}
			sender := newSender(t, peers.dovecot.submission, smtp.Config{TLS: required(), Login: wrong})
			want(t, sender.Send(t.Context(), message()), notify.ReasonAuthenticationFailed, "535")
		})
	}
}

func TestLoginWhereItIsNotOffered(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		service   string
		tls       smtp.TLS
		mechanism v1alpha1.AuthMechanism
		consent   bool
		want      notify.Reason
		words     string
	}{
		"Postfix has no XOAUTH2":                   {service: "login", tls: required(), mechanism: "XOAUTH2", want: notify.ReasonAuthenticationUnsupported, words: "`auth.mechanism` wants XOAUTH2"},
		"no login at all":                          {service: "starttls", tls: required(), mechanism: "Auto", want: notify.ReasonAuthenticationUnsupported, words: "offers no login"},
		"no login was configured":                  {service: "login", tls: required(), want: notify.ReasonRefused},
		"in the open, Auto hides the password":     {service: "openLogin", mechanism: "Auto", want: notify.ReasonAccepted},
		"in the open, a challenge needs no TLS":    {service: "openLogin", mechanism: "CRAM-MD5", want: notify.ReasonAccepted},
		"in the open, PLAIN shows the password":    {service: "openLogin", mechanism: "Plain", want: notify.ReasonPlainTextLoginRefused, words: "PLAIN would show the password"},
		"in the open, all would show the password": {service: "plainOnly", mechanism: "Auto", want: notify.ReasonPlainTextLoginRefused},
		"in the open, PLAIN with consent":          {service: "openLogin", mechanism: "Plain", consent: true, want: notify.ReasonAccepted},
		"in the open, Auto with consent":           {service: "plainOnly", mechanism: "Auto", consent: true, want: notify.ReasonAccepted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := smtp.Config{TLS: tc.tls}
			if tc.mechanism != "" {
				cfg.Login = login(tc.mechanism)
				cfg.Login.AllowUnencrypted = tc.consent
			}
			m := message()
			want(t, newSender(t, peers.postfix.ports[tc.service], cfg).Send(t.Context(), m), tc.want, tc.words)
			if tc.want == notify.ReasonAccepted {
				peers.dovecot.arrived(t, m.To[0], m.ID)
			}
		})
	}
}

// What Dovecot says about a token comes before its refusal.
func TestDovecotSaysWhatIsWrongWithTheToken(t *testing.T) {
	t.Parallel()
	stale := &smtp.Login{Mechanism: "XOAUTH2", Username: username, Password: "a-token-that-is-stale"}
	result := newSender(t, peers.dovecot.submission, smtp.Config{TLS: required(), Login: stale}).Send(t.Context(), message())
	want(t, result, notify.ReasonAuthenticationFailed, "XOAUTH2", "about the token it says", "schemes bearer")
	if strings.Contains(result.Message, stale.Password) {
		t.Errorf("the message tells the token: %q", result.Message)
	}
}

// Postfix hangs up on those who say what is no command, and programs that read its log lock them out.
func TestRefusedLoginEndsOrderly(t *testing.T) {
	t.Parallel()
	mechanisms := []v1alpha1.AuthMechanism{"Plain", "Login", "CRAM-MD5", "SCRAM-SHA-256", "NTLM"}
	ends := func() int { return len(peers.postfix.logged(t, "mistaken", "disconnect from .* auth=0/1 ")) }
	before := ends()
	for _, mechanism := range mechanisms {
		wrong := login(mechanism)
		wrong.Password = "not the password"
		sender := newSender(t, peers.postfix.ports["mistaken"], smtp.Config{TLS: required(), Login: wrong})
		want(t, sender.Send(t.Context(), message()), notify.ReasonAuthenticationFailed)
	}
	eventually(t, "the ends of the conversations in Postfix's log", func() bool { return ends() == before+len(mechanisms) })
	if nonsense := peers.postfix.logged(t, "mistaken", "warning: non-SMTP command"); len(nonsense) > 0 {
		t.Errorf("Postfix was told what is no command:\n%s", strings.Join(nonsense, "\n"))
	}
}

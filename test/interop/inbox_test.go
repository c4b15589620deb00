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

// One test after the other, as they share the server's chaos.
func TestMailpit(t *testing.T) {
	t.Parallel()
	newConfig := func() smtp.Config { return smtp.Config{TLS: required(), Login: login(v1alpha1.AuthAuto)} }
	t.Run("reads what was sent", func(t *testing.T) {
		m := message("Jörg <soc@bücher.example>", "b@example.com")
		m.Subject, m.Text, m.HTML = "Würmer überall", "Fünf Rechner.\n.\nEnde\n", "<p>Fünf <b>Rechner</b></p>"
		want(t, newSender(t, peers.mailpit.smtp, newConfig()).Send(t.Context(), m), notify.ReasonAccepted)
		got := peers.mailpit.arrived(t, m.ID)
		if got.Subject != m.Subject || strings.ReplaceAll(got.Text, "\r", "") != m.Text || strings.TrimSpace(got.HTML) != m.HTML {
			t.Errorf("subject, text or HTML is not what was sent: %+v", got)
		}
		if got.ReturnPath != "tocsin@example.com" || got.From.Name != "Tocsin" || len(got.To) != 2 || got.To[0] != (mailpitAddress{"Jörg", "soc@xn--bcher-kva.example"}) {
			t.Errorf("addresses are %+v", got)
		}
	})
	t.Run("shows no password in the open", func(t *testing.T) {
		cfg := newConfig()
		cfg.TLS.Mode = v1alpha1.TLSNone
		want(t, newSender(t, peers.mailpit.smtp, cfg).Send(t.Context(), message()), notify.ReasonPlainTextLoginRefused)
	})
	t.Run("wrong password", func(t *testing.T) {
		cfg := newConfig()
		cfg.Login.Password = "not the password"
		want(t, newSender(t, peers.mailpit.smtp, cfg).Send(t.Context(), message()), notify.ReasonAuthenticationFailed, "535")
	})
	for name, tc := range map[string]struct {
		command   string
		code      int
		want      notify.Reason
		temporary bool
	}{
		"sender put off":       {"Sender", 451, notify.ReasonDeferred, true},
		"sender refused":       {"Sender", 550, notify.ReasonSenderRefused, false},
		"a login wanted":       {"Sender", 530, notify.ReasonAuthenticationFailed, true},
		"closing down at MAIL": {"Sender", 421, notify.ReasonServerUnavailable, true},
		"recipient put off":    {"Recipient", 450, notify.ReasonDeferred, true},
		"recipient refused":    {"Recipient", 550, notify.ReasonRefused, false},
		"closing down at RCPT": {"Recipient", 421, notify.ReasonServerUnavailable, true},
		"login put off":        {"Authentication", 454, notify.ReasonServerUnavailable, true},
		"login refused":        {"Authentication", 535, notify.ReasonAuthenticationFailed, true},
	} {
		t.Run(name, func(t *testing.T) {
			peers.mailpit.chaos(t, tc.command, tc.code)
			defer peers.mailpit.chaos(t, "", 0)
			result := newSender(t, peers.mailpit.smtp, newConfig()).Send(t.Context(), message())
			want(t, result, tc.want)
			if result.Temporary != tc.temporary {
				t.Errorf("temporary is %t, want %t", result.Temporary, tc.temporary)
			}
		})
	}
	t.Run("after the chaos", func(t *testing.T) {
		m := message()
		want(t, newSender(t, peers.mailpit.smtp, newConfig()).Send(t.Context(), m), notify.ReasonAccepted)
		peers.mailpit.arrived(t, m.ID)
	})
}

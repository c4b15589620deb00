// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"context"
	"crypto/tls"
	"net"
	"testing"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	const (
		none, opportunistic = v1alpha1.TLSNone, v1alpha1.TLSOpportunistic
		mode                = v1alpha1.TLSRequired
	)
	roots, others := peers.ca.Pool(), fakesmtp.NewCA("Somebody else").Pool()
	for name, tc := range map[string]struct {
		service  string
		server   string
		tls      smtp.TLS
		want     notify.Reason
		words    string
		version  string
		verified string
	}{
		"None, though STARTTLS is offered":        {service: "starttls", tls: smtp.TLS{Mode: none}, version: "none"},
		"None, where it is demanded":              {service: "login", tls: smtp.TLS{Mode: none}, want: notify.ReasonTLSFailed, words: "the server wants the connection to be encrypted", version: "none"},
		"Opportunistic, and offered":              {service: "starttls", tls: smtp.TLS{Mode: opportunistic}, version: "TLS 1.3"},
		"Opportunistic trusts anybody":            {service: "starttls", tls: smtp.TLS{Mode: opportunistic, Roots: others}, version: "TLS 1.3"},
		"Opportunistic, and not offered":          {service: "open", tls: smtp.TLS{Mode: opportunistic}, version: "none"},
		"Opportunistic, and too old":              {service: "old", tls: smtp.TLS{Mode: opportunistic, MinVersion: tls.VersionTLS13}, version: "none"},
		"Required by address":                     {service: "starttls", tls: smtp.TLS{Mode: mode, Roots: roots}, version: "TLS 1.3", verified: "CA"},
		"Required by name":                        {service: "starttls", server: mailHost, tls: smtp.TLS{Mode: mode, Roots: roots}, version: "TLS 1.3", verified: "CA"},
		"Required, by an authority not known":     {service: "starttls", tls: smtp.TLS{Mode: mode, Roots: others}, want: notify.ReasonTLSFailed, words: "Interop CA"},
		"Required, by the system's authorities":   {service: "starttls", tls: smtp.TLS{Mode: mode}, want: notify.ReasonTLSFailed, words: "Interop CA"},
		"Required, under another name":            {service: "starttls", server: "mail.elsewhere.example", tls: smtp.TLS{Mode: mode, Roots: roots}, want: notify.ReasonTLSFailed, words: mailHost},
		"Required, and not offered":               {service: "open", tls: smtp.TLS{Mode: mode, Roots: roots}, want: notify.ReasonTLSFailed, words: "does not offer STARTTLS", version: "none"},
		"implicit":                                {service: "implicit", tls: smtp.TLS{Mode: mode, Roots: roots, Implicit: true}, want: notify.ReasonRefused, version: "TLS 1.3", verified: "CA"},
		"implicit, where STARTTLS was meant":      {service: "starttls", tls: smtp.TLS{Mode: mode, Roots: roots, Implicit: true}, want: notify.ReasonTLSFailed, words: "`tls.implicit: false`"},
		"TLS 1.2 of a server that has no newer":   {service: "old", tls: smtp.TLS{Mode: mode, Roots: roots}, version: "TLS 1.2", verified: "CA"},
		"at least TLS 1.3, of one that has it":    {service: "starttls", tls: smtp.TLS{Mode: mode, Roots: roots, MinVersion: tls.VersionTLS13}, version: "TLS 1.3", verified: "CA"},
		"at least TLS 1.3, of one that has 1.2":   {service: "old", tls: smtp.TLS{Mode: mode, Roots: roots, MinVersion: tls.VersionTLS13}, want: notify.ReasonTLSFailed, words: "no version of TLS from TLS 1.3 on"},
		"any version, of a server that has 1.1":   {service: "ancient", tls: smtp.TLS{Mode: mode, Roots: roots, MinVersion: tls.VersionTLS10}, version: "TLS 1.1", verified: "CA"},
		"at least TLS 1.2, of one that has 1.1":   {service: "ancient", tls: smtp.TLS{Mode: mode, Roots: roots}, want: notify.ReasonTLSFailed, words: "no version of TLS from TLS 1.2 on"},
		"Opportunistic, and TLS 1.2 is not there": {service: "ancient", tls: smtp.TLS{Mode: opportunistic}, version: "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := smtp.Config{TLS: tc.tls}
			if tc.server != "" {
				cfg.Servers, cfg.Dial = []string{tc.server}, func(ctx context.Context, network, _ string) (net.Conn, error) {
					return new(net.Dialer).DialContext(ctx, network, address(peers.postfix.ports[tc.service]))
				}
			}
			if tc.want == "" {
				tc.want = notify.ReasonAccepted
			}
			m := message()
			result := newSender(t, peers.postfix.ports[tc.service], cfg).Send(t.Context(), m)
			want(t, result, tc.want, tc.words)
			if tc.version != "" && result.TLS != tc.version || result.Verified != tc.verified {
				t.Errorf("went by %q, verified by %q, want %q, %q", result.TLS, result.Verified, tc.version, tc.verified)
			}
			if tc.want == notify.ReasonAccepted {
				peers.dovecot.arrived(t, m.To[0], m.ID)
			}
		})
	}
}

func TestImplicitTLSWithLogin(t *testing.T) {
	t.Parallel()
	for name, port := range map[string]int{"Postfix": peers.postfix.ports["implicit"], "Dovecot": peers.dovecot.submissions} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			encrypted := required()
			encrypted.Implicit = true
			_, result := deliver(t, newSender(t, port, smtp.Config{TLS: encrypted, Login: login(v1alpha1.AuthAuto)}), message())
			if result.TLS != "TLS 1.3" || result.Verified != notify.VerifiedByCA {
				t.Errorf("went by %q, verified by %q", result.TLS, result.Verified)
			}
		})
	}
}

func TestClientCertificate(t *testing.T) {
	t.Parallel()
	trusted := peers.ca.Issue(fakesmtp.Always, "tocsin.example")
	foreign := fakesmtp.NewCA("Somebody else").Issue(fakesmtp.Always, "tocsin.example")
	for name, tc := range map[string]struct {
		server      string
		certificate *tls.Certificate
		want        notify.Reason
		words       string
	}{
		"trusted by Postfix":     {server: "Postfix", certificate: &trusted, want: notify.ReasonAccepted},
		"not trusted by Postfix": {server: "Postfix", certificate: &foreign, want: notify.ReasonServerUnavailable, words: "Client certificate not trusted"},
		"missing at Postfix":     {server: "Postfix", want: notify.ReasonServerUnavailable, words: "No client certificate presented"},
		"trusted by Dovecot":     {server: "Dovecot", certificate: &trusted, want: notify.ReasonAccepted},
		"not trusted by Dovecot": {server: "Dovecot", certificate: &foreign, want: notify.ReasonAuthenticationFailed, words: "valid SSL certificate"},
		"missing at Dovecot":     {server: "Dovecot", want: notify.ReasonAuthenticationFailed, words: "valid SSL certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			port, cfg := peers.postfix.ports["certificate"], smtp.Config{TLS: required()}
			if tc.server == "Dovecot" {
				port, cfg.Login = peers.dovecot.certified, login("Plain")
			}
			cfg.TLS.Certificate = tc.certificate
			m := message()
			want(t, newSender(t, port, cfg).Send(t.Context(), m), tc.want, tc.words)
			if tc.want == notify.ReasonAccepted {
				peers.dovecot.arrived(t, m.To[0], m.ID)
			}
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
)

// TestResolversAreShared: channels with the same settings ask once; of the others none gets to see another's answers.
func TestResolversAreShared(t *testing.T) {
	t.Parallel()
	r := newResolvers()
	named := func(resolver string, mode v1alpha1.DNSSECMode) *v1alpha1.DNSSettings {
		return &v1alpha1.DNSSettings{Resolvers: []string{resolver}, DNSSEC: mode}
	}
	of := func(settings *v1alpha1.DNSSettings, timeout time.Duration) any {
		t.Helper()
		resolver, err := r.of(settings, timeout)
		if err != nil {
			t.Fatal(err)
		}
		return resolver
	}
	first := of(named("127.0.0.1:53", "Require"), time.Second)
	if of(named("127.0.0.1:53", "Require"), time.Second) != first {
		t.Error("the same settings have another resolver")
	}
	for name, other := range map[string]any{
		"DNSSEC":    of(named("127.0.0.1:53", "Advise"), time.Second),
		"resolvers": of(named("127.0.0.1:54", "Require"), time.Second),
		"timeout":   of(named("127.0.0.1:53", "Require"), time.Minute),
	} {
		if other == first {
			t.Errorf("other %s, the same resolver", name)
		}
	}
	if _, err := r.of(&v1alpha1.DNSSettings{DNSSEC: v1alpha1.DNSSECRequire}, time.Second); err == nil {
		t.Error("DNSSEC of resolvers that nobody chose is taken")
	}
	for port := range 3 * maxResolvers {
		of(named(fmt.Sprintf("127.0.0.1:%d", port+1), ""), time.Second)
	}
	if n := len(r.known); n > maxResolvers {
		t.Errorf("%d resolvers are remembered, want %d at most", n, maxResolvers)
	}
}

// TestSettingsReachTheSender: what TLS and the port say together.
func TestSettingsReachTheSender(t *testing.T) {
	t.Parallel()
	port := func(n int32) *int32 { return &n }
	yes, no := true, false
	for name, tc := range map[string]struct {
		port *int32
		tls  *v1alpha1.TLSSettings
		want smtp.TLS
	}{
		"nothing":                       {nil, nil, smtp.TLS{}},
		"the port of implicit TLS":      {port(465), nil, smtp.TLS{Implicit: true}},
		"the same, but STARTTLS":        {port(465), &v1alpha1.TLSSettings{Mode: "Required", Implicit: &no}, smtp.TLS{Mode: "Required", MinVersion: tls.VersionTLS12}},
		"the same, but no TLS":          {port(465), &v1alpha1.TLSSettings{Mode: "None"}, smtp.TLS{Mode: "None", MinVersion: tls.VersionTLS12}},
		"another port, but implicit":    {port(2465), &v1alpha1.TLSSettings{Mode: "Required", Implicit: &yes}, smtp.TLS{Mode: "Required", Implicit: true, MinVersion: tls.VersionTLS12}},
		"implicit without a port":       {nil, &v1alpha1.TLSSettings{Mode: "Required", Implicit: &yes}, smtp.TLS{Mode: "Required", Implicit: true, MinVersion: tls.VersionTLS12}},
		"the oldest versions":           {port(25), &v1alpha1.TLSSettings{Mode: "Opportunistic", MinVersion: "Any"}, smtp.TLS{Mode: "Opportunistic", MinVersion: tls.VersionTLS10}},
		"the newest version, port 587":  {port(587), &v1alpha1.TLSSettings{Mode: "Opportunistic", MinVersion: "TLS13"}, smtp.TLS{Mode: "Opportunistic", MinVersion: tls.VersionTLS13}},
		"the default version, when set": {port(587), &v1alpha1.TLSSettings{Mode: "Opportunistic", MinVersion: "TLS12"}, smtp.TLS{Mode: "Opportunistic", MinVersion: tls.VersionTLS12}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transport := &v1alpha1.MailTransport{Port: tc.port, TLS: tc.tls}
			if got := tlsOf(transport, Secrets{}); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			roots, certificate := x509.NewCertPool(), &tls.Certificate{}
			if got := tlsOf(transport, Secrets{Roots: roots, Certificate: certificate}); got.Roots != roots || got.Certificate != certificate {
				t.Error("the Secrets did not come along")
			}
		})
	}
}

// TestNextLook: a channel is looked at when its certificate changes sides, and else from time to time.
func TestNextLook(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	valid := func(from, to time.Duration) Secrets {
		leaf := &x509.Certificate{NotBefore: now.Add(from), NotAfter: now.Add(to)}
		return Secrets{Version: "1", Certificate: &tls.Certificate{Leaf: leaf}}
	}
	const year = 365 * 24 * time.Hour
	for name, tc := range map[string]struct {
		g    gathered
		want time.Duration
	}{
		"no Secrets":                {gathered{}, 0},
		"Secrets":                   {gathered{secrets: Secrets{Version: "1"}}, secretPoll},
		"Secrets that are wrong":    {gathered{secrets: Secrets{Version: "1"}, credentials: &CredentialsError{}}, secretRetry},
		"a certificate":             {gathered{secrets: valid(-year, year)}, secretPoll},
		"it is about to be valid":   {gathered{secrets: valid(3*time.Second, year)}, 3 * time.Second},
		"the notice is near":        {gathered{secrets: valid(-year, certificateNotice+2*time.Second)}, 2 * time.Second},
		"its end is near":           {gathered{secrets: valid(-year, 4*time.Second)}, 4*time.Second + time.Nanosecond},
		"it is in its last instant": {gathered{secrets: valid(-year, 0)}, time.Nanosecond},
		"it has expired":            {gathered{secrets: valid(-year, -time.Second)}, secretPoll},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := nextLook(tc.g, now); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

// TestSecretsPrintNothing: whatever they are printed into does not show them.
func TestSecretsPrintNothing(t *testing.T) {
	t.Parallel()
	s := Secrets{Version: "v1", Login: &smtp.Login{Username: "tocsin", Password: "s3cret"}}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got, want := fmt.Sprintf(format, s), `secrets of version "v1"`; got != want {
			t.Errorf("%s shows %s, want %s", format, got, want)
		}
	}
}

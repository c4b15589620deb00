// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/controllers"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

// identity is a certificate with its key.
type identity struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

func (i identity) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.certificate.Raw})
}

func keyPEM(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func (i identity) pair(t *testing.T) map[string][]byte {
	t.Helper()
	return map[string][]byte{"tls.crt": i.pem(), "tls.key": keyPEM(t, i.key)}
}

// issue makes a certificate for a name and for 127.0.0.1; without an issuer it signs itself, and may sign others.
func issue(t *testing.T, name string, issuer *identity, from, to time.Time) *identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: from, NotAfter: to,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if issuer == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		issuer = &identity{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer.certificate, key.Public(), issuer.key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &identity{certificate, key}
}

func yesterday() time.Time { return time.Now().Add(-24 * time.Hour) }
func inAYear() time.Time   { return time.Now().Add(365 * 24 * time.Hour) }

func secretOf(namespace, name string, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: data}
}

// overheard is where all logs of this package go through: it remembers what should have been kept secret.
var overheard = &eavesdropper{}

type eavesdropper struct {
	mu      sync.Mutex
	secrets [][]byte
	found   []string
}

func (e *eavesdropper) writer(to io.Writer) io.Writer {
	return writerFunc(func(line []byte) (int, error) {
		e.mu.Lock()
		for _, secret := range e.secrets {
			if bytes.Contains(line, secret) {
				e.found = append(e.found, string(line))
			}
		}
		e.mu.Unlock()
		return to.Write(line)
	})
}

type writerFunc func([]byte) (int, error)

// Write writes.
func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// confidential are the lines of a Secret that must not be seen anywhere: passwords, and what is between the lines of PEM.
// Public are those of certificates, and the names of users.
func confidential(s *corev1.Secret) [][]byte {
	var lines [][]byte
	for key, value := range s.Data {
		if key == "username" || key == "tls.crt" || key == "ca.crt" {
			continue
		}
		for line := range bytes.Lines(value) {
			if line = bytes.TrimSpace(line); len(line) >= 8 && !bytes.HasPrefix(line, []byte("-----")) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// whisper creates a Secret, and listens from then on.
func whisper(t *testing.T, s *corev1.Secret) [][]byte {
	t.Helper()
	lines := confidential(s)
	overheard.mu.Lock()
	overheard.secrets = append(overheard.secrets, lines...)
	overheard.mu.Unlock()
	k8s.Create(t, s)
	return lines
}

// hushed checks that what was whispered is neither in a channel, nor in the namespace's Events, nor in a log.
func hushed(t *testing.T, channel *v1alpha1.NotificationChannel, lines [][]byte) {
	t.Helper()
	var list eventsv1.EventList
	if err := k8s.Client.List(t.Context(), &list, client.InNamespace(channel.Namespace)); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal([]any{channel, list, k8s.Notifications(t, channel.Namespace)})
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		if bytes.Contains(text, line) {
			t.Errorf("%q can be seen in %s", line, text)
		}
	}
	overheard.mu.Lock()
	defer overheard.mu.Unlock()
	if len(overheard.found) > 0 {
		t.Errorf("secrets were logged: %q", overheard.found)
	}
}

// TestEavesdropper: what listens for secrets in the logs hears them.
func TestEavesdropper(t *testing.T) {
	t.Parallel()
	e := &eavesdropper{secrets: confidential(secretOf("", "", map[string][]byte{"password": []byte("pssst-s3cret")}))}
	if _, err := io.WriteString(e.writer(io.Discard), "logged in with pssst-s3cret\n"); err != nil || len(e.found) != 1 {
		t.Errorf("heard %q, %v", e.found, err)
	}
}

func fixture(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(cluster.Root(), "internal", "tlsconfig", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func withCA(kind v1alpha1.KeyReferenceKind, name, key string) func(*v1alpha1.EmailChannel) {
	return func(e *v1alpha1.EmailChannel) {
		e.TLS = &v1alpha1.TLSSettings{Mode: v1alpha1.TLSRequired, CARef: &v1alpha1.KeyReference{Kind: kind, Name: name, Key: key}}
	}
}

func withCertificate(name string) func(*v1alpha1.EmailChannel) {
	return func(e *v1alpha1.EmailChannel) {
		e.TLS = &v1alpha1.TLSSettings{Mode: v1alpha1.TLSRequired, ClientCertificateRef: &v1alpha1.SecretReference{Name: name}}
	}
}

func withDKIM(name string) func(*v1alpha1.EmailChannel) {
	return func(e *v1alpha1.EmailChannel) {
		e.DKIM = &v1alpha1.DKIMSettings{Domain: "example.com", Selector: "tocsin", SecretRef: v1alpha1.SecretReference{Name: name}}
	}
}

func withMechanism(mechanism v1alpha1.AuthMechanism, name string) func(*v1alpha1.EmailChannel) {
	return func(e *v1alpha1.EmailChannel) {
		e.Auth = &v1alpha1.MailAuth{Mechanism: mechanism, SecretRef: v1alpha1.SecretReference{Name: name}}
	}
}

// Before the first event needs the channel, it says what is wrong with what it names, and what would be right.
func TestChannelThatNamesWhatCannotBeUsed(t *testing.T) {
	t.Parallel()
	type data = map[string][]byte
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good, other := issue(t, "client", nil, yesterday(), inAYear()), issue(t, "other", nil, yesterday(), inAYear())
	encrypted := data{"tls.crt": fixture(t, "client.crt"), "tls.key": fixture(t, "pkcs8-default.key"), "password": []byte("wr0ng-passw0rd")}
	for name, tc := range map[string]struct {
		// secrets and configMap are what there is.
		secrets   map[string]data
		configMap map[string]string
		change    func(*v1alpha1.EmailChannel)
		reason    string
		// wants are parts of the message.
		wants []string
	}{
		"login: no Secret": {
			change: withMechanism("Auto", "login"), reason: v1alpha1.ReasonSecretNotFound,
			wants: []string{"`spec.email.auth.secretRef`: Secret \"login\" does not exist; create it in namespace test-"},
		},
		"login: no password": {
			secrets: map[string]data{"login": {"username": []byte("tocsin"), "token": []byte("t0ken-of-tocsin")}},
			change:  withMechanism("Auto", "login"), reason: v1alpha1.ReasonSecretInvalid,
			wants: []string{"`spec.email.auth.secretRef`: ", `lacks the key "password", or it is empty; a Secret of type kubernetes.io/basic-auth`},
		},
		"login: no token": {
			secrets: map[string]data{"login": {"username": []byte("tocsin"), "password": []byte("p4ssword-of-tocsin")}},
			change:  withMechanism("XOAUTH2", "login"), reason: v1alpha1.ReasonSecretInvalid,
			wants: []string{`lacks the key "token", or it is empty; a Secret for XOAUTH2 has the keys username and token`},
		},
		"login: a password that no server can be told": {
			secrets: map[string]data{"login": {"username": []byte("tocsin"), "password": []byte("p4ssword\x00of-tocsin")}},
			change:  withMechanism("Auto", "login"), reason: v1alpha1.ReasonSecretInvalid,
			wants: []string{"`spec.email`: login: username and password may not contain NUL"},
		},
		"CA: no Secret": {
			change: withCA("", "ca", "ca.crt"), reason: v1alpha1.ReasonSecretNotFound,
			wants: []string{"`spec.email.tls.caRef`: Secret \"ca\" does not exist"},
		},
		"CA: no ConfigMap, though a Secret": {
			secrets: map[string]data{"ca": {"ca.crt": good.pem()}},
			change:  withCA("ConfigMap", "ca", "ca.crt"), reason: v1alpha1.ReasonSecretNotFound,
			wants: []string{"`spec.email.tls.caRef`: ConfigMap \"ca\" does not exist"},
		},
		"CA: the ConfigMap lacks the key": {
			configMap: map[string]string{"ca.pem": string(good.pem())},
			change:    withCA("ConfigMap", "ca", "ca.crt"), reason: v1alpha1.ReasonSecretInvalid,
			wants: []string{`ConfigMap "ca" lacks the key "ca.crt", which must hold CA certificates in PEM`},
		},
		"CA: the Secret lacks the key": {
			secrets: map[string]data{"ca": {"tls.crt": good.pem()}},
			change:  withCA("Secret", "ca", "ca.crt"), reason: v1alpha1.ReasonSecretInvalid,
			wants: []string{`Secret "ca" lacks the key "ca.crt"`},
		},
		"CA: a key instead of a certificate": {
			secrets: map[string]data{"ca": {"my.crt": keyPEM(t, good.key)}},
			change:  withCA("", "ca", "my.crt"), reason: v1alpha1.ReasonSecretInvalid,
			wants: []string{"`spec.email.tls.caRef`: Secret \"ca\": `my.crt` holds no certificate, but a private key; it must hold CA certificates"},
		},
		"client certificate: no Secret": {
			change: withCertificate("client"), reason: v1alpha1.ReasonSecretNotFound,
			wants: []string{"`spec.email.tls.clientCertificateRef`: Secret \"client\" does not exist"},
		},
		"client certificate: something else": {
			secrets: map[string]data{"client": {"username": []byte("tocsin")}},
			change:  withCertificate("client"), reason: v1alpha1.ReasonSecretInvalid,
			wants: []string{"Secret \"client\": it has neither `tls.crt` and `tls.key` nor `keystore.p12`"},
		},
		"client certificate: wrong password": {
			secrets: map[string]data{"client": encrypted},
			change:  withCertificate("client"), reason: v1alpha1.ReasonSecretInvalid,
			wants: []string{"Secret \"client\": `password` is the wrong password for `tls.key`"},
		},
		"client certificate: wrong password of a keystore": {
			secrets: map[string]data{"client": {"keystore.p12": fixture(t, "default.p12"), "password": []byte("wr0ng-passw0rd")}},
			change:  withCertificate("client"), reason: v1alpha1.ReasonSecretInvalid,
			wants: []string{"Secret \"client\": `password` is the wrong password for `keystore.p12`"},
		},
		"client certificate: somebody else's key": {
			secrets: map[string]data{"client": {"tls.crt": good.pem(), "tls.key": keyPEM(t, other.key)}},
			change:  withCertificate("client"), reason: v1alpha1.ReasonSecretInvalid,
			wants: []string{"Secret \"client\": `tls.key` holds a private key that does not belong to the certificate"},
		},
		"client certificate: expired": {
			secrets: map[string]data{"client": issue(t, "client", nil, yesterday().Add(-time.Hour), yesterday()).pair(t)},
			change:  withCertificate("client"), reason: v1alpha1.ReasonCertificateExpired,
			wants: []string{"`spec.email.tls.clientCertificateRef`: the certificate in Secret \"client\" expired at " + yesterday().UTC().Format("2006-"), "put one that is valid there"},
		},
		"client certificate: not valid yet": {
			secrets: map[string]data{"client": issue(t, "client", nil, inAYear(), inAYear().Add(time.Hour)).pair(t)},
			change:  withCertificate("client"), reason: v1alpha1.ReasonSecretInvalid,
			wants: []string{"the certificate in Secret \"client\" is not valid before " + inAYear().UTC().Format("2006-")},
		},
		"DKIM: no Secret": {
			change: withDKIM("dkim"), reason: v1alpha1.ReasonSecretNotFound,
			wants: []string{"`spec.email.dkim.secretRef`: Secret \"dkim\" does not exist"},
		},
		"DKIM: a short key": {
			secrets: map[string]data{"dkim": {"tls.key": keyPEM(t, short)}},
			change:  withDKIM("dkim"), reason: v1alpha1.ReasonSecretInvalid,
			wants: []string{"Secret \"dkim\": `tls.key` is an RSA key of 1024 bits; 2048 are the least"},
		},
		"several": {
			secrets: map[string]data{"client": encrypted},
			change: func(e *v1alpha1.EmailChannel) {
				withCertificate("client")(e)
				withDKIM("dkim")(e)
				withMechanism("Plain", "login")(e)
			}, reason: v1alpha1.ReasonSecretNotFound,
			wants: []string{`Secret "login" does not exist`, "; `spec.email.tls.clientCertificateRef`: ", "; `spec.email.dkim.secretRef`: "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := k8s.Namespace(t)
			var secrets [][]byte
			for name, d := range tc.secrets {
				secrets = append(secrets, whisper(t, secretOf(ns, name, d))...)
			}
			if tc.configMap != nil {
				k8s.Create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "ca"}, Data: tc.configMap})
			}
			channel := mailChannel(ns, "mail", 2525)
			tc.change(channel.Spec.Email)
			k8s.Create(t, channel)
			awaitChannel(t, channel, tc.reason)
			contains(t, status.Message(channel.Status.Conditions, v1alpha1.ReconcilingCondition), tc.wants...)
			if channel.Status.Revision == "" || len(channel.Status.Revision) > 64 {
				t.Errorf("the revision is %q", channel.Status.Revision)
			}
			hushed(t, channel, secrets)
		})
	}
}

// A client certificate that the server does not trust is replaced, and so is the CA that the server is checked against: mail
// goes out without a restart, and the revision tells of each.
func TestRotatedSecretsAreUsedWithoutARestart(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	ca, stranger := issue(t, "CA", nil, yesterday(), inAYear()), issue(t, "stranger", nil, yesterday(), inAYear())
	server, client := issue(t, "server", ca, yesterday(), inAYear()), issue(t, "tocsin,\ntest", ca, yesterday(), inAYear())
	clients := x509.NewCertPool()
	clients.AddCert(ca.certificate)
	peer := fakesmtp.Start(t, fakesmtp.Options{
		StartTLS: true, Users: map[string]string{"tocsin": "t0ken-of-tocsin"}, Mechanisms: []string{"XOAUTH2"},
		TLS: &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{server.certificate.Raw}, PrivateKey: server.key}},
			ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS13,
		},
	})
	roots := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "ca"}, Data: map[string]string{"ca.crt": string(stranger.pem())},
	}
	k8s.Create(t, roots)
	certificate := secretOf(ns, "client", issue(t, "nobody", nil, yesterday(), inAYear()).pair(t))
	login := secretOf(ns, "login", map[string][]byte{"username": []byte("tocsin"), "token": []byte("wr0ng-t0ken")})
	signing, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	secrets := append(whisper(t, certificate), whisper(t, login)...)
	secrets = append(secrets, whisper(t, secretOf(ns, "dkim", map[string][]byte{"tls.key": keyPEM(t, signing)}))...)
	channel := mailChannel(ns, "mail", peer.Port())
	withCA("ConfigMap", "ca", "ca.crt")(channel.Spec.Email)
	channel.Spec.Email.TLS.ClientCertificateRef = &v1alpha1.SecretReference{Name: "client"}
	channel.Spec.Email.TLS.MinVersion = "TLS13"
	withMechanism("XOAUTH2", "login")(channel.Spec.Email)
	withDKIM("dkim")(channel.Spec.Email)
	ready(t, channel, condition(ns, "single-risk", "SingleRiskEvent", "mail"))
	first := channel.Status.Revision

	k8s.Create(t, detection(ns, "ws", "Worm"))
	n := &awaitNotifications(t, ns, 1, v1alpha1.ReasonRetrying)[0]
	k8s.Change(t, roots, func() { roots.Data["ca.crt"] = string(ca.pem()) })
	k8s.Change(t, certificate, func() { certificate.Data = client.pair(t) })
	k8s.Change(t, login, func() { login.Data["token"] = []byte("t0ken-of-tocsin") })
	mail := awaitMails(t, peer, 1)[0]
	if !mail.TLS || !strings.Contains(mail.Certificate, "tocsin") || mail.Mechanism != "XOAUTH2" {
		t.Errorf("the mail came over TLS %t by certificate %q and %s", mail.TLS, mail.Certificate, mail.Mechanism)
	}
	contains(t, headerOf(t, mail, "DKIM-Signature"), "d=example.com", "s=tocsin")
	k8s.Until(t, n, func() error { return deliveryIs(n, "mail", v1alpha1.DeliveryDelivered, "Accepted") })
	k8s.Until(t, channel, func() error {
		c := channel.Status.ClientCertificate
		if c == nil || c.Subject != `CN=tocsin\, test` || c.NotAfter.Unix() != client.certificate.NotAfter.Unix() {
			return fmt.Errorf("the certificate is %+v", c)
		}
		if channel.Status.Revision == first {
			return errors.New("the revision has not changed")
		}
		return nil
	})
	hushed(t, channel, secrets)
}

// advised waits until a status condition of a channel is there with a reason and such words, or is not there, if there is no
// reason.
func advised(t *testing.T, c *v1alpha1.NotificationChannel, kind, reason string, wants ...string) {
	t.Helper()
	k8s.Until(t, c, func() error {
		found := meta.FindStatusCondition(c.Status.Conditions, kind)
		if (found == nil) != (reason == "") || found != nil && (found.Reason != reason || found.Status != metav1.ConditionTrue) {
			return fmt.Errorf("%s is %+v, want %q", kind, found, reason)
		}
		for _, want := range wants {
			if !strings.Contains(found.Message, want) {
				return fmt.Errorf("%q is missing in %s", want, found.Message)
			}
		}
		return nil
	})
}

func TestExpiryOfAClientCertificateIsToldAheadAndOnTime(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	const month = 30 * 24 * time.Hour
	soon := issue(t, "soon", nil, yesterday(), time.Now().Add(6*time.Second))
	secret := secretOf(ns, "client", soon.pair(t))
	whisper(t, secret)
	channel := mailChannel(ns, "mail", 2525)
	withCertificate("client")(channel.Spec.Email)
	k8s.Create(t, channel)
	awaitChannel(t, channel, v1alpha1.ReasonReady)
	at := soon.certificate.NotAfter.UTC().Format(time.RFC3339)
	advised(t, channel, v1alpha1.CertificateExpiringCondition, "CertificateExpiring", `"client" expires at `+at, "put a new one there")
	awaitChannel(t, channel, v1alpha1.ReasonCertificateExpired)
	if now := time.Now(); !now.After(soon.certificate.NotAfter) {
		t.Errorf("expired at %s, ahead of time", now)
	}
	advised(t, channel, v1alpha1.CertificateExpiringCondition, v1alpha1.ReasonCertificateExpired, "expired at "+at)

	month1 := issue(t, "later", nil, yesterday(), time.Now().Add(month+40*time.Second))
	k8s.Change(t, secret, func() { secret.Data = month1.pair(t) })
	awaitChannel(t, channel, v1alpha1.ReasonReady)
	advised(t, channel, v1alpha1.CertificateExpiringCondition, "")
	if got := channel.Status.ClientCertificate; got == nil || got.Subject != "CN=later" {
		t.Errorf("the certificate is %+v", got)
	}
	advised(t, channel, v1alpha1.CertificateExpiringCondition, "CertificateExpiring")
	if now := time.Now(); now.Before(month1.certificate.NotAfter.Add(-month)) {
		t.Errorf("told at %s, ahead of the thirty days", now)
	}
	awaitChannel(t, channel, v1alpha1.ReasonReady)

	k8s.Change(t, channel, func() { channel.Spec.Email.TLS = nil })
	advised(t, channel, v1alpha1.CertificateExpiringCondition, "")
	if got := channel.Status.ClientCertificate; got != nil {
		t.Errorf("the certificate is still %+v", got)
	}
}

func TestDNSSECIsAdvisedWhereNothingElseProtects(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	channel := mailChannel(ns, "mail", 25)
	names := startNames(t, map[string]string{"example.com MX": "mx.example.com.", "mx.example.com A": "192.0.2.1"})
	channel.Spec.Email.Servers, channel.Spec.Email.MXLookup = []v1alpha1.MailServer{"example.com"}, true
	channel.Spec.Email.DNS = &v1alpha1.DNSSettings{Resolvers: []string{names.address}}
	channel.Spec.Email.TLS = &v1alpha1.TLSSettings{Mode: v1alpha1.TLSNone}
	ready(t, channel)
	const advice = "name a resolver that validates in `dns.resolvers` and set `dns.dnssec: Require`"
	advised(t, channel, v1alpha1.DNSSECAdvisedCondition, "DNSSECAdvised", "nothing is encrypted or checked", advice)
	for _, tc := range []struct {
		tls  *v1alpha1.TLSSettings
		want string
	}{
		{nil, "with TLS Opportunistic the server is whoever DNS says"},
		{&v1alpha1.TLSSettings{Mode: v1alpha1.TLSOpportunistic}, "with TLS Opportunistic the server is whoever DNS says"},
		{&v1alpha1.TLSSettings{Mode: v1alpha1.TLSRequired}, "is checked against a name that DNS gave"},
		{&v1alpha1.TLSSettings{Mode: v1alpha1.TLSNone}, "nothing is encrypted or checked"},
	} {
		k8s.Change(t, channel, func() { channel.Spec.Email.TLS = tc.tls })
		advised(t, channel, v1alpha1.DNSSECAdvisedCondition, "DNSSECAdvised", tc.want, advice)
	}
	for name, change := range map[string]func(*v1alpha1.EmailChannel){
		"with DNSSEC":    func(e *v1alpha1.EmailChannel) { e.DNS.DNSSEC = v1alpha1.DNSSECRequire },
		"without lookup": func(e *v1alpha1.EmailChannel) { e.MXLookup, e.DNS = false, nil },
	} {
		before := *channel.Spec.Email.DeepCopy()
		k8s.Change(t, channel, func() { change(channel.Spec.Email) })
		advised(t, channel, v1alpha1.DNSSECAdvisedCondition, "")
		awaitChannel(t, channel, v1alpha1.ReasonReady)
		k8s.Change(t, channel, func() { *channel.Spec.Email = before })
		advised(t, channel, v1alpha1.DNSSECAdvisedCondition, "DNSSECAdvised")
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

func TestChannelTellsWhetherItsFallbackIsReady(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	falling := func(name, to string) *v1alpha1.NotificationChannel {
		c := mailChannel(ns, name, 2525)
		c.Spec.FallbackRef = &v1alpha1.ChannelReference{Name: to}
		return c
	}
	itself := falling("itself", "itself")
	k8s.Create(t, itself)
	awaitChannel(t, itself, v1alpha1.ReasonInvalid)
	contains(t, status.Message(itself.Status.Conditions, v1alpha1.StalledCondition), "`spec.fallbackRef`: names this channel itself")

	a := falling("a", "b")
	ready(t, a)
	advised(t, a, v1alpha1.FallbackNotReadyCondition, "ChannelNotFound", `NotificationChannel "b" does not exist`)
	b := withLogin(falling("b", "a"))
	k8s.Create(t, b)
	advised(t, a, v1alpha1.FallbackNotReadyCondition, "ChannelNotReady", `NotificationChannel "b" is not ready`, `Secret "login" does not exist`)
	awaitChannel(t, a, v1alpha1.ReasonReady)
	advised(t, b, v1alpha1.FallbackNotReadyCondition, "")

	k8s.Create(t, login(ns, "login", map[string]string{"username": "tocsin", "password": "p4ssword-of-tocsin"}))
	awaitChannel(t, b, v1alpha1.ReasonReady)
	advised(t, a, v1alpha1.FallbackNotReadyCondition, "")
	k8s.Change(t, b, func() { b.Spec.Suspend = true })
	advised(t, a, v1alpha1.FallbackNotReadyCondition, "ChannelNotReady", "`spec.suspend` is true")
	k8s.Change(t, b, func() { b.Spec.Suspend = false })
	advised(t, a, v1alpha1.FallbackNotReadyCondition, "")
	if err := k8s.Client.Delete(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	advised(t, a, v1alpha1.FallbackNotReadyCondition, "ChannelNotFound")
}

// forbidding answers requests for Secrets and ConfigMaps as an API server does where the right is missing.
type forbidding struct{ next http.RoundTripper }

// RoundTrip answers a request.
func (f forbidding) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.Path, "/secrets/") && !strings.Contains(r.URL.Path, "/configmaps/") {
		return f.next.RoundTrip(r)
	}
	body := `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"` + r.URL.Path + ` is forbidden"}`
	return &http.Response{
		StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

func TestChannelWhoseSecretsCannotBeRead(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.enter(t, controllers.Options{}, func(next http.RoundTripper) http.RoundTripper { return forbidding{next} })
	channel := withLogin(mailChannel(h.namespace, "mail", 2525))
	withCA("ConfigMap", "ca", "ca.crt")(channel.Spec.Email)
	h.Create(t, channel)
	cluster.Eventually(t, "the channel", func(ctx context.Context) error {
		if err := h.Client.Get(ctx, client.ObjectKeyFromObject(channel), channel); err != nil {
			return err
		}
		return reasonIs(channel.Status.Conditions, v1alpha1.ReadyCondition, v1alpha1.ReasonSecretUnreadable)
	})
	contains(t, status.Message(channel.Status.Conditions, v1alpha1.ReadyCondition),
		"`spec.email.auth.secretRef`: reading Secret \"login\": ", "; `spec.email.tls.caRef`: reading ConfigMap \"ca\": ", "is forbidden")
}

func TestUnknownMechanismIsRefusedWhenItIsApplied(t *testing.T) {
	t.Parallel()
	channel := mailChannel(k8s.Namespace(t), "mail", 2525)
	withMechanism("DIGEST-MD5", "login")(channel.Spec.Email)
	err := k8s.Client.Create(t.Context(), channel)
	if err == nil {
		t.Fatal("it was accepted")
	}
	contains(t, err.Error(), "spec.email.auth.mechanism", "SCRAM-SHA-256")
}

// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

func newEd25519(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newRSA(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// record is what stands in DNS for a key (RFC 6376, 3.6.1; RFC 8463, 4).
func record(t testing.TB, key crypto.Signer) string {
	t.Helper()
	if public, ok := key.Public().(ed25519.PublicKey); ok {
		return "v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(public)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(der)
}

// signedMail sends a message that is signed, and returns it as it arrived.
func signedMail(t testing.TB, d *smtp.DKIM, m notify.Message) []byte {
	t.Helper()
	server := fakesmtp.Start(t, fakesmtp.Options{SMTPUTF8: true})
	config := serverOf(server)
	config.DKIM = d
	checkReason(t, send(t, newSender(t, config), m), notify.ReasonAccepted)
	return server.Messages()[0].Data
}

func verify(t testing.TB, mail []byte, txt string) []*dkim.Verification {
	t.Helper()
	verifications, err := dkim.VerifyWithOptions(bytes.NewReader(mail), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			if name != "tocsin._domainkey.xn--kln-sna.example" {
				return nil, fmt.Errorf("asked for %s", name)
			}
			return []string{txt}, nil
		},
	})
	if err != nil || len(verifications) != 1 {
		t.Fatalf("%d signatures, %v\n%s", len(verifications), err, mail)
	}
	return verifications
}

func TestMessagesAreSigned(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]crypto.Signer{"RSA": newRSA(t, 2048), "Ed25519": newEd25519(t)} {
		for kind, change := range map[string]func(*notify.Message){
			"a plain message":  func(*notify.Message) {},
			"an empty message": func(m *notify.Message) { m.Text, m.Subject = "", "" },
			"text and HTML":    func(m *notify.Message) { m.HTML = "<p>Fünf \t  Rechner.</p>\r\n\r\n\r\n" },
			"lines of nothing": func(m *notify.Message) { m.Text = "\n\n.\n..\n \n\t\n\n" },
			"a thread": func(m *notify.Message) {
				m.InReplyTo, m.References = "root@example.com", []string{"root@example.com", "2@b"}
			},
			"a long subject":        func(m *notify.Message) { m.Subject = strings.Repeat("Ausbruch auf wörk-1 ", 40) },
			"an international user": func(m *notify.Message) { m.To = []string{"Söc <söc@köln.example>"} },
		} {
			t.Run(kind+" by "+name, func(t *testing.T) {
				t.Parallel()
				m := alert()
				change(&m)
				mail := signedMail(t, &smtp.DKIM{Domain: "köln.example", Selector: "tocsin", Key: key}, m)
				got := verify(t, mail, record(t, key))[0]
				if got.Err != nil || got.Domain != "xn--kln-sna.example" {
					t.Errorf("of %s: %v\n%s", got.Domain, got.Err, mail)
				}
				for _, field := range []string{
					"From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
					"Auto-Submitted", "In-Reply-To", "References",
				} {
					if !slices.Contains(got.HeaderKeys, field) {
						t.Errorf("%s is not signed: %q", field, got.HeaderKeys)
					}
				}
				if first, _, _ := strings.Cut(string(mail), "\n"); !strings.HasPrefix(first, "DKIM-Signature:") || !strings.Contains(string(mail), "c=relaxed/relaxed;") {
					t.Errorf("begins with %q", first)
				}
			})
		}
	}
}

func TestASignatureShowsWhatWasChanged(t *testing.T) {
	t.Parallel()
	key := newEd25519(t)
	m := alert()
	m.InReplyTo = "root@example.com"
	mail := string(signedMail(t, &smtp.DKIM{Domain: "köln.example", Selector: "tocsin", Key: key}, m))
	changes := map[string]string{
		"the sender":           strings.Replace(mail, "From: \"Tocsin\"", "From: \"Eve\"", 1),
		"the subject":          strings.Replace(mail, "Outbreak", "All is well", 1),
		"the text":             strings.Replace(mail, "Five", "No", 1),
		"another subject":      strings.Replace(mail, "Subject:", "Subject: All is well\r\nSubject:", 1),
		"another sender":       strings.Replace(mail, "From:", "From: eve@example.com\r\nFrom:", 1),
		"a thread":             strings.Replace(mail, "In-Reply-To: <root@", "In-Reply-To: <eve@", 1),
		"references":           strings.Replace(mail, "Subject:", "References: <eve@example.com>\r\nSubject:", 1),
		"that a program wrote": strings.Replace(mail, "Auto-Submitted: auto-generated\r\n", "", 1),
	}
	for name, changed := range changes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if changed == mail {
				t.Fatal("nothing was changed")
			}
			if verify(t, []byte(changed), record(t, key))[0].Err == nil {
				t.Errorf("the signature still holds:\n%s", changed)
			}
		})
	}
	relayed := strings.Replace(mail, "Subject: Outbreak on web-1", "Received: by relay.example\r\nsubject:  Outbreak on\r\n  web-1", 1)
	if err := verify(t, []byte(relayed), record(t, key))[0].Err; err != nil || relayed == mail {
		t.Errorf("what relays change: %v", err)
	}
}

func TestKeysThatCannotSign(t *testing.T) {
	t.Parallel()
	good := newEd25519(t)
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		dkim smtp.DKIM
		want string
	}{
		"no key":                     {smtp.DKIM{Domain: "example.com", Selector: "a"}, "dkim: there is no key"},
		"a key of another kind":      {smtp.DKIM{Domain: "example.com", Selector: "a", Key: elliptical}, "neither RSA nor Ed25519"},
		"a key that is too short":    {smtp.DKIM{Domain: "example.com", Selector: "a", Key: newRSA(t, 1024)}, "has 1024 bits: must have 2048"},
		"no domain":                  {smtp.DKIM{Selector: "a", Key: good}, `dkim: domain "": must be a DNS name`},
		"a domain that ends the tag": {smtp.DKIM{Domain: "example.com; l=0", Selector: "a", Key: good}, "must be a DNS name"},
		"a domain that ends a line":  {smtp.DKIM{Domain: "example.com\r\nBcc: eve", Selector: "a", Key: good}, "must be a DNS name"},
		"no selector":                {smtp.DKIM{Domain: "example.com", Key: good}, `dkim: selector "": must be a DNS label`},
		"a selector that ends it":    {smtp.DKIM{Domain: "example.com", Selector: "a;", Key: good}, "must be a DNS label"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := smtp.New(smtp.Config{Servers: []string{"a"}, DKIM: &tc.dkim})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want %q in it", err, tc.want)
			}
		})
	}
}

func TestTheKeyIsNeverPrinted(t *testing.T) {
	t.Parallel()
	d := smtp.DKIM{Domain: "example.com", Selector: "tocsin", Key: newEd25519(t)}
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if got := fmt.Sprintf(format, d); got != `DKIM of "tocsin._domainkey.example.com"` {
			t.Errorf("%s prints %s", format, got)
		}
	}
}

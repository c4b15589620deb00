// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/sms"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

func smsChannel(namespace, name string, port int, recipients ...v1alpha1.SMSRecipient) *v1alpha1.NotificationChannel {
	c := mailChannel(namespace, name, port)
	c.Spec.Type, c.Spec.SMS, c.Spec.Email = v1alpha1.ChannelSMS, &v1alpha1.SMSChannel{
		MailTransport: c.Spec.Email.MailTransport, Sender: c.Spec.Email.Sender,
		Recipients: recipients, GatewayDomain: "sms.example.com",
	}, nil
	return c
}

// shortMessage is the text of a mail for a gateway, which has nothing but that.
func shortMessage(t *testing.T, m fakesmtp.Message) (mail.Header, string) {
	t.Helper()
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Data))
	if err != nil {
		t.Fatalf("reading the mail: %v", err)
	}
	if kind := parsed.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") {
		t.Errorf("it is %s", kind)
	}
	for _, header := range []string{"In-Reply-To", "References"} {
		if parsed.Header.Get(header) != "" {
			t.Errorf("it has the header %s", header)
		}
	}
	body, err := io.ReadAll(quotedprintable.NewReader(parsed.Body))
	if err != nil {
		t.Fatalf("reading the text: %v", err)
	}
	return parsed.Header, strings.TrimRight(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n")
}

// Numbers become addresses on the wire, and stay numbers in the log, whatever the server says of them.
func TestSMSReachesNumbersThroughTheGateway(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{Recipients: map[string]*smtp.SMTPError{
		"12025550123@sms.example.com": {Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such number"},
	}})
	ready(t, smsChannel(ns, "phone", server.Port(), "+4915112345678", "+12025550123", "night-shift@sms.example.com"),
		every(ns, "every", "phone"))
	k8s.Create(t, detection(ns, "ws-0042", "Worm"))
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonPartlyDelivered)[0]
	got := awaitMails(t, server, 1)[0]
	if want := []string{"4915112345678@sms.example.com", "night-shift@sms.example.com"}; !slices.Equal(got.To, want) {
		t.Errorf("sent to %v, want %v", got.To, want)
	}
	states := map[string]v1alpha1.RecipientState{}
	for _, r := range n.Status.Deliveries[0].Recipients {
		states[r.Address] = r.State
	}
	if states["+4915112345678"] != v1alpha1.RecipientAccepted || states["+12025550123"] != v1alpha1.RecipientRefused ||
		states["night-shift@sms.example.com"] != v1alpha1.RecipientAccepted || len(states) != 3 {
		t.Errorf("recipients are %v", states)
	}
	header, text := shortMessage(t, got)
	if !strings.HasPrefix(text, "Critical: Malicious object detected ws-0042 20") || text != n.Spec.Deliveries[0].Message {
		t.Errorf("it says %q, the log %q", text, n.Spec.Deliveries[0].Message)
	}
	if subject := header.Get("Subject"); subject != "" {
		t.Errorf("its subject is %q", subject)
	}
}

// Another form of address, a subject, a text of emoji that is cut: the log shows what was sent.
func TestSMSIsCut(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	c, two := smsChannel(ns, "phone", server.Port(), "+4915112345678"), int32(2)
	c.Spec.SMS.GatewayDomain, c.Spec.SMS.GatewayAddress = "", "+%NUMBER%/TYPE=SMS@fax.example.com"
	c.Spec.SMS.Subject, c.Spec.SMS.MaxSegments = "Tocsin", &two
	c.Spec.SMS.Message = v1alpha1.Text("%COMPUTER% " + strings.Repeat("😀", 5000))
	ready(t, c, every(ns, "every", "phone"))
	k8s.Create(t, detection(ns, "ws", "Worm"))
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)[0]
	got := awaitMails(t, server, 1)[0]
	if want := []string{"+4915112345678/TYPE=SMS@fax.example.com"}; !slices.Equal(got.To, want) {
		t.Errorf("sent to %v, want %v", got.To, want)
	}
	header, text := shortMessage(t, got)
	if want := "ws " + strings.Repeat("😀", 65) + "…"; text != want || n.Spec.Deliveries[0].Message != want {
		t.Errorf("it says %q, the log %q, want %q", text, n.Spec.Deliveries[0].Message, want)
	}
	if size := sms.Measure(text); size.Segments != 2 {
		t.Errorf("it takes %+v", size)
	}
	if header.Get("Subject") != "Tocsin" {
		t.Errorf("its subject is %q", header.Get("Subject"))
	}

	// The next one is unaffected.
	k8s.Change(t, c, func() { c.Spec.SMS.Message = "%RISK%" })
	awaitChannel(t, c, v1alpha1.ReasonReady)
	k8s.Create(t, detection(ns, "ws", "Worm"))
	awaitNotifications(t, ns, 2, v1alpha1.ReasonDelivered)
	if _, text := shortMessage(t, awaitMails(t, server, 2)[1]); text != "Worm" {
		t.Errorf("the next one says %q", text)
	}
}

// What an event says is text: no header, no further recipient, no second part, no more segments.
func TestSMSOfAHostileEvent(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	c := smsChannel(ns, "phone", server.Port(), "+4915112345678")
	c.Spec.SMS.Subject, c.Spec.SMS.Message = "%EVENT%", "%EVENT%\n%DESCR%"
	ready(t, c, every(ns, "every", "phone"))
	e := detection(ns, "ws", "Worm")
	e.Spec.Title = "%NAMESPACE% “+1”, <a@b.example>"
	e.Spec.Description = "\r\n.\r\nRCPT TO:<evil@example.com>\r\nBcc: evil@example.com\r\n\r\nContent-Type: text/html\x1b[2J" +
		strings.Repeat("[", 3000)
	k8s.Create(t, e)
	awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)
	got := awaitMails(t, server, 1)
	if len(got) != 1 || !slices.Equal(got[0].To, []string{"4915112345678@sms.example.com"}) {
		t.Fatalf("%d mails, the first to %v", len(got), got[0].To)
	}
	header, text := shortMessage(t, got[0])
	if header.Get("Bcc") != "" || len(header["Content-Type"]) != 1 || strings.Contains(header.Get("To"), "evil") {
		t.Errorf("the header is %v", header)
	}
	contains(t, text, "%NAMESPACE% \"+1\", <a@b.example>\n.\nRCPT TO:<evil@example.com>\nBcc: evil@example.com\n\nContent-Type: text/html?[2J[[[")
	if size := sms.Measure(text); size.Segments != 3 || size.Alphabet != sms.GSM || !strings.HasSuffix(text, "[...") {
		t.Errorf("it takes %+v: %q", size, text)
	}
}

// Where mail is refused a short message steps in, with a text of its own; a test of the channel is short, too.
func TestSMSTakesOverFromMail(t *testing.T) {
	t.Parallel()
	ns, good := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	bad := fakesmtp.Start(t, fakesmtp.Options{Content: &smtp.SMTPError{
		Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "no",
	}})
	first, second := mailChannel(ns, "mail", bad.Port()), smsChannel(ns, "phone", good.Port(), "+4915112345678")
	first.Spec.FallbackRef = &v1alpha1.ChannelReference{Name: "phone"}
	ready(t, second, first, every(ns, "every", "mail"))
	k8s.Create(t, detection(ns, "ws", "Worm"))
	awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)
	if _, text := shortMessage(t, awaitMails(t, good, 1)[0]); !strings.HasPrefix(text, "Critical: Malicious object detected ws 20") {
		t.Errorf("it says %q", text)
	}

	n := &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "test"}}
	n.Spec.Type, n.Spec.ChannelRef = v1alpha1.NotificationTypeTest, &v1alpha1.ChannelReference{Name: "phone"}
	k8s.Create(t, n)
	if _, text := shortMessage(t, awaitMails(t, good, 2)[1]); !strings.HasPrefix(text, "Test of phone: Info: ") {
		t.Errorf("the test says %q", text)
	}
}

// What the limit of an SMS channel held back is told in one short message.
func TestSMSDigest(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	ready(t, limited(smsChannel(ns, "phone", server.Port(), "+4915112345678"), 1, "5s"), every(ns, "every", "phone"))
	for n := range 3 {
		k8s.Create(t, detection(ns, fmt.Sprintf("ws-%d", n), "Worm"))
	}
	_, text := shortMessage(t, awaitMails(t, server, 2)[1])
	contains(t, text, "Tocsin: 2 notifications held back by the limit of phone since ", " UTC: every 2")
}

// A condition may name the channel before it exists: it gets the short text, not the one for mail that stands in the log.
func TestSMSChannelThatComesLater(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	early := every(ns, "every", "phone")
	k8s.Create(t, early)
	awaitCondition(t, early, v1alpha1.ReasonChannelNotFound)
	k8s.Create(t, detection(ns, "ws", "Worm"))
	cluster.Eventually(t, "the decision", func(context.Context) error {
		if len(k8s.Notifications(t, ns)) != 1 {
			return fmt.Errorf("there is none")
		}
		return nil
	})
	ready(t, smsChannel(ns, "phone", server.Port(), "+4915112345678"))
	if _, text := shortMessage(t, awaitMails(t, server, 1)[0]); !strings.HasPrefix(text, "Critical: Malicious object detected ws 20") ||
		strings.Contains(text, "\n") {
		t.Errorf("it says %q", text)
	}
}

// What is wrong with an SMS channel is told by its own fields, and it is held back until it is mended.
func TestSMSChannelTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	c := smsChannel(ns, "phone", 25, "+4915112345678")
	c.Spec.SMS.Auth = &v1alpha1.MailAuth{SecretRef: v1alpha1.SecretReference{Name: "login"}}
	k8s.Create(t, c)
	awaitChannel(t, c, v1alpha1.ReasonSecretNotFound)
	contains(t, status.Message(c.Status.Conditions, v1alpha1.ReadyCondition),
		"`spec.sms.auth.secretRef`: Secret \"login\" does not exist")
	k8s.Change(t, c, func() { c.Spec.SMS.Auth, c.Spec.SMS.GatewayDomain = nil, "sms..example.com" })
	awaitChannel(t, c, v1alpha1.ReasonInvalid)
	k8s.Change(t, c, func() { c.Spec.SMS.GatewayDomain = "sms.example.com" })
	awaitChannel(t, c, v1alpha1.ReasonReady)
}

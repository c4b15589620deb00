// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

func login(namespace, name string, data map[string]string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, StringData: data,
	}
}

func withLogin(c *v1alpha1.NotificationChannel) *v1alpha1.NotificationChannel {
	c.Spec.Email.Auth = &v1alpha1.MailAuth{SecretRef: v1alpha1.SecretReference{Name: "login"}, AllowUnencrypted: true}
	return c
}

func TestMailWaitsForItsSecret(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	server := fakesmtp.Start(t, fakesmtp.Options{Users: map[string]string{"tocsin": "s3cret"}})
	channel := withLogin(mailChannel(ns, "mail", server.Port()))
	k8s.Create(t, channel)
	awaitChannel(t, channel, v1alpha1.ReasonSecretNotFound)
	ready(t, condition(ns, "single-risk", "SingleRiskEvent", "mail"))

	k8s.Create(t, detection(ns, "ws", "Worm"))
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonPending)[0]
	contains(t, n.Status.Deliveries[0].Message, `"login"`)

	secret := login(ns, "login", map[string]string{"username": "tocsin"})
	k8s.Create(t, secret)
	awaitChannel(t, channel, v1alpha1.ReasonSecretInvalid)
	k8s.Change(t, secret, func() { secret.StringData = map[string]string{"password": "s3cret"} })
	if mail := awaitMails(t, server, 1)[0]; mail.Login != "tocsin" {
		t.Errorf("logged in as %q", mail.Login)
	}
	awaitChannel(t, channel, v1alpha1.ReasonReady)
}

func TestWrongPasswordIsMendedWithoutARestart(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	server := fakesmtp.Start(t, fakesmtp.Options{Users: map[string]string{"tocsin": "s3cret"}})
	secret := login(ns, "login", map[string]string{"username": "tocsin", "password": "wr0ng-passw0rd"})
	ready(t, secret, withLogin(mailChannel(ns, "mail", server.Port())), condition(ns, "single-risk", "SingleRiskEvent", "mail"))

	k8s.Create(t, detection(ns, "ws", "Worm"))
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonRetrying)[0]
	if got := n.Status.Deliveries[0].Reason; got != "AuthenticationFailed" {
		t.Errorf("reason is %s", got)
	}
	k8s.Change(t, secret, func() { secret.StringData = map[string]string{"password": "s3cret"} })
	awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)
}

func TestServersThatDoNotTakeMail(t *testing.T) {
	t.Parallel()
	closed := func(t *testing.T) int {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		return l.Addr().(*net.TCPAddr).Port
	}
	script := func(s fakesmtp.Script) func(*testing.T) int {
		return func(t *testing.T) int { return fakesmtp.StartScript(t, s).Port() }
	}
	for name, tc := range map[string]struct {
		port   func(*testing.T) int
		server v1alpha1.MailServer
		reason string
	}{
		"refuses":          {closed, "127.0.0.1", "ConnectionRefused"},
		"does not resolve": {closed, "mail.tocsin.invalid", "ServerNotFound"},
		"hangs":            {script(greeting(fakesmtp.Hang())), "127.0.0.1", "Timeout"},
		"hangs at DATA":    {script(fakesmtp.Script{fakesmtp.Data: fakesmtp.Hang()}), "127.0.0.1", "Timeout"},
		"talks nonsense":   {script(greeting(fakesmtp.Raw("HTTP/1.1 400 Bad Request\r\n\r\n"))), "127.0.0.1", "ProtocolError"},
		"is busy":          {script(greeting(fakesmtp.Reply("421 4.3.2 come back later"))), "127.0.0.1", "ServerUnavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns, good := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
			bad := mailChannel(ns, "bad", tc.port(t))
			bad.Spec.Email.Servers = []v1alpha1.MailServer{tc.server}
			bad.Spec.Email.Timeout = "1s"
			ready(t, bad, mailChannel(ns, "good", good.Port()), condition(ns, "single-risk", "SingleRiskEvent", "bad", "good"))

			k8s.Create(t, detection(ns, "ws", "Worm"))
			awaitMails(t, good, 1)
			n := &k8s.Notifications(t, ns)[0]
			k8s.Until(t, n, func() error { return deliveryIs(n, "bad", v1alpha1.DeliveryRetrying, tc.reason) })

			mended := fakesmtp.Start(t, fakesmtp.Options{})
			port := int32(mended.Port())
			k8s.Change(t, bad, func() {
				bad.Spec.Email.Port, bad.Spec.Email.Servers = &port, []v1alpha1.MailServer{"127.0.0.1"}
			})
			awaitMails(t, mended, 1)
			awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)
		})
	}
}

func greeting(a fakesmtp.Action) fakesmtp.Script { return fakesmtp.Script{fakesmtp.Connect: a} }

func deliveryIs(n *v1alpha1.Notification, channel string, state v1alpha1.DeliveryState, reason string) error {
	for _, d := range n.Status.Deliveries {
		if d.Channel == channel && d.State == state && d.Reason == reason {
			return nil
		}
	}
	return fmt.Errorf("deliveries are %+v, want %s %s %s", n.Status.Deliveries, channel, state, reason)
}

func TestPassingRefusalIsTriedAgainUnderTheSameMessageID(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	server := fakesmtp.StartScript(t, fakesmtp.Script{
		fakesmtp.Mail: fakesmtp.InTurn(fakesmtp.Reply("451 4.3.0 try later"), fakesmtp.Reply("250 ok")),
	})
	ready(t, mailChannel(ns, "mail", server.Port()), condition(ns, "single-risk", "SingleRiskEvent", "mail"))
	k8s.Create(t, detection(ns, "ws", "Worm"))
	d := awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)[0].Status.Deliveries[0]
	if d.AttemptCount != 2 || len(d.Attempts) != 2 || d.Attempts[0].Reason == d.Attempts[1].Reason {
		t.Errorf("attempts are %+v, want one that failed and one that did not", d.Attempts)
	}
}

func TestOneBadMailboxDoesNotKeepTheOthersFromTheirMail(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	server := fakesmtp.Start(t, fakesmtp.Options{Recipients: map[string]*smtp.SMTPError{
		"gone@example.com": {Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"},
	}})
	channel := mailChannel(ns, "mail", server.Port())
	channel.Spec.Email.Recipients = []v1alpha1.MailAddress{"gone@example.com", "SOC <soc@example.com>"}
	ready(t, channel, condition(ns, "single-risk", "SingleRiskEvent", "mail"))
	k8s.Create(t, detection(ns, "ws", "Worm"))
	awaitMails(t, server, 1)
	d := awaitNotifications(t, ns, 1, v1alpha1.ReasonPartlyDelivered)[0].Status.Deliveries[0]
	if r := d.Recipients[0]; r.State != v1alpha1.RecipientRefused || r.Code != 550 || r.EnhancedCode != "5.1.1" {
		t.Errorf("the refusal is not recorded: %+v", r)
	}
	if d.AttemptCount != 1 {
		t.Errorf("%d attempts: what is refused for good may not be tried again", d.AttemptCount)
	}
}

// A server that hangs for its whole deadline, with a thousand notifications queued for it, delays no other channel: what the
// other has to tell arrives before any of the thousand has come to an end, as it does without them.
func TestDeadServerDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	const queued, writers = 1000, 8
	ns, good := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	dead := fakesmtp.StartScript(t, fakesmtp.Script{fakesmtp.Connect: fakesmtp.Hang()})
	t.Cleanup(dead.HangUp)
	hanging := mailChannel(ns, "dead", dead.Port())
	hanging.Spec.Email.Timeout = "10m"
	all := condition(ns, "all", "SingleRiskEvent", "dead")
	all.Spec.Damper = &v1alpha1.Damper{Period: v1alpha1.DamperNone}
	all.Spec.Filter = &v1alpha1.EventFilter{Computers: []v1alpha1.Wildcard{"ws"}}
	other := condition(ns, "other", "Custom", "good")
	other.Spec.Damper = &v1alpha1.Damper{Period: v1alpha1.DamperNone}
	other.Spec.Filter = &v1alpha1.EventFilter{Computers: []v1alpha1.Wildcard{"other"}}
	ready(t, hanging, mailChannel(ns, "good", good.Port()), all, other)
	k8s.Create(t, detection(ns, "other", "Worm")) // as it is without a queue
	awaitMails(t, good, 1)

	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for range queued / writers {
				if err := k8s.Client.Create(t.Context(), detection(ns, "ws", "Worm")); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writing.Wait()
	awaitQueued := func() {
		t.Helper()
		cluster.Eventually(t, "the queue of the dead server", func(context.Context) error {
			n := 0
			for _, notification := range k8s.Notifications(t, ns) {
				waits := notification.Spec.Condition.Name == all.Name
				for _, d := range notification.Status.Deliveries {
					waits = waits && (d.State == v1alpha1.DeliveryPending || d.State == v1alpha1.DeliverySending)
				}
				if waits {
					n++
				}
			}
			if n != queued || dead.Open() != 3 {
				return fmt.Errorf("%d are queued, %d connections", n, dead.Open())
			}
			return nil
		})
	}
	awaitQueued()
	k8s.Create(t, detection(ns, "other", "Worm"))
	awaitMails(t, good, 2)
	awaitQueued() // none has come to an end meanwhile
	if n := dead.Connections(); n != 3 {
		t.Errorf("the dead server had %d connections, want 3, as many as a channel opens to a server", n)
	}
}

func TestChannelThatDoesNotExistYet(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	c := condition(ns, "single-risk", "SingleRiskEvent", "mail")
	k8s.Create(t, c)
	awaitCondition(t, c, v1alpha1.ReasonChannelNotFound)
	k8s.Create(t, detection(ns, "ws", "Worm"))
	awaitNotifications(t, ns, 1, v1alpha1.ReasonPending)
	ready(t, mailChannel(ns, "mail", server.Port()))
	awaitMails(t, server, 1)
	awaitCondition(t, c, v1alpha1.ReasonReady)
}

func TestSuspendedChannelHoldsItsMail(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	channel := mailChannel(ns, "mail", server.Port())
	channel.Spec.Suspend = true
	k8s.Create(t, channel)
	awaitChannel(t, channel, v1alpha1.ReasonSuspended)
	ready(t, condition(ns, "single-risk", "SingleRiskEvent", "mail"))
	k8s.Create(t, detection(ns, "ws", "Worm"))
	awaitNotifications(t, ns, 1, v1alpha1.ReasonPending)
	k8s.Change(t, channel, func() { channel.Spec.Suspend = false })
	awaitMails(t, server, 1)
}

func TestDeliveryThatIsNotMendedInTimeFails(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	busy := fakesmtp.StartScript(t, fakesmtp.Script{fakesmtp.Mail: fakesmtp.Reply("451 4.3.0 try later")})
	channel := mailChannel(ns, "mail", busy.Port())
	channel.Spec.Retry = &v1alpha1.RetryPolicy{Interval: "1s", For: "3s"}
	ready(t, channel, condition(ns, "single-risk", "SingleRiskEvent", "mail"))
	k8s.Create(t, detection(ns, "ws", "Worm"))
	d := awaitNotifications(t, ns, 1, v1alpha1.ReasonFailed)[0].Status.Deliveries[0]
	if d.Reason != "Expired" || d.AttemptCount < 2 {
		t.Errorf("delivery is %+v, want several attempts and then Expired", d)
	}
	contains(t, d.Message, "not delivered within 3s", "451")
}

// Somebody who may create tests takes the name that the next notification would have.
func TestTakenNamesDoNotKeepANotificationFromBeingWritten(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	c := condition(ns, "single-risk", "SingleRiskEvent", "mail")
	ready(t, mailChannel(ns, "mail", server.Port()), c)
	for sequence := range int64(3) {
		k8s.Create(t, &v1alpha1.Notification{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: journal.Name(c.Name, c.UID, "", sequence+1)},
			Spec: v1alpha1.NotificationSpec{
				Type: v1alpha1.NotificationTypeTest, ChannelRef: &v1alpha1.ChannelReference{Name: "mail"},
			},
		})
	}
	k8s.Create(t, detection(ns, "ws", "Worm"))
	var told int
	for _, n := range awaitNotifications(t, ns, 4, v1alpha1.ReasonDelivered) {
		if n.Spec.Trigger != nil {
			told++
		}
	}
	if told != 1 {
		t.Errorf("%d notifications tell of the event, want one", told)
	}
}

// Hostile text stays text on its whole way (design: I4).
func TestHostileEventCannotChangeTheMail(t *testing.T) {
	t.Parallel()
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	ready(t, mailChannel(ns, "mail", server.Port()), condition(ns, "single-risk", "SingleRiskEvent", "mail"))
	e := detection(ns, "ws\r\nBcc: evil@example.org", "<script>alert(1)</script>")
	e.Spec.Title = "%COMPUTER%\r\nX-Evil: 1\r\n\r\nbody"
	e.Spec.Description = ".\r\nQUIT\r\n<img src=x onerror=alert(1)> \u202egnp.exe"
	k8s.Create(t, e)
	mail := awaitMails(t, server, 1)[0]
	if len(mail.To) != 1 {
		t.Errorf("went to %v", mail.To)
	}
	for _, header := range []string{"Bcc", "X-Evil"} {
		if got := headerOf(t, mail, header); got != "" {
			t.Errorf("the event added the header %s: %s", header, got)
		}
	}
	d := awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)[0].Spec.Deliveries[0]
	if want := "[Critical] %COMPUTER% X-Evil: 1 body on ws Bcc: evil@example.org"; d.Subject != want {
		t.Errorf("subject is %q, want %q", d.Subject, want)
	}
}

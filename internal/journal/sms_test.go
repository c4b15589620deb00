// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
)

func phone(change func(*v1alpha1.SMSChannel)) v1alpha1.NotificationChannel {
	c := v1alpha1.NotificationChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: "phone", UID: "p"}}
	c.Spec.Type, c.Spec.SMS = v1alpha1.ChannelSMS, &v1alpha1.SMSChannel{
		Recipients: []v1alpha1.SMSRecipient{"+4915112345678", "night-shift@sms.example.com"}, GatewayDomain: "sms.example.com",
	}
	change(c.Spec.SMS)
	return c
}

// TestShortMessages: the log holds them as they are sent, in the length that the channel allows, for the numbers as they are
// written there.
func TestShortMessages(t *testing.T) {
	t.Parallel()
	one := int32(1)
	const begins = "Still, 3 more held: "
	for name, tc := range map[string]struct {
		change        func(*v1alpha1.SMSChannel)
		subject, text string
	}{
		"the least that can be said": {func(*v1alpha1.SMSChannel) {}, "",
			begins + "Critical: Malicious object detected ws-0042 2026-11-22T08:30:00Z"},
		"texts of its own": {func(s *v1alpha1.SMSChannel) { s.Subject, s.Message = "Tocsin %RISK%", "%COMPUTER%, %HELD% held" },
			"Tocsin EICAR-Test-File", "Still: ws-0042, 3 held"},
		"three segments unless said otherwise": {func(s *v1alpha1.SMSChannel) { s.Message = v1alpha1.Text(strings.Repeat("a", 1000)) },
			"", begins + strings.Repeat("a", 459-len(begins)-3) + "..."},
		"one segment": {func(s *v1alpha1.SMSChannel) {
			s.Message, s.MaxSegments = v1alpha1.Text(strings.Repeat("a", 1000)), &one
		},
			"", begins + strings.Repeat("a", 160-len(begins)-3) + "..."},
		"curly quotes": {func(s *v1alpha1.SMSChannel) { s.Message = "“%COMPUTER%” – …" }, "", begins + `"ws-0042" - ...`},
		"one emoji":    {func(s *v1alpha1.SMSChannel) { s.Message = "😀 %COMPUTER%" }, "", begins + "😀 ws-0042"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			channel := phone(tc.change)
			n := journal.Compose(firing(t, outbreak(action("phone"))), []v1alpha1.NotificationChannel{channel})
			check(t, "deliveries", n.Spec.Deliveries, []v1alpha1.Delivery{{
				Channel: "phone", Recipients: []string{"+4915112345678", "night-shift@sms.example.com"}, Subject: tc.subject, Message: tc.text,
			}})
		})
	}
}

// TestSMSHasItsOwnTexts, also where it stands by for mail and where an action replaces those of mail.
func TestSMSHasItsOwnTexts(t *testing.T) {
	t.Parallel()
	channels := append(chain("mail>phone"), phone(func(s *v1alpha1.SMSChannel) { s.Message = "%COMPUTER%" }))
	override := action("mail")
	override.Email = &v1alpha1.EmailOverride{Recipients: []v1alpha1.MailAddress{"ciso@example.com"}, Message: "for mail"}
	n := journal.Compose(firing(t, outbreak(override)), channels)
	check(t, "deliveries", outline(n), "mail phone<mail")
	check(t, "text", n.Spec.Deliveries[1].Message, "Still, 3 more held: ws-0042")
	check(t, "recipients", n.Spec.Deliveries[1].Recipients, []string{"+4915112345678", "night-shift@sms.example.com"})

	digest := &v1alpha1.Digest{
		Since: metav1.NewTime(t0), Until: metav1.NewTime(t0.Add(time.Hour)), Count: 20, Suppressed: 57,
		Conditions: []v1alpha1.DigestEntry{
			{Condition: "outbreak", Severity: v1alpha1.SeverityCritical, Suppression: v1alpha1.Suppression{Count: 57}},
		},
	}
	n = journal.Digest(&channels[0], digest, nil, channels)
	check(t, "digest through the fallback", n.Spec.Deliveries[1].Message,
		"Tocsin: 57 notifications held back by the limit of mail since 08:30 UTC: outbreak 57")
	n = journal.Digest(&channels[1], digest, nil, channels)
	check(t, "digest", n.Spec.Deliveries[0].Message,
		"Tocsin: 57 notifications held back by the limit of phone since 08:30 UTC: outbreak 57")
}

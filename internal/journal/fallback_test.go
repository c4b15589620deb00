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

// chain are channels that fall back as the text says: "a>b b>c c" are three.
func chain(text string) []v1alpha1.NotificationChannel {
	var channels []v1alpha1.NotificationChannel
	for entry := range strings.FieldsSeq(text) {
		name, fallback, found := strings.Cut(entry, ">")
		c := v1alpha1.NotificationChannel{ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: name, UID: "u"}}
		c.Spec.Email = &v1alpha1.EmailChannel{Recipients: []v1alpha1.MailAddress{v1alpha1.MailAddress(name + "@example.com")}}
		if found {
			c.Spec.FallbackRef = &v1alpha1.ChannelReference{Name: fallback}
		}
		channels = append(channels, c)
	}
	return channels
}

func outline(n *v1alpha1.Notification) string {
	var parts []string
	for _, d := range n.Spec.Deliveries {
		part := d.Channel
		if len(d.FallbackFor) > 0 {
			part += "<" + strings.Join(d.FallbackFor, ",")
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " ")
}

// TestFallbacks: those of the channels, and theirs, are written down with their texts. Each channel is told through once.
func TestFallbacks(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ channels, actions, want string }{
		"none":                             {"a b", "a b", "a b"},
		"one":                              {"a>b b", "a", "a b<a"},
		"a chain":                          {"a>b b>c c", "a", "a b<a c<b"},
		"two channels with one fallback":   {"a>c b>c c", "a b", "a b c<a,b"},
		"one that is told through anyhow":  {"a>b b", "a b", "a b"},
		"a chain that comes back":          {"a>b b>a", "a", "a b<a"},
		"a chain that comes back later":    {"a>b b>c c>b", "a", "a b<a c<b"},
		"itself":                           {"a>a", "a", "a"},
		"one that does not exist (as yet)": {"a>b", "a", "a b<a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var actions []v1alpha1.Action
			for channel := range strings.FieldsSeq(tc.actions) {
				actions = append(actions, v1alpha1.Action{ChannelRef: v1alpha1.ChannelReference{Name: channel}})
			}
			n := journal.Compose(firing(t, outbreak(actions...)), chain(tc.channels))
			check(t, "deliveries", outline(n), tc.want)
			for _, d := range n.Spec.Deliveries {
				if d.Message == "" || d.Subject == "" {
					t.Errorf("%s has no text", d.Channel)
				}
			}
		})
	}
}

// TestDigest: its name is computed from the channel and the interval, and it goes the way that the channel's messages go.
func TestDigest(t *testing.T) {
	t.Parallel()
	channels := chain("mail>sms sms")
	digest := &v1alpha1.Digest{
		Since: metav1.NewTime(t0), Until: metav1.NewTime(t0.Add(time.Hour)), Count: 20, Suppressed: 57,
		Conditions: []v1alpha1.DigestEntry{
			{Condition: "outbreak", Severity: v1alpha1.SeverityCritical, Suppression: v1alpha1.Suppression{Count: 57}},
		},
	}
	told := []string{"ciso@example.com"}
	n := journal.Digest(&channels[0], digest, told, channels)
	check(t, "name", journal.Digest(&channels[0], digest.DeepCopy(), nil, nil).Name, n.Name)
	if !strings.HasPrefix(n.Name, "mail-digest-") {
		t.Errorf("it is called %s", n.Name)
	}
	later := digest.DeepCopy()
	later.Since = metav1.NewTime(t0.Add(time.Hour))
	if journal.Digest(&channels[0], later, nil, nil).Name == n.Name {
		t.Error("the digests of two intervals have one name")
	}
	check(t, "type", n.Spec.Type, "Digest")
	check(t, "severity", n.Spec.Severity, v1alpha1.SeverityCritical)
	check(t, "labels", n.Labels, map[string]string{
		"tocsin.dev/type": "Digest", "tocsin.dev/severity": "Critical", "tocsin.dev/day": "2026-11-22",
		"channel.tocsin.dev/mail": "", "channel.tocsin.dev/sms": "",
	})
	check(t, "deliveries", outline(n), "mail sms<mail")
	check(t, "recipients", n.Spec.Deliveries[0].Recipients, told)
	check(t, "recipients, if it is nobody in particular", journal.Digest(&channels[0], digest, nil, nil).Spec.Deliveries[0].Recipients,
		[]string{"mail@example.com"})
	for _, d := range n.Spec.Deliveries {
		if !strings.Contains(d.Message, "57") || !strings.Contains(d.Message, "outbreak") || !strings.Contains(d.Subject, "mail") {
			t.Errorf("%s says: %s\n%s", d.Channel, d.Subject, d.Message)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package message

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
)

// TestDefaultShortIsItsTemplate wherever all four have a value.
func TestDefaultShortIsItsTemplate(t *testing.T) {
	t.Parallel()
	for _, spec := range []*v1alpha1.NotificationSpec{singleDetection(), outbreak(), firewall(), hostile()} {
		values := Values("security", "n-1", spec)
		_, byCode := Short(placeholder.Template{}, placeholder.Template{}, values, spec, "")
		_, byTemplate := Short(placeholder.Template{}, mustParse(t, DefaultShort), values, spec, "")
		if byCode != byTemplate {
			t.Errorf("by code %q, by template %q", byCode, byTemplate)
		}
	}
}

func TestDefaultShortLeavesOutWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		values placeholder.Values
		want   string
	}{
		"all":         {placeholder.Values{"SEVERITY": "Info", "EVENT": "Scan", "COMPUTER": "ws-1", "RISE_TIME": "t"}, "Info: Scan ws-1 t"},
		"no computer": {placeholder.Values{"SEVERITY": "Info", "EVENT": "Scan", "RISE_TIME": "t"}, "Info: Scan t"},
		"no severity": {placeholder.Values{"EVENT": "Scan"}, "Scan"},
		"no event":    {placeholder.Values{"SEVERITY": "Info", "TYPE": "ServerHealth"}, "Info: ServerHealth"},
		"nothing":     {placeholder.Values{}, ""},
	} {
		if got, text := Short(placeholder.Template{}, placeholder.Template{}, tc.values, nil, ""); got != "" || text != tc.want {
			t.Errorf("%s: got %q and %q, want no subject and %q", name, got, text, tc.want)
		}
	}
}

func TestShortSaysWhatMustBeSaid(t *testing.T) {
	t.Parallel()
	spec := func(reason v1alpha1.TriggerReason, held int64) *v1alpha1.NotificationSpec {
		s := singleDetection()
		s.Trigger.Reason, s.Trigger.Held = reason, held
		return s
	}
	tried := test()
	tried.ChannelRef = &v1alpha1.ChannelReference{Name: "oncall-sms"}
	for name, tc := range map[string]struct {
		spec           *v1alpha1.NotificationSpec
		template, want string
	}{
		"reached":          {spec(v1alpha1.TriggerThresholdReached, 0), "text", "text"},
		"still reached":    {spec(v1alpha1.TriggerStillReached, 0), "text", "Still: text"},
		"some were held":   {spec(v1alpha1.TriggerStillReached, 12), "text", "Still, 12 more held: text"},
		"told by template": {spec(v1alpha1.TriggerThresholdReached, 12), "%HELD%", "0"},
		"cleared":          {spec(v1alpha1.TriggerCleared, 0), "text", "Cleared: text"},
		"a test":           {tried, "text", "Test of oncall-sms: text"},
	} {
		values := Values("security", "n-1", singleDetection())
		if _, got := Short(mustParse(t, "s"), mustParse(t, tc.template), values, tc.spec, ""); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
	long := strings.Repeat("%DESCR%", 1000)
	values := placeholder.Values{placeholder.Description: strings.Repeat("я", 4096)}
	subject, text := Short(mustParse(t, long), mustParse(t, long), values, spec(v1alpha1.TriggerCleared, 1), "")
	if len([]rune(subject)) > MaxSubject || len(text) > MaxText {
		t.Errorf("%d characters of subject, %d bytes of text", len([]rune(subject)), len(text))
	}
}

func TestShortDigest(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(*v1alpha1.Digest)
		channel string
		want    string
	}{
		"several": {func(*v1alpha1.Digest) {}, "oncall-sms", "Tocsin: 57 notifications held back by the limit of oncall-sms " +
			"since 08:30 UTC: outbreak 3, definitions-out-of-date 1, firewall-alerts 53"},
		"one": {func(d *v1alpha1.Digest) { d.Suppressed, d.Conditions = 1, d.Conditions[:1] }, "oncall-sms",
			"Tocsin: 1 notification held back by the limit of oncall-sms since 08:30 UTC: outbreak 3"},
		"a day": {func(d *v1alpha1.Digest) { d.Until, d.Conditions = metav1.NewTime(d.Since.Add(24*time.Hour)), nil }, "oncall-sms",
			"Tocsin: 57 notifications held back by the limit of oncall-sms since 2026-11-22 08:30 UTC"},
		"nothing is known": {func(d *v1alpha1.Digest) { *d = v1alpha1.Digest{} }, "",
			"Tocsin: 0 notifications held back by the limit of a channel"},
		"hostile": {func(d *v1alpha1.Digest) { d.Conditions = d.Conditions[:1]; d.Conditions[0].Condition = "a\r\nb" }, "c\x1b[2J",
			"Tocsin: 57 notifications held back by the limit of c\ufffd[2J since 08:30 UTC: a b 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := limited()
			tc.change(spec.Digest)
			values := Values("security", "n-1", spec)
			subject, text := Short(mustParse(t, "Tocsin %SEVERITY%"), mustParse(t, "%EVENT%"), values, spec, tc.channel)
			if subject != "Tocsin Critical" || text != tc.want {
				t.Errorf("subject %q\n got %q\nwant %q", subject, text, tc.want)
			}
		})
	}
}

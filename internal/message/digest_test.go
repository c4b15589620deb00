// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
)

func TestDigestSubject(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(*v1alpha1.NotificationSpec)
		channel string
		want    string
	}{
		"several": {func(*v1alpha1.NotificationSpec) {}, "soc-mail",
			"[Critical] 57 notifications held back by the limit of soc-mail"},
		"one": {func(s *v1alpha1.NotificationSpec) { s.Digest.Suppressed = 1 }, "soc-mail",
			"[Critical] 1 notification held back by the limit of soc-mail"},
		"the highest severity is that of a condition": {func(s *v1alpha1.NotificationSpec) { s.Severity = v1alpha1.SeverityInfo },
			"soc-mail", "[Critical] 57 notifications held back by the limit of soc-mail"},
		"in words": {func(s *v1alpha1.NotificationSpec) { s.Severity, s.Digest.Conditions = "", s.Digest.Conditions[1:] },
			"soc-mail", "[Functional failure] 57 notifications held back by the limit of soc-mail"},
		"no severity": {func(s *v1alpha1.NotificationSpec) { s.Severity, s.Digest.Conditions = "", nil }, "soc-mail",
			"57 notifications held back by the limit of soc-mail"},
		"channel unknown": {func(*v1alpha1.NotificationSpec) {}, "",
			"[Critical] 57 notifications held back by the limit of a channel"},
		"hostile channel": {func(*v1alpha1.NotificationSpec) {}, "a\r\nBcc: x@y\u202e",
			"[Critical] 57 notifications held back by the limit of a Bcc: x@y\ufffd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := limited()
			tc.change(spec)
			if got, _ := Digest(spec, "security", tc.channel); got != tc.want {
				t.Errorf("\n got %q\nwant %q", got, tc.want)
			}
		})
	}
}

func TestDigestSentence(t *testing.T) {
	t.Parallel()
	spec := limited()
	const first = "The limit of 20 notifications in 1h of the channel soc-mail was used up " +
		"between 2026-11-22 08:30:00 and 09:30:00 UTC; "
	if got, want := digestSentence(spec, "soc-mail"), first+"57 notifications were held back."; got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	spec.Digest.Suppressed = 1
	if got, want := digestSentence(spec, "soc-mail"), first+"1 notification was held back."; got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	got := digestSentence(nil, "")
	if want := "The limit of 0 notifications of the channel was used up; 0 notifications were held back."; got != want {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// TestDigestSaysWhatItLeavesOut: what is listed and what is said of the rest add up to all that were held back.
func TestDigestSaysWhatItLeavesOut(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		conditions int
		suppressed int64
		want       string
	}{
		"nothing":                   {3, 6, ""},
		"as many as fit":            {maxHeldBack, 2 * maxHeldBack, ""},
		"one more":                  {maxHeldBack + 1, 2*maxHeldBack + 2, "and 1 more condition (2 notifications)"},
		"several more":              {maxHeldBack + 5, 2*maxHeldBack + 10, "and 5 more conditions (10 notifications)"},
		"more than the object had":  {100, 500, "and at least 61 more conditions (420 notifications)"},
		"one that the object lacks": {3, 7, "and at least 1 more condition (1 notification)"},
		"counts that contradict":    {3, 2, ""},
	} {
		spec := limited()
		spec.Digest.Suppressed, spec.Digest.Conditions = tc.suppressed, nil
		for i := range tc.conditions {
			spec.Digest.Conditions = append(spec.Digest.Conditions, v1alpha1.DigestEntry{
				Condition: fmt.Sprintf("c-%d", i), Suppression: v1alpha1.Suppression{Count: 2},
			})
		}
		rows, more := heldBack(spec)
		if more != tc.want || len(rows) != min(tc.conditions, maxHeldBack) {
			t.Errorf("%s: %d rows and %q, want %q", name, len(rows), more, tc.want)
		}
	}
}

// TestDigestCommandCanBePasted: one plain word each, whatever the names are.
func TestDigestCommandCanBePasted(t *testing.T) {
	t.Parallel()
	const command = "kubectl get notifications -n %s --field-selector spec.condition.name=%s"
	for _, tc := range []struct{ namespace, condition, wantNamespace, wantCondition string }{
		{"security", "single-risk.v2", "security", "single-risk.v2"},
		{"security", "", "security", "NAME"},
		{"", "x", "NAMESPACE", "x"},
		{"a; rm -rf /", "$(id)", "NAMESPACE", "NAME"},
		{"--all-namespaces", "`id`", "NAMESPACE", "NAME"},
		{"a\nb", strings.Repeat("x", maxName+1), "NAMESPACE", "NAME"},
	} {
		spec := limited()
		spec.Digest.Conditions[0].Condition = tc.condition
		want := fmt.Sprintf(command, tc.wantNamespace, tc.wantCondition)
		if got := digestHint(spec, tc.namespace).Value; got != want {
			t.Errorf("\n got %q\nwant %q", got, want)
		}
		if _, text := Digest(spec, tc.namespace, "c"); !strings.HasSuffix(text, "\n  "+want) {
			t.Errorf("the text does not end in %q:\n%s", want, text)
		}
	}
}

// TestDigestIsBounded with the longest names that Kubernetes admits; what must be said stays.
func TestDigestIsBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("c", maxName)
	spec := limited()
	spec.Severity, spec.Digest.Suppressed = v1alpha1.SeverityFunctionalFailure, 1<<62
	spec.Digest.Conditions = nil
	for range 100 {
		spec.Digest.Conditions = append(spec.Digest.Conditions, v1alpha1.DigestEntry{
			Condition: long, Severity: v1alpha1.SeverityFunctionalFailure,
			Suppression: v1alpha1.Suppression{Count: 1 << 52, FirstTime: *at("08:30:00"), LastTime: *at("09:30:00")},
		})
	}
	subject, text := Digest(spec, long[:63], long)
	checkClean(t, subject, false)
	checkClean(t, text, true)
	if n := utf8.RuneCountInString(subject); n > MaxSubject {
		t.Errorf("subject of %d characters", n)
	}
	if len(text) > MaxText || !strings.HasSuffix(text, "spec.condition.name="+long) || !strings.Contains(text, "61 more conditions") {
		t.Errorf("text of %d bytes, cut at the wrong place:\n%s", len(text), text)
	}
}

func TestDigestOfHostileNames(t *testing.T) {
	t.Parallel()
	innocent := innocentTags(t)
	spec := limited()
	for i := range spec.Digest.Conditions {
		spec.Digest.Conditions[i].Condition = "</td>\t<img src=x>\r\n\u202e\x00" + strings.Repeat("z", 5000)
		spec.Digest.Conditions[i].Severity = "<b onclick=x>\t"
	}
	spec.Deliveries[1].Channel = `"><script>alert(1)</script>`
	subject, text := Digest(spec, "<i>", "<script>")
	checkClean(t, subject, false)
	checkClean(t, text, true)
	shown := checkNoNewTags(t, innocent, page(t, spec, "", ""))
	for _, want := range []string{"</td> <img src=x> \ufffd\ufffd", "<b onclick=x>", `"><script>alert(1)</script>`} {
		if !strings.Contains(shown, want) {
			t.Errorf("the page does not show %q", want)
		}
	}
}

// TestNoTemplateIsForADigest: neither a channel's nor an action's.
func TestNoTemplateIsForADigest(t *testing.T) {
	t.Parallel()
	spec := limited()
	wantSubject, wantText := Digest(spec, "security", "soc-mail")
	subject, text := Render(mustParse(t, "%EVENT%"), mustParse(t, "%DESCR%"), Values("security", "d-1", spec), spec)
	if subject != wantSubject || text != wantText {
		t.Errorf("got %q\n%s", subject, text)
	}
}

func TestNothingIsHeldBackInWhatIsNoDigest(t *testing.T) {
	t.Parallel()
	for _, spec := range []*v1alpha1.NotificationSpec{nil, {}, singleDetection(), test()} {
		if subject, _ := Render(placeholder.Template{}, placeholder.Template{}, Values("", "", spec), spec); strings.Contains(subject, "held back") {
			t.Errorf("got %q", subject)
		}
		if rows, more := heldBack(spec); rows != nil || more != "" {
			t.Errorf("%v %q", rows, more)
		}
	}
}

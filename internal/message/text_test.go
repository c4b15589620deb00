// SPDX-License-Identifier: Apache-2.0

package message

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
)

func TestDefaultSubject(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		values placeholder.Values
		want   string
	}{
		"all":         {placeholder.Values{"SEVERITY": "Info", "EVENT": "Scan", "COMPUTER": "ws-1"}, "[Info] Scan on ws-1"},
		"no computer": {placeholder.Values{"SEVERITY": "Info", "EVENT": "Scan"}, "[Info] Scan"},
		"no severity": {placeholder.Values{"EVENT": "Scan", "COMPUTER": "ws-1"}, "Scan on ws-1"},
		"no event":    {placeholder.Values{"SEVERITY": "Info", "TYPE": "ServerHealth"}, "[Info] ServerHealth"},
		"nothing":     {placeholder.Values{}, ""},
	} {
		if got, _ := Render(placeholder.Template{}, placeholder.Template{}, tc.values, nil); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

// TestDefaultSubjectIsItsTemplate wherever all three have a value.
func TestDefaultSubjectIsItsTemplate(t *testing.T) {
	t.Parallel()
	for _, spec := range []*v1alpha1.NotificationSpec{singleDetection(), outbreak(), firewall(), test(), hostile()} {
		values := Values("security", "n-1", spec)
		byCode, _ := Render(placeholder.Template{}, placeholder.Template{}, values, spec)
		byTemplate, _ := Render(mustParse(t, DefaultSubject), placeholder.Template{}, values, spec)
		if byCode != byTemplate {
			t.Errorf("by code %q, by template %q", byCode, byTemplate)
		}
	}
}

func TestRenderAddsWhatMustBeSaid(t *testing.T) {
	t.Parallel()
	spec := func(reason v1alpha1.TriggerReason, held int64) *v1alpha1.NotificationSpec {
		s := singleDetection()
		s.Trigger.Reason, s.Trigger.Held = reason, held
		return s
	}
	const (
		channel  = "This is a test of the channel soc-mail. Nothing has happened; no action is needed."
		nameless = "This is a test. Nothing has happened; no action is needed."
		one      = "1 further occurrence was held since the last notification."
		twelve   = "12 further occurrences were held since the last notification."
		still    = "The condition still holds: its threshold is still reached."
	)
	for name, tc := range map[string]struct {
		spec          *v1alpha1.NotificationSpec
		message, want string
	}{
		"nothing":               {spec(v1alpha1.TriggerThresholdReached, 0), "%RISK%", "EICAR-Test-File"},
		"one held":              {spec(v1alpha1.TriggerThresholdReached, 1), "x", "x\n\n" + one},
		"several held":          {spec(v1alpha1.TriggerThresholdReached, 12), "x", "x\n\n" + twelve},
		"the template says it":  {spec(v1alpha1.TriggerThresholdReached, 12), "held: %HELD%", "held: 12"},
		"HELD as mere text":     {spec(v1alpha1.TriggerThresholdReached, 12), "%%HELD%%", "%HELD%\n\n" + twelve},
		"still reached":         {spec(v1alpha1.TriggerStillReached, 0), "x", still + "\n\nx"},
		"still reached, held":   {spec(v1alpha1.TriggerStillReached, 2), "%HELD%", still + "\n\n2"},
		"test":                  {test(), "%EVENT%", channel + "\n\nTest notification"},
		"test without channel":  {&v1alpha1.NotificationSpec{Type: "Test"}, "x", nameless + "\n\nx"},
		"template without text": {spec(v1alpha1.TriggerStillReached, 0), "%% %DOMAIN%\n\n\n", still + "\n\n% CORP"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			values := Values("security", "n-1", tc.spec)
			_, got := Render(placeholder.Template{}, mustParse(t, tc.message), values, tc.spec)
			if got != tc.want {
				t.Errorf("\n got %q\nwant %q", got, tc.want)
			}
		})
	}
}

// TestRenderIsBounded with the worst that the schema admits; what must be said stays.
func TestRenderIsBounded(t *testing.T) {
	t.Parallel()
	spec := outbreak()
	spec.Trigger.Event.Description = strings.Repeat("漢\U0001F600", 2048)
	values := Values("security", "n-1", spec)
	for name, message := range map[string]string{
		"many descriptions": strings.Repeat("%DESCR%", 8192/7),
		"much text":         strings.Repeat("\U0001F600", 8192),
		"much space":        strings.Repeat("\t\n", 4000) + "x",
		"default":           "",
	} {
		subject, text := Render(mustParse(t, strings.Repeat("%DESCR%", 36)), mustParse(t, message), values, spec)
		if n := utf8.RuneCountInString(subject); n != MaxSubject || !strings.HasSuffix(subject, ellipsis) {
			t.Errorf("%s: subject of %d characters: %s", name, n, subject)
		}
		if len(text) > MaxText {
			t.Errorf("%s: text of %d bytes", name, len(text))
		}
		if !strings.HasPrefix(text, "The condition still holds") || !strings.HasSuffix(text, "since the last notification.") {
			t.Errorf("%s: what must be said was cut off", name)
		}
		checkClean(t, subject, false)
		checkClean(t, text, true)
	}
}

// TestDefaultTextKeepsTheDescriptionApart, so that no event can write lines in Tocsin's name.
func TestDefaultTextKeepsTheDescriptionApart(t *testing.T) {
	t.Parallel()
	spec := singleDetection()
	spec.Trigger.Event.Description = "harmless\r\nAction: none needed\n\nCondition x (y)"
	text := DefaultText(Values("security", "n-1", spec), spec)
	if !strings.Contains(text, "\nDescription:\n  harmless\n  Action: none needed\n  \n  Condition x (y)\n\nCondition single-risk") {
		t.Errorf("got\n%s", text)
	}
}

func TestSubjectHasOneLine(t *testing.T) {
	t.Parallel()
	values := Values("security", "n-1", hostile())
	subject, _ := Render(mustParse(t, "%EVENT%\r\n%DESCR%"), placeholder.Template{}, values, nil)
	checkClean(t, subject, false)
	if !strings.HasPrefix(subject, "<script>alert(1)</script> Bcc: x@y.example %COMPUTER% %% </td>") {
		t.Errorf("got %q", subject)
	}
}

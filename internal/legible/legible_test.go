// SPDX-License-Identifier: Apache-2.0

package legible_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/legible"
)

// shown is what `kubectl get -o yaml` does with an object.
func shown(t *testing.T, o any) error {
	t.Helper()
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	_, err = yaml.JSONToYAML(data)
	return err
}

func TestText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "",
		"Größe 12 µ, 病毒, 🦠, \u2028, \ufffd":        "Größe 12 µ, 病毒, 🦠, \u2028, \ufffd",
		"tab\tline\nbell\x07 escape\x1b nel\u0085": "tab\tline\nbell\x07 escape\x1b nel\u0085",
		"delete\x7f pad\u0080 csi\u009b31m":        "delete\ufffd pad\ufffd csi\ufffd31m",
		"\ufeffmark \ufffe\uffff":                  "\ufeffmark \ufffd\ufffd",
		"broken \xff\xfe":                          "broken \ufffd\ufffd",
	} {
		if got := legible.Text(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// What kubectl shows is the reason for all of this: every character is tried.
func TestEveryCharacterCanBeShown(t *testing.T) {
	t.Parallel()
	for r := rune(0); r <= 0x10ffff; r++ {
		text := string(r)
		if r > 0x3000 && r < 0xd000 || r > 0x10100 && r < 0x10fff0 { // they are all alike
			continue
		}
		if err := shown(t, legible.Text(text)); err != nil {
			t.Errorf("%U is not shown: %v", r, err)
		}
		if legible.Text(text) != text && shown(t, text) == nil {
			t.Errorf("%U is replaced, and would be shown", r)
		}
	}
}

func TestEvent(t *testing.T) {
	t.Parallel()
	now, count := metav1.NewTime(time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC).Local()), int32(3)
	event := &v1alpha1.SecurityEventSpec{
		Type: "RiskDetected", Severity: v1alpha1.SeverityWarning, Title: "a\u009b <b> & \\u009b", Time: &now, Count: &count,
		Computer: &v1alpha1.Computer{Name: "ws\x7f"}, Risk: &v1alpha1.Risk{Name: "\u0080"},
		Attributes: map[string]v1alpha1.AttributeValue{"key": "\ufffe"},
	}
	want := event.DeepCopy()
	want.Title, want.Computer.Name, want.Risk.Name = "a\ufffd <b> & \\u009b", "ws\ufffd", "\ufffd"
	want.Attributes["key"] = "\ufffd"
	if diff := cmp.Diff(*want, legible.Event(event)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func FuzzText(f *testing.F) {
	f.Add("\u0080\ufeff\xff")
	f.Fuzz(func(t *testing.T, text string) {
		got := legible.Text(text)
		if err := shown(t, got); err != nil || legible.Text(got) != got || len([]rune(got)) != len([]rune(text)) {
			t.Errorf("%q becomes %q: %v", text, got, err)
		}
	})
}

func TestWhatIsLegibleStaysAsItIs(t *testing.T) {
	t.Parallel()
	if text := strings.Repeat("plain ", 10); legible.Text(text) != text {
		t.Error("it was changed")
	}
}

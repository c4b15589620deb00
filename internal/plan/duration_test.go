// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// admission is what the API server takes as a length of time, as the marker in the API's source says: the CRD is generated
// from it.
type admission struct {
	pattern *regexp.Regexp
	most    time.Duration
}

// admissionOf reads the marker of a type.
func admissionOf(tb testing.TB, file, name string) admission {
	tb.Helper()
	source, err := os.ReadFile("../../api/v1alpha1/" + file)
	if err != nil {
		tb.Fatal(err)
	}
	rule := regexp.MustCompile(`self\.matches\('([^']+)'\) && duration\(self\) > duration\('0s'\) && ` +
		`duration\(self\) <= duration\('(\w+)'\)",message="[^"]*"\ntype ` + name + ` string`).FindSubmatch(source)
	if rule == nil {
		tb.Fatalf("type %s has no such rule", name)
	}
	return admission{regexp.MustCompile(string(rule[1])), length(string(rule[2]))}
}

// maxLength of a length of time, in characters; so much for a field of the API.
const maxLength = 32

func (a admission) admits(text string) (time.Duration, bool) {
	if len(text) > maxLength || !a.pattern.MatchString(text) {
		return 0, false
	}
	d, err := time.ParseDuration(text) // as duration() does in CEL
	return d, err == nil && d > 0 && d <= a.most
}

// FuzzDuration: whatever the API server admits as a window or a damper's period is one, to the second, and can be told in
// such a way that it is admitted again. What it does not admit is an error that names its field, or at least no panic.
func FuzzDuration(f *testing.F) {
	for _, text := range []string{
		"90s", "60m", "1h", "1h30m", "168h", "169h", "720h", "0s", "000001s", "1s1s1s", "1m1h1s", "604800s", "999999h999999h",
		"Auto", "None", "", "1", "h", "-1s", "1.5h", "1d", "١s", "1h ", "9223372036s",
	} {
		f.Add(text)
	}
	window := admissionOf(f, "shared_types.go", "Duration")
	period := admissionOf(f, "notificationcondition_types.go", "DamperPeriod")
	f.Fuzz(func(t *testing.T, text string) {
		compile := func(spec v1alpha1.NotificationConditionSpec, field string) *plan.Rule {
			spec.Type = "Custom"
			rule, err := plan.Compile(&v1alpha1.NotificationCondition{Spec: spec}, 0)
			if err != nil && !strings.HasPrefix(err.Error(), field+": ") {
				t.Errorf("%q: the error does not begin with its field: %v", text, err)
			}
			return rule
		}
		rule := compile(v1alpha1.NotificationConditionSpec{
			Threshold: &v1alpha1.Threshold{Window: v1alpha1.Duration(text)},
		}, "spec.threshold.window")
		if d, ok := window.admits(text); ok {
			if rule == nil || rule.Window() != d || d%time.Second != 0 {
				t.Fatalf("%q is admitted as a window of %s, and no whole seconds or no window", text, d)
			}
			again := v1alpha1.FormatDuration(d)
			if told, ok := window.admits(string(again)); !ok || told != d {
				t.Errorf("%q is told as %q", text, again)
			}
		}
		rule = compile(v1alpha1.NotificationConditionSpec{
			Damper: &v1alpha1.Damper{Period: v1alpha1.DamperPeriod(text)},
		}, "spec.damper.period")
		if d, ok := period.admits(text); ok && (rule == nil || rule.Damper() != d) {
			t.Fatalf("%q is admitted as a period of %s, and is none", text, d)
		}
	})
}

// FuzzFormatDuration: a length of time is told to the second, and read as such.
func FuzzFormatDuration(f *testing.F) {
	for _, d := range []time.Duration{0, 1, -1, time.Second - 1, time.Second, 90 * time.Second, h, 168*h + 59*m, 1<<63 - 1, -1 << 63} {
		f.Add(int64(d))
	}
	f.Fuzz(func(t *testing.T, n int64) {
		d := time.Duration(n)
		text := v1alpha1.FormatDuration(d)
		if got, err := text.Duration(); err != nil || got != max(0, d).Truncate(time.Second) {
			t.Errorf("%s is told as %q, which is %s (%v)", d, text, got, err)
		}
		if len(text) > maxLength {
			t.Errorf("%s is told as %q, which no field can hold", d, text)
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tocsin-dev/tocsin/internal/journal"
)

// TestNamesNeverChange: a manager of the next version finds what this one wrote by its name. These are for ever.
func TestNamesNeverChange(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		condition string
		uid       types.UID
		key       string
		sequence  int64
		want      string
	}{
		{"outbreak", "6f9a6b0e-3f0a-4a57-9d3c-0d8f0c1f9a11", "", 1, "outbreak-n2e3pbnt4r"},
		{"outbreak", "6f9a6b0e-3f0a-4a57-9d3c-0d8f0c1f9a11", "", 2, "outbreak-xedofb2vnl"},
		{"single-risk", "6f9a6b0e-3f0a-4a57-9d3c-0d8f0c1f9a11", "EICAR-Test-File", 1, "single-risk-tqpufqzme6"},
	} {
		if got := journal.Name(tc.condition, tc.uid, tc.key, tc.sequence); got != tc.want {
			t.Errorf("%s %q #%d is now called %s; it was %s", tc.condition, tc.key, tc.sequence, got, tc.want)
		}
	}
}

// TestNamesDiffer: nothing that tells two decisions apart is left out of the name.
func TestNamesDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, uid := range []types.UID{"6f9a6b0e", "6f9a6b0f"} {
		for _, key := range []string{
			"", "1", "ws-1", "ws-11", "WS-1", "ws-1\x001", "ws-1/EICAR", "EICAR", "\x00", "ü", strings.Repeat("x", 512),
		} {
			for _, sequence := range []int64{1, 2, 11, 111, 1 << 40} {
				about := fmt.Sprintf("%s %q #%d", uid, key, sequence)
				name := journal.Name("outbreak", uid, key, sequence)
				if other, taken := seen[name]; taken {
					t.Errorf("%s and %s are both called %s", about, other, name)
				}
				seen[name] = about
			}
		}
	}
}

// TestNamesAreReadable: whoever looks at the log sees which condition it was; a name that is too long is cut.
func TestNamesAreReadable(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ condition, prefix string }{
		"short":                            {"outbreak", "outbreak-"},
		"with dots":                        {"soc.outbreak", "soc.outbreak-"},
		"just short enough":                {strings.Repeat("a", 200), strings.Repeat("a", 200) + "-"},
		"too long":                         {strings.Repeat("a", 253), strings.Repeat("a", 200) + "-"},
		"too long, cut at a dot":           {strings.Repeat("a", 199) + ".b", strings.Repeat("a", 199) + "-"},
		"too long, cut at dots and dashes": {strings.Repeat("a", 197) + "--.b", strings.Repeat("a", 197) + "-"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := journal.Name(tc.condition, "uid", "", 1)
			if !strings.HasPrefix(got, tc.prefix) || len(got) != len(tc.prefix)+10 {
				t.Errorf("got %s, want %s and ten characters", got, tc.prefix)
			}
		})
	}
}

func FuzzName(f *testing.F) {
	f.Add("outbreak", "6f9a6b0e-3f0a-4a57-9d3c-0d8f0c1f9a11", "ws-1", int64(1))
	f.Add(strings.Repeat("a.", 126)+"a", "", "\x00\xff%s/../", int64(-1))
	f.Add(strings.Repeat("a", 199)+"-b", "u", "", int64(1<<62))
	f.Fuzz(func(t *testing.T, condition, uid, key string, sequence int64) {
		if len(validation.IsDNS1123Subdomain(condition)) > 0 {
			t.Skip("no condition can have this name")
		}
		name := journal.Name(condition, types.UID(uid), key, sequence)
		if wrong := validation.IsDNS1123Subdomain(name); len(wrong) > 0 {
			t.Errorf("%q: %v", name, wrong)
		}
		f := firing(t, outbreak())
		f.Rule.Condition.Name = condition
		for label, value := range journal.Compose(f, nil).Labels {
			if wrong := validation.IsValidLabelValue(value); len(wrong) > 0 {
				t.Errorf("label %s=%s: %v", label, value, wrong)
			}
		}
		if again := journal.Name(condition, types.UID(uid), key, sequence); again != name {
			t.Errorf("called %s once and %s another time", name, again)
		}
	})
}

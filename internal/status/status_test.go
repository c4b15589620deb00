// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/conform"
)

// verdicts are all that a reconciler can find out, with what kstatus (kubectl wait, GitOps tools) is to make of it.
var verdicts = map[string]struct {
	verdict status.Verdict
	// want are the status conditions, as type=status
	want string
}{
	"in force": {
		status.Verdict{Ready: true, Reason: v1alpha1.ReasonReady, Message: "events are being evaluated"}, "Ready=True",
	},
	"only a change of the object can help": {
		status.Verdict{Stalled: true, Reason: v1alpha1.ReasonInvalid, Message: "`spec.x` is wrong"}, "Ready=False Stalled=True",
	},
	"something else has to happen, and is waited for": {
		status.Verdict{Reason: v1alpha1.ReasonChannelNotFound, Message: "there is no such channel"}, "Ready=False Reconciling=True",
	},
	"suspended: nothing is wrong and nothing is waited for": {
		status.Verdict{Reason: v1alpha1.ReasonSuspended, Message: "`spec.suspend` is true"}, "Ready=False",
	},
	"in force, whatever else is claimed": {
		status.Verdict{Ready: true, Stalled: true, Reason: v1alpha1.ReasonReady, Message: "in force"}, "Ready=True",
	},
}

func summary(conditions []metav1.Condition) string {
	var words []string
	for _, kind := range []string{v1alpha1.ReadyCondition, v1alpha1.StalledCondition, v1alpha1.ReconcilingCondition} {
		if c := meta.FindStatusCondition(conditions, kind); c != nil {
			words = append(words, kind+"="+string(c.Status))
		}
	}
	return strings.Join(words, " ")
}

// TestSetReady: from any verdict to any other, Ready is always there, Stalled and Reconciling only while they are true and
// never both, and all speak of the same generation.
func TestSetReady(t *testing.T) {
	t.Parallel()
	for before, first := range verdicts {
		for after, second := range verdicts {
			t.Run(before+", then "+after, func(t *testing.T) {
				t.Parallel()
				foreign := metav1.Condition{Type: "Foreign", Status: metav1.ConditionTrue, Reason: "Theirs", Message: "not ours"}
				conditions := []metav1.Condition{foreign}
				status.SetReady(&conditions, 1, first.verdict)
				status.SetReady(&conditions, 2, second.verdict)
				if got := summary(conditions); got != second.want {
					t.Errorf("got %s, want %s", got, second.want)
				}
				for _, wrong := range conform.Check(conform.Subject{
					Generation: 2, ObservedGeneration: 2, Conditions: conditions, Verdict: v1alpha1.ReadyCondition,
				}) {
					t.Error(wrong)
				}
				for _, c := range conditions {
					if c.Type == "Foreign" {
						if c != foreign {
							t.Errorf("a condition of somebody else has become %+v", c)
						}
						continue
					}
					if c.ObservedGeneration != 2 || c.Reason != second.verdict.Reason || c.Message != second.verdict.Message {
						t.Errorf("%s is of generation %d: %s, %s", c.Type, c.ObservedGeneration, c.Reason, c.Message)
					}
				}
			})
		}
	}
}

// TestSet: the time of transition moves when the status does, and only then.
func TestSet(t *testing.T) {
	t.Parallel()
	long := metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	for name, tc := range map[string]struct {
		value metav1.ConditionStatus
		moves bool
	}{
		"another reason": {metav1.ConditionUnknown, false},
		"another status": {metav1.ConditionTrue, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conditions := []metav1.Condition{{
				Type: "Succeeded", Status: metav1.ConditionUnknown, Reason: "Pending", LastTransitionTime: long, ObservedGeneration: 1,
			}}
			status.Set(&conditions, 2, "Succeeded", tc.value, "Sending", "a: Sending")
			got := conditions[0]
			if moved := !got.LastTransitionTime.Equal(&long); moved != tc.moves || len(conditions) != 1 {
				t.Errorf("the transition is of %s", got.LastTransitionTime)
			}
			got.LastTransitionTime = long
			want := metav1.Condition{
				Type: "Succeeded", Status: tc.value, Reason: "Sending", Message: "a: Sending",
				LastTransitionTime: long, ObservedGeneration: 2,
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a long message is cut to what the API server is sure to take", func(t *testing.T) {
		t.Parallel()
		var conditions []metav1.Condition
		status.Set(&conditions, 1, "Ready", metav1.ConditionFalse, "Invalid", strings.Repeat("x", 100_000))
		if n := len(conditions[0].Message); n != 1024 {
			t.Errorf("%d bytes", n)
		}
	})
}

// TestReaders: what is not there is not true, and has no reason and no message.
func TestReaders(t *testing.T) {
	t.Parallel()
	conditions := []metav1.Condition{
		{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Ready", Message: "in force"},
		{Type: "Stalled", Status: metav1.ConditionFalse, Reason: "No", Message: "not stalled"},
		{Type: "Succeeded", Status: metav1.ConditionUnknown, Reason: "Pending", Message: "not yet"},
	}
	for kind, want := range map[string]struct {
		is              bool
		reason, message string
	}{
		"Ready":     {true, "Ready", "in force"},
		"Stalled":   {false, "No", "not stalled"},
		"Succeeded": {false, "Pending", "not yet"},
		"Absent":    {false, "", ""},
	} {
		is, reason, message := status.IsTrue(conditions, kind), status.Reason(conditions, kind), status.Message(conditions, kind)
		if is != want.is || reason != want.reason || message != want.message {
			t.Errorf("%s is %t, %q, %q", kind, is, reason, message)
		}
	}
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		n    int
		want string
	}{
		"what fits stays":                      {"grüße", 7, "grüße"},
		"what does not is cut, and shows it":   {"0123456789", 8, "01234…"},
		"a character is not cut in two":        {"01äöü6789", 8, "01ä…"},
		"nor one of four bytes":                {"0🔔🔔🔔", 10, "0🔔…"},
		"no text":                              {"", 3, ""},
		"no room":                              {"abc", 0, ""},
		"room for the ellipsis alone":          {"abcd", 3, "…"},
		"no room for the ellipsis":             {"abc", 2, ""},
		"bytes that are no UTF-8 are replaced": {"a\xff\xfeb", 20, "a\uFFFDb"},
		"and may make it too long":             {"aaaa\xffb", 6, "aaa…"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := status.Truncate(tc.text, tc.n); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func FuzzTruncate(f *testing.F) {
	f.Add("0123456789", 8)
	f.Add("\xff…🔔\x00", 3)
	f.Fuzz(func(t *testing.T, text string, n int) {
		got := status.Truncate(text, n)
		if len(got) > max(n, 0) || !utf8.ValidString(got) {
			t.Errorf("%q, cut to %d: %q", text, n, got)
		}
		if utf8.ValidString(text) && len(text) <= n && got != text {
			t.Errorf("%q fits into %d, but became %q", text, n, got)
		}
		if kept, cut := strings.CutSuffix(got, "…"); cut && !strings.HasPrefix(strings.ToValidUTF8(text, "\uFFFD"), kept) {
			t.Errorf("%q is no beginning of %q", kept, text)
		}
	})
}

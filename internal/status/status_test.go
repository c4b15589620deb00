// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/conform"
)

func TestReadyIsAsKstatusExpectsIt(t *testing.T) {
	t.Parallel()
	verdicts := map[string]struct {
		verdict              status.Verdict
		stalled, reconciling bool
	}{
		"ready":     {status.Verdict{Ready: true, Reason: "Ready", Message: "fine"}, false, false},
		"stalled":   {status.Verdict{Stalled: true, Reason: "Invalid", Message: "bad"}, true, false},
		"waiting":   {status.Verdict{Reason: "SecretNotFound", Message: "no Secret"}, false, true},
		"suspended": {status.Verdict{Reason: v1alpha1.ReasonSuspended, Message: "suspended"}, false, false},
	}
	for before, first := range verdicts {
		for after, second := range verdicts {
			t.Run(before+" then "+after, func(t *testing.T) {
				t.Parallel()
				var conditions []metav1.Condition
				status.SetReady(&conditions, 1, first.verdict)
				status.SetReady(&conditions, 2, second.verdict)
				for _, err := range conform.Check(conform.Subject{
					Generation: 2, ObservedGeneration: 2, Conditions: conditions, Verdict: v1alpha1.ReadyCondition,
				}) {
					t.Error(err)
				}
				if status.IsTrue(conditions, v1alpha1.ReadyCondition) != second.verdict.Ready ||
					status.IsTrue(conditions, v1alpha1.StalledCondition) != second.stalled ||
					status.IsTrue(conditions, v1alpha1.ReconcilingCondition) != second.reconciling {
					t.Errorf("conditions are %+v", conditions)
				}
				if status.Reason(conditions, v1alpha1.ReadyCondition) != second.verdict.Reason ||
					status.Message(conditions, v1alpha1.ReadyCondition) != second.verdict.Message {
					t.Errorf("Ready is %+v", conditions)
				}
			})
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
		"short enough":        {"short", 5, "short"},
		"cut, and shown":      {"longer", 5, "lo…"},
		"never within a rune": {"größer", 6, "gr…"},
		"no room at all":      {"text", 2, ""},
		"invalid bytes":       {"a\xffb", 10, "a\uFFFDb"},
	} {
		if got := status.Truncate(tc.text, tc.n); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	if got := status.Truncate(strings.Repeat("ü", 1000), 101); len(got) > 101 || !utf8.ValidString(got) {
		t.Errorf("%d bytes, valid: %v", len(got), utf8.ValidString(got))
	}
}

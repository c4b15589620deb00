// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

func TestCompile(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spec      v1alpha1.NotificationConditionSpec
		threshold v1alpha1.EffectiveThreshold
		damper    time.Duration
	}{
		"nothing is said: the preset's threshold, and a damper of 60 minutes": {
			spec:      v1alpha1.NotificationConditionSpec{Type: "RiskOutbreak"},
			threshold: v1alpha1.EffectiveThreshold{Count: 5, Window: "1h", Scope: distinct},
			damper:    h,
		},
		"a threshold of its own, and Auto": {
			spec: v1alpha1.NotificationConditionSpec{
				Type:      "RiskOutbreak",
				Threshold: &v1alpha1.Threshold{Count: pointer[int32](14), Window: "90s", Scope: single},
				Damper:    &v1alpha1.Damper{Period: v1alpha1.DamperAuto},
			},
			threshold: v1alpha1.EffectiveThreshold{Count: 14, Window: "90s", Scope: single},
			damper:    h,
		},
		"per without a period is Auto": {
			spec:      v1alpha1.NotificationConditionSpec{Type: "Custom", Damper: &v1alpha1.Damper{Per: perRisk}},
			threshold: v1alpha1.EffectiveThreshold{Count: 1, Window: "1m", Scope: anyComputer},
			damper:    h,
		},
		"no damper": {
			spec:      v1alpha1.NotificationConditionSpec{Type: "Custom", Damper: &v1alpha1.Damper{Period: v1alpha1.DamperNone}},
			threshold: v1alpha1.EffectiveThreshold{Count: 1, Window: "1m", Scope: anyComputer},
		},
		"a damper of 1h30m": {
			spec:      v1alpha1.NotificationConditionSpec{Type: "Custom", Damper: &v1alpha1.Damper{Period: "1h30m"}},
			threshold: v1alpha1.EffectiveThreshold{Count: 1, Window: "1m", Scope: anyComputer},
			damper:    90 * m,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			condition := &v1alpha1.NotificationCondition{Spec: tc.spec}
			got := compiled(t, condition)
			check(t, "threshold", got.Threshold, tc.threshold)
			check(t, "damper", got.Damper(), tc.damper)
			if got.Condition != condition || got.Filter == nil {
				t.Error("the rule does not hold its condition and filter")
			}
			if plan.NewWatch(got).Rule() != got {
				t.Error("the watch does not follow the rule")
			}
		})
	}
}

// TestCompileRefuses what the schema would have refused, and says which field it is.
func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for field, spec := range map[string]v1alpha1.NotificationConditionSpec{
		"spec.threshold.window: ": {Threshold: &v1alpha1.Threshold{Window: "soon"}},
		"spec.damper.period: ":    {Damper: &v1alpha1.Damper{Period: "Sometimes"}},
	} {
		if _, err := plan.Compile(&v1alpha1.NotificationCondition{Spec: spec}, 0); err == nil || !strings.HasPrefix(err.Error(), field) {
			t.Errorf("got %v, want an error about %s", err, field)
		}
	}
}

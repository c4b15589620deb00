// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
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
		"each risk once: no damper, whatever the condition says": {
			spec: v1alpha1.NotificationConditionSpec{
				Type: "NewRiskDetected", Damper: &v1alpha1.Damper{Period: "20m", Per: perComputer},
			},
			threshold: v1alpha1.EffectiveThreshold{Count: 1, Window: "1m", Scope: anyComputer},
		},
		"as many different computers as the filter names": {
			spec: v1alpha1.NotificationConditionSpec{
				Type: "RiskOutbreak", Filter: &v1alpha1.EventFilter{Computers: []v1alpha1.Wildcard{"a", "b", "c", "d", "e"}},
			},
			threshold: v1alpha1.EffectiveThreshold{Count: 5, Window: "1h", Scope: distinct},
			damper:    h,
		},
		"more than it names, but one is a wildcard": {
			spec: v1alpha1.NotificationConditionSpec{
				Type: "RiskOutbreak", Filter: &v1alpha1.EventFilter{Computers: []v1alpha1.Wildcard{"a", "ws-*"}},
			},
			threshold: v1alpha1.EffectiveThreshold{Count: 5, Window: "1h", Scope: distinct},
			damper:    h,
		},
		"more occurrences than the filter names computers": {
			spec: v1alpha1.NotificationConditionSpec{
				Type: "RiskOutbreak", Filter: &v1alpha1.EventFilter{Computers: []v1alpha1.Wildcard{"a"}},
				Threshold: &v1alpha1.Threshold{Scope: single},
			},
			threshold: v1alpha1.EffectiveThreshold{Count: 5, Window: "1h", Scope: single},
			damper:    h,
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

// TestAuto: a threshold that is chosen by the number of computers.
func TestAuto(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		kind      v1alpha1.ConditionType
		scope     v1alpha1.Scope
		computers int32
		want      v1alpha1.EffectiveThreshold
	}{
		"few": {"ClientSecurityAlert", "", 99, v1alpha1.EffectiveThreshold{Count: 2, Window: "1m", Scope: anyComputer}},
		"some, and the preset's window is not asked": {
			"RiskOutbreak", "", 100, v1alpha1.EffectiveThreshold{Count: 5, Window: "1m", Scope: distinct},
		},
		"many, and a scope of its own": {
			"RiskOutbreak", single, 1001, v1alpha1.EffectiveThreshold{Count: 10, Window: "1m", Scope: single},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			condition := &v1alpha1.NotificationCondition{Spec: v1alpha1.NotificationConditionSpec{
				Type: tc.kind, Threshold: &v1alpha1.Threshold{Auto: true, Scope: tc.scope},
			}}
			got, err := plan.Compile(condition, tc.computers)
			if err != nil {
				t.Fatal(err)
			}
			tc.want.Computers = &tc.computers
			check(t, "threshold", got.Threshold, tc.want)
			check(t, "window", got.Window(), m)
			var status v1alpha1.NotificationConditionStatus
			plan.NewWatch(got).Describe(&status, 0)
			check(t, "threshold in the status", *status.Threshold, tc.want)
		})
	}
}

// TestCompileRefuses what the schema would have refused or cannot know, and says which field it is.
func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	named := func(computers ...v1alpha1.Wildcard) *v1alpha1.EventFilter {
		return &v1alpha1.EventFilter{Computers: computers}
	}
	for name, tc := range map[string]struct {
		spec v1alpha1.NotificationConditionSpec
		want string
	}{
		"a window that is none": {
			v1alpha1.NotificationConditionSpec{Threshold: &v1alpha1.Threshold{Window: "soon"}},
			`spec.threshold.window: time: invalid duration "soon"`,
		},
		"a damper that is none": {
			v1alpha1.NotificationConditionSpec{Damper: &v1alpha1.Damper{Period: "Sometimes"}},
			`spec.damper.period: time: invalid duration "Sometimes"`,
		},
		"a damper that is none, though none is asked for": {
			v1alpha1.NotificationConditionSpec{Type: "NewRiskDetected", Damper: &v1alpha1.Damper{Period: "Sometimes"}},
			`spec.damper.period: time: invalid duration "Sometimes"`,
		},
		"more different computers than the filter names": {
			v1alpha1.NotificationConditionSpec{Type: "RiskOutbreak", Filter: named("a", "b", "c", "d")},
			"spec.threshold.count: 5 different computers can never be reached, as `spec.filter.computers` names only 4",
		},
		"one computer named in several cases is one": {
			v1alpha1.NotificationConditionSpec{
				Type: "Custom", Filter: named("ws-1", "WS-1"), Threshold: &v1alpha1.Threshold{Count: pointer[int32](2), Scope: distinct},
			},
			"spec.threshold.count: 2 different computers can never be reached, as `spec.filter.computers` names only 1",
		},
		"as many as it names, but there could be more computers one day": {
			v1alpha1.NotificationConditionSpec{
				Type: "RiskOutbreak", Filter: named("a", "b", "c", "d", "e"), Threshold: &v1alpha1.Threshold{Auto: true},
			},
			"spec.threshold.count: 10 different computers can never be reached, as `spec.filter.computers` names only 5",
		},
	} {
		_, err := plan.Compile(&v1alpha1.NotificationCondition{Spec: tc.spec}, 0)
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s: got %v, want %s", name, err, tc.want)
		}
	}
}

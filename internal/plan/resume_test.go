// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

var start = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func compile(t *testing.T, change func(*v1alpha1.NotificationConditionSpec)) *plan.Rule {
	t.Helper()
	c := &v1alpha1.NotificationCondition{
		ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: "risks", UID: "uid", CreationTimestamp: metav1.NewTime(start)},
		Spec:       v1alpha1.NotificationConditionSpec{Type: "SingleRiskEvent"},
	}
	change(&c.Spec)
	rule, err := plan.Compile(c, 0)
	if err != nil {
		t.Fatal(err)
	}
	return rule
}

func found(computer string, after time.Duration) *v1alpha1.SecurityEvent {
	e := &v1alpha1.SecurityEvent{
		ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(start.Add(after))},
		Spec:       v1alpha1.SecurityEventSpec{Type: "RiskDetected", Severity: v1alpha1.SeverityCritical, Title: "found"},
	}
	if computer != "" {
		e.Spec.Computer = &v1alpha1.Computer{Name: computer}
	}
	return e
}

func TestSkippedEventsDoNotCountAfterARestartEither(t *testing.T) {
	t.Parallel()
	three := int32(3)
	rule := compile(t, func(s *v1alpha1.NotificationConditionSpec) {
		s.Threshold = &v1alpha1.Threshold{Count: &three, Window: "1h"}
	})
	events := []*v1alpha1.SecurityEvent{found("a", time.Minute), found("b", 2*time.Minute), found("c", 3*time.Minute)}
	first := plan.NewWatch(rule)
	first.Skip(2)
	var status v1alpha1.NotificationConditionStatus
	first.Describe(&status, 0)

	second := plan.NewWatch(rule)
	second.Resume(&status, nil)
	for i, e := range events {
		if _, firings := second.Observe(plan.NewEvent(e, plan.Position(i+1))); len(firings) > 0 {
			t.Errorf("fired on event %d, although two of the three were skipped", i+1)
		}
	}
}

func TestDamperOfEventsWithoutAComputerDoesNotRepeatForOthers(t *testing.T) {
	t.Parallel()
	watch := plan.NewWatch(compile(t, func(s *v1alpha1.NotificationConditionSpec) {
		s.Threshold = &v1alpha1.Threshold{Window: "1m"}
		s.Damper = &v1alpha1.Damper{Period: "10m", Per: v1alpha1.DamperPerComputer}
	}))
	watch.Observe(plan.NewEvent(found("", time.Minute), 1))
	watch.Observe(plan.NewEvent(found("other", 10*time.Minute+30*time.Second), 2))
	for _, f := range watch.Advance(start.Add(12 * time.Minute)) {
		if f.Key == "" {
			t.Errorf("repeated at %s for the damper without a computer", f.Time)
		}
	}
}

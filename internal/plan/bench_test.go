// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/match"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// BenchmarkObserve is one event through one condition in an outbreak: a thousand computers, ten events a second, the
// damper running. What it costs may not depend on how many events there were.
func BenchmarkObserve(b *testing.B) {
	for _, scope := range []v1alpha1.Scope{
		v1alpha1.ScopeAnyComputer, v1alpha1.ScopeSingleComputer, v1alpha1.ScopeDistinctComputers,
	} {
		for _, before := range []int{0, 100_000} {
			b.Run(fmt.Sprintf("%s/after-%d-events", scope, before), func(b *testing.B) {
				watch := plan.NewWatch(benchRule(b, scope))
				position := plan.Position(0)
				observe := func() {
					position++
					e := found(fmt.Sprintf("ws-%d", position%1000), time.Duration(position)*100*time.Millisecond)
					watch.Observe(plan.NewEvent(e, position))
				}
				for range before {
					observe()
				}
				b.ReportAllocs()
				for b.Loop() {
					observe()
				}
			})
		}
	}
}

// BenchmarkCandidates is finding the one condition that could match an event among many that could not.
func BenchmarkCandidates(b *testing.B) {
	for _, conditions := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("among-%d-conditions", conditions), func(b *testing.B) {
			index := match.NewIndex[int]()
			for i := range conditions {
				filter, err := match.Compile(&v1alpha1.NotificationConditionSpec{
					Type:   "Custom",
					Filter: &v1alpha1.EventFilter{EventTypes: []v1alpha1.Wildcard{v1alpha1.Wildcard(fmt.Sprintf("Type%d", i))}},
				})
				if err != nil {
					b.Fatal(err)
				}
				index.Put(i, []string{"security"}, filter)
			}
			b.ReportAllocs()
			for b.Loop() {
				index.Candidates("security", "Type7", func(int) {})
			}
		})
	}
}

func benchRule(b *testing.B, scope v1alpha1.Scope) *plan.Rule {
	b.Helper()
	five := int32(5)
	rule, err := plan.Compile(&v1alpha1.NotificationCondition{
		ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(start)},
		Spec: v1alpha1.NotificationConditionSpec{
			Type: "RiskOutbreak", Threshold: &v1alpha1.Threshold{Count: &five, Window: "1h", Scope: scope},
		},
	}, 0)
	if err != nil {
		b.Fatal(err)
	}
	return rule
}

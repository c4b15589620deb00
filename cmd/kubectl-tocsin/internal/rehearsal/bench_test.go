// SPDX-License-Identifier: Apache-2.0

package rehearsal_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/rehearsal"
)

// BenchmarkTune is all settings on a day of events of 2,000 computers, half of them in a storm of ten minutes, and reported
// up to twenty seconds late.
func BenchmarkTune(b *testing.B) {
	for _, n := range []int{2_000, 10_000} {
		events := day(n, 2_000)
		s := rehearsal.NewScene(events, midnight, midnight.Add(rehearsal.Day))
		for _, scope := range []v1alpha1.Scope{v1alpha1.ScopeAnyComputer, v1alpha1.ScopeSingleComputer, v1alpha1.ScopeDistinctComputers} {
			for _, per := range []v1alpha1.DamperPer{v1alpha1.DamperPerCondition, v1alpha1.DamperPerComputer, v1alpha1.DamperPerRisk} {
				b.Run(fmt.Sprintf("%d/%s/per-%s", n, scope, per), func(b *testing.B) {
					d := draft("SingleRiskEvent")
					d.Spec.Threshold, d.Spec.Damper = &v1alpha1.Threshold{Scope: scope}, &v1alpha1.Damper{Per: per}
					wish := about(3)
					wish.Most = 5
					for b.Loop() {
						if _, err := s.Tune(b.Context(), d, wish); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}

// day is a day of events on so many computers: half of them trickle, and half come within ten minutes.
func day(n, computers int) []v1alpha1.SecurityEvent {
	r := rand.New(rand.NewPCG(1, 2))
	times := make([]time.Duration, 0, n)
	for i := range n {
		at := time.Duration(i) * rehearsal.Day / time.Duration(n)
		if i >= n/2 {
			at = 13*time.Hour + time.Duration(i%600)*time.Second
		}
		times = append(times, at)
	}
	slices.Sort(times)
	events := make([]v1alpha1.SecurityEvent, 0, n)
	for i, at := range times {
		e := v1alpha1.SecurityEvent{ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("e%d", i), ResourceVersion: fmt.Sprint(100 + i), CreationTimestamp: metav1.NewTime(midnight.Add(at)),
		}}
		e.Spec = v1alpha1.SecurityEventSpec{Type: "RiskDetected", Severity: "Critical", Title: "Risk",
			Time:     &metav1.Time{Time: e.CreationTimestamp.Add(-time.Duration(r.IntN(20)) * time.Second)},
			Computer: &v1alpha1.Computer{Name: fmt.Sprintf("WS-%d", r.IntN(computers))}, Risk: &v1alpha1.Risk{Name: fmt.Sprintf("Worm-%d", r.IntN(10))}}
		events = append(events, e)
	}
	return events
}

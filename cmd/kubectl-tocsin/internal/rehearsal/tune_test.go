// SPDX-License-Identifier: Apache-2.0

package rehearsal_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/rehearsal"
)

// history makes three days of events as they happen somewhere.
func history(r *rand.Rand, name string) []v1alpha1.SecurityEvent {
	const days = 3 * rehearsal.Day
	times := map[time.Duration]string{}
	scatter := func(n int, from, span time.Duration, computer func() string) {
		for range n {
			times[from+time.Duration(r.Int64N(int64(span)))] = computer()
		}
	}
	anyOf := func(n int) func() string { return func() string { return fmt.Sprint("WS-", r.IntN(n)) } }
	switch name {
	case "a steady trickle":
		scatter(150, 0, days, anyOf(50))
	case "one storm":
		scatter(30, 0, days, anyOf(50))
		scatter(400, 30*time.Hour, 20*time.Minute, anyOf(200))
	case "day and night":
		for day := range 3 {
			scatter(120, time.Duration(day)*rehearsal.Day+8*time.Hour, 9*time.Hour, anyOf(80))
			scatter(5, time.Duration(day)*rehearsal.Day+20*time.Hour, 3*time.Hour, anyOf(80))
		}
	case "one noisy computer":
		scatter(400, 0, days, func() string { return "Noisy" })
		scatter(40, 0, days, anyOf(50))
	}
	var ordered []time.Duration
	for at := range times {
		ordered = append(ordered, at)
	}
	slices.Sort(ordered)
	var events []v1alpha1.SecurityEvent
	for i, at := range ordered {
		count := int32(1 + r.IntN(2))
		created := midnight.Add(at).Truncate(time.Second)
		e := v1alpha1.SecurityEvent{ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("e%d", i), ResourceVersion: fmt.Sprint(100 + i), CreationTimestamp: metav1.NewTime(created),
		}}
		e.Spec = v1alpha1.SecurityEventSpec{Type: "RiskDetected", Severity: "Critical", Title: "Risk", Count: &count,
			Time:     &metav1.Time{Time: created.Add(-time.Duration(r.IntN(90)) * time.Second)},
			Computer: &v1alpha1.Computer{Name: times[at]}, Risk: &v1alpha1.Risk{Name: fmt.Sprint("Worm-", r.IntN(5))}}
		events = append(events, e)
	}
	return events
}

// TestProposalsForRealHistories: whatever happened and whatever is counted, what is proposed is near what was wished, in order,
// and comes true; and that the search gives up early changes nothing about the best.
func TestProposalsForRealHistories(t *testing.T) {
	t.Parallel()
	scopes := []v1alpha1.Scope{v1alpha1.ScopeAnyComputer, v1alpha1.ScopeSingleComputer, v1alpha1.ScopeDistinctComputers}
	pers := []v1alpha1.DamperPer{v1alpha1.DamperPerCondition, v1alpha1.DamperPerComputer, v1alpha1.DamperPerRisk}
	for i, name := range []string{"a steady trickle", "one storm", "day and night", "one noisy computer"} {
		s := rehearsal.NewScene(history(rand.New(rand.NewPCG(3, 5)), name), midnight, midnight.Add(3*rehearsal.Day))
		for j, scope := range scopes {
			per := pers[(i+j)%len(pers)]
			t.Run(fmt.Sprintf("%s/%s/%s", name, scope, per), func(t *testing.T) {
				t.Parallel()
				d := draft("Custom")
				d.Spec.Filter = &v1alpha1.EventFilter{Expression: `event.type == "RiskDetected"`, Severities: []v1alpha1.Severity{"Critical"}}
				d.Spec.Threshold, d.Spec.Damper = &v1alpha1.Threshold{Scope: scope}, &v1alpha1.Damper{Per: per}
				comeTrue(t, s, d, 2)
			})
		}
	}
}

func comeTrue(t *testing.T, s *rehearsal.Scene, d *v1alpha1.NotificationCondition, wish float64) {
	t.Helper()
	all, err := s.Tune(t.Context(), d, about(wish))
	if err != nil {
		t.Fatal(err)
	}
	few := about(wish)
	few.Most = 5
	found, err := s.Tune(t.Context(), d, few)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(all[:min(5, len(all))], found, cmpopts.IgnoreUnexported(rehearsal.Proposal{})); diff != "" {
		t.Errorf("(-of all, +of the best):\n%s", diff)
	}
	for _, p := range found {
		again := d.DeepCopy()
		again.Spec.Threshold = &v1alpha1.Threshold{Count: &p.Count, Window: p.Window, Scope: p.Scope}
		again.Spec.Damper.Period = p.Damper
		if o := play(t, s, again); len(o.Told) != p.Told || o.Held != p.Held || s.PerDay(o) != p.PerDay {
			t.Errorf("%d in %s, damper %s: tells %d and holds %d, proposed were %d and %d", p.Count, p.Window, p.Damper,
				len(o.Told), o.Held, p.Told, p.Held)
		}
	}
	if off := math.Abs(found[0].PerDay - wish); off > 1 && d.Spec.Damper.Per == v1alpha1.DamperPerCondition {
		t.Errorf("the best is %+v", found[0])
	}
}

func TestAWishWithoutANumberIsForAllProposals(t *testing.T) {
	t.Parallel()
	s := rehearsal.NewScene(history(rand.New(rand.NewPCG(3, 5)), "a steady trickle"), midnight, midnight.Add(3*rehearsal.Day))
	tune := func(most int) []rehearsal.Proposal {
		found, err := s.Tune(t.Context(), draft("Custom"), rehearsal.Wish{PerDay: 2, Most: most})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	want := tune(1000)
	if diff := cmp.Diff(want, tune(0), cmpopts.IgnoreUnexported(rehearsal.Proposal{})); diff != "" || len(want) < 10 {
		t.Errorf("of %d proposals (-want, +got):\n%s", len(want), diff)
	}
}

// SPDX-License-Identifier: Apache-2.0

package rehearsal_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/rehearsal"
)

var midnight = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

// risks are found at these times, each on another computer. They are given out of order.
func risks(after ...time.Duration) []v1alpha1.SecurityEvent {
	var events []v1alpha1.SecurityEvent
	for i, d := range after {
		e := v1alpha1.SecurityEvent{ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("e%d", i), ResourceVersion: fmt.Sprint(100 + i), CreationTimestamp: metav1.NewTime(midnight.Add(d)),
		}}
		e.Spec = v1alpha1.SecurityEventSpec{Type: "RiskDetected", Severity: "Critical", Title: "Risk",
			Computer: &v1alpha1.Computer{Name: fmt.Sprintf("WS-%d", i)}, Risk: &v1alpha1.Risk{Name: "Worm"}}
		events = append([]v1alpha1.SecurityEvent{e}, events...)
	}
	return events
}

func draft(kind v1alpha1.ConditionType) *v1alpha1.NotificationCondition {
	return &v1alpha1.NotificationCondition{ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: "draft"},
		Spec: v1alpha1.NotificationConditionSpec{Type: kind}}
}

// about wishes for so many notifications a day.
func about(perDay float64) rehearsal.Wish {
	return rehearsal.Wish{PerDay: perDay, Most: 1000}
}

func play(t *testing.T, s *rehearsal.Scene, d *v1alpha1.NotificationCondition) *rehearsal.Outcome {
	t.Helper()
	o, err := s.Play(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestWhatHappenedBeforeTheDraftDoesNotCount(t *testing.T) {
	t.Parallel()
	events := risks(time.Hour, 2*time.Hour, 3*time.Hour)
	s := rehearsal.NewScene(events, midnight.Add(90*time.Minute), midnight.Add(4*time.Hour))
	o := play(t, s, draft("SingleRiskEvent"))
	if o.Seen != 2 || len(o.Matched) != 2 || len(o.Told) == 0 || o.Told[0].Event.Name != "e1" {
		t.Errorf("got %+v", o)
	}
	// A risk that was known before is not new.
	if o := play(t, s, draft("NewRiskDetected")); len(o.Told) != 0 {
		t.Errorf("told of %d risks", len(o.Told))
	}
	if o := play(t, rehearsal.NewScene(events, time.Time{}, midnight.Add(4*time.Hour)), draft("NewRiskDetected")); len(o.Told) != 1 {
		t.Errorf("told of %d risks, with all events", len(o.Told))
	}
}

func TestDampersEndAfterTheLastEvent(t *testing.T) {
	t.Parallel()
	events := risks(0, 50*time.Minute+time.Second, 59*time.Minute+30*time.Second)
	s := rehearsal.NewScene(events, time.Time{}, midnight.Add(24*time.Hour))
	d := draft("SingleRiskEvent")
	o := play(t, s, d)
	if len(o.Told) != 2 || o.Told[1].Reason != v1alpha1.TriggerStillReached || o.Held != 2 || o.Told[1].Held != 2 {
		t.Errorf("got %+v", o.Told)
	}
	if d.CreationTimestamp != (metav1.Time{}) {
		t.Error("the draft was changed")
	}
}

func TestExpressionsThatFailAreCounted(t *testing.T) {
	t.Parallel()
	d := draft("Custom")
	d.Spec.Filter = &v1alpha1.EventFilter{Expression: `event.user == "mara"`}
	o := play(t, rehearsal.NewScene(risks(0, time.Hour), time.Time{}, midnight.Add(2*time.Hour)), d)
	if o.Failed != 2 || o.Failure == "" || len(o.Matched) != 0 {
		t.Errorf("got %+v", o)
	}
}

func TestAutoGoesByTheComputersInTheEvents(t *testing.T) {
	t.Parallel()
	times := make([]time.Duration, 120)
	s := rehearsal.NewScene(risks(times...), time.Time{}, midnight.Add(time.Hour))
	d := draft("RiskOutbreak")
	d.Spec.Threshold = &v1alpha1.Threshold{Auto: true}
	if o := play(t, s, d); s.Computers != 120 || o.Rule.Threshold.Count != 5 {
		t.Errorf("%d computers, count %d", s.Computers, o.Rule.Threshold.Count)
	}
}

func TestTuneFindsTheClosestAndWhatItProposesComesTrue(t *testing.T) {
	t.Parallel()
	var times []time.Duration
	for i := range 300 { // a burst each hour, the bigger the later
		times = append(times, time.Duration(i%24)*time.Hour+time.Duration(i*i%300)*time.Second)
	}
	s := rehearsal.NewScene(risks(times...), midnight, midnight.Add(24*time.Hour))
	for _, wish := range []float64{0, 1, 3, 10, 24} {
		found, err := s.Tune(t.Context(), draft("RiskOutbreak"), about(wish))
		if err != nil {
			t.Fatal(err)
		}
		previous := 0.0
		for i, p := range found {
			off := math.Abs(p.PerDay - wish)
			if p.Told == 0 {
				if i != len(found)-1 {
					t.Errorf("%g a day: proposal %d of %d tells nothing", wish, i, len(found))
				}
			} else if off < previous {
				t.Errorf("%g a day: proposal %d is closer than the one before", wish, i)
			}
			previous = off
			d := draft("RiskOutbreak")
			d.Spec.Threshold = &v1alpha1.Threshold{Count: &p.Count, Window: p.Window}
			d.Spec.Damper = &v1alpha1.Damper{Period: p.Damper}
			if o := play(t, s, d); len(o.Told) != p.Told || o.Held != p.Held {
				t.Errorf("%g a day: %d in %s, damper %s tells %d and holds %d, proposed were %d and %d", wish, p.Count, p.Window, p.Damper,
					len(o.Told), o.Held, p.Told, p.Held)
			}
		}
		if best := found[0]; math.Abs(best.PerDay-wish) > 4 {
			t.Errorf("%g a day: the best gives %g", wish, best.PerDay)
		}
	}
}

func TestTuneOfWhatDoesNotMatchProposesNothing(t *testing.T) {
	t.Parallel()
	d := draft("RiskOutbreak")
	d.Spec.Filter = &v1alpha1.EventFilter{Computers: []v1alpha1.Wildcard{"other-*"}}
	s := rehearsal.NewScene(risks(0, time.Minute), midnight, midnight.Add(24*time.Hour))
	if found, err := s.Tune(t.Context(), d, about(1)); err != nil || len(found) > 0 {
		t.Errorf("%v: %+v", err, found)
	}
}

func TestLessThanADayIsNotProjected(t *testing.T) {
	t.Parallel()
	for span, want := range map[time.Duration]float64{2 * time.Minute: 1, 24 * time.Hour: 1, 48 * time.Hour: 0.5} {
		s := rehearsal.NewScene(risks(0), midnight, midnight.Add(span))
		if got := s.PerDay(play(t, s, draft("SingleRiskEvent"))); got != want {
			t.Errorf("one in %s: %g a day, want %g", span, got, want)
		}
	}
}

func TestEventsOfAClockThatIsAheadAreFollowed(t *testing.T) {
	t.Parallel()
	s := rehearsal.NewScene(risks(0, time.Hour), time.Time{}, midnight.Add(time.Minute))
	if o := play(t, s, draft("SingleRiskEvent")); o.Seen != 2 || !s.Until.Equal(midnight.Add(time.Hour)) || s.Span() != time.Hour {
		t.Errorf("%d events up to %s", o.Seen, s.Until)
	}
}

func TestTuneEndsWhenInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := rehearsal.NewScene(risks(0), midnight, midnight.Add(time.Hour))
	if _, err := s.Tune(ctx, draft("RiskOutbreak"), about(1)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestTuneLeavesOutWhatCanNeverBeReached(t *testing.T) {
	t.Parallel()
	d := draft("RiskOutbreak")
	d.Spec.Filter = &v1alpha1.EventFilter{Computers: []v1alpha1.Wildcard{"WS-0", "WS-1"}}
	count := int32(2)
	d.Spec.Threshold = &v1alpha1.Threshold{Count: &count}
	s := rehearsal.NewScene(risks(0, time.Minute), midnight, midnight.Add(time.Hour))
	found, err := s.Tune(t.Context(), d, about(24))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range found {
		if p.Count > 2 {
			t.Errorf("proposes %d of 2 computers", p.Count)
		}
	}
}

func TestOneEventAlone(t *testing.T) {
	t.Parallel()
	e := &risks(time.Hour)[0]
	firing, err := rehearsal.Once(draft("RiskOutbreak"), e)
	if err != nil || firing.Rule.Threshold.Count != 5 || firing.Event.Name != "e0" || firing.Window.Occurrences != 1 {
		t.Errorf("%v: %+v", err, firing)
	}
	bad := draft("Custom")
	bad.Spec.Filter = &v1alpha1.EventFilter{Expression: "event."}
	if _, err := rehearsal.Once(bad, e); err == nil || !strings.HasPrefix(err.Error(), "spec.filter.expression: ") {
		t.Errorf("got %v", err)
	}
}

// SPDX-License-Identifier: Apache-2.0

// Package rehearsal plays events that were kept through the draft of a condition, with the engine that decides in earnest,
// and says what would have been told. It is pure.
package rehearsal

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/match"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// Scene is what a draft is tried on.
type Scene struct {
	// Events in the order in which they were created.
	Events []*plan.Event
	// Since is when the draft is taken to have been created, and Until the time up to which it is followed.
	Since, Until time.Time
	// Oldest is when the oldest event that is kept was created; zero if there is none.
	Oldest time.Time
	// Computers is the number by which threshold.auto goes.
	Computers int32
	// Done, unless it is nil, is told now and then what part of the work is done.
	Done func(part float64)
}

// NewScene puts events in order. Without a time to begin, it begins with the first event. It ends now, or with the newest
// event, if the API server's clock is ahead.
func NewScene(events []v1alpha1.SecurityEvent, since, now time.Time) *Scene {
	s := &Scene{Since: since, Until: now}
	names := map[string]struct{}{}
	for i := range events {
		e := &events[i]
		if e.CreationTimestamp.After(s.Until) {
			s.Until = e.CreationTimestamp.Time
		}
		if s.Oldest.IsZero() || e.CreationTimestamp.Time.Before(s.Oldest) {
			s.Oldest = e.CreationTimestamp.Time
		}
		s.Events = append(s.Events, plan.NewEvent(e, plan.ParsePosition(e.ResourceVersion)))
		if e.Spec.Computer != nil && e.Spec.Computer.Name != "" {
			names[strings.ToLower(e.Spec.Computer.Name)] = struct{}{}
		}
	}
	slices.SortStableFunc(s.Events, func(a, b *plan.Event) int { return cmp.Compare(a.Position, b.Position) })
	s.Computers = int32(min(len(names), 1<<30))
	switch {
	case !since.IsZero():
	case s.Oldest.IsZero():
		s.Since = s.Until
	default:
		s.Since = s.Oldest
	}
	return s
}

// Outcome is what a draft would have done.
type Outcome struct {
	Rule *plan.Rule
	// Seen is how many events there were, and Matched those that met the filter.
	Seen    int
	Matched []*plan.Event
	// Failed is how many events the filter's expression could not be evaluated for, and Failure why, of the latest.
	Failed  int
	Failure string
	// Told are the notifications, in order.
	Told []plan.Firing
	// Occurrences is how many met the filter, and Held how many of them a damper held.
	Occurrences, Held int64
}

// Play takes the events through a draft. The error is the engine's: it begins with the field that cannot be used.
func (s *Scene) Play(ctx context.Context, draft *v1alpha1.NotificationCondition) (*Outcome, error) {
	draft = draft.DeepCopy()
	draft.CreationTimestamp = metav1.NewTime(s.Since)
	rule, err := plan.Compile(draft, s.Computers)
	if err != nil {
		return nil, err
	}
	o := &Outcome{Rule: rule}
	watch := plan.NewWatch(rule)
	for i, e := range s.Events {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s.done(i, len(s.Events))
		verdict, told := watch.Observe(e)
		o.Told = append(o.Told, told...)
		if e.Object.CreationTimestamp.Time.Before(s.Since) {
			continue
		}
		o.Seen++
		switch verdict {
		case match.Matched:
			o.Matched = append(o.Matched, e)
			o.Occurrences += Occurrences(e.Object)
		case match.ExpressionFailed:
			o.Failed++
		}
	}
	o.Told = append(o.Told, watch.Advance(s.Until)...)
	o.Held = watch.Held()
	var status v1alpha1.NotificationConditionStatus
	watch.Describe(&status, 0)
	if status.ExpressionErrors != nil {
		o.Failure = status.ExpressionErrors.Message
	}
	return o, nil
}

func (s *Scene) done(i, of int) {
	if s.Done != nil {
		s.Done(float64(i) / float64(of))
	}
}

// Occurrences is how many an event stands for.
func Occurrences(e *v1alpha1.SecurityEvent) int64 {
	if e.Spec.Count == nil {
		return 1
	}
	return int64(*e.Spec.Count)
}

// Day is the shortest span that says how many notifications a day there are.
const Day = 24 * time.Hour

// Span is how long the draft is followed.
func (s *Scene) Span() time.Duration { return s.Until.Sub(s.Since) }

// PerDay is how many notifications a day that makes. Less than a day is taken as it is: nobody knows what the rest had been.
func (s *Scene) PerDay(o *Outcome) float64 { return s.perDay(len(o.Told)) }

func (s *Scene) perDay(told int) float64 {
	return float64(told) * float64(Day) / float64(max(s.Span(), Day))
}

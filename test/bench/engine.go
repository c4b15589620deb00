// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/match"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// storm is how many events happen in one second of the engine's time. The API tells time in whole seconds, so that many
// events are simultaneous.
const storm = 1000

// threshold of the conditions that the engine follows.
const threshold = 10

var began = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// engineCase is a kind of event, and what it meets.
type engineCase struct {
	name string
	// kind is the event's type; the conditions have the types of Type0 upwards.
	kind v1alpha1.EventType
	// everywhere says that the conditions for the event's type want any group, not one each.
	everywhere bool
	scope      v1alpha1.Scope
	aim        string
}

const million = "1,000,000"

// engine takes events through match, window and damper as the manager does, on one core.
func (b *bench) engine(ctx context.Context) (table, error) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	t := table{
		title: "The engine alone",
		about: fmt.Sprintf("%s conditions, %s computers, %s events in each second of their time, the dampers running; on one core, "+
			"by the processor's time, garbage collection included. Medians of %d batches of %s events.",
			whole(float64(b.size.conditions)), whole(float64(b.size.computers)), whole(storm), b.size.batches,
			whole(float64(b.size.batch))),
		head: []string{"an event", "events/s", "occurrences counted/s", "aim"},
	}
	of := fmt.Sprintf("%d conditions can match", b.size.matching)
	for _, c := range []engineCase{
		{"that no condition can match", "Unheard", false, v1alpha1.ScopeAnyComputer, "–"},
		{of + ", 1 does", "Type0", false, v1alpha1.ScopeAnyComputer, million + " events/s"},
		{of + ", 1 does, SingleComputer", "Type0", false, v1alpha1.ScopeSingleComputer, "–"},
		{of + ", 1 does, DistinctComputers", "Type0", false, v1alpha1.ScopeDistinctComputers, "–"},
		{of + ", all do", "Type0", true, v1alpha1.ScopeAnyComputer, million + " occurrences/s"},
		{of + ", all do, DistinctComputers", "Type0", true, v1alpha1.ScopeDistinctComputers, "–"},
	} {
		b.note("engine: an event %s", c.name)
		events, counted, err := b.throughput(ctx, c)
		if err != nil {
			return table{}, err
		}
		t.add(c.name, events.text(whole), counted.text(whole), c.aim)
	}
	return t, nil
}

// throughput measures events, and occurrences counted in windows, for each second of the processor's time.
func (b *bench) throughput(ctx context.Context, c engineCase) (events, counted sample, err error) {
	index, err := b.index(c)
	if err != nil {
		return nil, nil, err
	}
	position := plan.Position(0)
	for batch := range b.size.batches + 1 {
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
		batchEvents := make([]*v1alpha1.SecurityEvent, b.size.batch)
		for i := range batchEvents {
			batchEvents[i] = b.event(c.kind, int(position)+i)
		}
		matched := 0
		runtime.GC()
		before := cpuTime()
		for _, e := range batchEvents {
			position++
			event := plan.NewEvent(e, position)
			index.Candidates(e.Namespace, string(e.Spec.Type), func(w *plan.Watch) {
				if verdict, _ := w.Observe(event); verdict == match.Matched {
					matched++
				}
			})
		}
		took := (cpuTime() - before).Seconds()
		if batch > 0 { // in the first, the windows fill and the dampers begin
			events, counted = append(events, float64(b.size.batch)/took), append(counted, float64(matched)/took)
		}
	}
	return events, counted, nil
}

// index follows the conditions. As many of them want one event type as can match an event, each for one group of computers.
func (b *bench) index(c engineCase) (*match.Index[*plan.Watch], error) {
	index := match.NewIndex[*plan.Watch]()
	for i := range b.size.conditions {
		group := fmt.Sprintf("Workstations/Site-%d/*", i%b.size.matching)
		if c.everywhere {
			group = "Workstations/*"
		}
		rule, err := rule(threshold, c.scope, &v1alpha1.EventFilter{
			EventTypes: []v1alpha1.Wildcard{v1alpha1.Wildcard(fmt.Sprintf("Type%d", i/b.size.matching))},
			Severities: []v1alpha1.Severity{v1alpha1.SeverityFunctionalFailure, v1alpha1.SeverityCritical},
			Groups:     []v1alpha1.Wildcard{v1alpha1.Wildcard(group)},
		})
		if err != nil {
			return nil, err
		}
		index.Put(plan.NewWatch(rule), []string{namespace}, rule.Filter)
	}
	return index, nil
}

func rule(count int32, scope v1alpha1.Scope, filter *v1alpha1.EventFilter) (*plan.Rule, error) {
	return plan.Compile(&v1alpha1.NotificationCondition{
		ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(began)},
		Spec: v1alpha1.NotificationConditionSpec{
			Type: "Custom", Filter: filter, Threshold: &v1alpha1.Threshold{Count: &count, Window: "1h", Scope: scope},
		},
	}, 0)
}

// event is the nth of a storm: a finding on one of the computers.
func (b *bench) event(kind v1alpha1.EventType, n int) *v1alpha1.SecurityEvent {
	e := finding(b.computer(n), kind)
	e.CreationTimestamp = metav1.NewTime(began.Add(time.Duration(n/storm) * time.Second))
	return e
}

// computer is the one of the nth event.
func (b *bench) computer(n int) string { return fmt.Sprintf("WS-%06d", n%b.size.computers) }

// windows measures what a window takes of the memory when few and when many events came to it.
func (b *bench) windows(ctx context.Context) (table, error) {
	t := table{
		title: "Memory of a window",
		about: fmt.Sprintf("One condition, %s computers, %s events in each second of their time. What grows with the threshold "+
			"may do so; what grows with the number of events may not.", whole(float64(b.size.computers)), whole(storm)),
		head: []string{
			"threshold", fmt.Sprintf("after %s events", whole(float64(b.size.few))),
			fmt.Sprintf("after %s events", whole(float64(b.size.many))), "aim",
		},
	}
	for _, count := range []int32{1, 10, 100, 1000} {
		for _, scope := range []v1alpha1.Scope{v1alpha1.ScopeAnyComputer, v1alpha1.ScopeDistinctComputers} {
			if ctx.Err() != nil {
				return table{}, context.Cause(ctx)
			}
			b.note("windows: %d, %s", count, scope)
			few, err := b.windowBytes(count, scope, b.size.few)
			if err != nil {
				return table{}, err
			}
			many, err := b.windowBytes(count, scope, b.size.many)
			if err != nil {
				return table{}, err
			}
			t.add(fmt.Sprintf("%d, %s", count, scope), whole(few)+" bytes", whole(many)+" bytes", "does not grow")
		}
	}
	return t, nil
}

// copies is how many equal windows are filled, so that one of them is measured well.
const copies = 10

// windowBytes is the memory of a condition's watch after so many events, without the event that it remembers.
func (b *bench) windowBytes(count int32, scope v1alpha1.Scope, events int) (float64, error) {
	r, err := rule(count, scope, nil)
	if err != nil {
		return 0, err
	}
	before := heap()
	watches := make([]*plan.Watch, copies)
	for i := range watches {
		watches[i] = plan.NewWatch(r)
		for n := range events {
			watches[i].Observe(plan.NewEvent(b.event("Type0", n), plan.Position(n+1)))
		}
	}
	bytes := (heap() - before) / copies
	runtime.KeepAlive(watches)
	return bytes, nil
}

// heap is the memory in use, without what the next garbage collection frees.
func heap() float64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"container/heap"
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/match"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// flushInterval is how often, at most, the numbers of a condition that did not fire are written to its status.
const flushInterval = 10 * time.Second

// changedBuffer is how many conditions may wait to be told of at once; the others wait for the next flush.
const changedBuffer = 1024

// Evaluator takes every SecurityEvent, in the order in which they were created, through the conditions that could match
// it, and writes the Notifications that are due. It runs on the leader alone. Nothing is written for an event that fires
// nothing.
type Evaluator struct {
	client   client.Client
	watching client.WithWatch
	clock    clock.Clock
	log      logr.Logger
	events   *eventLog
	// changed tells the reconciler of conditions whose numbers have changed.
	changed chan event.GenericEvent
	// wake ends the loop's wait: something was queued by another goroutine.
	wake chan struct{}
	// started says that this manager leads.
	started atomic.Bool

	mu      sync.Mutex
	watches map[types.NamespacedName]*follower
	index   *match.Index[*follower]
	outbox  []*draft
	// due holds when dampers end, the earliest first. An entry counts while it is what its follower says.
	due deadlines

	// dirty and flushAt belong to the loop.
	dirty   map[types.NamespacedName]struct{}
	flushAt time.Time
}

// follower is one condition that is followed; a suspended or invalid one is not active but keeps its dampers.
type follower struct {
	key    types.NamespacedName
	watch  *plan.Watch
	active bool
	// drafts counts the notifications of the condition that are decided but not written; the status may not go past them.
	// The followers of all generations share it.
	drafts *int
	// noted is the latest deadline of the follower that the Evaluator has noted.
	noted time.Time
}

// deadline is when a damper of a follower ends.
type deadline struct {
	at       time.Time
	follower *follower
}

type deadlines []deadline

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d deadlines) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *deadlines) Push(x any)        { *d = append(*d, x.(deadline)) }
func (d *deadlines) Pop() any {
	old := *d
	last := old[len(old)-1]
	*d = old[:len(old)-1]
	return last
}

// NewEvaluator returns an Evaluator; the manager starts it.
func NewEvaluator(c client.Client, watching client.WithWatch, clk clock.Clock, log logr.Logger) *Evaluator {
	return &Evaluator{
		client: c, watching: watching, clock: clk, log: log,
		events:  newEventLog(log),
		changed: make(chan event.GenericEvent, changedBuffer),
		wake:    make(chan struct{}, 1),
		watches: map[types.NamespacedName]*follower{},
		index:   match.NewIndex[*follower](),
		dirty:   map[types.NamespacedName]struct{}{},
	}
}

// NeedLeaderElection makes the Evaluator run on the leader alone.
func (e *Evaluator) NeedLeaderElection() bool { return true }

// Start evaluates until the context ends.
func (e *Evaluator) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var reflector sync.WaitGroup
	defer func() { // a panic must end the reflector too, or it would never be seen
		cancel()
		reflector.Wait()
	}()
	e.started.Store(true)
	reflector.Go(func() { e.events.run(ctx, e.watching) })
	if err := e.events.waitForSync(ctx); err != nil {
		return nil
	}
	for {
		next := e.step(ctx)
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = e.clock.After(next.Sub(e.clock.Now()))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-e.events.wake:
		case <-e.wake:
		case <-timer:
		}
	}
}

// inStep fails while this manager leads and does not know the cluster's events yet.
func (e *Evaluator) inStep(*http.Request) error {
	select {
	case <-e.events.synced:
		return nil
	default:
	}
	if e.started.Load() {
		return errors.New("the SecurityEvents have not been read yet")
	}
	return nil
}

// step does what is due and returns when it is to be called again, or zero for not before something happens.
func (e *Evaluator) step(ctx context.Context) time.Time {
	for _, r := range e.events.take() {
		if ctx.Err() != nil {
			return time.Time{}
		}
		e.observe(r)
		e.write(ctx)
	}
	deadline := e.advance()
	retry := e.write(ctx)
	return earliest(deadline, retry, e.flush())
}

// observe takes one event through the conditions that could match it.
func (e *Evaluator) observe(r record) {
	eventsReceived.Inc()
	started := e.clock.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.index.Candidates(r.event.Namespace, string(r.event.Spec.Type), func(f *follower) {
		verdict, firings := f.watch.Observe(r.event, r.position)
		if verdict == match.Matched {
			eventsMatched.Inc()
			e.dirty[f.key] = struct{}{}
		}
		e.enqueue(f, firings)
	})
	evaluationSeconds.Observe(e.clock.Since(started).Seconds())
}

// advance decides about dampers that have ended and returns when the next one does.
func (e *Evaluator) advance() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := e.clock.Now()
	for len(e.due) > 0 {
		next := e.due[0]
		due, ok := next.follower.watch.NextDue()
		outdated := e.watches[next.follower.key] != next.follower || !ok || !due.Equal(next.at)
		if !outdated && next.at.After(now) {
			return next.at
		}
		heap.Pop(&e.due)
		if !outdated {
			e.enqueue(next.follower, next.follower.watch.Advance(now))
			e.dirty[next.follower.key] = struct{}{}
		}
	}
	return time.Time{}
}

// enqueue puts what a follower is to tell into the outbox, and notes when its next damper ends; the caller holds the lock.
func (e *Evaluator) enqueue(f *follower, firings []plan.Firing) {
	for _, firing := range firings {
		*f.drafts++
		e.outbox = append(e.outbox, &draft{condition: f.key, drafts: f.drafts, firing: firing})
	}
	if due, ok := f.watch.NextDue(); ok && f.active && !due.Equal(f.noted) {
		f.noted = due
		heap.Push(&e.due, deadline{due, f})
	}
}

// flush tells the reconciler of the conditions whose numbers have changed, and returns when the next flush is due.
func (e *Evaluator) flush() time.Time {
	if len(e.dirty) == 0 {
		return time.Time{}
	}
	now := e.clock.Now()
	if now.Before(e.flushAt) {
		return e.flushAt
	}
	for key := range e.dirty {
		if e.tell(key) {
			delete(e.dirty, key)
		}
	}
	e.flushAt = now.Add(flushInterval)
	if len(e.dirty) > 0 {
		return e.flushAt
	}
	return time.Time{}
}

// tell asks for a reconciliation of the condition's status. It never blocks: the reconciler may be waiting for a lock.
func (e *Evaluator) tell(key types.NamespacedName) bool {
	condition := &v1alpha1.NotificationCondition{}
	condition.Namespace, condition.Name = key.Namespace, key.Name
	select {
	case e.changed <- event.GenericEvent{Object: condition}:
		return true
	default:
		return false
	}
}

// Follow begins to follow a condition, or its new generation. Events that were created since its checkpoint are evaluated
// before it returns. One that is not active is remembered, but what happens meanwhile is not evaluated later.
func (e *Evaluator) Follow(ctx context.Context, condition *v1alpha1.NotificationCondition, active bool) error {
	if err := e.events.waitForSync(ctx); err != nil {
		return err
	}
	key := client.ObjectKeyFromObject(condition)
	if e.follows(condition, active) {
		return nil
	}
	rule, err := plan.Compile(condition.DeepCopy())
	if err != nil {
		e.rest(key)
		return err
	}
	var log v1alpha1.NotificationList
	if err := e.client.List(ctx, &log, client.InNamespace(key.Namespace),
		client.MatchingFields{indexByCondition: string(condition.UID)}); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	defer e.signal()
	old := e.watches[key]
	f := &follower{key: key, watch: plan.NewWatch(rule), active: active, drafts: new(int)}
	resting := wasInactive(condition)
	if old != nil && old.watch.Rule().Condition.UID == condition.UID {
		f.watch.Inherit(old.watch)
		f.drafts = old.drafts
		resting = !old.active
	} else {
		f.watch.Resume(&condition.Status, journal.Newest(log.Items))
	}
	e.replace(old, f)
	e.catchUp(f, resting)
	return nil
}

// catchUp takes the events that exist already through a condition that is followed from now on. Of a condition that was at
// rest, what was created before it was changed is left out: the resourceVersions of one cluster have one order.
func (e *Evaluator) catchUp(f *follower, resting bool) {
	if !f.active {
		return
	}
	records := e.events.snapshot(f.key.Namespace)
	if resting {
		f.watch.Skip(plan.ParsePosition(f.watch.Rule().Condition.ResourceVersion))
	}
	e.enqueue(f, nil)
	for _, r := range records {
		_, firings := f.watch.Observe(r.event, r.position)
		e.enqueue(f, firings)
	}
}

func (e *Evaluator) replace(old, f *follower) {
	if old != nil {
		e.index.Delete(old)
	}
	e.watches[f.key] = f
	if f.active {
		e.index.Put(f, f.key.Namespace, f.watch.Rule().Filter)
	}
}

func (e *Evaluator) follows(condition *v1alpha1.NotificationCondition, active bool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.watches[client.ObjectKeyFromObject(condition)]
	if f == nil {
		return false
	}
	known := f.watch.Rule().Condition
	return known.UID == condition.UID && known.Generation == condition.Generation && f.active == active
}

// rest stops the evaluation of a condition that cannot be followed as it is now.
func (e *Evaluator) rest(key types.NamespacedName) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if f := e.watches[key]; f != nil {
		e.index.Delete(f)
		f.active = false
	}
}

// Unfollow forgets a condition that was deleted.
func (e *Evaluator) Unfollow(key types.NamespacedName) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if f := e.watches[key]; f != nil {
		e.index.Delete(f)
		delete(e.watches, key)
	}
}

// Describe writes a condition's numbers into its status. While a notification of it is decided but not written they
// stay as they were, so that a restart decides it again.
func (e *Evaluator) Describe(key types.NamespacedName, status *v1alpha1.NotificationConditionStatus) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if f := e.watches[key]; f != nil && *f.drafts == 0 {
		f.watch.Describe(status)
	}
}

func (e *Evaluator) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// wasInactive says whether the status tells that the condition was not evaluated when it was last looked at.
func wasInactive(condition *v1alpha1.NotificationCondition) bool {
	switch readyReason(condition) {
	case v1alpha1.ReasonSuspended, v1alpha1.ReasonInvalid, v1alpha1.ReasonNotImplemented:
		return true
	}
	return false
}

func earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

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
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/match"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

const (
	// flushInterval is how often, at most, the numbers of a condition that did not fire are written to its status.
	flushInterval = 10 * time.Second
	// firedInterval is how often, at most, those of one are that did.
	firedInterval = time.Second
	// inFlight is how long a timer waits for events that were created before it was due and are still on their way.
	inFlight = time.Second
	// longestWait is how long a timer waits at most before it looks at the clock again, which may have been set meanwhile.
	longestWait = time.Minute
)

// stopwatch measures how long something takes. The Evaluator's clock is no use for that: it is set when the API server's is.
var stopwatch = clock.RealClock{}

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
	recorder events.EventRecorder
	events   *eventLog
	limits   *limits
	// changed tells the reconciler of conditions whose numbers have changed.
	changed chan event.GenericEvent
	// wake ends the loop's wait: something was queued by another goroutine.
	wake chan struct{}
	// started says that this manager leads.
	started atomic.Bool

	mu      sync.Mutex
	watches map[types.NamespacedName]*follower
	// met are the conditions that were looked at.
	met    map[types.NamespacedName]struct{}
	index  *match.Index[*follower]
	outbox []*draft
	// drafts is how many notifications are decided and not written, of all conditions.
	drafts int
	// waiting is how many of the outbox wait for their repetition, which is due at retryAt.
	waiting int
	retryAt time.Time
	// position is the latest event that was taken through all conditions.
	position plan.Position
	// due holds when followers next have something to do, the earliest first. An entry counts while it is what its follower says.
	due deadlines

	// dirty and flushAt belong to the loop.
	dirty   map[types.NamespacedName]struct{}
	flushAt time.Time
	flushed time.Time
	// digestAt is when it is next looked at whether a digest is due; zero for at once. It belongs to the loop.
	digestAt time.Time
}

// follower is one condition that is followed; a suspended or invalid one is not active but keeps its dampers.
type follower struct {
	key    types.NamespacedName
	watch  *plan.Watch
	active bool
	// namespaces are those whose events count, in order.
	namespaces []string
	// backlog is what waits to be written. The followers of all generations share it.
	backlog *backlog
	// behind says that the follower takes no events until its backlog is written, and then goes on from those that are kept.
	behind bool
	// noted is the latest deadline of the follower that the Evaluator has noted.
	noted time.Time
}

// deadline is when a follower next has something to do: a damper ends, or a window is empty.
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
func NewEvaluator(c client.Client, watching client.WithWatch, recorder events.EventRecorder, clk clock.Clock, log logr.Logger) *Evaluator {
	return &Evaluator{
		client: c, watching: watching, recorder: recorder, clock: clk, log: log,
		events:  newEventLog(log),
		limits:  newLimits(c, clk),
		changed: make(chan event.GenericEvent, changedBuffer),
		wake:    make(chan struct{}, 1),
		watches: map[types.NamespacedName]*follower{},
		met:     map[types.NamespacedName]struct{}{},
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
			timer = e.clock.After(min(next.Sub(e.clock.Now()), longestWait))
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
	now := e.clock.Now() // what has come in by now is in the queue
	for _, r := range e.events.take() {
		if ctx.Err() != nil {
			return time.Time{}
		}
		e.observe(r)
		e.write(ctx)
	}
	deadline := e.advance(now.Add(-inFlight))
	retry := e.write(ctx)
	e.confirm()
	return earliest(deadline, retry, e.digests(ctx), e.flush())
}

// observe takes one event through the conditions that could match it.
func (e *Evaluator) observe(r record) {
	eventsReceived.Inc()
	started := stopwatch.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.position = max(e.position, r.position)
	event := plan.NewEvent(r.event, r.position)
	e.index.Candidates(r.event.Namespace, string(r.event.Spec.Type), func(f *follower) {
		held, crowded := f.watch.Held(), f.watch.Crowded()
		verdict, firings := f.watch.Observe(event)
		switch verdict {
		case match.Matched:
			eventsMatched.Inc()
			occurrencesHeld.Add(float64(f.watch.Held() - held))
			namesForgotten.Add(float64(f.watch.Crowded() - crowded))
			e.dirty[f.key] = struct{}{}
		case match.ExpressionFailed:
			expressionErrors.Inc()
			e.dirty[f.key] = struct{}{}
		}
		e.enqueue(f, firings)
	})
	evaluationSeconds.Observe(stopwatch.Since(started).Seconds())
}

// advance decides about what has become due and returns when it is to be called for the next.
func (e *Evaluator) advance(now time.Time) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.due) > 0 {
		next := e.due[0]
		due, ok := next.follower.watch.NextDue()
		outdated := e.watches[next.follower.key] != next.follower || !next.follower.active || !ok || !due.Equal(next.at) ||
			next.follower.behind
		if !outdated && next.at.After(now) {
			return next.at.Add(inFlight)
		}
		heap.Pop(&e.due)
		if !outdated {
			e.enqueue(next.follower, next.follower.watch.Advance(now))
			e.dirty[next.follower.key] = struct{}{}
		}
	}
	return time.Time{}
}

// enqueue puts what a follower is to tell into the outbox, and notes when it is next due; the caller holds the lock.
func (e *Evaluator) enqueue(f *follower, firings []plan.Firing) {
	for _, firing := range firings {
		f.backlog.drafts++
		e.drafts++
		e.outbox = append(e.outbox, &draft{condition: f.key, backlog: f.backlog, firing: firing})
	}
	if !f.behind && (f.backlog.drafts >= mostDrafts || e.drafts >= mostDraftsInAll && f.backlog.drafts > 0) {
		f.behind = true
		e.index.Delete(f)
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
	if now.Before(e.flushAt) && !e.flushAt.After(now.Add(flushInterval)) { // else the clock was set back
		return e.flushAt
	}
	for key := range e.dirty {
		if e.tell(key) {
			delete(e.dirty, key)
		}
	}
	e.flushed, e.flushAt = now, now.Add(flushInterval)
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

func (e *Evaluator) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
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

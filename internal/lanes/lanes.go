// SPDX-License-Identifier: Apache-2.0

// Package lanes is a work queue that keeps slow work from delaying other work: each item belongs to a lane (a channel) of
// a tenant (a namespace), neither may occupy more than its share of the workers, and however much waits in some lanes,
// there are workers left for lanes in which nothing did.
package lanes

import (
	"slices"
	"sync"

	"k8s.io/client-go/util/workqueue"
)

// Lane says whose work an item is.
type Lane struct{ Tenant, Name string }

// Shares are how many workers may be busy at once.
type Shares struct {
	// Lane and Tenant bound the workers of one lane, and of all lanes of one tenant.
	Lane, Tenant int
	// Backlog bounds the workers of all lanes in which items wait for others of their lane.
	Backlog int
}

// SharesOf divides workers: a lane gets a sixteenth, a tenant a quarter, what waits in lanes three quarters.
func SharesOf(workers int) Shares {
	return Shares{Lane: max(1, workers/16), Tenant: max(1, workers/4), Backlog: workers - workers/4}
}

// Queue wraps a rate limiting work queue: items come out lane by lane in turn, and in order within a lane.
type Queue[T comparable] struct {
	workqueue.TypedRateLimitingInterface[T]
	laneOf func(T) Lane
	shares Shares

	mu      sync.Mutex
	changed *sync.Cond
	// taking says that one worker waits for the inner queue. No other takes from it meanwhile.
	taking, shutdown bool
	waiting          map[Lane][]T
	// turn holds the lanes in which items wait, in the order in which they come next.
	turn []Lane
	// fresh holds the lanes of turn of which no worker has taken an item since they last were empty.
	fresh   map[Lane]bool
	busy    map[Lane]int
	tenants map[string]int
	total   int
}

// New wraps a queue.
func New[T comparable](inner workqueue.TypedRateLimitingInterface[T], laneOf func(T) Lane, shares Shares) *Queue[T] {
	q := &Queue[T]{
		TypedRateLimitingInterface: inner, laneOf: laneOf, shares: shares,
		waiting: map[Lane][]T{}, fresh: map[Lane]bool{}, busy: map[Lane]int{}, tenants: map[string]int{},
	}
	q.changed = sync.NewCond(&q.mu)
	return q
}

// Get returns the next item of a lane that has a worker to spare; it waits until there is one.
func (q *Queue[T]) Get() (item T, shutdown bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.shutdown {
		if !q.taking {
			q.drain()
		}
		if item, ok := q.next(); ok {
			return item, false
		}
		if q.taking {
			q.changed.Wait()
			continue
		}
		q.take()
	}
	return item, true
}

// take waits for the inner queue in the name of all workers.
func (q *Queue[T]) take() {
	q.taking = true
	q.mu.Unlock()
	item, shutdown := q.TypedRateLimitingInterface.Get()
	q.mu.Lock()
	q.taking = false
	if q.shutdown = shutdown; !shutdown {
		q.put(item)
	}
	q.changed.Broadcast()
}

// drain takes all that the inner queue holds. It does not wait, as nobody else takes from it.
func (q *Queue[T]) drain() {
	for q.TypedRateLimitingInterface.Len() > 0 {
		item, shutdown := q.TypedRateLimitingInterface.Get()
		if shutdown {
			q.shutdown = true
			return
		}
		q.put(item)
	}
}

func (q *Queue[T]) put(item T) {
	lane := q.laneOf(item)
	if len(q.waiting[lane]) == 0 {
		q.turn = append(q.turn, lane)
		q.fresh[lane] = q.busy[lane] == 0
	}
	q.waiting[lane] = append(q.waiting[lane], item)
}

func (q *Queue[T]) next() (item T, ok bool) {
	for i, lane := range q.turn {
		if q.busy[lane] >= q.shares.Lane || q.tenants[lane.Tenant] >= q.shares.Tenant ||
			q.total >= q.shares.Backlog && !q.fresh[lane] {
			continue
		}
		item, q.waiting[lane] = q.waiting[lane][0], q.waiting[lane][1:]
		q.turn = slices.Delete(q.turn, i, i+1)
		delete(q.fresh, lane)
		if len(q.waiting[lane]) > 0 {
			q.turn = append(q.turn, lane)
		} else {
			delete(q.waiting, lane)
		}
		q.busy[lane]++
		q.tenants[lane.Tenant]++
		q.total++
		return item, true
	}
	return item, false
}

// Done gives the item's share back.
func (q *Queue[T]) Done(item T) {
	lane := q.laneOf(item)
	q.mu.Lock()
	if q.busy[lane]--; q.busy[lane] == 0 {
		delete(q.busy, lane)
	}
	if q.tenants[lane.Tenant]--; q.tenants[lane.Tenant] == 0 {
		delete(q.tenants, lane.Tenant)
	}
	q.total--
	q.mu.Unlock()
	q.TypedRateLimitingInterface.Done(item)
	q.changed.Broadcast()
}

// Len counts what waits in lanes too.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.TypedRateLimitingInterface.Len()
	for _, items := range q.waiting {
		n += len(items)
	}
	return n
}

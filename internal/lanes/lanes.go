// SPDX-License-Identifier: Apache-2.0

// Package lanes is a work queue that keeps slow work from delaying other work: each item belongs to a lane (a channel) of
// a tenant (a namespace), and neither may occupy more than its share of the workers.
package lanes

import (
	"sync"

	"k8s.io/client-go/util/workqueue"
)

// Lane says whose work an item is.
type Lane struct{ Tenant, Name string }

// Shares are how many workers may be busy at once for one lane, and for all lanes of one tenant.
type Shares struct{ Lane, Tenant int }

// Queue wraps a rate limiting work queue: Get passes over items whose lane or tenant has its share of workers busy, and
// comes back to them, lane after lane, once a worker of theirs is done.
type Queue[T comparable] struct {
	workqueue.TypedRateLimitingInterface[T]
	laneOf func(T) Lane
	shares Shares

	mu      sync.Mutex
	busy    map[Lane]int
	tenants map[string]*tenant[T]
}

// tenant is what waits for one tenant.
type tenant[T comparable] struct {
	busy   int
	parked map[Lane][]T
	// turn holds the lanes with parked items in the order in which they come next.
	turn []Lane
}

// New wraps a queue.
func New[T comparable](inner workqueue.TypedRateLimitingInterface[T], laneOf func(T) Lane, shares Shares) *Queue[T] {
	return &Queue[T]{
		TypedRateLimitingInterface: inner, laneOf: laneOf, shares: shares,
		busy: map[Lane]int{}, tenants: map[string]*tenant[T]{},
	}
}

// Get returns the next item whose lane has a worker to spare. Items that were parked come first; they can only become
// ready by a Done, and the worker that was done calls Get next, so none is forgotten while others block here.
func (q *Queue[T]) Get() (item T, shutdown bool) {
	for {
		if item, ok := q.unpark(); ok {
			return item, false
		}
		item, shutdown = q.TypedRateLimitingInterface.Get()
		if shutdown || q.admit(item) {
			return item, shutdown
		}
	}
}

// Done gives the item's share back.
func (q *Queue[T]) Done(item T) {
	lane := q.laneOf(item)
	q.mu.Lock()
	if q.busy[lane]--; q.busy[lane] == 0 {
		delete(q.busy, lane)
	}
	t := q.tenants[lane.Tenant]
	if t.busy--; t.busy == 0 && len(t.parked) == 0 {
		delete(q.tenants, lane.Tenant)
	}
	q.mu.Unlock()
	q.TypedRateLimitingInterface.Done(item)
}

// Len counts parked items too.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.TypedRateLimitingInterface.Len()
	for _, t := range q.tenants {
		for _, items := range t.parked {
			n += len(items)
		}
	}
	return n
}

// admit takes a share for the item, or parks it.
func (q *Queue[T]) admit(item T) bool {
	lane := q.laneOf(item)
	q.mu.Lock()
	defer q.mu.Unlock()
	t := q.tenants[lane.Tenant]
	if t == nil {
		t = &tenant[T]{parked: map[Lane][]T{}}
		q.tenants[lane.Tenant] = t
	}
	if q.spare(t, lane) {
		t.busy++
		q.busy[lane]++
		return true
	}
	if len(t.parked[lane]) == 0 {
		t.turn = append(t.turn, lane)
	}
	t.parked[lane] = append(t.parked[lane], item)
	return false
}

// unpark takes a share for a parked item whose lane has become free.
func (q *Queue[T]) unpark() (item T, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range q.tenants {
		for i, lane := range t.turn {
			if !q.spare(t, lane) {
				continue
			}
			item = t.parked[lane][0]
			t.turn = append(t.turn[:i:i], t.turn[i+1:]...)
			if t.parked[lane] = t.parked[lane][1:]; len(t.parked[lane]) > 0 {
				t.turn = append(t.turn, lane)
			} else {
				delete(t.parked, lane)
			}
			t.busy++
			q.busy[lane]++
			return item, true
		}
	}
	return item, false
}

func (q *Queue[T]) spare(t *tenant[T], lane Lane) bool {
	return q.busy[lane] < q.shares.Lane && t.busy < q.shares.Tenant
}

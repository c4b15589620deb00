// SPDX-License-Identifier: Apache-2.0

package serve

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// limits are how much is done at once, and for how long.
type limits struct {
	// questions are worked on at once, and of one reader so many.
	questions, questionsEach int
	// requests are in hand at once: waiting, worked on or being written; and of one reader so many. More are turned away.
	requests, requestsEach int
	// check is how long it may take to find out who asks, wait how long a request waits for its turn, query how long the
	// archive may take, and write how long the reader may take for a page.
	check, wait, query, write time.Duration
}

// standard limits leave two of PostgreSQL's eight connections to the Archiver. A request in hand holds a page at most.
var standard = limits{
	questions: 6, questionsEach: 2, requests: 48, requestsEach: 8,
	check: 10 * time.Second, wait: 10 * time.Second, query: 15 * time.Second, write: 20 * time.Second,
}

// ErrBusy is that a request is turned away, as others are in hand.
var ErrBusy = errors.New("too many requests")

// door lets requests in. Whose turn comes next is the reader's of whom the fewest questions are worked on; of those, who came
// first. So a reader who asks much, or slowly, waits for himself.
type door struct {
	limits

	mu sync.Mutex
	// inHand and working count by reader.
	inHand, working map[string]int
	requests, busy  int
	waiting         []*visitor
}

// visitor waits for his turn, which is when come is closed.
type visitor struct {
	reader string
	come   chan struct{}
}

func newDoor(l limits) *door {
	return &door{limits: l, inHand: map[string]int{}, working: map[string]int{}}
}

// enter takes a request in hand, until leave is called.
func (d *door) enter(reader string) (leave func(), err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.requests >= d.limits.requests || d.inHand[reader] >= d.requestsEach {
		return nil, ErrBusy
	}
	d.requests++
	d.inHand[reader]++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.requests--
		decrease(d.inHand, reader)
	}, nil
}

// turn returns when a question of the reader may be worked on, until done is called.
func (d *door) turn(ctx context.Context, reader string) (done func(), err error) {
	v := &visitor{reader, make(chan struct{})}
	d.mu.Lock()
	d.waiting = append(d.waiting, v)
	d.admit()
	d.mu.Unlock()
	done = func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.busy--
		decrease(d.working, reader)
		d.admit()
	}
	patience := time.NewTimer(d.wait)
	defer patience.Stop()
	select {
	case <-v.come:
		return done, nil
	case <-patience.C:
		err = ErrBusy
	case <-ctx.Done():
		err = ctx.Err()
	}
	if !d.forget(v) { // his turn has come in the same moment
		return done, nil
	}
	return nil, err
}

// admit lets in as many as may; the caller holds the lock.
func (d *door) admit() {
	for d.busy < d.questions {
		next := -1
		for i, v := range d.waiting {
			if n := d.working[v.reader]; n < d.questionsEach && (next < 0 || n < d.working[d.waiting[next].reader]) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		v := d.waiting[next]
		d.waiting = slices.Delete(d.waiting, next, next+1)
		d.busy++
		d.working[v.reader]++
		close(v.come)
	}
}

// forget takes a visitor out who waits, and says whether he did.
func (d *door) forget(v *visitor) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.waiting, v)
	if i >= 0 {
		d.waiting = slices.Delete(d.waiting, i, i+1)
	}
	return i >= 0
}

func decrease(counts map[string]int, key string) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}

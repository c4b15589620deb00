// SPDX-License-Identifier: Apache-2.0

package lanes_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"k8s.io/client-go/util/workqueue"

	"github.com/tocsin-dev/tocsin/internal/lanes"
)

type job struct{ tenant, lane, name string }

func laneOf(j job) lanes.Lane { return lanes.Lane{Tenant: j.tenant, Name: j.lane} }

const workers = 16

func newQueue(t *testing.T, shares lanes.Shares) *lanes.Queue[job] {
	t.Helper()
	q := lanes.New(workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[job]()), laneOf, shares)
	t.Cleanup(q.ShutDown)
	return q
}

func get(t *testing.T, q *lanes.Queue[job], want string) job {
	t.Helper()
	item, shutdown := q.Get()
	if shutdown || item.name != want {
		t.Fatalf("Get() = %q, want %q", item.name, want)
	}
	return item
}

func TestSlowLaneDoesNotDelayOthers(t *testing.T) {
	q := newQueue(t, lanes.Shares{Lane: 1, Tenant: 8, Backlog: workers})
	for i := range 1000 {
		q.Add(job{"security", "dead", fmt.Sprintf("dead-%d", i)})
	}
	q.Add(job{"security", "alive", "alive-0"})
	dead := get(t, q, "dead-0")
	get(t, q, "alive-0")
	q.Done(dead)
	get(t, q, "dead-1")
	if got := q.Len(); got != 998 {
		t.Errorf("Len() = %d, want the 998 that wait", got)
	}
}

func TestSlowTenantDoesNotDelayOthers(t *testing.T) {
	q := newQueue(t, lanes.Shares{Lane: 1, Tenant: 2, Backlog: workers})
	for i := range 10 {
		q.Add(job{"noisy", fmt.Sprintf("channel-%d", i), fmt.Sprintf("noisy-%d", i)})
	}
	q.Add(job{"quiet", "mail", "quiet"})
	get(t, q, "noisy-0")
	get(t, q, "noisy-1")
	get(t, q, "quiet")
}

func TestLanesOfOneTenantTakeTurns(t *testing.T) {
	q := newQueue(t, lanes.Shares{Lane: 1, Tenant: 1, Backlog: workers})
	for _, name := range []string{"a-0", "a-1", "a-2", "b-0", "b-1"} {
		q.Add(job{"security", name[:1], name})
	}
	q.Add(job{"other", "x", "x-0"})
	current := get(t, q, "a-0")
	x := get(t, q, "x-0")
	for _, want := range []string{"b-0", "a-1", "b-1", "a-2"} {
		q.Done(current)
		current = get(t, q, want)
	}
	q.Done(x)
	q.Done(current)
	if q.Len() != 0 {
		t.Errorf("Len() = %d, want none left", q.Len())
	}
}

func TestItemAddedAgainWhileItIsWorkedOnComesBack(t *testing.T) {
	q := newQueue(t, lanes.Shares{Lane: 1, Tenant: 1, Backlog: workers})
	again := job{"security", "mail", "n"}
	q.Add(again)
	first := get(t, q, "n")
	q.Add(again)
	q.Done(first)
	get(t, q, "n")
}

// However many tenants have work for dead servers, what has just come in does not wait for all of it.
func TestBacklogOfManyTenantsLeavesWorkersForWhatComesIn(t *testing.T) {
	q := newQueue(t, lanes.SharesOf(workers))
	for i := range 100 * workers {
		q.Add(job{fmt.Sprintf("t%d", i%workers), "dead", fmt.Sprintf("dead-%d", i)})
	}
	var busy []job
	for range workers { // each lane is new once
		item, _ := q.Get()
		busy = append(busy, item)
	}
	q.Add(job{"quiet", "alive", "alive"})
	q.Done(busy[0])
	get(t, q, "alive")
}

// Whatever the order, every item is worked on once and no share is ever exceeded.
func TestSharesHoldUnderLoad(t *testing.T) {
	shares := lanes.Shares{Lane: 2, Tenant: 3, Backlog: workers}
	q := newQueue(t, shares)
	const total = 2000
	for i := range total {
		q.Add(job{fmt.Sprintf("t%d", rand.IntN(4)), fmt.Sprintf("c%d", rand.IntN(5)), fmt.Sprint(i)})
	}
	var (
		mu    sync.Mutex
		busy  = map[lanes.Lane]int{}
		tense = map[string]int{}
		done  = map[string]int{}
		wg    sync.WaitGroup
	)
	for range workers {
		wg.Go(func() {
			for {
				item, shutdown := q.Get()
				if shutdown {
					return
				}
				mu.Lock()
				busy[laneOf(item)]++
				tense[item.tenant]++
				if busy[laneOf(item)] > shares.Lane || tense[item.tenant] > shares.Tenant {
					t.Errorf("lane %v has %d workers, tenant %d", laneOf(item), busy[laneOf(item)], tense[item.tenant])
				}
				mu.Unlock()
				mu.Lock()
				busy[laneOf(item)]--
				tense[item.tenant]--
				done[item.name]++
				finished := len(done) == total
				mu.Unlock()
				q.Done(item)
				if finished {
					q.ShutDown()
				}
			}
		})
	}
	wg.Wait()
	for name, times := range done {
		if times != 1 {
			t.Errorf("item %s was worked on %d times", name, times)
		}
	}
	if len(done) != total {
		t.Errorf("%d items were worked on, want %d", len(done), total)
	}
}

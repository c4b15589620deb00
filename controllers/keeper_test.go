// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/retention"
)

// bench is a keeper whose requests are written down, and answered as a test wants.
type bench struct {
	*keeper

	t     *testing.T
	time  *clocktesting.FakeClock
	start time.Time
	// requests are what was asked for, in words.
	requests []string
	// answer is what the next requests fail with.
	answer error
	placed int
}

func newBench(t *testing.T, limit, batch int) *bench {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	b := &bench{t: t, time: clocktesting.NewFakeClock(start), start: start}
	counters := func() severityMetric[prometheus.Counter] {
		m := severityMetric[prometheus.Counter]{}
		for _, s := range retention.Severities() {
			m[s] = prometheus.NewCounter(prometheus.CounterOpts{Name: "x"})
		}
		return m
	}
	b.keeper = &keeper{
		policy: retention.Policy{Ages: retention.Ages{time.Hour, 2 * time.Hour, 3 * time.Hour, 4 * time.Hour}, Limit: limit, Batch: batch},
		stock:  newStock(), clock: b.time, log: logr.Discard(), expired: counters(), shed: counters(),
		one: func(_ context.Context, i retention.Item) error {
			b.requests = append(b.requests, i.Name)
			return b.answer
		},
		many: func(_ context.Context, key retention.Key, n int) ([]types.UID, error) {
			b.requests = append(b.requests, fmt.Sprintf("%d of %s", n, key.Namespace))
			return b.names(key)[:n], b.answer
		},
		say: func(_ context.Context, n retention.Note) error {
			b.requests = append(b.requests, fmt.Sprintf("tell %d", n.Number))
			return nil
		},
	}
	return b
}

func (b *bench) names(key retention.Key) []types.UID {
	var names []types.UID
	for n := 1; n <= b.placed; n++ {
		uid := types.UID(fmt.Sprintf("%s%d", key.Namespace, n))
		if b.stock.kept.Has(uid) {
			names = append(names, uid)
		}
	}
	return names
}

// put puts objects of severity Info that are so old by the clock.
func (b *bench) put(namespace string, n int, age time.Duration) {
	for range n {
		b.placed++
		name, created := fmt.Sprintf("%s%d", namespace, b.placed), b.time.Now().Add(-age)
		b.stock.put(retention.Item{
			Key: retention.Key{Namespace: namespace, Severity: v1alpha1.SeverityInfo}, UID: types.UID(name), Name: name,
			Place: uint64(created.Unix()), Created: created,
		})
	}
}

// step does a step and returns after how long the next is to be done.
func (b *bench) step() time.Duration {
	b.t.Helper()
	next := b.keeper.step(b.t.Context())
	if next.IsZero() {
		return -1
	}
	return next.Sub(b.time.Now())
}

func (b *bench) wants(requests ...string) {
	b.t.Helper()
	if !slices.Equal(b.requests, requests) {
		b.t.Errorf("requests were %s, want %s", strings.Join(b.requests, ", "), strings.Join(requests, ", "))
	}
	b.requests = nil
}

func (b *bench) waits(want time.Duration) {
	b.t.Helper()
	if got := b.step(); got != want {
		b.t.Errorf("the next step is after %s, want %s", got, want)
	}
}

// never is when the next step is due if nothing happens.
const never = time.Duration(-1)

func TestKeeperWaitsForTheExactMoment(t *testing.T) {
	t.Parallel()
	b := newBench(t, 100, 10)
	b.waits(never)
	b.put("a", 1, 20*time.Minute)
	b.put("a", 1, 10*time.Minute)
	b.waits(40 * time.Minute)
	b.time.Step(40*time.Minute - time.Nanosecond)
	b.waits(time.Nanosecond)
	b.wants()
	b.time.Step(time.Nanosecond)
	b.waits(0)
	b.wants("a1")
	b.time.Step(time.Second)
	b.waits(10*time.Minute - time.Second)
	b.stock.gone("a2")
	b.time.Step(10 * time.Minute)
	b.waits(never)
	b.wants()
}

func TestKeeperTakesItsTimeWhereThereIsNoHurry(t *testing.T) {
	t.Parallel()
	b := newBench(t, 100, 10)
	b.put("a", 3, 2*time.Hour)
	b.waits(0)
	b.waits(50 * time.Millisecond)
	b.wants("a1")
	b.time.Step(50 * time.Millisecond)
	b.waits(0)
	b.wants("a2")
}

// A notification may be finished when it has long reached its age.
func TestKeeperSeesWhatIsLate(t *testing.T) {
	t.Parallel()
	b := newBench(t, 100, 0)
	b.put("a", 1, 0)
	b.waits(time.Hour)
	b.put("a", 1, 5*time.Hour)
	b.waits(0)
	b.wants("a2")
}

func TestKeeperShedsInBatchesAndWaitsForWhatItDeleted(t *testing.T) {
	t.Parallel()
	b := newBench(t, 20, 10)
	b.put("a", 42, 0)
	b.waits(0)
	b.wants("10 of a")
	b.waits(never)
	for n := 1; n < 10; n++ {
		b.stock.gone(types.UID(fmt.Sprintf("a%d", n)))
	}
	b.waits(never)
	b.stock.leaves("a10") // it has a finalizer
	b.waits(0)
	b.wants("10 of a")
	for n := 11; n <= 20; n++ {
		b.stock.gone(types.UID(fmt.Sprintf("a%d", n)))
	}
	b.waits(shedPause)
	b.wants()
	b.time.Step(shedPause)
	b.waits(0)
	b.wants("a21")
	if n := counted(t, b.shed); n != 19 {
		t.Errorf("%v are counted, want 19: one still waits for its finalizer", n)
	}
}

// counted is the value of a counter for Info.
func counted(t *testing.T, m severityMetric[prometheus.Counter]) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m[v1alpha1.SeverityInfo])
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

func TestKeeperGoesOnOneByOneWhereARequestForManyIsOfNoUse(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answer error
		pause  time.Duration
	}{
		"it deleted none":                        {nil, uselessPause},
		"the position is too old for the server": {apierrors.NewResourceExpired("too old"), expiredPause},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, 20, 10)
			many := b.many
			b.many = func(ctx context.Context, key retention.Key, n int) ([]types.UID, error) {
				_, _ = many(ctx, key, n)
				return nil, tc.answer
			}
			b.put("a", 45, 0)
			b.waits(0)
			b.waits(0)
			b.waits(0)
			b.wants("10 of a", "a1", "a2")
			b.time.Step(tc.pause)
			b.waits(0)
			b.wants("10 of a")
		})
	}
}

func TestKeeperTriesAgainLaterAndLater(t *testing.T) {
	t.Parallel()
	b := newBench(t, 100, 10)
	b.answer = errors.New("not today")
	b.put("bad", 1, 2*time.Hour)
	b.waits(0)
	b.wants("bad1")
	for _, want := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second} {
		b.time.Step(deletePace)
		next := b.step()
		if least, most := want*9/10-deletePace, want*11/10-deletePace; next < least || next > most {
			t.Errorf("tries again after %s, want about %s", next, want)
		}
		b.wants()
		b.answer = nil
		b.put("good", 1, 2*time.Hour)
		b.waits(0)
		b.wants(fmt.Sprintf("good%d", b.placed))
		b.answer = errors.New("not today")
		b.time.Step(next)
		b.waits(0)
		b.wants("bad1")
	}
	b.stock.gone("bad1") // the answer was lost, and not the request
	b.step()
	if n := counted(t, b.expired); n != 1 {
		t.Errorf("%v are counted as expired, want 1", n)
	}
}

// What somebody else deletes does not count, and what was shed at its age has expired.
func TestKeeperCountsWhatHasGone(t *testing.T) {
	t.Parallel()
	b := newBench(t, 20, 10)
	b.put("a", 10, 2*time.Hour)
	b.put("a", 22, 0)
	b.stock.gone("a32")
	b.waits(0)
	b.wants("10 of a")
	for n := 1; n <= 10; n++ {
		b.stock.gone(types.UID(fmt.Sprintf("a%d", n)))
	}
	b.waits(shedPause)
	b.stock.gone("a11")
	b.step()
	if expired, shed := counted(t, b.expired), counted(t, b.shed); expired != 10 || shed != 0 {
		t.Errorf("%v expired and %v were shed, want 10 and 0", expired, shed)
	}
}

func TestKeeperTellsTheRestBeforeItEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t, 100, 10)
	note := retention.Note{Namespace: "a", Severity: v1alpha1.SeverityInfo, Number: 1, Since: b.start}
	b.tally.Add(note)
	b.tell(t.Context(), b.time.Now())
	note.Number = 7
	b.tally.Add(note)
	b.tell(t.Context(), b.time.Now())
	b.wants("tell 1")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	b.run(ended)
	b.wants("tell 7")
}

func attempted(attempts int) *backlog { return &backlog{drafts: 1, attempts: attempts} }

// An event may not go before what came of it is written, as a restart decides that anew. A notification that the API server
// refuses for minutes does not hold up everything.
func TestWhatIsNotWrittenHoldsUpDeletion(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		outbox []*draft
		offers int
	}{
		"all is written":             {nil, 1},
		"one is not written":         {[]*draft{{backlog: attempted(heldUpFor)}, {backlog: attempted(0)}}, 0},
		"one has just been refused":  {[]*draft{{backlog: attempted(1)}}, 0},
		"one is refused for minutes": {[]*draft{{backlog: attempted(heldUpFor)}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := NewEvaluator(nil, nil, nil, clock.RealClock{}, logr.Discard())
			if err := e.events.Add(stored("a", "ns", "1", noon)); err != nil {
				t.Fatal(err)
			}
			e.events.take()
			e.outbox = tc.outbox
			e.confirm()
			if offers, _ := e.events.stock.total(); offers != tc.offers {
				t.Errorf("%d may be deleted, want %d", offers, tc.offers)
			}
			if caughtUp := e.caughtUp(nil); caughtUp != (tc.offers == 1) {
				t.Errorf("deletion may begin: %t", caughtUp)
			}
		})
	}
}

func TestDeletionBeginsWhenAllConditionsWereLookedAt(t *testing.T) {
	t.Parallel()
	e := NewEvaluator(nil, nil, nil, clock.RealClock{}, logr.Discard())
	one, other := v1alpha1.NotificationCondition{}, v1alpha1.NotificationCondition{}
	one.Name, other.Name = "one", "other"
	conditions := []v1alpha1.NotificationCondition{one, other}
	e.rest(types.NamespacedName{Name: "one"})
	if e.caughtUp(conditions) {
		t.Error("begins although one was not looked at")
	}
	e.rest(types.NamespacedName{Name: "other"})
	if !e.caughtUp(conditions) {
		t.Error("does not begin")
	}
}

// SPDX-License-Identifier: Apache-2.0

package retention_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/retention"
)

// heap is what is kept as one long list, all of which is looked at for each question.
type heap struct {
	policy retention.Policy
	items  []retention.Item
}

func (h *heap) expiry(i retention.Item) time.Time {
	return i.Created.Add(map[v1alpha1.Severity]time.Duration{
		info: h.policy.Ages[0], warning: h.policy.Ages[1], failure: h.policy.Ages[2], critical: h.policy.Ages[3],
	}[i.Severity])
}

func (h *heap) bytes() int64 {
	var sum int64
	for _, i := range h.items {
		sum += i.Bytes
	}
	return sum
}

func (h *heap) tooMany() bool {
	return len(h.items) > h.policy.Limit || h.bytes() > h.policy.MemoryLimit
}

func (h *heap) farTooMany() bool {
	return 10*len(h.items) > 11*h.policy.Limit || 10*h.bytes() > 11*h.policy.MemoryLimit
}

func (h *heap) twiceTooMany() bool {
	return len(h.items) > 2*h.policy.Limit || h.bytes() > 2*h.policy.MemoryLimit
}

// holds is how much of a severity a namespace holds.
func (h *heap) holds(like retention.Item, by retention.Reason) int64 {
	var sum int64
	for _, i := range h.items {
		switch {
		case i.Severity != like.Severity || i.Namespace != like.Namespace:
		case by == retention.Memory:
			sum += i.Bytes
		default:
			sum++
		}
	}
	return sum
}

// wrong says what is wrong with the deletion of an item for a reason, or nothing.
func (h *heap) wrong(gone retention.Item, d retention.Decision, now time.Time) string {
	switch d.Reason {
	case retention.Age:
		if gone.Stage != retention.Finished || h.expiry(gone).After(now) {
			return "has not reached its age"
		}
	case retention.Number:
		if len(h.items) <= h.policy.Limit {
			return "goes although the limit is not exceeded"
		}
	case retention.Memory:
		if h.bytes() <= h.policy.MemoryLimit && d.Number == 1 {
			return "goes although the memory is not exceeded"
		}
	}
	for _, other := range h.items {
		older := other.Key == gone.Key && other.Place < gone.Place && d.Number == 1
		switch {
		case older:
			return "goes before an older one"
		case d.Reason == retention.Age && other.Stage == retention.Finished && h.expiry(other).Before(h.expiry(gone)):
			return "goes before one that reached its age before"
		case d.Reason == retention.Age:
		case other.Severity.Number() < gone.Severity.Number():
			return "goes before one of a lower severity"
		case other.Severity == gone.Severity && d.Number == 1 && h.holds(other, d.Reason) > h.holds(gone, d.Reason):
			return "goes although another namespace holds more"
		case other.Severity == gone.Severity && other.Namespace == gone.Namespace && other.Stage < gone.Stage:
			return "goes, not finished, before one that is finished"
		}
	}
	switch {
	case gone.Stage == retention.Unfinished && !h.farTooMany():
		return "goes, not finished, although there are not far too many"
	case gone.Stage == retention.Unarchived && !h.twiceTooMany():
		return "goes, not archived, although there are not twice too many"
	}
	return ""
}

// waits says whether what goes first is not as far as one of these stages: of some severity and namespace that goes first,
// for either reason, nothing is further.
func (h *heap) waits(of ...retention.Stage) bool {
	for _, by := range []retention.Reason{retention.Number, retention.Memory} {
		first := slices.MinFunc(h.items, func(a, b retention.Item) int {
			return cmp.Or(cmp.Compare(a.Severity.Number(), b.Severity.Number()), cmp.Compare(h.holds(b, by), h.holds(a, by)))
		})
		most := h.holds(first, by)
		for _, i := range h.items {
			if i.Severity == first.Severity && h.holds(i, by) == most && slices.Contains(of, h.furthestIn(i)) {
				return true
			}
		}
	}
	return false
}

// furthestIn is how far the one is that is furthest, of the item's severity and namespace.
func (h *heap) furthestIn(like retention.Item) retention.Stage {
	furthest := like.Stage
	for _, i := range h.items {
		if i.Severity == like.Severity && i.Namespace == like.Namespace {
			furthest = min(furthest, i.Stage)
		}
	}
	return furthest
}

func (h *heap) remove(uid types.UID) {
	h.items = slices.DeleteFunc(h.items, func(i retention.Item) bool { return i.UID == uid })
}

// pick finds what a decision deletes: the oldest of its key, or of several whatever the API server comes upon first.
func (h *heap) pick(d retention.Decision, r *rand.Rand) []retention.Item {
	var of []retention.Item
	for _, i := range h.items {
		if i.Key == d.Key {
			of = append(of, i)
		}
	}
	if d.Number == 1 {
		return []retention.Item{slices.MinFunc(of, func(a, b retention.Item) int { return cmp.Compare(a.Place, b.Place) })}
	}
	r.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
	return of[:d.Number]
}

// TestWhatGoes plays arrivals, the end of deliveries and the passing of time, and looks at each deletion.
func TestWhatGoes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 7))
			g := game{
				t: t, r: r, now: noon, ledger: retention.NewLedger(),
				heap: heap{policy: retention.Policy{
					Ages:  retention.Ages{time.Minute, 2 * time.Minute, 5 * time.Minute, time.Duration(5+r.IntN(60)) * time.Minute},
					Limit: 10 + r.IntN(40), MemoryLimit: 1 << (9 + r.IntN(6)), Batch: r.IntN(30),
				}},
			}
			for range 80 {
				g.play()
				g.tidy()
			}
		})
	}
}

type game struct {
	t      *testing.T
	r      *rand.Rand
	now    time.Time
	heap   heap
	ledger *retention.Ledger
	before retention.Verb
	placed uint64
}

// play lets something happen: time passes, one arrives or many, a few are finished, or somebody else deletes one.
func (g *game) play() {
	switch g.r.IntN(6) {
	case 0:
		g.now = g.now.Add(time.Duration(g.r.IntN(100)) * time.Second)
	case 1:
		for range g.r.IntN(100) {
			g.arrive([]string{"storm", "a", "b"}[min(2, g.r.IntN(8))], retention.Severities()[g.r.IntN(2)])
		}
	case 2:
		for i := range g.heap.items {
			if g.r.IntN(2) == 0 {
				g.heap.items[i].Stage = retention.Finished
				g.ledger.Put(g.heap.items[i])
			}
		}
	case 3:
		if n := len(g.heap.items); n > 0 {
			g.forget(g.heap.items[g.r.IntN(n)])
		}
	default:
		g.arrive([]string{"a", "b", "c"}[g.r.IntN(3)], retention.Severities()[g.r.IntN(4)])
	}
}

func (g *game) arrive(namespace string, severity v1alpha1.Severity) {
	g.placed++
	i := retention.Item{
		Key: retention.Key{Namespace: namespace, Severity: severity, Stage: retention.Stage(g.r.IntN(3))},
		UID: types.UID(fmt.Sprint(g.placed)), Place: g.placed, Created: g.now, Bytes: int64(1 + g.r.IntN(100)),
	}
	g.heap.items = append(g.heap.items, i)
	g.ledger.Put(i)
}

func (g *game) forget(i retention.Item) {
	g.heap.remove(i.UID)
	g.ledger.Remove(i.UID)
}

// tidy does what is to be done until nothing is.
func (g *game) tidy() {
	g.t.Helper()
	for {
		d := g.heap.policy.Next(g.ledger.Groups(), g.before, g.now)
		g.before = d.Verb
		if d.Verb == retention.Keep || d.At.After(g.now) {
			g.finished(d)
			return
		}
		if oldest, _ := g.ledger.Oldest(d.Key); d.Number == 1 && oldest.UID != g.heap.pick(d, g.r)[0].UID {
			g.t.Fatalf("the ledger's oldest is %s, not %s", oldest.UID, g.heap.pick(d, g.r)[0].UID)
		}
		for _, i := range g.heap.pick(d, g.r) {
			if wrong := g.heap.wrong(i, d, g.now); wrong != "" {
				g.t.Fatalf("%s of %s %s: %+v; there are %d", i.UID, i.Namespace, wrong, d, len(g.heap.items))
			}
			g.forget(i)
		}
	}
}

// finished checks what is left when nothing is to be done now.
func (g *game) finished(d retention.Decision) {
	g.t.Helper()
	var first time.Time
	for _, i := range g.heap.items {
		if expiry := g.heap.expiry(i); i.Stage == retention.Finished && (first.IsZero() || expiry.Before(first)) {
			first = expiry
		}
	}
	switch {
	case !d.At.Equal(first):
		g.t.Fatalf("waits until %s, want %s", d.At, first)
	case !first.IsZero() && !first.After(g.now):
		g.t.Fatalf("one has reached its age and stays")
	case g.heap.tooMany() && !first.IsZero() && !g.heap.waits(retention.Unarchived, retention.Unfinished):
		g.t.Fatalf("%d of %d bytes are too many, and stay", len(g.heap.items), g.heap.bytes())
	case g.heap.farTooMany() && (g.heap.twiceTooMany() || !g.heap.waits(retention.Unarchived)):
		g.t.Fatalf("%d of %d bytes are far too many, and stay", len(g.heap.items), g.heap.bytes())
	}
}

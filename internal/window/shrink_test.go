// SPDX-License-Identifier: Apache-2.0

package window

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// everything is a window that keeps all and looks at all, each time.
type everything struct {
	threshold Threshold
	entries   []Entry
}

func (x *everything) reached(now time.Time) bool {
	var n int64
	computers := map[string]bool{}
	for _, e := range x.entries {
		if e.Time.After(now.Add(-x.threshold.Width)) && !e.Time.After(now) {
			n += e.Count
			if e.Computer != "" {
				computers[e.Computer] = true
			}
		}
	}
	if x.threshold.Distinct {
		n = int64(len(computers))
	}
	return n >= x.threshold.Count
}

// flood is far more than a window keeps: in bursts, late, on few computers, on many, or nearly all on one.
func flood(r *rand.Rand, width time.Duration, n int) []Entry {
	now := start
	names, noisy := []int{1, 10, 2000}[r.IntN(3)], r.IntN(2) == 0
	entries := make([]Entry, 0, n)
	for range n {
		if r.IntN(3) == 0 {
			now = now.Add(time.Duration(r.Int64N(int64(width) / 200)))
		}
		e := Entry{Time: now, Count: 1, Computer: fmt.Sprint("ws-", r.IntN(names)), Risk: fmt.Sprint("risk-", r.IntN(50))}
		if noisy && r.IntN(200) > 0 {
			e.Computer = "noisy"
		}
		switch r.IntN(10) {
		case 0:
			e.Time = now.Add(-time.Duration(r.Int64N(int64(3 * width))))
		case 1:
			e.Count = int64(1 + r.IntN(20))
		case 2:
			e.Computer = ""
		}
		e.First = e.Time
		entries = append(entries, e)
	}
	return entries
}

// TestMemoryIsBounded: whatever arrives, a window keeps no more than its threshold and some slack; and whether the
// threshold is reached as of now, the only question on which a storm depends, it answers as if it had kept everything.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	reached := map[bool]int{}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 7))
		threshold := Threshold{
			Count: []int64{1, 3, 5, 50, 300, 1000}[r.IntN(6)], Width: time.Minute, Distinct: r.IntN(2) == 0,
		}
		w, all := New(threshold), &everything{threshold: threshold}
		now := start
		for i, e := range flood(r, threshold.Width, 2500) {
			before := len(w.entries)
			w.Add(e)
			all.entries = append(all.entries, e)
			if most := int(threshold.Count) + 2*slack; len(w.entries) > most {
				t.Fatalf("seed %d: %d entries are kept, at most %d may be", seed, len(w.entries), most)
			}
			if e.Time.After(now) {
				now = e.Time
			}
			if i%40 != 0 && len(w.entries) >= before {
				continue
			}
			for _, later := range []time.Duration{0, time.Second, threshold.Width / 2, threshold.Width - 1, threshold.Width} {
				_, got := w.AsOf(now.Add(later))
				want := all.reached(now.Add(later))
				if got != want {
					t.Fatalf("seed %d: %+v: %s after event %d: reached is %t, want %t", seed, threshold, later, i, got, want)
				}
				reached[want]++
			}
		}
	}
	if reached[true] < 200 || reached[false] < 200 {
		t.Errorf("the floods are too dull to prove anything: %v", reached)
	}
}

// TestOrderIsKept: entries lie in the order of their times, whatever the order in which they arrive, and no two are equal.
func TestOrderIsKept(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 11))
		w := New(Threshold{Count: 100, Width: time.Minute, Distinct: seed%2 == 0})
		for i, e := range flood(r, time.Minute, 1500) {
			w.Add(e)
			if i%100 == 0 {
				w.Forget(e.Time.Add(-2 * time.Minute))
			}
		}
		seen := map[string]bool{}
		for i, e := range w.entries {
			if i > 0 && w.entries[i-1].Time.After(e.Time) {
				t.Fatalf("seed %d: entry %d is later than the next", seed, i-1)
			}
			what := fmt.Sprint(e.Time, e.computer, e.risk)
			if seen[what] {
				t.Fatalf("seed %d: there are two entries of %s", seed, what)
			}
			seen[what] = true
		}
	}
}

// TestANoisyComputerHidesNoOther: with different computers to be counted, what many entries of one push out is its own.
func TestANoisyComputerHidesNoOther(t *testing.T) {
	t.Parallel()
	w := New(Threshold{Count: 3, Width: 2 * time.Hour, Distinct: true})
	for i, computer := range []string{"a", "b"} {
		w.Add(Entry{Time: start.Add(time.Duration(i) * time.Second), Count: 1, Computer: computer})
	}
	for i := range 5000 {
		now := start.Add(time.Duration(10+i) * time.Second)
		w.Add(Entry{Time: now, Count: 1, Computer: "noisy"})
		if s, reached := w.AsOf(now); !reached || s.Computers != 3 {
			t.Fatalf("after %d entries of one computer only %q are known", i+1, s.ComputerNames)
		}
	}
}

// TestNothingIsLostUntilItMustBe: totals are exact as long as a window has room.
func TestNothingIsLostUntilItMustBe(t *testing.T) {
	t.Parallel()
	for _, distinct := range []bool{false, true} {
		w := New(Threshold{Count: 5, Width: time.Hour, Distinct: distinct})
		room := 5 + 2*slack
		for i := range room {
			w.Add(Entry{Time: start.Add(time.Duration(i) * time.Second), Count: 2, Computer: fmt.Sprint(i % 7)})
		}
		if s, _ := w.AsOf(start.Add(time.Hour - time.Second)); s.Occurrences != int64(2*room) || s.Computers != 7 {
			t.Errorf("distinct %t: %d occurrences on %d computers, want %d on 7", distinct, s.Occurrences, s.Computers, 2*room)
		}
	}
}

// TestEqualEntriesAreOne: what happened at one time on one computer, of one risk, is one entry, however many others there
// are of that time.
func TestEqualEntriesAreOne(t *testing.T) {
	t.Parallel()
	type what struct {
		at             time.Time
		computer, risk string
	}
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 13))
		w := New(Threshold{Count: 1000, Width: time.Minute})
		want := map[what]int64{}
		for i := range 8000 {
			e := Entry{
				Time: start.Add(time.Duration(r.IntN(3)) * time.Second), Count: int64(1 + r.IntN(3)),
				Computer: fmt.Sprint([]string{"ws-", "WS-"}[r.IntN(2)], r.IntN(100)), Risk: fmt.Sprint("risk-", r.IntN(5)),
			}
			if i == 4000 {
				w.Forget(start.Add(time.Second))
				maps.DeleteFunc(want, func(x what, _ int64) bool { return x.at.Equal(start) })
			}
			w.Add(e)
			want[what{e.Time, strings.ToLower(e.Computer), e.Risk}] += e.Count
		}
		if len(w.entries) != len(want) {
			t.Fatalf("seed %d: there are %d entries, want %d", seed, len(w.entries), len(want))
		}
		for _, e := range w.entries {
			if n := want[what{e.Time, e.computer, e.risk}]; e.Count != n {
				t.Fatalf("seed %d: %s of %s at %s happened %d times, want %d", seed, e.Risk, e.Computer, e.Time, e.Count, n)
			}
		}
	}
}

// BenchmarkStorm is what an entry costs among a thousand others of its second.
func BenchmarkStorm(b *testing.B) {
	for _, distinct := range []bool{false, true} {
		b.Run(fmt.Sprintf("distinct=%t", distinct), func(b *testing.B) {
			w, n := New(Threshold{Count: 10, Width: time.Hour, Distinct: distinct}), 0
			for b.Loop() {
				n++
				w.Add(Entry{Time: start.Add(time.Duration(n/1000) * time.Second), Count: 1, Computer: fmt.Sprint("ws-", n%100_000)})
			}
		})
	}
}

// BenchmarkLate is what an entry costs that arrives late in a window with a high threshold.
func BenchmarkLate(b *testing.B) {
	for _, distinct := range []bool{false, true} {
		b.Run(fmt.Sprintf("distinct=%t", distinct), func(b *testing.B) {
			w := New(Threshold{Count: 10_000, Width: time.Hour, Distinct: distinct})
			for i := range 10_000 {
				w.Add(Entry{Time: start.Add(time.Duration(i) * time.Second), Count: 1, Computer: fmt.Sprint(i % 500)})
			}
			for b.Loop() {
				w.Around(start.Add(5000*time.Second), start.Add(24*time.Hour))
			}
		})
	}
}

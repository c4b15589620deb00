// SPDX-License-Identifier: Apache-2.0

package window

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestABareWindowDecidesTheSame: it is asked the same at each step of a flood as one that sums up, and answers the same, with
// the same end.
func TestABareWindowDecidesTheSame(t *testing.T) {
	t.Parallel()
	answers := map[bool]int{}
	for seed := range uint64(12) {
		r := rand.New(rand.NewPCG(seed, 17))
		threshold := Threshold{Count: []int64{1, 3, 20, 300}[r.IntN(4)], Width: time.Minute, Distinct: seed%2 == 0}
		full, bare := New(threshold), New(Threshold{Count: threshold.Count, Width: threshold.Width, Distinct: threshold.Distinct, Bare: true})
		now := start
		for i, e := range flood(r, threshold.Width, 1500) {
			full.Add(e)
			bare.Add(e)
			if e.Time.After(now) {
				now = e.Time
			}
			if i%7 != 0 {
				continue
			}
			for what, ask := range map[string]func(*Window) (Summary, bool){
				"as of now":   func(w *Window) (Summary, bool) { return w.AsOf(now) },
				"around it":   func(w *Window) (Summary, bool) { return w.Around(e.Time, now) },
				"before now":  func(w *Window) (Summary, bool) { return w.Around(e.Time, now.Add(-time.Second)) },
				"around that": func(w *Window) (Summary, bool) { return w.Around(now.Add(-threshold.Width/2), now) },
			} {
				sum, reached := ask(full)
				got, also := ask(bare)
				if also != reached || !got.End.Equal(sum.End) {
					t.Fatalf("seed %d, event %d, %s: %t until %s, want %t until %s", seed, i, what, also, got.End, reached, sum.End)
				}
				answers[reached]++
			}
		}
	}
	if answers[true] < 500 || answers[false] < 500 {
		t.Errorf("the floods are too dull to prove anything: %v", answers)
	}
}

// BenchmarkBare is what it costs to decide about a window that is full of different computers, and what to sum it up.
func BenchmarkBare(b *testing.B) {
	for name, bare := range map[string]bool{"decided": true, "summed up": false} {
		b.Run(name, func(b *testing.B) {
			w := New(Threshold{Count: 10, Width: time.Hour, Distinct: true, Bare: bare})
			for _, e := range flood(rand.New(rand.NewPCG(1, 1)), time.Hour, 2000) {
				w.Add(e)
			}
			end := w.entries[len(w.entries)-1].Time
			for b.Loop() {
				w.AsOf(end)
			}
		})
	}
}

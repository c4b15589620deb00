// SPDX-License-Identifier: Apache-2.0

package retention_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-dev/tocsin/internal/retention"
)

func shed(namespace string, n, second int) retention.Note {
	return retention.Note{
		Namespace: namespace, Severity: info, Number: n, Since: noon.Add(time.Duration(second) * time.Second), Reason: retention.Number,
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	seconds := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Second) }
	var tally retention.Tally
	for _, step := range []struct {
		name   string
		second int
		add    []retention.Note
		told   []retention.Note
		next   time.Time
	}{
		{"nothing is shed", 0, nil, nil, time.Time{}},
		{"the first is told at once", 1, []retention.Note{shed("a", 2, 1), shed("a", 3, 1)}, []retention.Note{shed("a", 5, 1)}, time.Time{}},
		{"what follows waits", 5, []retention.Note{shed("a", 1, 5)}, nil, seconds(61)},
		{"and is added up", 30, []retention.Note{shed("a", 4, 30)}, nil, seconds(61)},
		{"another namespace does not wait for it", 31, []retention.Note{shed("b", 1, 31)}, []retention.Note{shed("b", 1, 31)}, seconds(61)},
		{"until the minute is over, since the first of them", 61, nil, []retention.Note{shed("a", 5, 5)}, time.Time{}},
		{"nothing more to tell", 121, nil, nil, time.Time{}},
		{"after a quiet minute at once again", 122, []retention.Note{shed("a", 1, 122)}, []retention.Note{shed("a", 1, 122)}, time.Time{}},
		{"what could not be told is added again, and waits", 122, []retention.Note{shed("a", 1, 122)}, nil, seconds(182)},
		{"with what follows", 170, []retention.Note{shed("a", 2, 170)}, nil, seconds(182)},
		{"and is told from its beginning", 182, nil, []retention.Note{shed("a", 3, 122)}, time.Time{}},
	} {
		for _, n := range step.add {
			tally.Add(n)
		}
		if diff := cmp.Diff(step.told, tally.Due(seconds(step.second))); diff != "" {
			t.Errorf("%s: told differs (-want +got):\n%s", step.name, diff)
		}
		if next := tally.Next(); !next.Equal(step.next) {
			t.Errorf("%s: next is %s, want %s", step.name, next, step.next)
		}
	}
}

// Whatever is shed when, all of it is told, and never more often than once in a minute.
func TestTallyLosesNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var tally retention.Tally
		told, want := map[string]int{}, map[string]int{}
		last := map[string]int{}
		for second := range 600 {
			if r.IntN(3) == 0 {
				n := shed([]string{"a", "b"}[r.IntN(2)], 1+r.IntN(9), second)
				tally.Add(n)
				want[n.Namespace] += n.Number
			}
			if second < 599 && r.IntN(4) > 0 {
				continue
			}
			for _, n := range tally.Due(noon.Add(time.Duration(second) * time.Second)) {
				if at, before := last[n.Namespace]; before && second-at < 60 {
					t.Fatalf("seed %d: %s is told after %d seconds again", seed, n.Namespace, second-at)
				}
				last[n.Namespace] = second
				told[n.Namespace] += n.Number
			}
		}
		for _, n := range tally.Due(noon.Add(time.Hour)) {
			told[n.Namespace] += n.Number
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Fatalf("seed %d: told differs (-shed +told):\n%s", seed, diff)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package serverclock_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/internal/serverclock"
)

// TestNeverAheadAndAtMostASecondBehind: however the network delays, the server's clock drifts, and either clock is set, the
// clock is not ahead of the server's, but for what that has lost since the answers that count, and it is behind it by no more
// than the part of a second that a Date leaves out, the answer's delay, and what the server's has gained since: each answer of
// the last interval promises that, and the one that promises most is kept to.
func TestNeverAheadAndAtMostASecondBehind(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for seed := range uint64(500) {
		w := newWorld(t, seed)
		for range 300 {
			w.happen()
			w.check()
		}
		for what, n := range w.seen {
			seen[what] += n
		}
	}
	for _, what := range []string{"set back", "set forward", "machine set", "quiet", "ahead", "behind", "tight"} {
		if seen[what] < 1000 {
			t.Errorf("the stories are too dull to prove anything: %q happened %d times", what, seen[what])
		}
	}
}

// world is one machine, one API server and the network between them.
type world struct {
	t       *testing.T
	r       *rand.Rand
	machine *machine
	clock   *serverclock.Clock
	// offset is how far the server's clock is ahead of t0 plus the time passed; drift is what it gains or loses.
	offset time.Duration
	drift  float64
	heard  []answer
	seen   map[string]int
	story  []string
}

// answer is the truth about one: when it arrived, how far the server's clock was ahead when it was written, what its Date left
// out, and how long it was under way.
type answer struct{ at, written, fraction, delay time.Duration }

func newWorld(t *testing.T, seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 5))
	m := &machine{wall: t0.Add(between(r, -time.Hour, time.Hour))}
	w := &world{
		t: t, r: r, machine: m, clock: serverclock.New(m, silent()), seen: map[string]int{},
		offset: between(r, -time.Second, time.Second), drift: (r.Float64() - 0.5) / 500, // up to 1000 ppm
	}
	w.story = append(w.story, fmt.Sprintf("seed %d, drift %.0f ppm", seed, w.drift*1e6))
	return w
}

func between(r *rand.Rand, a, b time.Duration) time.Duration {
	return a + time.Duration(r.Int64N(int64(b-a)))
}

func (w *world) note(what, format string, args ...any) {
	w.seen[what]++
	w.story = append(w.story, fmt.Sprintf("%12s  ", w.machine.passed.Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

func (w *world) server() time.Time { return t0.Add(w.machine.passed + w.offset) }

func (w *world) pass(d time.Duration) {
	w.machine.passed += d
	w.offset += time.Duration(float64(d) * w.drift)
}

func (w *world) happen() {
	switch n := w.r.IntN(100); {
	case n < 80:
		w.pass(between(w.r, 0, 3*time.Second))
		w.request()
	case n < 90:
		w.pass(between(w.r, 0, serverclock.Interval))
		w.request()
	case n < 94:
		w.pass(between(w.r, 0, 4*serverclock.Interval))
		w.note("quiet", "nothing for a while")
	case n < 96:
		d := between(w.r, 0, 10*time.Minute)
		w.offset -= d
		w.note("set back", "the server's clock is set back by %s", d)
	case n < 98:
		d := between(w.r, 0, 10*time.Minute)
		w.offset += d
		w.note("set forward", "the server's clock is set forward by %s", d)
	default:
		d := between(w.r, -time.Hour, time.Hour)
		w.machine.wall = w.machine.wall.Add(d)
		w.note("machine set", "the machine's clock is set by %s", d)
	}
}

// request goes to the server and back; while it is under way time passes.
func (w *world) request() {
	var a answer
	get(w.t, w.clock, func() (*http.Response, error) {
		w.pass(between(w.r, 0, 200*time.Millisecond))
		a.written, a.fraction = w.offset, w.server().Sub(w.server().Truncate(time.Second))
		response := dated(header(w.server()))
		a.delay = between(w.r, 0, 50*time.Millisecond)
		if w.r.IntN(20) == 0 {
			a.delay += between(w.r, 0, 10*time.Second)
		}
		w.pass(a.delay)
		return response, nil
	})
	a.at = w.machine.passed
	w.heard = append(w.heard, a)
	w.note("request", "an answer that was under way for %s", a.delay)
}

func (w *world) check() {
	if len(w.heard) == 0 {
		return
	}
	lead, lag := time.Duration(math.MinInt64), time.Duration(math.MaxInt64)
	for _, a := range w.heard {
		age := w.heard[len(w.heard)-1].at - a.at
		if age < 2*serverclock.Interval {
			lead = max(lead, a.written-a.delay-w.offset)
		}
		if age < serverclock.Interval {
			lag = min(lag, a.fraction+a.delay+w.offset-a.written)
		}
	}
	ahead := w.clock.Now().Sub(w.server())
	if ahead > lead {
		w.fail("the clock is %s ahead of the server's, and no answer that counts allows more than %s", ahead, lead)
	}
	if -ahead > lag {
		w.fail("the clock is %s behind the server's, and an answer of the last interval promises %s", -ahead, lag)
	}
	switch {
	case ahead > 0:
		w.seen["ahead"]++
	case ahead < -100*time.Millisecond:
		w.seen["behind"]++
	default:
		w.seen["tight"]++
	}
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), strings.Join(w.story, "\n"))
}

// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

var runs = flag.Int("stories", 100, "how many random stories a property is tried on")

// eachStory tries a property on random stories. The story that fails is told; its seed makes it again.
func eachStory(t *testing.T, n int, property func(t *testing.T, s *randomStory)) {
	t.Helper()
	for seed := range uint64(n) {
		s := tellStory(seed)
		property(t, &s)
		if t.Failed() {
			t.Fatalf("seed %d: %s\n%s", seed, s.rule, strings.Join(s.dump(), "\n"))
		}
	}
}

// randomStory is a rule, events in the order of creation, and the times at which timers go off between them.
type randomStory struct {
	rule   wish
	events []sighting
	// timers go off before the event of the same index arrives; the last ones after all events.
	timers [][]time.Duration
	// hushes are made before the event of the same index, if at all.
	hushes []hush
	random *rand.Rand
}

// hush is that somebody acknowledges the latest notifications of all keys up to the given one, and asks for quiet, or takes all
// such wishes back; at 0 nobody does.
type hush struct {
	at   time.Duration
	upTo string
	back bool
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// tellStory makes a story whose times are few and round, so that they meet: windows and dampers that end just as an event
// happens or arrives are where the mistakes are.
func tellStory(seed uint64) randomStory {
	r := rand.New(rand.NewPCG(seed, 42))
	s := randomStory{random: r, rule: wish{
		rule: rule{
			count:  pick[int32](r, 1, 2, 2, 3, 3, 5),
			window: pick[v1alpha1.Duration](r, "10s", "30s", "1m", "1h"),
			scope:  pick(r, anyComputer, single, distinct),
			damper: pick[v1alpha1.DamperPeriod](r, "None", "10s", "30s", "1m", "20m", "Auto"),
			per:    pick(r, perCondition, perComputer, perRisk),
		},
		cleared: r.IntN(2) == 0,
	}}
	if s.rule.window == "1h" { // else it is told of hundreds of times
		s.rule.damper = pick[v1alpha1.DamperPeriod](r, "None", "20m", "Auto")
	}
	width := length(string(s.rule.window))
	steps := []time.Duration{0, 0, time.Second, 5 * time.Second, 10 * time.Second, width / 2, width, width + time.Second, 20 * m, h}
	delays := []time.Duration{
		0, 0, 0, time.Second, 10 * time.Second, width, width + 5*time.Second, h, 3 * h, -m, 300 * time.Millisecond,
	}
	if s.rule.once = r.IntN(6) == 0; s.rule.once {
		s.rule.cleared = false
	}
	now := time.Second
	if r.IntN(2) == 0 { // some events are there before the condition
		now = -width
	}
	for range 10 + r.IntN(50) {
		now += pick(r, steps[:2+r.IntN(len(steps)-1)]...)
		e := sighting{
			arrives: now, computer: pick(r, "a", "A", "b", "c", "d", ""), risk: pick(r, "x", "X", "y", ""),
			count: pick[int32](r, 0, 0, 0, 1, 2, 7), severity: pick[v1alpha1.Severity](r, "Info", "Info", "Info", "", "", "FunctionalFailure"),
		}
		if r.IntN(20) == 0 {
			e.severity = v1alpha1.SeverityCritical
		}
		if s.rule.once { // else all are known soon
			e.risk = pick(r, "x", "X", "y", "z", "Z", "Ä", "ä", "v", "w", "")
		}
		if delay := pick(r, delays...); delay != 0 {
			e.happened = pointer(now - delay)
			if r.IntN(4) == 0 {
				e.last = pointer(now - delay + pick(r, 0, 5*time.Second, width))
			}
		}
		if r.IntN(20) == 0 { // created by another API server, whose clock is behind
			e.arrives -= time.Second
		}
		s.events = append(s.events, e)
	}
	s.setTimers(now)
	s.setHushes(r)
	return s
}

// setHushes has somebody ask for quiet now and then, in a second in which nothing has arrived yet.
func (s *randomStory) setHushes(r *rand.Rand) {
	s.hushes = make([]hush, len(s.events))
	var last time.Duration
	for i, e := range s.events {
		if e.arrives > last && r.IntN(3) == 0 {
			s.hushes[i] = hush{at: pick(r, last+time.Second, e.arrives), upTo: pick(r, "", "a", "zz"), back: r.IntN(3) == 0}
		}
		last = max(last, e.arrives)
	}
}

// setTimers lets timers go off at any time, and in no whole second, but not before what was created by then has arrived.
func (s *randomStory) setTimers(end time.Duration) {
	s.timers = make([][]time.Duration, len(s.events)+1)
	last := time.Duration(0)
	for i := range s.timers {
		next := end + 10*h
		for _, e := range s.events[i:] {
			next = min(next, e.arrives)
		}
		for range s.random.IntN(3) {
			if next > last {
				last += time.Duration(s.random.Int64N(int64(next-last) + 1))
				s.timers[i] = append(s.timers[i], last)
			}
		}
	}
}

// end is after everything.
func (s *randomStory) end() time.Duration {
	return s.events[len(s.events)-1].arrives + 30*h
}

func (s *randomStory) dump() []string {
	var lines []string
	for i, e := range s.events {
		if s.hushes != nil && s.hushes[i].at > 0 {
			what := map[bool]string{false: "asked for", true: "taken back"}[s.hushes[i].back]
			lines = append(lines, fmt.Sprintf("     %s quiet is %s, up to key %q", clock(s.hushes[i].at), what, s.hushes[i].upTo))
		}
		lines = append(lines, fmt.Sprintf("%4d %s %s", i+1, clock(e.arrives), sentence(e)))
	}
	return lines
}

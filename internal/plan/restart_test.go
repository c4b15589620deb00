// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// life is what a manager lives through and leaves behind: the log, and what it stored in the condition's status now and
// then.
type life struct {
	tb       testing.TB
	story    *randomStory
	watch    *plan.Watch
	log      []v1alpha1.Notification
	statuses []*v1alpha1.NotificationConditionStatus
	// flush is after how many events the status is stored.
	flush int
}

func begin(tb testing.TB, s *randomStory, flush int) *life {
	tb.Helper()
	l := &life{tb: tb, story: s, watch: watch(tb, s.rule), flush: flush}
	l.statuses = append(l.statuses, describe(l.watch))
	return l
}

// live takes the events after the first n, up to the given number, as they come: with timers.
func (l *life) live(n, upTo int) {
	for i := n; i < upTo; i++ {
		if hush := l.story.hushes[i]; hush.at > 0 {
			l.log = write(l.log, l.watch.Advance(since(hush.at-time.Second))...)
			acknowledge(l.log, hush, l.watch)
			if hush.back { // the log does not tell for how long there was quiet, the status does
				l.statuses = []*v1alpha1.NotificationConditionStatus{describe(l.watch)}
			}
		}
		for _, timer := range l.story.timers[i] {
			l.log = write(l.log, l.watch.Advance(since(timer))...)
		}
		l.log = write(l.log, observe(l.watch, plan.Position(i+1), l.story.events[i])...)
		if i%l.flush == 0 {
			l.statuses = append(l.statuses, describe(l.watch))
		}
	}
}

func (l *life) end() {
	for _, timer := range l.story.timers[len(l.story.events)] {
		l.log = write(l.log, l.watch.Advance(since(timer))...)
	}
	l.log = write(l.log, l.watch.Advance(since(l.story.end()))...)
}

// restart is kill -9 after n events, and a new manager that finds the log and a status that may be older. It takes all
// events from the first one.
func (l *life) restart(n int) {
	old := l.statuses[l.story.random.IntN(len(l.statuses))]
	l.watch = restore(l.tb, l.watch.Rule(), old, l.log)
	l.log = write(l.log, observe(l.watch, 1, l.story.events[:n]...)...)
	l.statuses = append(l.statuses, describe(l.watch))
}

// entries are the log, by name.
func (l *life) entries() []string {
	slices.SortFunc(l.log, func(a, b v1alpha1.Notification) int { return cmp.Compare(a.Name, b.Name) })
	var lines []string
	for _, n := range l.log {
		x := n.Spec.Trigger
		line := fmt.Sprintf("%s: %s at %s, %q #%d, %d held, %d occurrences on %d (%s; %s), %s, up to %s",
			n.Name, x.Reason, clock(x.Time.Sub(t0)), x.Key, x.Sequence, x.Held, x.Occurrences, x.Computers,
			strings.Join(x.ComputerNames, " "), strings.Join(x.Risks, " "), x.Event.Name, x.UpTo)
		if x.LastFiredTime != nil {
			line += ", last fired at " + clock(x.LastFiredTime.Sub(t0))
		}
		lines = append(lines, line)
	}
	return lines
}

// remains is the status that is left in the end, as far as it must be the same. What was there before the condition may have
// become known after what the log tells of: the order of known risks is not compared. Nor is what arrived just before a
// damper first fired: it clears by the later of the two.
func remains(tb testing.TB, w *plan.Watch) *v1alpha1.NotificationConditionStatus {
	tb.Helper()
	status := stored(tb, describe(w))
	slices.Sort(status.KnownRisks)
	for i, d := range status.Dampers {
		if d.LastTime.Before(&d.LastFiredTime) {
			status.Dampers[i].LastTime = &d.LastFiredTime
		}
	}
	return status
}

// TestKilledAtAnyMoment is invariant I1: whenever and however often the manager is killed, and however old the status that
// it left, in the end the log holds the same notifications, each once, and the dampers have the same state.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	eachStory(t, *runs, func(t *testing.T, s *randomStory) {
		lived := begin(t, s, 1)
		lived.live(0, len(s.events))
		lived.end()
		killed := begin(t, s, 1)
		n := 0
		for range 1 + s.random.IntN(3) {
			cut := n + s.random.IntN(len(s.events)-n+1)
			killed.live(n, cut)
			killed.restart(cut)
			n = cut
		}
		killed.live(n, len(s.events))
		killed.end()
		check(t, "log", killed.entries(), lived.entries())
		check(t, "status", remains(t, killed.watch), remains(t, lived.watch))
	})
}

// TestNobodyWasThere: events of a time without a manager, and the dampers that ended meanwhile, are caught up on as of
// their own time.
func TestNobodyWasThere(t *testing.T) {
	t.Parallel()
	eachStory(t, *runs, func(t *testing.T, s *randomStory) {
		left := s.random.IntN(len(s.events))
		clear(s.hushes[left:])
		lived := begin(t, s, 1)
		lived.live(0, len(s.events))
		lived.end()
		gone := begin(t, s, 1)
		gone.live(0, left)
		gone.restart(len(s.events))
		gone.end()
		check(t, "log", gone.entries(), lived.entries())
		check(t, "status", remains(t, gone.watch), remains(t, lived.watch))
	})
}

// TestMoreDampersThanTheStatusShows: the status lists 100 dampers. Those it has no room for go on from the log, and what
// they held is counted again.
func TestMoreDampersThanTheStatusShows(t *testing.T) {
	t.Parallel()
	eachStory(t, *runs/25, func(t *testing.T, s *randomStory) {
		s.rule.rule = rule{1, "10s", pick(s.random, anyComputer, single), pick[v1alpha1.DamperPeriod](s.random, "1m", "20m"), perComputer}
		s.rule.once = false
		s.events = nil
		var now time.Duration
		for range 400 {
			now += pick(s.random, 0, time.Second, 5*time.Second)
			e := sighting{arrives: now, computer: fmt.Sprintf("ws-%03d", s.random.IntN(150))}
			if s.random.IntN(5) == 0 {
				e.happened = pointer(now - pick(s.random, 30*time.Second, 10*m))
			}
			s.events = append(s.events, e)
		}
		s.setTimers(now)
		s.setHushes(s.random)
		lived, killed := begin(t, s, 50), begin(t, s, 50)
		lived.live(0, len(s.events))
		lived.end()
		cut := s.random.IntN(len(s.events))
		killed.live(0, cut)
		killed.restart(cut)
		killed.live(cut, len(s.events))
		killed.end()
		check(t, "log", killed.entries(), lived.entries())
		check(t, "status", remains(t, killed.watch), remains(t, lived.watch))
		if shown := len(describe(lived.watch).Dampers); shown != 100 {
			t.Errorf("the status shows %d dampers: the story proves nothing", shown)
		}
	})
}

// crowd is a Watch with two dampers more than the status has room for: that of "older", and that of "old", which fired at
// 0, ended, and has held two that arrived late since.
func crowd(t *testing.T) (*plan.Watch, []sighting, []plan.Firing) {
	t.Helper()
	w := watch(t, rule{1, "10s", anyComputer, "1m", perComputer})
	events := []sighting{
		{computer: "older"},
		{computer: "old"},
		{arrives: 65 * time.Second, computer: "old", happened: pointer(55 * time.Second)},
		{arrives: 66 * time.Second, computer: "old", happened: pointer(54 * time.Second)},
	}
	for i := range 100 {
		events = append(events, sighting{arrives: 70 * time.Second, computer: fmt.Sprintf("ws-%03d", i)})
	}
	return w, events, observe(w, 1, events...)
}

// TestADamperThatTheStatusHasNoRoomFor goes on from the log: it does not tell again what it was silent about, and tells
// what it has held when the time comes.
func TestADamperThatTheStatusHasNoRoomFor(t *testing.T) {
	t.Parallel()
	w, events, fired := crowd(t)
	status := describe(w)
	if slices.ContainsFunc(status.Dampers, func(d v1alpha1.DamperStatus) bool { return d.Key == "old" }) {
		t.Fatal("the status has room for it: this proves nothing")
	}
	next := restore(t, w.Rule(), status, write(nil, fired...))
	check(t, "fired", describe(next).FiredTotal, 102)
	got := observe(next, 1, events...)
	got = append(got, next.Advance(since(75*time.Second))...)
	check(t, "told", tell(got), []told{})
	got = observe(next, 200, sighting{arrives: 80 * time.Second, computer: "old"})
	check(t, "told", tell(got), []told{
		{At: "1m20s", Reason: "ThresholdReached", Key: "old", Sequence: 2, Held: 2, Occurrences: 1, Computers: 1, Event: "event-200"},
	})
}

// TestTheNumberOfNotifications stays right when the status had no room for a damper that fired again since.
func TestTheNumberOfNotifications(t *testing.T) {
	t.Parallel()
	for name, removed := range map[string]int{"the log holds all": 0, "the oldest is removed from the log": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _, fired := crowd(t)
			status := describe(w)
			fired = append(fired, observe(w, 200, sighting{arrives: 80 * time.Second, computer: "old"})...)
			log := write(nil, fired...)[removed:]
			check(t, "fired", describe(restore(t, w.Rule(), status, log)).FiredTotal, 103)
		})
	}
	t.Run("several times since", func(t *testing.T) {
		t.Parallel()
		w, _, fired := crowd(t)
		status := describe(w)
		fired = append(fired, observe(w, 200, sighting{arrives: 80 * time.Second, computer: "old"})...)
		fired = append(fired, observe(w, 201, sighting{arrives: h, computer: "old"})...)
		check(t, "fired", describe(restore(t, w.Rule(), status, write(nil, fired...))).FiredTotal, int64(len(fired)))
	})
	t.Run("in the second in which the status was written", func(t *testing.T) {
		t.Parallel()
		w, _, fired := crowd(t)
		status := describe(w)
		fired = append(fired, observe(w, 200, sighting{arrives: 70 * time.Second, computer: "new"})...)
		check(t, "fired", describe(restore(t, w.Rule(), status, write(nil, fired...))).FiredTotal, int64(len(fired)))
	})
	t.Run("when all is quiet, and that was told", func(t *testing.T) {
		t.Parallel()
		w := watch(t, wish{rule{1, "10s", anyComputer, "1h", perComputer}, true, false})
		fired := observe(w, 1, computersInARow(150)...)
		fired = append(fired, w.Advance(since(3*h))...)
		check(t, "notifications", len(fired), 300)
		check(t, "fired", describe(restore(t, w.Rule(), describe(w), write(nil, fired...))).FiredTotal, 300)
	})
	t.Run("when some were forgotten, and their numbers go on", func(t *testing.T) {
		t.Parallel()
		w := watch(t, rule{1, "10s", anyComputer, "1m", perComputer})
		var fired []plan.Firing
		for i := range 50 {
			fired = append(fired, observe(w, plan.Position(i+1), sighting{arrives: time.Duration(i) * m, computer: "busy"})...)
		}
		fired = append(fired, observe(w, 1001, shift(h, computersInARow(2500))...)...)
		if status := describe(w); status.Dampers[0].Sequence <= 50 || status.FiredTotal != int64(len(fired)) {
			t.Fatalf("#%d of %d: this proves nothing", status.Dampers[0].Sequence, status.FiredTotal)
		}
		check(t, "fired", describe(restore(t, w.Rule(), describe(w), write(nil, fired...))).FiredTotal, int64(len(fired)))
	})
}

// computersInARow are sightings on as many computers, one a second.
func computersInARow(n int) []sighting {
	return every(time.Second, n, 0, 1)
}

// Windows (a, b/c) and (a/b, c) have one key, so after a restart one counts as used up with the other: a notification is lost.
func TestWindowsAreToldApartAfterARestart(t *testing.T) {
	t.Parallel()
	r := rule{count: 2, window: "1m", scope: single, damper: "None", per: perRisk}
	events := []sighting{
		{arrives: 1 * time.Second, computer: "a/b", risk: "c"},
		{arrives: 2 * time.Second, computer: "a", risk: "b/c"},
		{arrives: 3 * time.Second, computer: "a", risk: "b/c"},
	}
	last := sighting{arrives: 4 * time.Second, computer: "a/b", risk: "c"}
	one := watch(t, r)
	log := write(nil, observe(one, 1, events...)...)
	before := describe(one)
	want := tell(observe(one, 4, last))
	again := restore(t, one.Rule(), before, log)
	observe(again, 1, events...)
	check(t, "told", tell(observe(again, 4, last)), want)
}

// Another manager's repetition looked at one event less: that one must be held now, or nobody ever tells of it.
func TestWhatAnotherRepetitionDidNotLookAtIsHeld(t *testing.T) {
	t.Parallel()
	r := rule{count: 1, window: "1m", scope: anyComputer, damper: "10s", per: perCondition}
	other, mine := watch(t, r), watch(t, r)
	events := []sighting{{arrives: time.Second}, {arrives: 2 * time.Second}}
	observe(other, 1, events...)
	existing := journal.Compose(other.Advance(since(11 * time.Second))[0], nil)
	observe(mine, 1, append(events, sighting{arrives: 10 * time.Second, computer: "late"})...)
	mine.Yield(mine.Advance(since(11 * time.Second))[0], existing)
	var status v1alpha1.NotificationConditionStatus
	mine.Describe(&status, 0)
	check(t, "held", status.Dampers[0].Held, 1)
}

// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/match"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestStories plays storms of events and compares the transcript, which says for each moment what was told, what was held,
// and why, with testdata. Somebody who wants to know what Tocsin does reads those files.
func TestStories(t *testing.T) {
	t.Parallel()
	for name, s := range stories() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", name+".golden")
			got := s.play(t)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			check(t, file+" differs; go test -update writes it anew", strings.Split(got, "\n"), strings.Split(string(want), "\n"))
		})
	}
}

// story is a condition, what it is about, and the events, in order of arrival.
type story struct {
	about []string
	rule  rule
	// away is a time in which no manager ran: its events and the ends of dampers come afterwards.
	away   absence
	events []sighting
	// until is when the story ends.
	until time.Duration
}

func (s story) play(tb testing.TB) string {
	tb.Helper()
	teller := &teller{watch: watch(tb, s.rule), away: s.away, tb: tb}
	for _, line := range s.about {
		teller.line("# %s", line)
	}
	teller.line("#\n# Condition: %s\n", s.rule)
	for i, e := range s.events {
		teller.wait(e.arrives)
		teller.observe(plan.Position(i+1), e)
	}
	teller.wait(s.until)
	status := describe(teller.watch)
	teller.line("\n%s  end: %d occurrences, %d notifications", clock(s.until), status.MatchedTotal, status.FiredTotal)
	return teller.text.String()
}

type absence struct{ from, to time.Duration }

// teller writes the transcript.
type teller struct {
	tb    testing.TB
	watch *plan.Watch
	text  strings.Builder
	away  absence
	left  bool
}

func (t *teller) line(format string, args ...any) {
	t.text.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

// clock writes a time of a story, such as t+1h02m03s.
func clock(d time.Duration) string {
	if d < 0 {
		return "t-" + (-d).String()
	}
	return fmt.Sprintf("t+%dh%02dm%02ds", int(d.Hours()), int(d.Minutes())%60, int(d.Seconds())%60)
}

// wait lets time pass: dampers end, and timers say so at once, unless nobody is there.
func (t *teller) wait(until time.Duration) {
	if away := t.away; !t.left && away.to > 0 && until >= away.from {
		t.left = true
		t.line("%s  no manager runs until %s", clock(away.from), clock(away.to))
	}
	for {
		due, ok := t.watch.NextDue()
		if !ok || due.After(since(until)) {
			return
		}
		if ended := due.Sub(t0); ended >= t.away.from && ended < t.away.to {
			if until < t.away.to {
				return
			}
			due = since(t.away.to)
		}
		t.advance(due)
	}
}

func (t *teller) advance(now time.Time) {
	before := describe(t.watch)
	firings := t.watch.Advance(now)
	t.ends(before, firings)
	for _, f := range firings {
		t.fire(f)
	}
}

// ends tells of the dampers that ended without a notification.
func (t *teller) ends(before *v1alpha1.NotificationConditionStatus, firings []plan.Firing) {
	after := describe(t.watch)
	for _, d := range slices.Backward(before.Dampers) {
		i := slices.IndexFunc(after.Dampers, func(x v1alpha1.DamperStatus) bool { return x.Key == d.Key })
		repeated := slices.ContainsFunc(firings, func(f plan.Firing) bool { return f.Key == d.Key })
		if d.Until != nil && after.Dampers[i].Until == nil && !repeated {
			t.line("%s  the damper%s ends: the rate has fallen, nothing is sent; %d held since #%d",
				clock(d.Until.Sub(t0)), of(d.Key), d.Held, d.Sequence)
		}
	}
}

func (t *teller) observe(at plan.Position, s sighting) {
	before := describe(t.watch)
	event := s.event(at)
	verdict, firings := t.watch.Observe(plan.NewEvent(event, at))
	t.line("%s  %s", clock(s.arrives), sentence(s))
	var own *plan.Firing
	already := heldOf(before)
	for i, f := range firings {
		if f.Reason == v1alpha1.TriggerThresholdReached {
			own = &firings[i]
			continue
		}
		already -= f.Held
		t.fire(f)
	}
	t.ends(before, firings)
	after := describe(t.watch)
	switch {
	case verdict != match.Matched:
		t.line("             ignored: %s", verdict)
	case own != nil:
		t.fire(*own)
	case heldOf(after) > already:
		t.line("             held: %d since the last notification", heldOf(after))
	default:
		t.line("             counted")
	}
}

func (t *teller) fire(f plan.Firing) {
	why := map[v1alpha1.TriggerReason]string{
		v1alpha1.TriggerThresholdReached: "the threshold is reached",
		v1alpha1.TriggerStillReached:     "the damper ended, the threshold is still reached",
	}[f.Reason]
	t.line("%s  NOTIFY #%d%s: %s", clock(f.Time.Sub(t0)), f.Sequence, of(f.Key), why)
	t.line("             %d occurrences on %d computers (%s) from %s to %s", f.Window.Occurrences, f.Window.Computers,
		strings.Join(f.Window.ComputerNames, " "), clock(f.Window.First.Sub(t0)), clock(f.Window.Last.Sub(t0)))
	t.line("             %d held since the last; the event shown is %s", f.Held, f.Event.Name)
}

func heldOf(status *v1alpha1.NotificationConditionStatus) int64 {
	var held int64
	for _, d := range status.Dampers {
		held += d.Held
	}
	return held
}

func of(key string) string {
	if key == "" {
		return ""
	}
	return " of " + key
}

func sentence(s sighting) string {
	text := s.computer
	if s.count > 1 {
		text += fmt.Sprintf(", %d times", s.count)
	}
	if s.risk != "" {
		text += ": " + s.risk
	}
	if s.happened != nil {
		text += ", at " + clock(*s.happened)
	}
	if s.last != nil {
		text += " to " + clock(*s.last)
	}
	return text
}

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
			golden(t, name, s.play(t))
		})
	}
}

// golden compares a transcript with the one in testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
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
}

// story is a condition, what it is about, and the events, in order of arrival.
type story struct {
	about []string
	rule  declared
	// away is a time in which no manager ran: its events and the ends of dampers come afterwards.
	away   absence
	events []sighting
	// hushes are when somebody asks for quiet.
	hushes []hush
	// until is when the story ends.
	until time.Duration
}

func (s story) play(tb testing.TB) string {
	tb.Helper()
	teller := &teller{watch: watch(tb, s.rule), away: s.away, text: &strings.Builder{}}
	teller.about(s.about, "Condition: "+s.rule.String())
	for i, e := range s.events {
		teller.hush(s, e.arrives)
		teller.wait(e.arrives)
		teller.observe(plan.Position(i+1), e)
	}
	teller.hush(s, s.until)
	teller.wait(s.until)
	status := describe(teller.watch)
	teller.line("\n%s  end: %d occurrences, %d notifications", clock(s.until), status.MatchedTotal, status.FiredTotal)
	return teller.text.String()
}

type absence struct{ from, to time.Duration }

// teller writes the transcript of one condition, which has a name where there are several.
type teller struct {
	name  string
	watch *plan.Watch
	text  *strings.Builder
	away  absence
	left  bool
	// log is what was told; hushed is how often somebody has asked for quiet.
	log    []v1alpha1.Notification
	hushed int
}

func (t *teller) line(format string, args ...any) {
	t.text.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (t *teller) about(what []string, conditions ...string) {
	for _, line := range what {
		t.line("# %s", line)
	}
	t.line("#")
	for _, c := range conditions {
		t.line("# %s", c)
	}
	t.line("")
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

// hush has somebody ask for quiet, where it is time to.
func (t *teller) hush(s story, now time.Duration) {
	for ; t.hushed < len(s.hushes) && s.hushes[t.hushed].at <= now; t.hushed++ {
		ask := s.hushes[t.hushed]
		t.wait(ask.at)
		t.line("%s  somebody acknowledges, and asks for quiet", clock(ask.at))
		acknowledge(t.log, ask, t.watch)
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

// ends tells of the dampers that ended or cleared without a notification.
func (t *teller) ends(before *v1alpha1.NotificationConditionStatus, firings []plan.Firing) {
	after := describe(t.watch)
	for _, d := range slices.Backward(before.Dampers) {
		now := after.Dampers[slices.IndexFunc(after.Dampers, func(x v1alpha1.DamperStatus) bool { return x.Key == d.Key })]
		told := func(reason v1alpha1.TriggerReason) bool {
			return slices.ContainsFunc(firings, func(f plan.Firing) bool { return f.Key == d.Key && f.Reason == reason })
		}
		t.quiet(d, now)
		if d.Until != nil && now.Until == nil && d.Quiet == nil && !told(v1alpha1.TriggerStillReached) {
			t.line("%s  %sthe damper%s ends: the rate has fallen, nothing is sent; %d held since #%d",
				clock(d.Until.Sub(t0)), t.name, of(d.Key), d.Held, d.Sequence)
		}
		if d.ClearedTime == nil && now.ClearedTime != nil && !told(v1alpha1.TriggerCleared) {
			t.line("%s  %sthe damper%s has cleared: all is quiet, nothing is sent", clock(now.ClearedTime.Sub(t0)), t.name, of(d.Key))
		}
	}
}

// quiet tells what becomes of the quiet that somebody asked for.
func (t *teller) quiet(before, now v1alpha1.DamperStatus) {
	if before.Quiet == nil || before.Quiet.NextCheckTime == nil || now.Quiet == nil {
		return
	}
	due := before.Quiet.NextCheckTime
	switch next, ended := now.Quiet.NextCheckTime, now.Quiet.EndedTime; {
	case ended.Equal(due):
		t.line("%s  %sthe threshold%s is no longer reached: the quiet ends; %d held since #%d",
			clock(due.Sub(t0)), t.name, of(now.Key), before.Held, now.Sequence)
	case ended != nil:
		t.line("             more severe than what was acknowledged: the quiet%s ends", of(now.Key))
	case !next.Equal(due):
		t.line("%s  %sthe threshold%s is still reached: the quiet goes on; %d held since #%d",
			clock(due.Sub(t0)), t.name, of(now.Key), before.Held, now.Sequence)
	}
}

// observe tells of an event and what comes of it.
func (t *teller) observe(at plan.Position, s sighting) {
	t.line("%s  %s", clock(s.arrives), sentence(s))
	switch reaction := t.take(at, s); reaction {
	case "told":
	case "held":
		t.line("             held: %d since the last notification", describe(t.watch).Held)
	default:
		t.line("             %s", reaction)
	}
}

// take tells what comes of an event, and returns it in short.
func (t *teller) take(at plan.Position, s sighting) string {
	before := describe(t.watch)
	verdict, firings := t.watch.Observe(plan.NewEvent(s.event(at), at))
	var own *plan.Firing
	for i, f := range firings {
		if f.Reason == v1alpha1.TriggerThresholdReached {
			own = &firings[i]
			continue
		}
		t.fire(f)
	}
	t.ends(before, firings)
	after := describe(t.watch)
	switch {
	case own != nil:
		t.fire(*own)
		return "told"
	case verdict == "" && t.watch.Rule().OncePerRisk():
		return "of before the condition: not new"
	case verdict != match.Matched:
		return "ignored: " + string(verdict)
	case slices.Contains(before.KnownRisks, strings.ToLower(s.risk)):
		return "known already"
	case after.HeldTotal > before.HeldTotal:
		return "held"
	default:
		return "counted"
	}
}

func (t *teller) fire(f plan.Firing) {
	t.log = write(t.log, f)
	why := map[v1alpha1.TriggerReason]string{
		v1alpha1.TriggerThresholdReached: "the threshold is reached",
		v1alpha1.TriggerStillReached:     "the damper ended, the threshold is still reached",
		v1alpha1.TriggerCleared:          "all has been quiet for a window: cleared",
	}[f.Reason]
	t.line("%s  %sNOTIFY #%d%s: %s", clock(f.Time.Sub(t0)), t.name, f.Sequence, of(f.Key), why)
	if f.Reason == v1alpha1.TriggerCleared {
		t.line("             %d held since the last; it last fired at %s", f.Held, clock(f.LastFired.Sub(t0)))
		return
	}
	names := f.Window.ComputerNames
	if len(names) > 8 {
		names = append(slices.Clone(names[:7]), "...", names[len(names)-1])
	}
	t.line("             %d occurrences on %d computers (%s) from %s to %s", f.Window.Occurrences, f.Window.Computers,
		strings.Join(names, " "), clock(f.Window.First.Sub(t0)), clock(f.Window.Last.Sub(t0)))
	t.line("             %d held since the last; the event shown is %s", f.Held, f.Event.Name)
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
	if s.severity == v1alpha1.SeverityCritical {
		text += " (Critical)"
	}
	if s.happened != nil {
		text += ", at " + clock(*s.happened)
	}
	if s.last != nil {
		text += " to " + clock(*s.last)
	}
	return text
}

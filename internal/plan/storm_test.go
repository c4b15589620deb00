// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// phase is a part of a storm: what happens, and the events, in order of arrival.
type phase struct {
	about  string
	events []sighting
}

// TestStorm plays a storm of events through several conditions: testdata/storm.golden says what was told, what was held, and
// why.
func TestStorm(t *testing.T) {
	t.Parallel()
	text := &strings.Builder{}
	names := []string{"outbreak", "busy-computers", "new-risks", "logins", "anything-critical"}
	conditions := stormConditions()
	lines := make([]string, 0, len(names))
	tellers := make([]*teller, 0, len(names))
	for _, name := range names {
		lines = append(lines, fmt.Sprintf("%-18s %s", name+":", conditions[name]))
		tellers = append(tellers, &teller{name: name + ": ", watch: watch(t, conditions[name]), text: text})
	}
	tellers[0].about([]string{
		"A storm of several hundred events, and what five conditions make of it. Under each part of it stands when something",
		"is told, and then, in numbers, what came of all its events.",
	}, lines...)
	position := plan.Position(0)
	for _, p := range storm() {
		first, last := p.events[0].arrives, p.events[len(p.events)-1].arrives
		waitAll(tellers, first)
		tellers[0].line("%s  == %s: %d events until %s", clock(first), p.about, len(p.events), clock(last))
		reactions := make([]map[string]int, len(tellers))
		for _, e := range p.events {
			waitAll(tellers, e.arrives)
			position++
			for i, teller := range tellers {
				if reactions[i] == nil {
					reactions[i] = map[string]int{}
				}
				reactions[i][teller.take(position, e)]++
			}
		}
		for i, teller := range tellers {
			teller.line("             %s%s", teller.name, summary(reactions[i]))
		}
		tellers[0].line("")
	}
	waitAll(tellers, 3*h)
	tellers[0].line("%s  end", clock(3*h))
	for _, teller := range tellers {
		status := describe(teller.watch)
		teller.line("             %s%d occurrences, %d of them held; %d notifications", teller.name, status.MatchedTotal,
			status.HeldTotal, status.FiredTotal)
	}
	golden(t, "storm", text.String())
}

// waitAll lets time pass for all, what is due first first.
func waitAll(tellers []*teller, until time.Duration) {
	for {
		var first *teller
		at := since(until)
		for _, t := range tellers {
			if due, ok := t.watch.NextDue(); ok && (due.Before(at) || first == nil && due.Equal(at)) {
				first, at = t, due
			}
		}
		if first == nil {
			return
		}
		first.advance(at)
	}
}

// summary is how many events came to what.
func summary(reactions map[string]int) string {
	var parts []string
	for _, reaction := range []string{"told", "held", "counted", "known already"} {
		if n := reactions[reaction]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, reaction))
		}
		delete(reactions, reaction)
	}
	var others []string
	for reaction, n := range reactions {
		others = append(others, fmt.Sprintf("%d %s", n, reaction))
	}
	slices.Sort(others)
	return strings.Join(append(parts, others...), ", ")
}

// filtered is a wish with a filter.
type filtered struct {
	wish
	types string
	only  []v1alpha1.Severity
}

func (f filtered) String() string {
	text := f.wish.String()
	if f.types != "" {
		text += "; events " + f.types
	}
	if len(f.only) > 0 {
		text += "; severities " + string(f.only[0])
	}
	return text
}

func (f filtered) condition() *v1alpha1.NotificationCondition {
	c := f.wish.condition()
	c.Spec.Filter = &v1alpha1.EventFilter{Severities: f.only}
	if f.types != "" {
		c.Spec.Filter.EventTypes = []v1alpha1.Wildcard{v1alpha1.Wildcard(f.types)}
	}
	return c
}

func stormConditions() map[string]declared {
	return map[string]declared{
		"outbreak":       filtered{wish{rule{5, "1h", distinct, "30m", perCondition}, true, false}, "RiskDetected", nil},
		"busy-computers": filtered{wish{rule{10, "1m", single, "20m", perComputer}, false, false}, "", nil},
		"new-risks":      newRisk(1, "1m", anyComputer),
		"logins":         filtered{wish{rule{5, "1m", anyComputer, "None", perCondition}, true, false}, "AuthenticationFailed", nil},
		"anything-critical": filtered{
			wish{rule{1, "1m", anyComputer, "Auto", perCondition}, false, false}, "", []v1alpha1.Severity{"Critical"},
		},
	}
}

func storm() []phase {
	on := func(n int, first, step time.Duration, change func(i int, e *sighting)) []sighting {
		var list []sighting
		for i := range n {
			e := sighting{arrives: first + time.Duration(i)*step, computer: fmt.Sprintf("ws-%03d", i+1)}
			change(i, &e)
			list = append(list, e)
		}
		return list
	}
	second := time.Second
	return []phase{
		{"a risk is found here and there", on(4, 0, 75*second, func(_ int, e *sighting) { e.risk = "EICAR" })},
		{"a worm gets in: each second computer writes its name in another case", on(60, 10*m, 10*second, func(i int, e *sighting) {
			e.risk = "Worm.Net"
			if i%2 == 1 {
				e.computer, e.risk = strings.ToUpper(e.computer), "WORM.NET"
			}
		})},
		{"one computer cannot get rid of it", on(120, 20*m, 2*second, func(_ int, e *sighting) {
			e.computer, e.risk = "ws-007", "Worm.Net"
		})},
		{"the worm guesses passwords", on(53, 30*m, 1*second, func(_ int, e *sighting) {
			e.computer, e.kind = "dc-01", "AuthenticationFailed"
		})},
		{"an office comes back online and reports what it saw half an hour ago", on(80, 45*m, 0, func(i int, e *sighting) {
			e.computer, e.risk = fmt.Sprintf("office-%03d", i+1), "Worm.Net"
			e.happened = pointer(15*m + time.Duration(i)*second)
		})},
		{"a reporter sums up: one event for 500 occurrences each", on(3, 50*m, 30*second, func(_ int, e *sighting) {
			e.computer, e.risk, e.count = "gw-01", "Worm.Net", 500
		})},
		{"somebody reports a disaster, as often as he can", on(100, 55*m, 0, func(_ int, e *sighting) {
			e.computer, e.kind, e.severity = "db-01", "SystemError", v1alpha1.SeverityCritical
		})},
		{"stragglers", on(3, 80*m, 5*m, func(_ int, e *sighting) { e.risk = "Worm.Net" })},
		{"after the storm, something else", on(5, 2*h+40*m, 20*second, func(i int, e *sighting) {
			e.risk = "Ransom.X"
			if i == 4 {
				e.severity = v1alpha1.SeverityCritical
			}
		})},
	}
}

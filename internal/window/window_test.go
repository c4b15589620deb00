// SPDX-License-Identifier: Apache-2.0

package window_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tocsin-dev/tocsin/internal/window"
)

var t0 = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// at is a time in seconds.
func at(seconds int) time.Time { return t0.Add(time.Duration(seconds) * time.Second) }

// on is an entry: n times on a computer.
func on(computer string, n int64, seconds int) window.Entry {
	return window.Entry{Time: at(seconds), First: at(seconds), Count: n, Computer: computer}
}

// once are entries of one occurrence each, on a computer.
func once(computer string, seconds ...int) []window.Entry {
	var list []window.Entry
	for _, s := range seconds {
		list = append(list, on(computer, 1, s))
	}
	return list
}

func join(parts ...[]window.Entry) []window.Entry {
	var all []window.Entry
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func filled(t window.Threshold, entries []window.Entry) *window.Window {
	w := window.New(t)
	for _, e := range entries {
		w.Add(e)
	}
	return w
}

func check(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// TestAsOf: the threshold is reached when enough lies in (now-width, now].
func TestAsOf(t *testing.T) {
	t.Parallel()
	three := window.Threshold{Count: 3, Width: 10 * time.Second}
	computers := window.Threshold{Count: 3, Width: 10 * time.Second, Distinct: true}
	for name, tc := range map[string]struct {
		threshold   window.Threshold
		entries     []window.Entry
		now         int
		occurrences int64
		reached     bool
	}{
		"nothing happened":                             {three, nil, 10, 0, false},
		"one short of the count":                       {three, once("a", 8, 9), 10, 2, false},
		"just the count":                               {three, once("a", 8, 9, 10), 10, 3, true},
		"more than the count":                          {three, once("a", 7, 8, 9, 10), 10, 4, true},
		"the end of the window is in it":               {three, once("a", 10, 10, 10), 10, 3, true},
		"its beginning is not":                         {three, once("a", 0, 9, 10), 10, 2, false},
		"what is just after its beginning is":          {three, once("a", 1, 9, 10), 10, 3, true},
		"what comes after its end is not":              {three, once("a", 9, 10, 11), 10, 2, false},
		"in whatever order they arrive":                {three, once("a", 10, 2, 6), 10, 3, true},
		"at the same time":                             {three, once("a", 5, 5, 5), 10, 3, true},
		"three in one entry":                           {three, []window.Entry{on("a", 3, 5)}, 10, 3, true},
		"far more than the count in one entry":         {three, []window.Entry{on("a", 1_000_000, 5)}, 10, 1_000_000, true},
		"three on one computer are no three":           {computers, once("a", 8, 9, 10), 10, 3, false},
		"three computers":                              {computers, join(once("a", 8), once("b", 9), once("c", 10)), 10, 3, true},
		"three times on one computer count once":       {computers, []window.Entry{on("a", 3, 8), on("b", 1, 9)}, 10, 4, false},
		"three computers, one of them too early":       {computers, join(once("a", 0), once("b", 9), once("c", 10)), 10, 2, false},
		"an event without a computer is none":          {computers, join(once("a", 8), once("b", 9), once("", 10)), 10, 3, false},
		"without a computer it still is an occurrence": {three, once("", 8, 9, 10), 10, 3, true},
		"case does not tell computers apart": {
			computers, join(once("a", 8), once("B", 8), once("A", 9), once("b", 10)), 10, 4, false,
		},
		"nor does it in other letters": {computers, join(once("ä", 8), once("Ä", 9), once("ö", 9), once("a", 10)), 10, 4, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := filled(tc.threshold, tc.entries)
			s, reached := w.AsOf(at(tc.now))
			sum := w.Sum(at(tc.now))
			if sum.Occurrences != tc.occurrences || reached != tc.reached || !s.End.Equal(at(tc.now)) {
				t.Errorf("%d occurrences until %s, reached: %t; want %d, %t", sum.Occurrences, s.End, reached, tc.occurrences, tc.reached)
			}
			if reached {
				check(t, "summary, as it is reached", s, sum)
			}
		})
	}
}

// TestAround: an entry that is late may complete a window of the past, which is looked for on both sides of it.
func TestAround(t *testing.T) {
	t.Parallel()
	three := window.Threshold{Count: 3, Width: 10 * time.Second}
	computers := window.Threshold{Count: 2, Width: 10 * time.Second, Distinct: true}
	for name, tc := range map[string]struct {
		threshold   window.Threshold
		entries     []window.Entry
		at, now     int
		first, last int
		end         int
		occurrences int64
		reached     bool
	}{
		"what came before it": {
			threshold: three, entries: once("a", 1, 2, 3), at: 3, now: 100,
			first: 1, last: 3, end: 3, occurrences: 3, reached: true,
		},
		"what came after it": {
			threshold: three, entries: once("a", 1, 2, 3), at: 1, now: 100,
			first: 1, last: 3, end: 3, occurrences: 3, reached: true,
		},
		"on both sides": {
			threshold: three, entries: once("a", 1, 5, 9), at: 5, now: 100,
			first: 1, last: 9, end: 9, occurrences: 3, reached: true,
		},
		"on both sides, but too far apart": {
			threshold: three, entries: once("a", 1, 6, 11), at: 6, now: 100,
		},
		"the fullest of several": {
			threshold: three, entries: once("a", 1, 6, 12, 13, 14), at: 6, now: 100,
			first: 6, last: 14, end: 14, occurrences: 4, reached: true,
		},
		"the earliest of equals": {
			threshold: three, entries: once("a", 1, 2, 8, 15, 16), at: 8, now: 100,
			first: 1, last: 8, end: 8, occurrences: 3, reached: true,
		},
		"a window that begins just before it still holds it": {
			threshold: three, entries: once("a", 5, 14, 14), at: 5, now: 100,
			first: 5, last: 14, end: 14, occurrences: 3, reached: true,
		},
		"one that begins with it does not": {
			threshold: three, entries: once("a", 5, 15, 15), at: 5, now: 100,
		},
		"what is after now is not looked at": {
			threshold: three, entries: once("a", 1, 2, 3), at: 1, now: 2,
		},
		"what is just now is": {
			threshold: three, entries: once("a", 1, 2, 3), at: 1, now: 3,
			first: 1, last: 3, end: 3, occurrences: 3, reached: true,
		},
		"all of what happened at one time counts": {
			threshold: three, entries: join(once("a", 5), once("b", 5), once("c", 5)), at: 5, now: 5,
			first: 5, last: 5, end: 5, occurrences: 3, reached: true,
		},
		"one entry is enough if it says so": {
			threshold: three, entries: []window.Entry{on("a", 3, 5)}, at: 5, now: 100,
			first: 5, last: 5, end: 5, occurrences: 3, reached: true,
		},
		"nothing at that time, but before it": {
			threshold: three, entries: once("a", 1, 2, 3), at: 7, now: 100,
			first: 1, last: 3, end: 7, occurrences: 3, reached: true,
		},
		"nothing at all": {
			threshold: three, entries: once("a", 1, 2, 3), at: 50, now: 100,
		},
		"different computers on both sides": {
			threshold: computers, entries: join(once("a", 1, 2, 3), once("b", 9)), at: 3, now: 100,
			first: 1, last: 9, end: 9, occurrences: 4, reached: true,
		},
		"the window with more computers, not the one with more occurrences": {
			threshold: computers, entries: join(once("a", 1, 2, 3, 4), once("b", 13)), at: 4, now: 100,
			first: 4, last: 13, end: 13, occurrences: 2, reached: true,
		},
		"no computer is not one more": {
			threshold: computers, entries: join(once("", 1), once("a", 5), once("b", 14)), at: 5, now: 100,
			first: 5, last: 14, end: 14, occurrences: 2, reached: true,
		},
		"all of what happened at the end counts, though it adds no computer": {
			threshold: computers,
			entries:   []window.Entry{on("a", 1, 1), on("b", 1, 5), {Time: at(5), First: at(5), Count: 1, Computer: "b", Risk: "another"}},
			at:        5, now: 100, first: 1, last: 5, end: 5, occurrences: 3, reached: true,
		},
		"and so does what happened after it": {
			threshold: computers,
			entries:   []window.Entry{on("a", 1, 1), on("b", 1, 5), {Time: at(5), First: at(5), Count: 1, Computer: "b", Risk: "another"}},
			at:        1, now: 100, first: 1, last: 5, end: 5, occurrences: 3, reached: true,
		},
		"one computer on both sides": {
			threshold: computers, entries: once("a", 1, 5, 9), at: 5, now: 100,
		},
		"one computer on both sides, whatever its case": {
			threshold: computers, entries: join(once("a", 1), once("A", 5), once("a", 9)), at: 5, now: 100,
		},
		"one that leaves and comes back in another case": {
			threshold: computers, entries: join(once("a", 1), once("B", 5), once("b", 11), once("A", 12)), at: 5, now: 100,
			first: 1, last: 5, end: 5, occurrences: 2, reached: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, reached := filled(tc.threshold, tc.entries).Around(at(tc.at), at(tc.now))
			if reached != tc.reached {
				t.Errorf("reached is %t, want %t", reached, tc.reached)
			}
			if !reached { // nobody asks for the rest
				return
			}
			first, last := at(tc.first), at(tc.last)
			if s.Occurrences != tc.occurrences || !s.First.Equal(first) || !s.Last.Equal(last) || !s.End.Equal(at(tc.end)) {
				t.Errorf("got %d occurrences from %s to %s in the window until %s; want %d from %s to %s until %s",
					s.Occurrences, s.First, s.Last, s.End, tc.occurrences, first, last, at(tc.end))
			}
		})
	}
}

// TestSummary: what is told of a window.
func TestSummary(t *testing.T) {
	t.Parallel()
	entry := func(seconds, first int, n int64, computer, risk string, severity int) window.Entry {
		return window.Entry{Time: at(seconds), First: at(first), Count: n, Computer: computer, Risk: risk, Severity: severity}
	}
	var many []window.Entry
	var latest []string
	for i := range 30 {
		many = append(many, entry(1+i, 1+i, 1, fmt.Sprint("c", i), fmt.Sprint("r", i), 1))
	}
	for i := range window.MaxNames {
		latest = append(latest, fmt.Sprint(29-i))
	}
	prefixed := func(prefix string) []string {
		list := make([]string, 0, len(latest))
		for _, s := range latest {
			list = append(list, prefix+s)
		}
		return list
	}
	for name, tc := range map[string]struct {
		entries []window.Entry
		want    window.Summary
	}{
		"nothing": {nil, window.Summary{End: at(60)}},
		"names, the latest first, each once; the worst severity; from the first beginning to the last end": {
			[]window.Entry{
				entry(1, 1, 1, "a", "x", 2), entry(5, -20, 14, "b", "y", 4), entry(3, 3, 1, "c", "x", 1), entry(9, 9, 1, "a", "", 1),
			},
			window.Summary{
				End: at(60), Occurrences: 17, Computers: 3, ComputerNames: []string{"a", "b", "c"}, Risks: []string{"y", "x"},
				First: at(-20), Last: at(9), Severity: 4,
			},
		},
		"only what lies in the window": {
			[]window.Entry{entry(0, 0, 5, "old", "old", 4), entry(1, 1, 1, "a", "", 1), entry(61, 61, 5, "new", "new", 4)},
			window.Summary{
				End: at(60), Occurrences: 1, Computers: 1, ComputerNames: []string{"a"}, First: at(1), Last: at(1), Severity: 1,
			},
		},
		"no names": {
			[]window.Entry{entry(1, 1, 2, "", "", 3)},
			window.Summary{End: at(60), Occurrences: 2, First: at(1), Last: at(1), Severity: 3},
		},
		"the same at the same time is one entry, of the worst severity and the first beginning": {
			[]window.Entry{entry(5, 4, 1, "a", "x", 1), entry(5, 2, 2, "a", "x", 3), entry(5, 3, 4, "a", "x", 2)},
			window.Summary{
				End: at(60), Occurrences: 7, Computers: 1, ComputerNames: []string{"a"}, Risks: []string{"x"},
				First: at(2), Last: at(5), Severity: 3,
			},
		},
		"names in different case are one, as it was written last": {
			[]window.Entry{
				entry(1, 1, 1, "ws-1", "eicar", 1), entry(2, 2, 1, "WS-2", "EICAR", 1), entry(3, 3, 1, "Ws-1", "Eicar", 1),
			},
			window.Summary{
				End: at(60), Occurrences: 3, Computers: 2, ComputerNames: []string{"Ws-1", "WS-2"}, Risks: []string{"Eicar"},
				First: at(1), Last: at(3), Severity: 1,
			},
		},
		"the same at the same time, in another case, is one entry, as it was written first": {
			[]window.Entry{entry(5, 5, 1, "a", "x", 1), entry(5, 5, 2, "A", "X", 1)},
			window.Summary{
				End: at(60), Occurrences: 3, Computers: 1, ComputerNames: []string{"a"}, Risks: []string{"x"},
				First: at(5), Last: at(5), Severity: 1,
			},
		},
		"the first twenty of many names, but the number of all": {
			many,
			window.Summary{
				End: at(60), Occurrences: 30, Computers: 30, ComputerNames: prefixed("c"), Risks: prefixed("r"),
				First: at(1), Last: at(30), Severity: 1,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := filled(window.Threshold{Count: 100, Width: time.Minute}, tc.entries).Sum(at(60))
			check(t, "summary", got, tc.want)
		})
	}
}

// TestHolds: whether something happened on a computer in (now-width, now].
func TestHolds(t *testing.T) {
	t.Parallel()
	w := filled(window.Threshold{Count: 9, Width: 10 * time.Second}, join(once("a", 0, 5), once("b", 10), once("", 7)))
	for name, tc := range map[string]struct {
		computer string
		now      int
		want     bool
	}{
		"in the window":                      {"a", 6, true},
		"at its end":                         {"b", 10, true},
		"at its beginning, which is outside": {"a", 15, false},
		"just after its beginning":           {"a", 14, true},
		"after it":                           {"b", 9, false},
		"on another computer":                {"c", 10, false},
		"in another case":                    {"B", 10, true},
		"on no computer":                     {"", 10, true},
		"on no computer, later":              {"", 17, false},
	} {
		if got := w.Holds(tc.computer, at(tc.now)); got != tc.want {
			t.Errorf("%s: Holds(%q, %ds) is %t", name, tc.computer, tc.now, got)
		}
	}
}

// TestForget: what happened before a time is gone, what happened then is not.
func TestForget(t *testing.T) {
	t.Parallel()
	w := filled(window.Threshold{Count: 1, Width: time.Hour}, once("a", 1, 2, 3))
	for _, step := range []struct {
		before int
		left   int64
	}{{0, 3}, {1, 3}, {2, 2}, {3, 1}, {4, 0}} {
		w.Forget(at(step.before))
		if s, _ := w.AsOf(at(100)); s.Occurrences != step.left {
			t.Errorf("%d are left after what happened before %ds was forgotten, want %d", s.Occurrences, step.before, step.left)
		}
		if empty := step.left == 0; w.Empty() != empty {
			t.Errorf("Empty is %t with %d left", w.Empty(), step.left)
		}
	}
}

// TestClear: counting starts anew.
func TestClear(t *testing.T) {
	t.Parallel()
	w := filled(window.Threshold{Count: 3, Width: time.Minute}, once("a", 1, 2, 3))
	w.Clear()
	if !w.Empty() {
		t.Error("something is left")
	}
	w.Add(on("a", 2, 4))
	if _, reached := w.AsOf(at(5)); reached {
		t.Error("the threshold is reached")
	}
	if s := w.Sum(at(5)); s.Occurrences != 2 {
		t.Errorf("%d occurrences, want 2", s.Occurrences)
	}
}

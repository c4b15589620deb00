// SPDX-License-Identifier: Apache-2.0

// Package window counts occurrences within a length of time, by the time they happened and whatever the order they arrive
// in. It is pure, and its memory depends on the threshold, not on the number of occurrences.
package window

import (
	"bytes"
	"hash/maphash"
	"slices"
	"sort"
	"strings"
	"time"
)

// slack is how many entries a window keeps beyond its threshold, so that late occurrences find their neighbours. Beyond
// that, whether the threshold is reached stays exact, and the totals of a Summary become lower bounds.
const slack = 256

// MaxNames is the most names of computers and of risks that a Summary lists.
const MaxNames = 20

// Threshold is reached when Count occurrences (or different computers, if Distinct) lie within Width.
type Threshold struct {
	Count    int64
	Width    time.Duration
	Distinct bool
	// Bare leaves all but its End out of a Summary, for whoever asks only whether the threshold is reached: to sum up costs
	// far more than to decide.
	Bare bool
}

// Entry is something that happened Count times, from First until Time. The window counts all of it at Time.
type Entry struct {
	Time     time.Time
	First    time.Time
	Count    int64
	Computer string
	Risk     string
	// Severity is a rank: the higher the worse.
	Severity int

	// computer and risk are the names without case: names of computers and risks have no reliable one.
	computer, risk string
}

// Summary is what a window held.
type Summary struct {
	// End of the window, which began Width before and does not include its beginning.
	End           time.Time
	Occurrences   int64
	Computers     int
	ComputerNames []string
	Risks         []string
	First, Last   time.Time
	Severity      int
}

// Window holds the latest entries, ordered by time. The zero Window is not usable; see New.
type Window struct {
	threshold Threshold
	entries   []Entry
	// marks holds a byte for each entry, made of its names: in a storm many entries have one time, and equal ones are found
	// among them without looking at each.
	marks []byte
	// room is where different computers are counted: a map that has grown need not grow again.
	room map[string]int
}

// seed makes what marks are equal by chance different for each process: nobody can report computers that have all the same.
var seed = maphash.MakeSeed()

func (e *Entry) mark() byte {
	return byte((maphash.String(seed, e.computer) ^ 31*maphash.String(seed, e.risk)) & 0xff)
}

// New returns an empty window.
func New(t Threshold) *Window { return &Window{threshold: t} }

// Add puts an entry in its place by time.
func (w *Window) Add(e Entry) {
	e.computer, e.risk = strings.ToLower(e.Computer), strings.ToLower(e.Risk)
	mark, place := e.mark(), w.after(e.Time)
	if same := w.same(&e, mark, place); same != nil {
		same.Count += e.Count
		same.Severity = max(same.Severity, e.Severity)
		if e.First.Before(same.First) {
			same.First = e.First
		}
		return
	}
	w.entries, w.marks = slices.Insert(w.entries, place, e), slices.Insert(w.marks, place, mark)
	if limit := int(w.threshold.Count) + 2*slack; len(w.entries) > limit {
		w.shrink(limit - slack)
	}
}

// same returns the entry of the same time and names, if there is one before the place where this one belongs.
func (w *Window) same(e *Entry, mark byte, place int) *Entry {
	from := sort.Search(place, func(i int) bool { return !w.entries[i].Time.Before(e.Time) })
	for ; from < place; from++ {
		next := bytes.IndexByte(w.marks[from:place], mark)
		if next < 0 {
			return nil
		}
		from += next
		if same := &w.entries[from]; same.computer == e.computer && same.risk == e.risk {
			return same
		}
	}
	return nil
}

// shrink keeps at most n entries. What it drops first cannot change whether the threshold is reached as of now: an old
// entry of a computer that has a newer one, then the oldest of all.
func (w *Window) shrink(n int) {
	var newest map[string]int
	if w.threshold.Distinct {
		newest = make(map[string]int, len(w.entries))
		for i, e := range w.entries {
			newest[e.computer] = i
		}
	}
	surplus, keep := len(w.entries)-n, 0
	for i, e := range w.entries {
		if surplus > 0 && (!w.threshold.Distinct || newest[e.computer] != i) {
			surplus--
			continue
		}
		w.entries[keep], w.marks[keep] = e, w.marks[i]
		keep++
	}
	w.drop(keep, len(w.entries))
	w.drop(0, max(0, keep-n))
}

func (w *Window) drop(from, to int) {
	w.entries, w.marks = slices.Delete(w.entries, from, to), slices.Delete(w.marks, from, to)
}

// Forget drops what happened before the given time.
func (w *Window) Forget(before time.Time) {
	n := 0
	for n < len(w.entries) && w.entries[n].Time.Before(before) {
		n++
	}
	w.drop(0, n)
}

// Empty says whether the window holds nothing.
func (w *Window) Empty() bool { return len(w.entries) == 0 }

// Clear drops everything: counting starts anew.
func (w *Window) Clear() { w.entries, w.marks = nil, nil }

// AsOf says whether the threshold is reached in (now-Width, now], and if so, summarises that.
func (w *Window) AsOf(now time.Time) (Summary, bool) {
	from, to := w.bounds(now)
	if !w.could(from, to) {
		return Summary{End: now}, false
	}
	return w.sum(from, to, now)
}

// Sum summarises (now-Width, now], reached or not.
func (w *Window) Sum(now time.Time) Summary {
	from, to := w.bounds(now)
	s, _ := w.sum(from, to, now)
	return s
}

// could says whether the threshold could be reached among these entries. It costs little, and nearly always says no where it
// is not: most events reach nothing.
func (w *Window) could(from, to int) bool {
	if w.threshold.Distinct {
		return int64(to-from) >= w.threshold.Count
	}
	var n int64
	for i := from; i < to && n < w.threshold.Count; i++ {
		n += w.entries[i].Count
	}
	return n >= w.threshold.Count
}

// Holds says whether something happened on the computer in (now-Width, now].
func (w *Window) Holds(computer string, now time.Time) bool {
	from, to := w.bounds(now)
	computer = strings.ToLower(computer)
	return slices.ContainsFunc(w.entries[from:to], func(e Entry) bool { return e.computer == computer })
}

// Around looks at every window of the threshold's width that contains the given time and ends by now. It says whether the
// threshold is reached in the fullest, the earliest of equals, and if so, summarises that.
func (w *Window) Around(at, now time.Time) (Summary, bool) {
	from, to := w.bounds(at)
	last := w.after(earlier(now, at.Add(w.threshold.Width)))
	switch {
	case !w.could(from, last):
		return Summary{End: at}, false
	case last <= to:
		return w.sum(from, to, at)
	}
	held := w.measure()
	for _, e := range w.entries[from:to] {
		held.add(e)
	}
	bestFrom, bestTo, bestEnd, best := from, to, at, held.n
	for beyond := at.Add(w.threshold.Width); to < len(w.entries); {
		end := w.entries[to].Time
		if !end.Before(beyond) || end.After(now) {
			break
		}
		for to < len(w.entries) && w.entries[to].Time.Equal(end) {
			held.add(w.entries[to])
			to++
		}
		for start := end.Add(-w.threshold.Width); !w.entries[from].Time.After(start); from++ {
			held.remove(w.entries[from])
		}
		if held.n > best {
			bestFrom, bestTo, bestEnd, best = from, to, end, held.n
		}
	}
	return w.sum(bestFrom, bestTo, bestEnd)
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// bounds returns the range of entries in (end-Width, end].
func (w *Window) bounds(end time.Time) (from, to int) {
	return w.after(end.Add(-w.threshold.Width)), w.after(end)
}

// after is the place of the first entry after this time. Mostly there is none: events come about as they happen.
func (w *Window) after(t time.Time) int {
	if n := len(w.entries); n == 0 || !w.entries[n-1].Time.After(t) {
		return n
	}
	return sort.Search(len(w.entries), func(i int) bool { return w.entries[i].Time.After(t) })
}

// measure is what a threshold is compared with, while entries come and go.
type measure struct {
	n        int64
	distinct bool
	// entries of each computer; none that are gone.
	entries map[string]int
}

// measure begins to measure; there is one at a time.
func (w *Window) measure() measure {
	if w.threshold.Distinct && w.room == nil {
		w.room = map[string]int{}
	}
	clear(w.room)
	return measure{distinct: w.threshold.Distinct, entries: w.room}
}

func (m *measure) add(e Entry) {
	switch {
	case !m.distinct:
		m.n += e.Count
	case e.computer != "":
		m.entries[e.computer]++
		m.n = int64(len(m.entries))
	}
}

func (m *measure) remove(e Entry) {
	switch {
	case !m.distinct:
		m.n -= e.Count
	case e.computer != "":
		if m.entries[e.computer]--; m.entries[e.computer] == 0 {
			delete(m.entries, e.computer)
		}
		m.n = int64(len(m.entries))
	}
}

func (w *Window) sum(from, to int, end time.Time) (Summary, bool) {
	s := Summary{End: end}
	if w.threshold.Bare {
		return s, w.reached(from, to)
	}
	computers, risks := names{}, names{}
	for _, e := range slices.Backward(w.entries[from:to]) {
		s.Occurrences += e.Count
		s.Severity = max(s.Severity, e.Severity)
		computers.add(e.computer, e.Computer)
		risks.add(e.risk, e.Risk)
		if s.Last.IsZero() {
			s.Last = e.Time
		}
		if s.First.IsZero() || e.First.Before(s.First) {
			s.First = e.First
		}
	}
	s.Computers = len(computers.seen)
	s.ComputerNames, s.Risks = computers.list, risks.list
	measure := s.Occurrences
	if w.threshold.Distinct {
		measure = int64(s.Computers)
	}
	return s, measure >= w.threshold.Count
}

// reached says whether the threshold is reached among these entries.
func (w *Window) reached(from, to int) bool {
	if !w.threshold.Distinct {
		return w.could(from, to)
	}
	held := w.measure()
	for i := from; i < to && held.n < w.threshold.Count; i++ {
		held.add(w.entries[i])
	}
	return held.n >= w.threshold.Count
}

// names collects different names in order of appearance, as they are written there; it lists the first few and counts all.
type names struct {
	seen map[string]struct{}
	list []string
}

func (n *names) add(key, name string) {
	if key == "" {
		return
	}
	if _, ok := n.seen[key]; ok {
		return
	}
	if n.seen == nil {
		n.seen = map[string]struct{}{}
	}
	n.seen[key] = struct{}{}
	if len(n.list) < MaxNames {
		n.list = append(n.list, name)
	}
}

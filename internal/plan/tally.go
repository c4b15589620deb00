// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/window"
)

// tally is what is counted by itself: a window, and the event in it that happened last.
type tally struct {
	*window.Window
	latest latest
}

func (t *tally) add(e window.Entry, event *v1alpha1.SecurityEvent) {
	t.Add(e)
	t.latest.note(event, e.Time)
}

// latest is the event that happened last, and of several the one that arrived last.
type latest struct {
	event *v1alpha1.SecurityEvent
	at    time.Time
}

func (l *latest) note(event *v1alpha1.SecurityEvent, at time.Time) {
	if !at.Before(l.at) {
		l.event, l.at = event, at
	}
}

// maxTallies is how many windows of one condition are kept.
const maxTallies = 10_000

// minSweep is how many tallies there may be before those that are empty are looked for.
const minSweep = 64

// tallies are the tallies of one condition, by risk and computer. As the names come from events, there is no end of them:
// a tally in which nothing is left is forgotten, and of too many those in which nothing happened for longest.
type tallies struct {
	threshold window.Threshold
	groups    map[string]map[string]*tally
	n, sweep  int
	// crowded counts those that were forgotten although something was left in them.
	crowded int64
}

func newTallies(threshold window.Threshold) tallies {
	return tallies{threshold: threshold, groups: map[string]map[string]*tally{}, sweep: minSweep}
}

// Barely leaves out of what is told what the windows held, for whoever only counts: see window.Threshold. It comes before the
// first event.
func (w *Watch) Barely() { w.tallies.threshold.Bare = true }

// of is the tally of a group, if there is one.
func (ts *tallies) of(g group) []*tally {
	if t := ts.groups[g.risk][g.computer]; t != nil {
		return []*tally{t}
	}
	return nil
}

// get returns the tally of a group, without what happened before the horizon.
func (ts *tallies) get(g group, horizon time.Time) *tally {
	if t := ts.groups[g.risk][g.computer]; t != nil {
		t.Forget(horizon)
		return t
	}
	if ts.n >= ts.sweep {
		ts.forget(horizon)
		if ts.n >= maxTallies {
			ts.thin(maxTallies / 2)
		}
		ts.sweep = min(maxTallies, max(minSweep, 2*ts.n))
	}
	if ts.groups[g.risk] == nil {
		ts.groups[g.risk] = map[string]*tally{}
	}
	t := &tally{Window: window.New(ts.threshold)}
	ts.groups[g.risk][g.computer] = t
	ts.n++
	return t
}

func (ts *tallies) forget(horizon time.Time) {
	for risk, computers := range ts.groups {
		for computer, t := range computers {
			if t.Forget(horizon); t.Empty() {
				delete(computers, computer)
				ts.n--
			}
		}
		if len(computers) == 0 {
			delete(ts.groups, risk)
		}
	}
}

// thin keeps that many, in which something happened last.
func (ts *tallies) thin(keep int) {
	type place struct {
		group
		at time.Time
	}
	var places []place
	for risk, computers := range ts.groups {
		for computer, t := range computers {
			places = append(places, place{group{computer, risk}, t.latest.at})
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.risk, b.risk), cmp.Compare(a.computer, b.computer))
	})
	for _, p := range places[keep:] {
		delete(ts.groups[p.risk], p.computer)
		if len(ts.groups[p.risk]) == 0 {
			delete(ts.groups, p.risk)
		}
		ts.n--
		ts.crowded++
	}
}

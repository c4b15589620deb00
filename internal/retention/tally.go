// SPDX-License-Identifier: Apache-2.0

package retention

import (
	"cmp"
	"slices"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// tellEvery is how often, at most, it is told of a namespace and severity that some were shed.
const tellEvery = time.Minute

// Note tells how many of a severity were shed in a namespace.
type Note struct {
	Namespace string
	Severity  v1alpha1.Severity
	Number    int
	// Since is when the first of them was.
	Since time.Time
	// Reason is why the last of them was.
	Reason Reason
}

// Tally counts what was shed until it is told. The first of a namespace and severity is told at once, what follows when a
// minute is over. The zero value is empty.
type Tally struct {
	counts map[subject]*count
}

type subject struct {
	namespace string
	severity  v1alpha1.Severity
}

type count struct {
	Note

	// notBefore is when it may be told.
	notBefore time.Time
}

// Add counts what was shed.
func (t *Tally) Add(n Note) {
	about := subject{n.Namespace, n.Severity}
	c := t.counts[about]
	if c == nil {
		if t.counts == nil {
			t.counts = map[subject]*count{}
		}
		c = &count{notBefore: n.Since}
		t.counts[about] = c
	}
	n.Number += c.Number
	if c.Number > 0 && c.Since.Before(n.Since) {
		n.Since = c.Since
	}
	c.Note = n
}

// Due takes what may be told now, in order. What could not be told is to be added again.
func (t *Tally) Due(now time.Time) []Note {
	var due []Note
	for about, c := range t.counts {
		switch {
		case c.notBefore.After(now):
		case c.Number == 0:
			delete(t.counts, about)
		default:
			due = append(due, c.Note)
			c.Note, c.notBefore = Note{}, now.Add(tellEvery)
		}
	}
	slices.SortFunc(due, func(a, b Note) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Severity.Number(), b.Severity.Number()))
	})
	return due
}

// Next is when something may be told, or zero.
func (t *Tally) Next() time.Time {
	var next time.Time
	for _, c := range t.counts {
		if c.Number > 0 && (next.IsZero() || c.notBefore.Before(next)) {
			next = c.notBefore
		}
	}
	return next
}

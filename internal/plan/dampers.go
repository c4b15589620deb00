// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/damper"
)

const (
	// maxCleared is how many dampers are remembered at least that have cleared.
	maxCleared = 1000
	// maxDamping is how many are remembered at most.
	maxDamping = 20_000
)

// memory is one damper that has fired, with what it takes to go on after a restart.
type memory struct {
	damper.State
	// upTo is the event that last fired, or the latest one seen when a repetition was decided.
	upTo Position
	// seen is the latest event that concerned this damper; latest is the event itself.
	seen   Position
	latest *v1alpha1.SecurityEvent
	// last is when the latest event that concerned it arrived.
	last time.Time
	// cleared is when all had been quiet for a window; zero since it last fired.
	cleared time.Time
	// run is the notification that began what the latest one goes on with: that one itself, or one that it repeats.
	run int64
	// highest is the highest severity of what has arrived since it last fired; 0 if nothing has.
	highest int
	// wishes for quiet since the run began, by notification, and what became of them.
	wishes map[string]wish
	quiet  quiet
	// due is when it has to be looked at next.
	due time.Time
	// adopted says that the log alone tells of it: what it has held since then is counted again.
	adopted bool
}

// clear is that all was quiet for a window.
func (m *memory) clear(due time.Time) {
	m.cleared, m.highest, m.wishes, m.quiet = due, 0, nil, quiet{}
}

func (m *memory) note(event *Event) {
	if event.Position > m.upTo && m.cleared.IsZero() {
		m.highest = max(m.highest, event.Object.Spec.Severity.Number())
	}
	m.seen, m.latest = event.Position, event.Object
	m.last = later(m.last, event.arrival())
}

// dampers are those of one condition that have fired, by key. As the keys come from events, there is no end of them: of
// those that have cleared, the ones that fired longest ago are forgotten.
type dampers struct {
	byKey map[string]*memory
	// most is how many there may be before those to forget are looked for.
	most int
	// crowded counts those that were forgotten before they had cleared.
	crowded int64
	// forgotten is the highest sequence number among the forgotten: one that fires anew goes on from there.
	forgotten int64
}

func newDampers() dampers { return dampers{byKey: map[string]*memory{}, most: 2 * maxCleared} }

// get is what is remembered of a damper. That of one which has not fired yet is forgotten at once: there is nothing in it.
func (d *dampers) get(key string) *memory {
	if m := d.byKey[key]; m != nil {
		return m
	}
	return &memory{}
}

// put remembers a damper that has fired.
func (d *dampers) put(key string, m *memory) {
	if d.byKey[key] == nil && m.Sequence == 1 {
		m.Sequence += d.forgotten
	}
	d.byKey[key] = m
}

func (d *dampers) forget() {
	if len(d.byKey) <= d.most {
		return
	}
	type candidate struct {
		key string
		*memory
	}
	var cleared, running []candidate
	for key, m := range d.byKey {
		if m.cleared.IsZero() {
			running = append(running, candidate{key, m})
		} else {
			cleared = append(cleared, candidate{key, m})
		}
	}
	oldest := func(of []candidate, keep int) []candidate {
		slices.SortFunc(of, func(a, b candidate) int {
			return cmp.Or(a.LastFired.Compare(b.LastFired), cmp.Compare(a.key, b.key))
		})
		return of[:max(0, len(of)-keep)]
	}
	for _, c := range oldest(cleared, maxCleared) {
		d.drop(c.key)
	}
	if len(running) >= maxDamping {
		for _, c := range oldest(running, maxDamping/2) {
			d.drop(c.key)
			d.crowded++
		}
	}
	d.most = min(maxDamping+maxCleared, 2*max(maxCleared, len(d.byKey)))
}

func (d *dampers) drop(key string) {
	d.forgotten = max(d.forgotten, d.byKey[key].Sequence)
	delete(d.byKey, key)
}

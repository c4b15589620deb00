// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"slices"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/damper"
)

// maxCleared is how many dampers are remembered at least that have cleared. Those that have not are all remembered.
const maxCleared = 1000

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
	// due is when it has to be looked at next.
	due time.Time
	// adopted says that the log alone tells of it: what it has held since then is counted again.
	adopted bool
}

func (m *memory) note(event *Event) {
	m.seen, m.latest = event.Position, event.Object
	m.last = later(m.last, event.arrival())
}

// dampers are those of one condition that have fired, by key. As the keys come from events, there is no end of them: of
// those that have cleared, the ones that fired longest ago are forgotten.
type dampers struct {
	byKey map[string]*memory
	// most is how many there may be before those to forget are looked for.
	most int
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
	var cleared []candidate
	for key, m := range d.byKey {
		if !m.cleared.IsZero() {
			cleared = append(cleared, candidate{key, m})
		}
	}
	slices.SortFunc(cleared, func(a, b candidate) int {
		return cmp.Or(a.LastFired.Compare(b.LastFired), cmp.Compare(a.key, b.key))
	})
	for _, c := range cleared[:max(0, len(cleared)-maxCleared)] {
		delete(d.byKey, c.key)
		d.forgotten = max(d.forgotten, c.Sequence)
	}
	d.most = 2 * max(maxCleared, len(d.byKey))
}

// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"slices"
	"strings"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/legible"
	"github.com/tocsin-dev/tocsin/internal/match"
	"github.com/tocsin-dev/tocsin/internal/window"
)

// maxKnown is how many risks a condition knows that tells of each once.
const maxKnown = 1000

// known are risks that are told, in lower case, the latest at the end. The zero known knows none.
type known struct {
	names  map[string]struct{}
	inTurn []string
}

func (k *known) has(risk string) bool {
	_, ok := k.names[risk]
	return ok
}

// add remembers a risk; beyond maxKnown, the one known longest is forgotten.
func (k *known) add(risk string) {
	if k.has(risk) {
		return
	}
	if k.names == nil {
		k.names = map[string]struct{}{}
	}
	if len(k.inTurn) == maxKnown {
		delete(k.names, k.inTurn[0])
		k.inTurn = slices.Delete(k.inTurn, 0, 1)
	}
	k.names[risk] = struct{}{}
	k.inTurn = append(k.inTurn, risk)
}

// preclude remembers a risk that was there before the condition was created: it is not new.
func (w *Watch) preclude(event *Event, verdict match.Verdict) {
	if verdict == match.Matched && event.Position > w.decided {
		w.known.add(strings.ToLower(legible.Text(event.Object.Spec.Risk.Name)))
	}
}

// discover decides about an event for a condition that tells of each risk once.
func (w *Watch) discover(e window.Entry, event *Event) (Firing, bool) {
	risk := strings.ToLower(e.Risk)
	if w.known.has(risk) {
		return Firing{}, false
	}
	t := w.tallies.get(w.rule.group(e), w.horizon())
	w.count(t, e, event)
	summary, reached := t.Around(e.Time, w.clock)
	if !reached {
		return Firing{}, false
	}
	w.known.add(risk)
	_, state := w.rule.damper.Observe(w.dampers.get(risk).State, e.Count, true, false, w.clock)
	m := &memory{State: state, seen: event.Position, cleared: w.clock}
	return w.fire(risk, m, v1alpha1.TriggerThresholdReached, summary, 0, event.Object), true
}

// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// model is section 2 of the design, word for word: it keeps every event for ever and looks at all of them for each
// decision. Times are milliseconds since the beginning of the story.
type model struct {
	count, width, period int64
	scope                v1alpha1.Scope
	per                  v1alpha1.DamperPer
	// cleared: tell when all is quiet again. once: tell of each risk once.
	cleared, once bool

	clock         int64
	events        []occurrence
	dampers       map[string]*modelDamper
	known         map[string]bool
	log           []decision
	matched, held int64
	// hushed is what was held for the sake of quiet alone. stayed and fell are how often a look let quiet go on and end;
	// roused is how often something more severe ended it.
	hushed, stayed, fell, roused, rescinded int64
	// evaluated and fired are the times of the latest event and notification; never if there was none.
	evaluated, fired int64
}

// occurrence is an event as it counts: n times at a time.
type occurrence struct {
	at, n          int64
	computer, risk string
	severity       int
	used           bool
}

// modelDamper is one damper. until, quiet and hush are never when it does not run, has not cleared, and nobody has asked for
// quiet, or that has ended. asked is the latest notification with which somebody has.
type modelDamper struct {
	sequence, fired, until, held, last, quiet int64
	// hush is since when all is held, silent since when the latest quiet held all, check when to look next whether that goes on,
	// ended when it last ended.
	hush, silent, check, ended, asked int64
	// told is the severity of the latest notification, highest that since it last fired, known that of the notification with
	// which quiet was asked for.
	told, highest, known int
}

// hushed says whether somebody has asked for quiet by now.
func (d *modelDamper) hushed(now int64) bool { return d.hush != never && now >= d.hush }

const never = -1

// decision is what model and engine must agree on.
type decision struct {
	At, Sequence, Held, Occurrences, LastFired int64
	Computers, Severity                        int
	Reason                                     v1alpha1.TriggerReason
	Key                                        string
}

func newModel(w wish) *model {
	period := map[v1alpha1.DamperPeriod]int64{"Auto": millis(h), "None": 0}
	if _, ok := period[w.damper]; !ok {
		period[w.damper] = millis(length(string(w.damper)))
	}
	m := &model{
		count: int64(w.count), width: millis(length(string(w.window))), period: period[w.damper], scope: w.scope, per: w.per,
		cleared: w.cleared, once: w.once, dampers: map[string]*modelDamper{}, known: map[string]bool{},
		evaluated: never, fired: never,
	}
	if m.once {
		m.period, m.per = 0, perRisk
	}
	return m
}

func millis(d time.Duration) int64 { return int64(d / time.Millisecond) }

func length(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	return d
}

// observe is the arrival of one event.
func (m *model) observe(s sighting) {
	arrival := millis(s.arrives)
	e := occurrence{
		at: arrival, n: max(1, int64(s.count)), computer: strings.ToLower(s.computer), risk: strings.ToLower(s.risk),
		severity: cmp.Or(s.severity, v1alpha1.SeverityWarning).Number(),
	}
	for _, said := range []*time.Duration{s.happened, s.last} {
		if said != nil {
			e.at = min(arrival, millis(*said))
		}
	}
	if arrival < 0 { // before the condition
		m.known[e.risk] = true
		return
	}
	m.evaluated = max(m.evaluated, arrival)
	if m.once && e.risk == "" {
		return
	}
	m.advance(arrival)
	now := m.clock
	m.matched += e.n
	if m.once {
		m.discover(e, now)
		return
	}
	key := m.key(e)
	d := m.dampers[key]
	if d == nil {
		d = &modelDamper{until: never, quiet: never, hush: never, silent: never}
		m.dampers[key] = d
	}
	d.last = max(d.last, arrival)
	roused := false
	if d.highest = max(d.highest, e.severity); d.hush != never && d.highest > d.known {
		if roused = d.hushed(now); roused {
			d.ended = now
			m.roused++
		} else {
			d.silent = never
		}
		d.hush = never
	}
	told := !roused && m.told(d, e, now)
	m.events = append(m.events, e)
	if now < d.until || d.hushed(now) {
		m.hold(d, e.n)
		if now >= d.until {
			m.hushed += e.n
		}
		return
	}
	from, to := m.fullestAround(m.group(e), e.at, now)
	if told {
		from, to = now-m.width, now
	}
	switch in := m.within(m.group(e), from, to); {
	case m.measure(in) >= m.count:
		m.fire(key, d, v1alpha1.TriggerThresholdReached, now, in)
		if m.period == 0 {
			m.useUp(m.group(e))
		}
	case told:
		m.hold(d, e.n)
	}
}

// discover is the arrival of a risk where each is told once.
func (m *model) discover(e occurrence, now int64) {
	if m.known[e.risk] {
		return
	}
	m.events = append(m.events, e)
	from, to := m.fullestAround(m.group(e), e.at, now)
	if in := m.within(m.group(e), from, to); m.measure(in) >= m.count {
		m.known[e.risk], m.fired = true, now
		m.log = append(m.log, decision{
			At: now, Reason: v1alpha1.TriggerThresholdReached, Key: e.risk, Sequence: 1, Occurrences: total(in), Computers: len(computers(in)),
			Severity: severest(in),
		})
	}
}

func (m *model) hold(d *modelDamper, n int64) {
	d.held += n
	m.held += n
}

// advance lets time pass. Dampers end one after the other, and at each end the window is looked at as of then; when they
// have ended and all has been quiet for a window, they clear.
func (m *model) advance(now int64) {
	for {
		key, at := m.next()
		if at == never || at > now {
			break
		}
		m.clock = max(m.clock, at)
		d := m.dampers[key]
		best := m.stillReached(key, at)
		switch {
		case d.hushed(at) && at >= d.check && best != nil:
			d.until, d.check = never, at+m.pause()
			m.stayed++
		case d.hushed(at) && at >= d.check:
			d.until, d.hush, d.ended = never, never, at
			m.fell++
		case d.until == never:
			m.clear(key, d, at)
		default:
			d.until = never
			if best != nil {
				m.fire(key, d, v1alpha1.TriggerStillReached, at, best)
			}
		}
	}
	m.clock = max(m.clock, now)
}

// ask is that somebody asks for quiet with the latest notifications: whoever has fired and not cleared holds all from then on,
// unless something more severe than was told has come since. When its damper ends, and then every period, it is looked at
// whether the threshold is still reached; without a damper, each time a window has passed.
func (m *model) ask(h hush) {
	m.advance(millis(h.at - time.Second))
	at := millis(h.at)
	for key, d := range m.dampers {
		if d.sequence == 0 || d.quiet != never || d.asked == d.sequence || key > h.upTo {
			continue
		}
		d.asked = d.sequence
		if d.highest > d.told {
			continue
		}
		d.hush, d.silent, d.known, d.check = at, at, d.told, at+m.pause()
		if d.until >= at {
			d.check = d.until
		}
	}
}

// rouse is that all wishes up to a key are taken back.
func (m *model) rouse(h hush) {
	m.advance(millis(h.at - time.Second))
	for key, d := range m.dampers {
		if d.hush != never && key <= h.upTo {
			d.hush, d.silent = never, never
			m.rescinded++
		}
	}
}

func (m *model) pause() int64 {
	if m.period > 0 {
		return m.period
	}
	return m.width
}

// next is what comes next: a damper that ends, or one that clears as nothing concerns it any longer. A damper's own end
// comes before it clears.
func (m *model) next() (first string, at int64) {
	at = never
	for _, key := range slices.Sorted(maps.Keys(m.dampers)) {
		d := m.dampers[key]
		due := max(d.fired+m.period, d.fired+m.width, d.last+m.width, d.ended)
		switch {
		case d.hush != never && d.until == never && due >= d.hush:
			due = min(due, d.check)
		case d.hush != never && d.until >= d.hush:
			due = d.check
		case d.until != never:
			due = d.until
		case d.sequence == 0 || d.quiet != never:
			continue
		}
		if at == never || due < at {
			first, at = key, due
		}
	}
	return first, at
}

func (m *model) clear(key string, d *modelDamper, now int64) {
	d.quiet, d.hush, d.silent = now, never, never
	if !m.cleared {
		return
	}
	d.sequence++
	m.log = append(m.log, decision{
		At: now, Reason: v1alpha1.TriggerCleared, Key: key, Sequence: d.sequence, Held: d.held, LastFired: d.fired,
	})
	d.held = 0
}

// stillReached returns what lies in the fullest window in which the threshold is reached as of then.
func (m *model) stillReached(key string, end int64) (best []occurrence) {
	for _, group := range m.groupsOf(key) {
		in := m.within(group, end-m.width, end)
		if m.measure(in) < m.count || m.shared() && !on(in, key) {
			continue
		}
		if best == nil || cmp.Or(cmp.Compare(severest(in), severest(best)), cmp.Compare(total(in), total(best)),
			cmp.Compare(latestOf(in), latestOf(best))) > 0 {
			best = in
		}
	}
	return best
}

func (m *model) fire(key string, d *modelDamper, reason v1alpha1.TriggerReason, now int64, in []occurrence) {
	d.sequence++
	m.log = append(m.log, decision{
		At: now, Reason: reason, Key: key, Sequence: d.sequence, Held: d.held, Occurrences: total(in), Computers: len(computers(in)),
		Severity: severest(in),
	})
	d.fired, d.held, d.until, d.quiet = now, 0, never, never
	if reason == v1alpha1.TriggerThresholdReached {
		d.hush, d.silent, d.ended = never, never, 0
	}
	d.told, d.highest = severest(in), 0
	m.fired = now
	if m.period > 0 {
		d.until = now + m.period
	}
}

// told: the last notification speaks for the time from a window before it until its damper ended; and when the threshold
// had been reached around a past time already, somebody was told then.
func (m *model) told(d *modelDamper, e occurrence, now int64) bool {
	if m.period == 0 || d.sequence == 0 {
		return false
	}
	if e.at > d.fired-m.width && e.at < d.fired+m.period {
		return true
	}
	if e.at >= now {
		return false
	}
	from, to := m.fullestAround(m.group(e), e.at, now)
	in := m.within(m.group(e), from, to)
	if d.silent != never && d.hush == never && to >= d.silent && to <= d.ended && d.fired <= d.ended {
		return false // nobody was told then
	}
	return m.measure(in) >= m.count && (!m.shared() || on(in, e.computer))
}

// fullestAround tries every window that holds the time and does not reach beyond now; of equals the earliest.
func (m *model) fullestAround(group occurrence, at, now int64) (from, to int64) {
	best, bestEnd := int64(-1), at
	ends := []int64{at}
	for _, e := range m.events {
		ends = append(ends, e.at)
	}
	slices.Sort(ends)
	for _, end := range ends {
		if end < at || end >= at+m.width || end > now {
			continue
		}
		if n := m.measure(m.within(group, end-m.width, end)); n > best {
			best, bestEnd = n, end
		}
	}
	return bestEnd - m.width, bestEnd
}

// within are the events of a group in (from, to] that are not used up.
func (m *model) within(group occurrence, from, to int64) []occurrence {
	var in []occurrence
	for _, e := range m.events {
		if !e.used && m.group(e) == group && e.at > from && e.at <= to {
			in = append(in, e)
		}
	}
	return in
}

func (m *model) useUp(group occurrence) {
	for i := range m.events {
		if m.group(m.events[i]) == group {
			m.events[i].used = true
		}
	}
}

// measure is what the threshold is compared with.
func (m *model) measure(in []occurrence) int64 {
	if m.scope == distinct {
		return int64(len(computers(in)))
	}
	return total(in)
}

// group says what is counted by itself, as an occurrence that has nothing else.
func (m *model) group(e occurrence) occurrence {
	var g occurrence
	if m.scope == single {
		g.computer = e.computer
	}
	if m.per == perRisk {
		g.risk = e.risk
	}
	return g
}

// key says what has a damper, or a count that is used up, of its own.
func (m *model) key(e occurrence) string {
	switch {
	case m.period == 0 && m.scope == single && m.per == perRisk:
		return e.computer + "/" + e.risk
	case m.period == 0:
		return m.group(e).computer + m.group(e).risk
	case m.per == perComputer:
		return e.computer
	case m.per == perRisk:
		return e.risk
	}
	return ""
}

// shared: dampers of several computers look at one count.
func (m *model) shared() bool { return m.period > 0 && m.per == perComputer && m.scope != single }

// groupsOf are the groups that a damper speaks for.
func (m *model) groupsOf(key string) []occurrence {
	groups := map[occurrence]bool{}
	for _, e := range m.events {
		if m.key(e) == key {
			groups[m.group(e)] = true
		}
	}
	return slices.SortedFunc(maps.Keys(groups), func(a, b occurrence) int { return cmp.Compare(a.computer, b.computer) })
}

// states are what is known of each damper that has fired: what it holds, and when all was quiet.
func (m *model) states() map[string]damperState {
	list := map[string]damperState{}
	for key, d := range m.dampers {
		if d.sequence > 0 {
			list[key] = damperState{Sequence: d.sequence, Held: d.held, Quiet: d.quiet}
		}
	}
	return list
}

type damperState struct{ Sequence, Held, Quiet int64 }

// window is what the window of the latest event that counted holds; nil while it is empty.
func (m *model) window() *v1alpha1.WindowStatus {
	if len(m.events) == 0 {
		return nil
	}
	in := m.within(m.group(m.events[len(m.events)-1]), m.clock-m.width, m.clock)
	if len(in) == 0 {
		return nil
	}
	return &v1alpha1.WindowStatus{
		Occurrences: total(in), Computers: int32(len(computers(in))), Time: moment(time.Duration(m.clock) * time.Millisecond),
	}
}

func total(in []occurrence) (n int64) {
	for _, e := range in {
		n += e.n
	}
	return n
}

func severest(in []occurrence) (severity int) {
	for _, e := range in {
		severity = max(severity, e.severity)
	}
	return severity
}

func latestOf(in []occurrence) int64 {
	latest := in[0].at
	for _, e := range in {
		latest = max(latest, e.at)
	}
	return latest
}

func computers(in []occurrence) map[string]bool {
	names := map[string]bool{}
	for _, e := range in {
		if e.computer != "" {
			names[e.computer] = true
		}
	}
	return names
}

func on(in []occurrence, computer string) bool {
	return slices.ContainsFunc(in, func(e occurrence) bool { return e.computer == computer })
}

func (d decision) String() string {
	return fmt.Sprintf("%dms %s #%d key=%q held=%d occurrences=%d computers=%d last=%dms",
		d.At, d.Reason, d.Sequence, d.Key, d.Held, d.Occurrences, d.Computers, d.LastFired)
}

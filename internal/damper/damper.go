// SPDX-License-Identifier: Apache-2.0

// Package damper keeps the same action from being repeated all the time: it decides whether what was reached is told now,
// or held and counted. It is pure: time comes in as a parameter.
package damper

import "time"

// Decision is what is to be done.
type Decision string

// The decisions.
const (
	// Wait: the threshold is not reached; nothing to tell.
	Wait Decision = "Wait"
	// Fire: tell now.
	Fire Decision = "Fire"
	// Hold: it is told already; count it as held.
	Hold Decision = "Hold"
	// Repeat: the damper ended and the threshold is still reached; tell once more.
	Repeat Decision = "Repeat"
	// Close: the damper ended and the rate has fallen; nothing to tell.
	Close Decision = "Close"
)

// State is what a damper remembers. The zero State has never fired.
type State struct {
	// Sequence is the number of the last notification; 0 before the first.
	Sequence int64
	// LastFired is the time of the last notification.
	LastFired time.Time
	// Until is when the damper ends; zero when it is not running.
	Until time.Time
	// Held counts the occurrences held since the last notification.
	Held int64
}

// Damper is the policy: how long one notification keeps the next from being sent. Zero is no damper.
type Damper struct {
	Period time.Duration
	// Window is the width of the threshold's window: what a notification speaks for reaches that far back.
	Window time.Duration
}

// Speaks says whether the last notification speaks for an occurrence at this time already: one that happened before the
// damper ended, or at most a window before it began. Such an occurrence cannot by itself make the past reach the threshold
// once more when it arrives late.
func (d Damper) Speaks(s State, at time.Time) bool {
	return d.Period > 0 && s.Sequence > 0 &&
		at.After(s.LastFired.Add(-d.Window)) && at.Before(s.LastFired.Add(d.Period))
}

// Observe decides about n occurrences that have arrived now; reached says whether they bring the count to the threshold,
// told whether an earlier notification speaks for the time at which they happened. An Expire that is due by now comes
// first.
func (d Damper) Observe(s State, n int64, reached, told bool, now time.Time) (Decision, State) {
	switch {
	case now.Before(s.Until), told && !reached:
		s.Held += n
		return Hold, s
	case reached:
		return Fire, d.fired(s, now)
	default:
		return Wait, s
	}
}

// Expire decides at the instant the damper ends, s.Until; reached says whether the threshold is still reached as of then.
func (d Damper) Expire(s State, reached bool) (Decision, State) {
	if reached {
		return Repeat, d.fired(s, s.Until)
	}
	s.Until = time.Time{}
	return Close, s
}

// Clear is the state after a note that all is quiet: the next number, and nothing held.
func (d Damper) Clear(s State) State {
	return State{Sequence: s.Sequence + 1, LastFired: s.LastFired}
}

// Quiet is the earliest time at which a damper that last fired has nothing more to tell, if nothing has happened since the
// given time: it has ended, and a window has passed since both.
func (d Damper) Quiet(s State, last time.Time) time.Time {
	quiet := s.LastFired.Add(max(d.Period, d.Window))
	if silent := last.Add(d.Window); silent.After(quiet) {
		return silent
	}
	return quiet
}

// Resume is the state after the notification with this sequence number was decided at this time.
func (d Damper) Resume(sequence int64, firedAt time.Time) State {
	return d.fired(State{Sequence: sequence - 1}, firedAt)
}

func (d Damper) fired(s State, now time.Time) State {
	next := State{Sequence: s.Sequence + 1, LastFired: now}
	if d.Period > 0 {
		next.Until = now.Add(d.Period)
	}
	return next
}

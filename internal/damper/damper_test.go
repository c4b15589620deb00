// SPDX-License-Identifier: Apache-2.0

package damper_test

import (
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/internal/damper"
)

var t0 = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// at is a time in minutes.
func at(minutes int) time.Time { return t0.Add(time.Duration(minutes) * time.Minute) }

var (
	hourly = damper.Damper{Period: time.Hour, Window: 10 * time.Minute}
	none   = damper.Damper{Window: 10 * time.Minute}

	fresh = damper.State{}
	// running fired at 0 and has held 3 since.
	running = damper.State{Sequence: 1, LastFired: at(0), Until: at(60), Held: 3}
	// ended is what became of it.
	ended = damper.State{Sequence: 1, LastFired: at(0), Held: 3}
)

// TestObserve: n occurrences have arrived.
func TestObserve(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		damper        damper.Damper
		state         damper.State
		n             int64
		reached, told bool
		now           int
		want          damper.Decision
		then          damper.State
	}{
		"below the threshold there is nothing to tell": {
			damper: hourly, state: fresh, n: 1, now: 5, want: damper.Wait, then: fresh,
		},
		"the threshold is reached for the first time": {
			damper: hourly, state: fresh, n: 1, reached: true, now: 5,
			want: damper.Fire, then: damper.State{Sequence: 1, LastFired: at(5), Until: at(65)},
		},
		"while the damper runs it is held": {
			damper: hourly, state: running, n: 1, reached: true, now: 5,
			want: damper.Hold, then: damper.State{Sequence: 1, LastFired: at(0), Until: at(60), Held: 4},
		},
		"fourteen at once are fourteen held": {
			damper: hourly, state: running, n: 14, reached: true, now: 5,
			want: damper.Hold, then: damper.State{Sequence: 1, LastFired: at(0), Until: at(60), Held: 17},
		},
		"while the damper runs it is held below the threshold too": {
			damper: hourly, state: running, n: 1, now: 59,
			want: damper.Hold, then: damper.State{Sequence: 1, LastFired: at(0), Until: at(60), Held: 4},
		},
		"the damper has ended at the very moment": {
			damper: hourly, state: running, n: 1, reached: true, now: 60,
			want: damper.Fire, then: damper.State{Sequence: 2, LastFired: at(60), Until: at(120)},
		},
		"after the damper the next trigger fires, and nothing is held any longer": {
			damper: hourly, state: ended, n: 1, reached: true, now: 61,
			want: damper.Fire, then: damper.State{Sequence: 2, LastFired: at(61), Until: at(121)},
		},
		"after the damper, below the threshold, there is nothing to tell, and what was held stays": {
			damper: hourly, state: ended, n: 1, now: 61, want: damper.Wait, then: ended,
		},
		"late, and told already: it is held": {
			damper: hourly, state: ended, n: 2, told: true, now: 100,
			want: damper.Hold, then: damper.State{Sequence: 1, LastFired: at(0), Held: 5},
		},
		"told already, but the threshold is reached now": {
			damper: hourly, state: ended, n: 2, reached: true, told: true, now: 100,
			want: damper.Fire, then: damper.State{Sequence: 2, LastFired: at(100), Until: at(160)},
		},
		"without a damper it fires": {
			damper: none, state: fresh, n: 1, reached: true, now: 5,
			want: damper.Fire, then: damper.State{Sequence: 1, LastFired: at(5)},
		},
		"and fires": {
			damper: none, state: damper.State{Sequence: 1, LastFired: at(5)}, n: 1, reached: true, now: 5,
			want: damper.Fire, then: damper.State{Sequence: 2, LastFired: at(5)},
		},
		"and waits": {
			damper: none, state: damper.State{Sequence: 1, LastFired: at(5)}, n: 1, now: 6,
			want: damper.Wait, then: damper.State{Sequence: 1, LastFired: at(5)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, then := tc.damper.Observe(tc.state, tc.n, tc.reached, tc.told, at(tc.now))
			if got != tc.want || then != tc.then {
				t.Errorf("got %s and %+v, want %s and %+v", got, then, tc.want, tc.then)
			}
		})
	}
}

// TestExpire: the damper ends.
func TestExpire(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reached bool
		want    damper.Decision
		then    damper.State
	}{
		"the threshold is still reached: it is told once more, at that moment, and the damper runs again": {
			true, damper.Repeat, damper.State{Sequence: 2, LastFired: at(60), Until: at(120)},
		},
		"the rate has fallen: nothing is told, and what was held waits for the next trigger": {
			false, damper.Close, ended,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, then := hourly.Expire(running, tc.reached)
			if got != tc.want || then != tc.then {
				t.Errorf("got %s and %+v, want %s and %+v", got, then, tc.want, tc.then)
			}
		})
	}
}

// TestSpeaks: the last notification, at 0, speaks for what happened from ten minutes before it, the window, until an hour
// after it, the damper's end; neither of the two belongs to it.
func TestSpeaks(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		damper damper.Damper
		state  damper.State
		at     time.Time
		want   bool
	}{
		"at that moment":                         {hourly, ended, at(0), true},
		"in the window":                          {hourly, ended, at(-9), true},
		"where the window began":                 {hourly, ended, at(-10), false},
		"just after the window began":            {hourly, ended, at(-10).Add(1), true},
		"while the damper ran":                   {hourly, ended, at(59), true},
		"while it runs":                          {hourly, running, at(59), true},
		"just before it ended":                   {hourly, ended, at(60).Add(-1), true},
		"when it ended":                          {hourly, ended, at(60), false},
		"before anything was told":               {hourly, fresh, at(0), false},
		"without a damper nothing is spoken for": {none, damper.State{Sequence: 1, LastFired: at(0)}, at(0), false},
	} {
		if got := tc.damper.Speaks(tc.state, tc.at); got != tc.want {
			t.Errorf("%s: %t, want %t", name, got, tc.want)
		}
	}
}

// TestClear: a note told that all is quiet. It has a number of its own and tells what was held; it begins no damper.
func TestClear(t *testing.T) {
	t.Parallel()
	for name, d := range map[string]damper.Damper{"with a damper": hourly, "without one": none} {
		if got, want := d.Clear(ended), (damper.State{Sequence: 2, LastFired: at(0)}); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	_, then := hourly.Observe(hourly.Clear(ended), 1, true, false, at(61))
	if want := (damper.State{Sequence: 3, LastFired: at(61), Until: at(121)}); then != want {
		t.Errorf("what happens after that is %+v, want %+v", then, want)
	}
}

// TestQuiet: the earliest time at which there is nothing more to tell.
func TestQuiet(t *testing.T) {
	t.Parallel()
	long := damper.Damper{Period: 10 * time.Minute, Window: time.Hour}
	for name, tc := range map[string]struct {
		damper damper.Damper
		last   time.Time
		want   int
	}{
		"nothing happened since: when the damper ends":                    {hourly, at(0), 60},
		"something did, long before it ends: the same":                    {hourly, at(49), 60},
		"a window before it ends: the same":                               {hourly, at(50), 60},
		"later than that: a window after it":                              {hourly, at(51), 61},
		"after it has ended: a window after it":                           {hourly, at(100), 110},
		"a window that is longer than the damper: a window after it told": {long, at(0), 60},
		"and after what happened since":                                   {long, at(5), 65},
		"without a damper: likewise":                                      {none, at(0), 10},
		"without a damper, after what happened since":                     {none, at(5), 15},
		"nobody knows when something happened last":                       {hourly, time.Time{}, 60},
	} {
		if got := tc.damper.Quiet(ended, tc.last); !got.Equal(at(tc.want)) {
			t.Errorf("%s: at %s, want %s", name, got, at(tc.want))
		}
	}
}

// TestResume: the log says that a notification was decided; its damper runs since then.
func TestResume(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		damper damper.Damper
		want   damper.State
	}{
		"with a damper": {hourly, damper.State{Sequence: 7, LastFired: at(3), Until: at(63)}},
		"without one":   {none, damper.State{Sequence: 7, LastFired: at(3)}},
	} {
		if got := tc.damper.Resume(7, at(3)); got != tc.want {
			t.Errorf("%s: got %+v, want %+v", name, got, tc.want)
		}
	}
}

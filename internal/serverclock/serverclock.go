// SPDX-License-Identifier: Apache-2.0

// Package serverclock tells the API server's time, as its answers show it: each carries a Date (RFC 9110, section 6.6.1), in
// whole seconds, written before it arrived. A Date D that arrived at L therefore proves that the server's clock shows at
// least D + t at L + t. The most that recent answers prove is what a Clock shows. It is never ahead of the server's clock,
// but for what that clock has lost since, and behind it by up to a second and the time that the fastest answer took.
//
// That is a lower bound by intent: what is due at a time of the server's clock is never done before it. An answer that was
// long under way, or a response that a proxy kept, proves less, but nothing false.
//
// Where several API servers with different clocks are behind one address, the one furthest ahead counts, as long as it
// answers. A proxy that writes Dates of its own counts as an API server.
package serverclock

import (
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

const (
	// Interval is how long answers are collected; what they prove counts for this one and the next. When the server's clock
	// is set back, the first answer after two of them is believed at the latest; when it is set forward, the first one.
	Interval = 2 * time.Minute
	// Notable is how far the two clocks must be apart for the log to tell.
	Notable = 10 * time.Second
	// Implausible is how far they must be apart for a Date not to be believed: decisions by such a time could not be undone.
	Implausible = 24 * time.Hour
)

// nothing is less than any answer proves.
const nothing = time.Duration(math.MinInt64)

// local is the machine's clock. Its Since goes by the monotonic clock, which nobody sets.
type local = clock.Clock

// Clock shows the API server's time, and the machine's before the server was heard. Its timers are the machine's: a
// duration is a duration.
type Clock struct {
	local
	log *slog.Logger
	// start is a reading of the machine's clock; what follows is told as time since.
	start time.Time

	mu sync.Mutex
	// current and previous are how far the server's clock is ahead of start plus the time since, as the answers of the
	// interval that began at began, and of the one before, have proved.
	current, previous time.Duration
	began             time.Duration
	// refused is when the log last told of a Date that was not believed.
	refused time.Duration
	// apart says that the log told last that the clocks are apart.
	apart bool
}

// New returns a Clock that has not heard anything yet.
func New(machine clock.Clock, log *slog.Logger) *Clock {
	return &Clock{local: machine, log: log, start: machine.Now(), current: nothing, previous: nothing, refused: nothing}
}

// Now is the API server's time. It has no monotonic reading, as the server's clock may be set.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

// now is Now; the caller holds the lock.
func (c *Clock) now() time.Time {
	if c.current == nothing {
		return c.local.Now().Round(0)
	}
	return c.start.Round(0).Add(c.local.Since(c.start) + max(c.current, c.previous))
}

// Since is the time from t to Now.
func (c *Clock) Since(t time.Time) time.Duration { return c.Now().Sub(t) }

// Offset is how far the API server's clock is ahead of the machine's. As Now, it is up to about a second too low.
func (c *Clock) Offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offset()
}

func (c *Clock) offset() time.Duration { return c.now().Sub(c.local.Now().Round(0)) }

// Wrap returns a transport that listens to the answers that come through another; it is a transport.WrapperFunc of client-go.
func (c *Clock) Wrap(next http.RoundTripper) http.RoundTripper { return &listener{next, c} }

type listener struct {
	next  http.RoundTripper
	clock *Clock
}

// RoundTrip returns as soon as the head of an answer is there, also that of a watch, which lasts.
func (l *listener) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := l.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		l.clock.hear(date)
	}
	return response, nil
}

// WrappedRoundTripper lets client-go find the transport below, as to close its idle connections.
func (l *listener) WrappedRoundTripper() http.RoundTripper { return l.next }

// hear takes in the Date of an answer that has just arrived.
func (c *Clock) hear(date time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	since := c.local.Since(c.start)
	if apart := date.Sub(c.local.Now().Round(0)); apart.Abs() > Implausible {
		c.refuse(date, since)
		return
	}
	proved := date.Sub(c.start.Round(0)) - since
	switch age := since - c.began; {
	case c.current == nothing || age >= 2*Interval:
		c.current, c.previous, c.began = proved, nothing, since
	case age >= Interval:
		c.current, c.previous, c.began = proved, c.current, c.began+Interval
	default:
		c.current = max(c.current, proved)
	}
	c.tell()
}

// refuse tells of a Date that is not believed, once in an Interval.
func (c *Clock) refuse(date time.Time, since time.Duration) {
	if c.refused == nothing || since-c.refused >= Interval {
		c.refused = since
		c.log.Error("Date of the API server is more than 24 hours from this machine's clock and is not believed",
			"date", date, "machine", c.local.Now())
	}
}

// tell writes to the log when the clocks have come apart, and when they have come together again.
func (c *Clock) tell() {
	offset := c.offset()
	switch apart := offset.Abs() > Notable; {
	case apart == c.apart:
	case apart:
		c.apart = true
		c.log.Warn("Clock of this machine differs from the API server's, by which Tocsin goes", "aheadBy", (-offset).String())
	default:
		c.apart = false
		c.log.Info("Clock of this machine agrees with the API server's again", "aheadBy", (-offset).String())
	}
}

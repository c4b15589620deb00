// SPDX-License-Identifier: Apache-2.0

package serverclock_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/tocsin-dev/tocsin/internal/serverclock"
)

// t0 is what the API server's clock shows when a test begins.
var t0 = time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)

// machine is a clock that moves when it is told to. wall is what it shows at its start; passed is told by Since, as the
// monotonic clock of a real machine does, wherever the wall clock is set meanwhile.
type machine struct {
	clock.RealClock
	wall   time.Time
	passed time.Duration
}

func (m *machine) Now() time.Time                { return m.wall.Add(m.passed) }
func (m *machine) Since(time.Time) time.Duration { return m.passed }

// transport answers as the function does.
type transport func() (*http.Response, error)

func (f transport) RoundTrip(*http.Request) (*http.Response, error) { return f() }

func dated(date string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Date": {date}}, Body: http.NoBody}
}

func header(t time.Time) string { return t.UTC().Format(http.TimeFormat) }

// get makes one request of which the transport knows the answer.
func get(t *testing.T, c *serverclock.Clock, answer transport) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://server.invalid", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.Wrap(answer).RoundTrip(request)
	if err != nil {
		return
	}
	if err := response.Body.Close(); err != nil {
		t.Error(err)
	}
}

// hear has an answer arrive that was dated by a clock at that time.
func hear(t *testing.T, c *serverclock.Clock, at time.Time) {
	t.Helper()
	get(t, c, func() (*http.Response, error) { return dated(header(at)), nil })
}

func silent() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestWhatADateTells(t *testing.T) {
	t.Parallel()
	apart := t0.Add(10 * time.Minute) // the machine is ten minutes ahead
	for name, tc := range map[string]struct {
		answer transport
		want   time.Time
	}{
		"a date is believed":                  {answers(header(t0)), t0},
		"the obsolete forms are dates too":    {answers(t0.Format("Monday, 02-Jan-06 15:04:05 GMT")), t0},
		"and the one of asctime":              {answers(t0.Format(time.ANSIC)), t0},
		"almost a day behind is believed":     {answers(header(apart.Add(-24 * time.Hour))), apart.Add(-24 * time.Hour)},
		"almost a day ahead is believed":      {answers(header(apart.Add(24 * time.Hour))), apart.Add(24 * time.Hour)},
		"more than a day behind is not":       {answers(header(apart.Add(-24*time.Hour - time.Second))), apart},
		"more than a day ahead is not":        {answers(header(apart.Add(24*time.Hour + time.Second))), apart},
		"the year 1 is not":                   {answers("Mon, 01 Jan 0001 00:00:00 GMT"), apart},
		"the year 9999 is not":                {answers("Fri, 31 Dec 9999 23:59:59 GMT"), apart},
		"no date tells nothing":               {func() (*http.Response, error) { return &http.Response{Body: http.NoBody}, nil }, apart},
		"an empty one neither":                {answers(""), apart},
		"nor one that cannot be read":         {answers("yesterday"), apart},
		"nor a day that there is not":         {answers("Mon, 31 Feb 2026 10:00:00 GMT"), apart},
		"nor seconds since 1970":              {answers("1795341600"), apart},
		"nor an answer that did not come":     {func() (*http.Response, error) { return nil, io.ErrUnexpectedEOF }, apart},
		"an error of the server has its date": {refusal(header(t0)), t0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serverclock.New(&machine{wall: apart}, silent())
			get(t, c, tc.answer)
			if got := c.Now(); !got.Equal(tc.want) {
				t.Errorf("the clock shows %s, want %s", got, tc.want)
			}
			if got, want := c.Offset(), tc.want.Sub(apart); got != want {
				t.Errorf("the offset is %s, want %s", got, want)
			}
		})
	}
}

func answers(date string) transport {
	return func() (*http.Response, error) { return dated(date), nil }
}

func refusal(date string) transport {
	return func() (*http.Response, error) {
		response := dated(date)
		response.StatusCode = http.StatusTooManyRequests
		return response, nil
	}
}

// step is what happens next in a story: time passes, then the machine's wall clock is set, then an answer arrives.
type step struct {
	passes time.Duration
	set    time.Duration
	hears  time.Time
	// shows is what the clock then shows.
	shows time.Time
}

func after(d time.Duration) time.Time { return t0.Add(d) }

func TestWhatCounts(t *testing.T) {
	t.Parallel()
	const interval, second, hour = serverclock.Interval, time.Second, time.Hour
	var none time.Time
	for name, story := range map[string][]step{
		"before anything was heard it is the machine's clock": {
			{0, 0, none, after(0)}, {second, 0, none, after(second)}, {second, hour, none, after(hour + 2*second)},
		},
		"the answer that proves the most counts": {
			{0, 0, after(0), after(0)},
			{second, 0, after(3 * second), after(3 * second)},
			{second, 0, after(2 * second), after(4 * second)},
		},
		"it goes on while no answer comes": {
			{0, 0, after(10 * second), after(10 * second)}, {20 * hour, 0, none, after(20*hour + 10*second)},
		},
		"setting the machine's clock does not matter": {
			{0, 0, after(0), after(0)},
			{second, hour, none, after(second)},
			{second, 0, after(2 * second), after(2 * second)},
			{second, -2 * hour, none, after(3 * second)},
			{second, 0, after(4 * second), after(4 * second)},
		},
		"set forward, the server's clock is believed at once": {
			{0, 0, after(0), after(0)}, {second, 0, after(hour), after(hour)},
		},
		"set back, it is believed after two intervals": {
			{0, 0, after(hour), after(hour)},
			{interval / 2, 0, after(interval / 2), after(hour + interval/2)},
			{interval / 2, 0, after(interval), after(hour + interval)},
			{interval - second, 0, after(2*interval - second), after(hour + 2*interval - second)},
			{second, 0, after(2 * interval), after(2 * interval)},
		},
		"or with the next answer, when none came for long": {
			{0, 0, after(hour), after(hour)}, {2 * interval, 0, after(0), after(0)},
		},
		"what was proved a while ago counts for one more interval": {
			{0, 0, after(0), after(0)},
			{interval - second, 0, after(interval + 9*second), after(interval + 9*second)},
			{interval, 0, after(2*interval - second), after(2*interval + 9*second)},
			{2 * second, 0, after(2*interval + second), after(2*interval + second)},
		},
		"of two servers the one ahead counts, as long as it answers": {
			{0, 0, after(0), after(0)}, {0, 0, after(hour), after(hour)}, {second, 0, after(second), after(hour + second)},
			{interval, 0, after(interval), after(hour + interval + second)},
			{interval, 0, after(2 * interval), after(2 * interval)},
		},
		"nonsense does not disturb what is known": {
			{0, 0, after(hour), after(hour)},
			{second, 0, after(48 * hour), after(hour + second)},
			{second, 0, after(-48 * hour), after(hour + 2*second)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := &machine{wall: t0}
			c := serverclock.New(m, silent())
			for i, s := range story {
				m.passed += s.passes
				m.wall = m.wall.Add(s.set)
				if !s.hears.IsZero() {
					hear(t, c, s.hears)
				}
				if got := c.Now(); !got.Equal(s.shows) {
					t.Fatalf("step %d: the clock shows %s, want %s", i+1, got.Sub(t0), s.shows.Sub(t0))
				}
				if got, want := c.Since(t0), s.shows.Sub(t0); got != want {
					t.Errorf("step %d: since the beginning %s have passed, want %s", i+1, got, want)
				}
				if got, want := c.Offset(), s.shows.Sub(m.Now()); got != want {
					t.Errorf("step %d: the offset is %s, want %s", i+1, got, want)
				}
			}
		})
	}
}

func TestTheLogTellsOnce(t *testing.T) {
	t.Parallel()
	const differs, agrees, refused = "differs from the API server's", "agrees with the API server's again", "is not believed"
	for name, tc := range map[string]struct {
		// offsets of the API server's clock, of answers that come as often as a new one is believed
		offsets []time.Duration
		want    []string
	}{
		"nothing while the clocks agree":        {[]time.Duration{0, -time.Second, 9 * time.Second, -9 * time.Second}, nil},
		"once when they come apart":             {[]time.Duration{0, 11 * time.Second, time.Minute, time.Hour}, []string{differs}},
		"the same when the machine is ahead":    {[]time.Duration{-11 * time.Second, -time.Hour}, []string{differs}},
		"and once when they agree again":        {[]time.Duration{time.Hour, 0, 0, time.Hour}, []string{differs, agrees, differs}},
		"of nonsense each time, if that seldom": {[]time.Duration{100 * time.Hour, 0, -100 * time.Hour}, []string{refused, refused}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			m := &machine{wall: t0}
			c := serverclock.New(m, slog.New(slog.NewTextHandler(&out, nil)))
			for _, offset := range tc.offsets {
				for range 3 {
					hear(t, c, m.Now().Add(offset))
				}
				m.passed += 2 * serverclock.Interval
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			if tc.want == nil {
				lines = strings.Fields(out.String())
			}
			if len(lines) != len(tc.want) {
				t.Fatalf("%d lines, want %d:\n%s", len(lines), len(tc.want), out.String())
			}
			for i, want := range tc.want {
				if !strings.Contains(lines[i], want) {
					t.Errorf("line %d is %s, want %q", i+1, lines[i], want)
				}
			}
		})
	}
}

func TestTheAnswerIsPassedOnAsItIs(t *testing.T) {
	t.Parallel()
	want, broken := &http.Response{Body: http.NoBody}, errors.New("broken")
	c := serverclock.New(&machine{wall: t0}, silent())
	whole := c.Wrap(transport(func() (*http.Response, error) { return want, nil }))
	if got, err := whole.RoundTrip(&http.Request{}); got != want || err != nil { //nolint:bodyclose // it has none
		t.Errorf("RoundTrip() = %v, %v; want the answer itself", got, err)
	}
	none := c.Wrap(transport(func() (*http.Response, error) { return nil, broken }))
	if got, err := none.RoundTrip(&http.Request{}); got != nil || !errors.Is(err, broken) { //nolint:bodyclose // it has none
		t.Errorf("RoundTrip() = %v, %v; want the error itself", got, err)
	}
}

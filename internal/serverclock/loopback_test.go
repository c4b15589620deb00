// SPDX-License-Identifier: Apache-2.0

package serverclock_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"k8s.io/utils/clock"

	"github.com/tocsin-dev/tocsin/internal/serverclock"
)

// skewed is the clock of a machine that is ahead of this one.
type skewed struct {
	clock.RealClock
	by time.Duration
}

func (s skewed) Now() time.Time { return s.RealClock.Now().Add(s.by) }

func (s skewed) Since(t time.Time) time.Duration { return s.Now().Sub(t) }

// The server is net/http's, as the API server's is; its clock is this machine's.
func TestOverLoopback(t *testing.T) {
	t.Parallel()
	stay := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/watch" {
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-stay
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(stay) })
	for name, tc := range map[string]struct {
		skew time.Duration
		path string
	}{
		"a machine that is right":             {0, "/"},
		"a machine that is ahead":             {10 * time.Minute, "/"},
		"a machine that is behind":            {-10 * time.Minute, "/"},
		"a watch tells when it begins":        {10 * time.Minute, "/watch"},
		"and where the machine is behind too": {-10 * time.Minute, "/watch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serverclock.New(skewed{by: tc.skew}, silent())
			client := &http.Client{Transport: c.Wrap(server.Client().Transport)}
			asked := time.Now()
			request(t, client, server.URL+tc.path)
			shown, now := c.Now(), time.Now()
			if shown.After(now) || shown.Before(asked.Add(-time.Second)) {
				t.Errorf("the clock shows %s; asked at %s, it is %s", shown, asked, now)
			}
			if off := c.Offset() + tc.skew; off > 0 || off < -time.Second-now.Sub(asked) {
				t.Errorf("the offset is %s, want about %s", c.Offset(), -tc.skew)
			}
		})
	}
}

// request leaves the body alone: that of a watch has no end.
func request(t *testing.T, client *http.Client, url string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Error(err)
		return
	}
	response, err := client.Do(r)
	if err != nil {
		t.Error(err)
		return
	}
	t.Cleanup(func() { _ = response.Body.Close() })
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	c := serverclock.New(skewed{by: time.Hour}, silent())
	client := &http.Client{Transport: c.Wrap(server.Client().Transport)}
	request(t, client, server.URL)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				request(t, client, server.URL)
			}
		})
		all.Go(func() {
			for range 1000 {
				if shown, now := c.Now(), time.Now(); shown.After(now) || c.Since(shown) < 0 || c.Offset() > -time.Hour {
					t.Errorf("the clock shows %s and is %s off; it is %s", shown, c.Offset(), now)
				}
			}
		})
	}
	all.Wait()
}

// Timers are the machine's: an hour by the server's clock does not pass because that was set.
func TestDurationsAreDurations(t *testing.T) {
	t.Parallel()
	c := serverclock.New(&machine{wall: t0}, silent())
	hour := c.NewTimer(time.Hour)
	hear(t, c, t0.Add(2*time.Hour))
	select {
	case <-hour.C():
		t.Error("the timer went off")
	case <-c.After(time.Millisecond):
	}
	if !hour.Stop() {
		t.Error("the timer had gone off")
	}
}

func TestIdleConnectionsCanBeClosed(t *testing.T) {
	t.Parallel()
	inner := http.DefaultTransport
	outer, ok := serverclock.New(&machine{wall: t0}, silent()).Wrap(inner).(interface{ WrappedRoundTripper() http.RoundTripper })
	if !ok || outer.WrappedRoundTripper() != inner {
		t.Error("the transport below cannot be found")
	}
}

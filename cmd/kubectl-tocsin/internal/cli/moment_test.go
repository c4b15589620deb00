// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the machine may have no zones

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// began is what a user in a zone means by --since: the log holds an entry of that second, and one of the second before.
func began(t *testing.T, zone, since, want string) {
	t.Helper()
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, want)
	if err != nil {
		t.Fatal(err)
	}
	entry := func(name string, at time.Time) *v1alpha1.Notification {
		return &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: name, CreationTimestamp: metav1.NewTime(at)}}
	}
	x := newTerminal(t, entry("before", at.Add(-time.Second)), entry("then", at))
	x.Now = func() time.Time { return at.Add(48 * time.Hour).In(location) }
	for line, want := range map[string]string{"log -o name --since " + since: "then", "log -o name --until " + since: "before"} {
		if code := x.runQuietly(t, line); code != 0 || x.shown() != want {
			t.Errorf("%s in %s: exit code %d, got %q, want %q: %s", line, zone, code, x.shown(), want, x.err.String())
		}
	}
}

func TestATimeMeansTheZoneOfTheUser(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ zone, since, want string }{
		{"UTC", "2026-11-22", "2026-11-22T00:00:00Z"},
		{"UTC", "48h", "2026-11-22T00:00:00Z"},
		{"Europe/Berlin", "2026-11-22", "2026-11-21T23:00:00Z"},
		{"Asia/Tokyo", "2026-11-22", "2026-11-21T15:00:00Z"},
		{"Europe/Berlin", "2026-11-22T14:05", "2026-11-22T13:05:00Z"},
		{"Europe/Berlin", "2026-11-22T14:05:30", "2026-11-22T13:05:30Z"},
		{"Europe/Berlin", "2026-07-01T14:05", "2026-07-01T12:05:00Z"},
		{"Europe/Berlin", "2026-11-22T14:05Z", "2026-11-22T14:05:00Z"},
		{"Europe/Berlin", "2026-11-22T14:05:00+09:00", "2026-11-22T05:05:00Z"},
		{"Europe/Berlin", "2026-10-25T01:30", "2026-10-24T23:30:00Z"},
		{"Europe/Berlin", "2026-10-25T03:00", "2026-10-25T02:00:00Z"},
		{"Europe/Berlin", "2026-10-25T02:30+01:00", "2026-10-25T01:30:00Z"},
		{"Africa/Cairo", "2026-04-24", "2026-04-23T22:00:00Z"},     // begins at one o'clock
		{"Atlantic/Azores", "2026-10-25", "2026-10-25T00:00:00Z"},  // has midnight twice
		{"America/Asuncion", "2024-03-24", "2024-03-24T04:00:00Z"}, // follows a day with 23 o'clock twice
	} {
		began(t, tc.zone, tc.since, tc.want)
	}
}

func TestATimeThatClocksDoNotShowOnceIsRefused(t *testing.T) {
	t.Parallel()
	location, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	x := newTerminal(t)
	x.Now = func() time.Time { return noon.In(location) }
	for since, want := range map[string]string{
		"2026-03-29T02:30": "there is no 2026-03-29T02:30 in zone Europe/Berlin: clocks were put forward",
		"2026-10-25T02:30": "there are two 2026-10-25T02:30 in zone Europe/Berlin, as clocks were put back: add the zone, as in 2026-10-25T02:30:00+0",
		"2026-02-30":       `"2026-02-30" is neither a length of time`,
		"2026-11-22 14:05": "neither a length of time such as 24h or 7d nor a time such as 2026-11-22T08:30:00Z, 2026-11-22T08:30 or 2026-11-22",
		"14:05":            "neither a length of time",
	} {
		if code := x.run(t, "log", "--since", since); code != 1 || !strings.Contains(x.err.String(), want) {
			t.Errorf("%s: exit code %d, %q", since, code, x.err.String())
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package limit_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/limit"
)

var t0 = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func after(d time.Duration) metav1.Time { return metav1.NewTime(t0.Add(d)) }

func check[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

var two = limit.Rule{Count: 2, Length: time.Hour}

// TestTake: an interval begins with its first message, lets so many through, and is followed by another that begins with the
// next message, not at its own end.
func TestTake(t *testing.T) {
	t.Parallel()
	var i limit.Interval
	var got []string
	for _, at := range []time.Duration{
		0, 10 * time.Minute, 20 * time.Minute, 59*time.Minute + 59*time.Second, time.Hour, 3*time.Hour + 500*time.Millisecond,
		2 * time.Hour,
	} {
		place, next := i.Take(two, t0.Add(at))
		i = next
		got = append(got, fmt.Sprintf("%s: %d of %d, from %s to %s", at, place.Number, place.Count,
			place.Since.Sub(t0), place.Until.Sub(t0)))
		check(t, "suppressed", limit.Suppressed(&place), place.Number == 0)
	}
	check(t, "places", got, []string{
		"0s: 1 of 2, from 0s to 1h0m0s",
		"10m0s: 2 of 2, from 0s to 1h0m0s",
		"20m0s: 0 of 2, from 0s to 1h0m0s",
		"59m59s: 0 of 2, from 0s to 1h0m0s",
		"1h0m0s: 1 of 2, from 1h0m0s to 2h0m0s",
		"3h0m0.5s: 1 of 2, from 3h0m0s to 4h0m0s",
		"2h0m0s: 2 of 2, from 3h0m0s to 4h0m0s", // the clock was set back
	})
}

// TestNeverMoreThanTheLimit: whatever the times of the messages, no interval lets through more than the limit, and what the
// log tells of the places is enough to go on from anywhere, in whatever order it is read.
func TestNeverMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		rule := limit.Rule{Count: 1 + r.Int32N(5), Length: time.Duration(1+r.IntN(20)) * time.Second}
		var i limit.Interval
		var log []v1alpha1.LimitPlace
		through := map[time.Time]int32{}
		now := t0
		for range 100 {
			now = now.Add(time.Duration(r.IntN(4000)) * time.Millisecond)
			if r.IntN(5) == 0 { // a restart
				i = limit.Interval{}
				r.Shuffle(len(log), func(a, b int) { log[a], log[b] = log[b], log[a] })
				for _, place := range log {
					i = i.Learn(&place)
				}
			}
			place, next := i.Take(rule, now)
			i = next
			log = append(log, place)
			if place.Number > 0 {
				through[place.Since.Time]++
			}
		}
		starts := []time.Time{}
		for since, n := range through {
			starts = append(starts, since)
			if n > rule.Count {
				t.Fatalf("seed %d: %d were let through from %s, the limit is %d", seed, n, since, rule.Count)
			}
		}
		slices.SortFunc(starts, time.Time.Compare)
		for k := 1; k < len(starts); k++ {
			if starts[k].Sub(starts[k-1]) < rule.Length {
				t.Fatalf("seed %d: an interval of %s began %s after another", seed, rule.Length, starts[k].Sub(starts[k-1]))
			}
		}
	}
}

func TestRelease(t *testing.T) {
	t.Parallel()
	first, i := limit.Interval{}.Take(two, t0)
	second, i := i.Take(two, t0)
	check(t, "the latest place is given back", i.Release(second).Used, 1)
	check(t, "an earlier one is not: its number would be taken twice", i.Release(first).Used, 2)
	check(t, "none was taken", i.Release(v1alpha1.LimitPlace{Since: second.Since}).Used, 2)
	check(t, "of another interval", i.Release(v1alpha1.LimitPlace{Since: after(time.Hour), Number: 2}).Used, 2)
}

func TestRuleOf(t *testing.T) {
	t.Parallel()
	channel := func(l *v1alpha1.Limit) *v1alpha1.NotificationChannel {
		return &v1alpha1.NotificationChannel{Spec: v1alpha1.NotificationChannelSpec{Limit: l}}
	}
	check(t, "a limit", limit.RuleOf(channel(&v1alpha1.Limit{Count: 20, Interval: "1h"})), &limit.Rule{Count: 20, Length: time.Hour})
	check(t, "none", limit.RuleOf(channel(nil)), nil)
	check(t, "no channel", limit.RuleOf(nil), nil)
	check(t, "no interval", limit.RuleOf(channel(&v1alpha1.Limit{Count: 20, Interval: "x"})), nil)
}

const (
	warning  = v1alpha1.SeverityWarning
	critical = v1alpha1.SeverityCritical
)

func held(count int64, first, last time.Duration) v1alpha1.Suppression {
	return v1alpha1.Suppression{Count: count, FirstTime: after(first), LastTime: after(last)}
}

// story is a ledger whose limit is used up, which has held back three of a and one of b.
func story() (*limit.Ledger, v1alpha1.LimitPlace) {
	l := &limit.Ledger{}
	for range 2 {
		_, l.Interval = l.Take(two, t0)
	}
	place, _ := l.Take(two, t0.Add(time.Minute))
	l.Suppress("a", "outbreak", place, t0.Add(3*time.Minute), warning, "outbreak-1")
	l.Suppress("a", "outbreak", place, t0.Add(2*time.Minute), warning, "")
	l.Suppress("b", "logins", place, t0.Add(9*time.Minute), critical, "logins-1")
	l.Suppress("a", "outbreak", place, t0.Add(5*time.Minute), v1alpha1.SeverityInfo, "outbreak-2")
	return l, place
}

// TestDigest tells what was held back, the worst first.
func TestDigest(t *testing.T) {
	t.Parallel()
	l, place := story()
	check(t, "pending", l.Pending(), true)
	check(t, "until", l.Until(&two), t0.Add(time.Hour))
	check(t, "until, as the limit was taken away", l.Until(nil), t0)
	check(t, "a has an entry", l.Has("a", place), true)
	check(t, "c has none", l.Has("c", place), false)
	check(t, "a has none in another interval", l.Has("a", v1alpha1.LimitPlace{Since: after(time.Hour)}), false)
	check(t, "digest", l.Digest(2, t0.Add(time.Hour)), &v1alpha1.Digest{
		Since: after(0), Until: after(time.Hour), Count: 2, Suppressed: 4,
		Conditions: []v1alpha1.DigestEntry{
			{Condition: "logins", Severity: critical, Suppression: held(1, 9*time.Minute, 9*time.Minute)},
			{Condition: "outbreak", Severity: warning, Suppression: held(3, 2*time.Minute, 5*time.Minute)},
		},
	})
	check(t, "status", l.Describe("a", "mail"), &v1alpha1.ChannelSuppression{
		Channel: "mail", Since: after(0), Severity: warning, Suppression: held(3, 2*time.Minute, 5*time.Minute),
		Entries: 2, Notification: "outbreak-1",
	})
	check(t, "status of a condition of which nothing was held back", l.Describe("c", "mail"), nil)
	l.Told()
	check(t, "pending", l.Pending(), false)
	later := v1alpha1.LimitPlace{Since: after(2 * time.Hour)}
	l.Suppress("a", "outbreak", later, t0.Add(2*time.Hour), warning, "outbreak-7")
	check(t, "pending anew", l.Pending(), true)
	check(t, "the next digest", l.Digest(2, t0.Add(3*time.Hour)).Suppressed, 1)
}

// TestDigestIsBounded: beyond a hundred conditions the number alone tells.
func TestDigestIsBounded(t *testing.T) {
	t.Parallel()
	l := &limit.Ledger{}
	for n := range 150 {
		l.Suppress(types.UID(fmt.Sprint(n)), fmt.Sprintf("c%03d", n), v1alpha1.LimitPlace{Since: after(0)}, t0, warning, "")
	}
	d := l.Digest(1, t0)
	check(t, "held back", d.Suppressed, 150)
	check(t, "named", len(d.Conditions), 100)
	check(t, "first", d.Conditions[0].Condition, "c000")
}

func notification(name string, at time.Duration, place v1alpha1.LimitPlace) v1alpha1.Notification {
	n := v1alpha1.Notification{}
	n.Name = name
	n.Spec.Severity = warning
	n.Spec.Trigger = &v1alpha1.Trigger{Time: after(at)}
	n.Spec.Deliveries = []v1alpha1.Delivery{{Channel: "mail", Limit: &place}, {Channel: "sms"}}
	return n
}

// TestRestore: the status tells of those without an entry, the log of the others, also of those since the status was stored.
func TestRestore(t *testing.T) {
	t.Parallel()
	place := v1alpha1.LimitPlace{Since: after(0), Until: after(time.Hour), Count: 2}
	earlier := v1alpha1.LimitPlace{Since: after(-5 * time.Hour), Until: after(-4 * time.Hour), Count: 2}
	through := v1alpha1.LimitPlace{Since: after(0), Until: after(time.Hour), Count: 2, Number: 1}
	log := []v1alpha1.Notification{
		notification("outbreak-1", 3*time.Minute, place), notification("outbreak-2", 5*time.Minute, place),
		notification("outbreak-0", -4*time.Hour, earlier), notification("sent", time.Minute, through),
	}
	for name, tc := range map[string]struct {
		status   []v1alpha1.ChannelSuppression
		interval time.Duration
		want     *v1alpha1.ChannelSuppression
		pending  bool
	}{
		"the status knows of one entry, and of two without one": {
			[]v1alpha1.ChannelSuppression{{
				Channel: "mail", Since: after(0), Severity: critical, Suppression: held(3, 2*time.Minute, 4*time.Minute),
				Entries: 1, Notification: "outbreak-1",
			}}, 0,
			&v1alpha1.ChannelSuppression{
				Channel: "mail", Since: after(0), Severity: critical, Suppression: held(4, 2*time.Minute, 5*time.Minute),
				Entries: 2, Notification: "outbreak-1",
			}, true,
		},
		"the status was not stored": {nil, 0, &v1alpha1.ChannelSuppression{
			Channel: "mail", Since: after(0), Severity: warning, Suppression: held(2, 3*time.Minute, 5*time.Minute),
			Entries: 2, Notification: "outbreak-1",
		}, true},
		"the status tells of an earlier interval, and of another channel": {
			[]v1alpha1.ChannelSuppression{
				{Channel: "mail", Since: after(-5 * time.Hour), Suppression: held(7, -4*time.Hour, -4*time.Hour)},
				{Channel: "sms", Since: after(time.Hour), Suppression: held(9, 0, 0)},
			}, 0,
			&v1alpha1.ChannelSuppression{
				Channel: "mail", Since: after(0), Severity: warning, Suppression: held(2, 3*time.Minute, 5*time.Minute),
				Entries: 2, Notification: "outbreak-1",
			}, true,
		},
		"the next interval has begun, with the digest": {nil, 2 * time.Hour, &v1alpha1.ChannelSuppression{
			Channel: "mail", Since: after(0), Severity: warning, Suppression: held(2, 3*time.Minute, 5*time.Minute),
			Entries: 2, Notification: "outbreak-1",
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			condition := &v1alpha1.NotificationCondition{}
			condition.Name, condition.UID, condition.Status.Suppressed = "outbreak", "a", tc.status
			l := &limit.Ledger{Interval: limit.Interval{Since: t0.Add(tc.interval), Used: 2}}
			l.Restore(condition, "mail", log)
			check(t, "status", l.Describe("a", "mail"), tc.want)
			check(t, "pending", l.Pending(), tc.pending)
		})
	}
}

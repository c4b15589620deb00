// SPDX-License-Identifier: Apache-2.0

package limit_test

import (
	"fmt"
	"maps"
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
	var l limit.Ledger
	var got []string
	for _, at := range []time.Duration{
		0, 10 * time.Minute, 20 * time.Minute, 59*time.Minute + 59*time.Second, time.Hour, 3*time.Hour + 500*time.Millisecond,
		2 * time.Hour,
	} {
		place := l.Take(two, t0.Add(at))
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

// TestExactlyTheLimit: whatever the times of the messages, each interval lets through as many as it may, though some are not
// written and give back their places, though of some it is not known until the log is read, and though the manager starts anew
// and knows no more than the log.
func TestExactlyTheLimit(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		rule := limit.Rule{Count: 1 + r.Int32N(5), Length: time.Duration(1+r.IntN(20)) * time.Second}
		l := &limit.Ledger{}
		var log []v1alpha1.LimitPlace
		through, refused := map[time.Time]int32{}, map[time.Time]bool{}
		now := t0
		for range 100 {
			now = now.Add(time.Duration(r.IntN(4000)) * time.Millisecond)
			if r.IntN(5) == 0 { // a restart
				l = &limit.Ledger{}
				r.Shuffle(len(log), func(a, b int) { log[a], log[b] = log[b], log[a] })
				for _, place := range log {
					l.Learn(place)
				}
			}
			place := l.Take(rule, now)
			switch r.IntN(4) {
			case 0: // it is not written
				l.Release(place)
				continue
			case 1: // the answer is lost; the log says that it is
				l.Release(place)
				l.Learn(place)
			}
			log = append(log, place)
			if place.Number > 0 {
				through[place.Since.Time]++
			} else {
				refused[place.Since.Time] = true
			}
		}
		for since, n := range through {
			if n > rule.Count || refused[since] && n < rule.Count {
				t.Fatalf("seed %d: %d were let through from %s, the limit is %d", seed, n, since, rule.Count)
			}
		}
		starts := slices.SortedFunc(maps.Keys(through), time.Time.Compare)
		for k := 1; k < len(starts); k++ {
			if starts[k].Sub(starts[k-1]) < rule.Length {
				t.Fatalf("seed %d: an interval of %s began %s after another", seed, rule.Length, starts[k].Sub(starts[k-1]))
			}
		}
	}
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

// used is a ledger whose limit is used up, and a place in it that says so.
func used() (*limit.Ledger, v1alpha1.LimitPlace) {
	l := &limit.Ledger{}
	for range 2 {
		l.Take(two, t0)
	}
	return l, l.Take(two, t0.Add(time.Minute))
}

// TestDigest tells what was held back, the worst first, once.
func TestDigest(t *testing.T) {
	t.Parallel()
	l, place := used()
	l.Suppress("a", "outbreak", place, t0.Add(3*time.Minute), warning, "outbreak-1")
	l.Suppress("a", "outbreak", place, t0.Add(2*time.Minute), warning, "")
	l.Suppress("b", "logins", place, t0.Add(9*time.Minute), critical, "logins-1")
	l.Suppress("a", "outbreak", place, t0.Add(5*time.Minute), v1alpha1.SeverityInfo, "outbreak-2")
	check(t, "pending", l.Pending(), true)
	check(t, "a has an entry", l.Has("a", place), true)
	check(t, "c has none", l.Has("c", place), false)
	check(t, "a has none in another interval", l.Has("a", v1alpha1.LimitPlace{Since: after(time.Hour)}), false)
	check(t, "entries", l.Entries(t0), []string{"logins-1", "outbreak-1"})
	early, due := l.Due(&two, t0.Add(time.Hour-1))
	check(t, "before its end", early, nil)
	check(t, "due", due, t0.Add(time.Hour))
	want := &v1alpha1.Digest{
		Since: after(0), Until: after(time.Hour), Count: 2, Suppressed: 4,
		Conditions: []v1alpha1.DigestEntry{
			{Condition: "logins", Severity: critical, Suppression: held(1, 9*time.Minute, 9*time.Minute)},
			{Condition: "outbreak", Severity: warning, Suppression: held(3, 2*time.Minute, 5*time.Minute)},
		},
	}
	digest, _ := l.Due(&two, t0.Add(time.Hour))
	check(t, "digest", digest, want)
	check(t, "status", l.Describe("a", "mail"), []v1alpha1.ChannelSuppression{{
		Channel: "mail", Since: after(0), Until: after(time.Hour), Limit: 2, Severity: warning,
		Suppression: held(3, 2*time.Minute, 5*time.Minute), Entries: 2, Notification: "outbreak-1",
	}})
	check(t, "status of a condition of which nothing was held back", len(l.Describe("c", "mail")), 0)
	l.Told(t0)
	again, due := l.Due(&two, t0.Add(2*time.Hour))
	check(t, "a second digest", again, nil)
	check(t, "due", due, time.Time{})
	check(t, "status, until there is something newer", len(l.Describe("a", "mail")), 1)
}

// TestIntervalsAreToldOneByOne: the next may begin before a digest has told of the last.
func TestIntervalsAreToldOneByOne(t *testing.T) {
	t.Parallel()
	l, place := used()
	l.Suppress("a", "outbreak", place, t0.Add(time.Minute), warning, "outbreak-1")
	next := l.Take(two, t0.Add(2*time.Hour))
	check(t, "the next begins", next.Number, 1)
	next.Number = 0
	l.Suppress("a", "outbreak", next, t0.Add(2*time.Hour), warning, "outbreak-2")
	check(t, "status", len(l.Describe("a", "mail")), 2)
	for _, since := range []time.Time{t0, t0.Add(2 * time.Hour)} {
		digest, _ := l.Due(&two, t0.Add(4*time.Hour))
		check(t, "since", digest.Since.Time, since)
		check(t, "suppressed", digest.Suppressed, 1)
		l.Told(since)
	}
	check(t, "pending", l.Pending(), false)
	l.Suppress("a", "outbreak", v1alpha1.LimitPlace{Since: after(5 * time.Hour), Until: after(6 * time.Hour)}, t0, warning, "")
	check(t, "status: what was told of goes when there is something newer", len(l.Describe("a", "mail")), 1)
}

// TestLimitThatIsTakenAway: the digest is due at once, with the numbers of then, and ends the interval: a limit that is set
// anew begins another.
func TestLimitThatIsTakenAway(t *testing.T) {
	t.Parallel()
	l, place := used()
	l.Suppress("a", "outbreak", place, t0.Add(time.Minute), warning, "outbreak-1")
	digest, _ := l.Due(nil, t0.Add(7*time.Minute))
	check(t, "count", digest.Count, 2)
	check(t, "until", digest.Until, after(7*time.Minute))
	l.Told(t0)
	again := l.Take(two, t0.Add(8*time.Minute))
	check(t, "number", again.Number, 1)
	check(t, "since", again.Since, after(8*time.Minute))
}

// TestTooLate: what is a day old was told, and its digest deleted since.
func TestTooLate(t *testing.T) {
	t.Parallel()
	for name, rule := range map[string]*limit.Rule{"with a limit": &two, "without": nil} {
		l, place := used()
		l.Suppress("a", "outbreak", place, t0.Add(time.Minute), warning, "outbreak-1")
		digest, _ := l.Due(rule, t0.Add(25*time.Hour+1))
		check(t, name, digest, nil)
		check(t, name, l.Pending(), false)
		check(t, name, len(l.Describe("a", "mail")), 0)
	}
}

// TestDigestIsBounded: beyond a hundred conditions the number alone tells.
func TestDigestIsBounded(t *testing.T) {
	t.Parallel()
	l := &limit.Ledger{}
	for n := range 150 {
		place := v1alpha1.LimitPlace{Since: after(0), Until: after(time.Hour)}
		l.Suppress(types.UID(fmt.Sprint(n)), fmt.Sprintf("c%03d", n), place, t0, warning, "")
	}
	d, _ := l.Due(&two, t0.Add(time.Hour))
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

// TestRestore: the status tells of those without an entry, the log of the others, also of those since the status was stored,
// and of a fallback, whose place stands in the status.
func TestRestore(t *testing.T) {
	t.Parallel()
	place := v1alpha1.LimitPlace{Since: after(0), Until: after(time.Hour), Count: 2}
	through := place
	through.Number = 1
	fallback := notification("fallback", 7*time.Minute, place)
	fallback.Spec.Deliveries = []v1alpha1.Delivery{{Channel: "chat"}, {Channel: "mail", FallbackFor: []string{"chat"}}}
	fallback.Status.Deliveries = []v1alpha1.DeliveryStatus{{Channel: "mail", Limit: &place}}
	log := []v1alpha1.Notification{
		notification("outbreak-1", 3*time.Minute, place), notification("outbreak-2", 5*time.Minute, place),
		notification("sent", time.Minute, through), fallback,
	}
	told := v1alpha1.ChannelSuppression{
		Channel: "mail", Since: after(0), Until: after(time.Hour), Limit: 2, Severity: critical,
		Suppression: held(3, 2*time.Minute, 4*time.Minute), Entries: 1, Notification: "outbreak-1",
	}
	other := told
	other.Channel = "sms"
	for name, tc := range map[string]struct {
		status []v1alpha1.ChannelSuppression
		log    []v1alpha1.Notification
		want   v1alpha1.ChannelSuppression
	}{
		"the status knows of one entry, and of two without one": {
			[]v1alpha1.ChannelSuppression{told, other}, log,
			v1alpha1.ChannelSuppression{
				Channel: "mail", Since: after(0), Until: after(time.Hour), Limit: 2, Severity: critical,
				Suppression: held(5, 2*time.Minute, 7*time.Minute), Entries: 3, Notification: "outbreak-1",
			},
		},
		"the status was not stored": {nil, log, v1alpha1.ChannelSuppression{
			Channel: "mail", Since: after(0), Until: after(time.Hour), Limit: 2, Severity: warning,
			Suppression: held(3, 3*time.Minute, 7*time.Minute), Entries: 3, Notification: "outbreak-1",
		}},
		"the log has lost its entries": {[]v1alpha1.ChannelSuppression{told}, nil, v1alpha1.ChannelSuppression{
			Channel: "mail", Since: after(0), Until: after(time.Hour), Limit: 2, Severity: critical,
			Suppression: held(2, 2*time.Minute, 4*time.Minute), Entries: 0, Notification: "outbreak-1",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			condition := &v1alpha1.NotificationCondition{}
			condition.Name, condition.UID, condition.Status.Suppressed = "outbreak", "a", tc.status
			l := &limit.Ledger{}
			l.Take(two, t0.Add(2*time.Hour)) // somebody was faster: the next interval has begun
			l.Restore(condition, "mail", tc.log)
			check(t, "status", l.Describe("a", "mail"), []v1alpha1.ChannelSuppression{tc.want})
			check(t, "pending", l.Pending(), true)
			digest, _ := l.Due(&two, t0.Add(3*time.Hour))
			check(t, "digest", digest.Suppressed, tc.want.Count)
		})
	}
}

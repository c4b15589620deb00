// SPDX-License-Identifier: Apache-2.0

package limit

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

const (
	// maxEntries is how many conditions a digest names.
	maxEntries = 100
	// Late is how long after its interval a digest is still made. Beyond that it was, and is deleted by now.
	Late = 24 * time.Hour
)

// Sum is what an interval has held back of one condition.
type Sum struct {
	v1alpha1.Suppression

	// Condition is its name.
	Condition string
	// Severity is the highest among the notifications.
	Severity v1alpha1.Severity
	// Entries is how many of them have an entry of their own in the log, and Entry the first of those.
	Entries int64
	Entry   string
}

// add counts one more. The entry is empty for a notification that has none of its own.
func (s Sum) add(at time.Time, severity v1alpha1.Severity, entry string) Sum {
	moment := metav1.NewTime(at)
	if s.Count == 0 || at.Before(s.FirstTime.Time) {
		s.FirstTime = moment
	}
	if s.Count == 0 || at.After(s.LastTime.Time) {
		s.LastTime = moment
	}
	s.Count++
	if severity.Number() > s.Severity.Number() {
		s.Severity = severity
	}
	if entry != "" {
		s.Entries++
		s.Entry = cmp.Or(s.Entry, entry)
	}
	return s
}

// held is what one interval has held back, by condition.
type held struct {
	// place is one of the interval.
	place v1alpha1.LimitPlace
	sums  map[types.UID]Sum
	// told says that a digest has told of it.
	told bool
}

// Ledger is how far a channel's limit is used, and what it has held back.
type Ledger struct {
	interval interval
	// held are the intervals of which a digest has to tell, and the latest of which one has told, the earliest first.
	held []*held
}

// Take takes a place for a message. One without a number says that the limit is used up.
func (l *Ledger) Take(rule Rule, now time.Time) v1alpha1.LimitPlace {
	return l.interval.take(rule, now)
}

// Release gives back a place whose message was not written.
func (l *Ledger) Release(place v1alpha1.LimitPlace) { l.interval.release(place) }

// Learn takes note of a place that was found in the log.
func (l *Ledger) Learn(place v1alpha1.LimitPlace) { l.interval.learn(place) }

// of returns what is known of the interval of a place; nil if nothing was held back.
func (l *Ledger) of(place v1alpha1.LimitPlace) *held {
	for _, h := range l.held {
		if h.place.Since.Equal(&place.Since) {
			return h
		}
	}
	return nil
}

// Has says whether a condition has an entry for what the interval of a place holds back of it.
func (l *Ledger) Has(condition types.UID, place v1alpha1.LimitPlace) bool {
	h := l.of(place)
	return h != nil && h.sums[condition].Entry != ""
}

// Suppress counts a notification that was held back. The entry is empty for one that has none of its own.
func (l *Ledger) Suppress(condition types.UID, name string, place v1alpha1.LimitPlace, at time.Time, severity v1alpha1.Severity,
	entry string) {
	h := l.begin(place)
	s := h.sums[condition]
	s.Condition = name
	h.sums[condition] = s.add(at, severity, entry)
	h.told = false
}

// begin returns what is known of the interval of a place, with nothing in it if nothing is.
func (l *Ledger) begin(place v1alpha1.LimitPlace) *held {
	if known := l.of(place); known != nil {
		return known
	}
	l.held = slices.DeleteFunc(l.held, func(h *held) bool { return h.told && h.place.Since.Before(&place.Since) })
	h := &held{place: place, sums: map[types.UID]Sum{}}
	l.held = append(l.held, h)
	slices.SortFunc(l.held, func(a, b *held) int { return a.place.Since.Compare(b.place.Since.Time) })
	return h
}

// Restore takes over what a condition's status tells. The log holds the condition's notifications: those that have an entry
// are counted there, also those that are later than the status.
func (l *Ledger) Restore(condition *v1alpha1.NotificationCondition, channel string, log []v1alpha1.Notification) {
	for _, s := range condition.Status.Suppressed {
		if s.Channel != channel {
			continue
		}
		h := l.begin(v1alpha1.LimitPlace{Since: s.Since, Until: s.Until, Count: s.Limit})
		h.sums[condition.UID] = Sum{
			Suppression: v1alpha1.Suppression{Count: s.Count - s.Entries, FirstTime: s.FirstTime, LastTime: s.LastTime},
			Condition:   condition.Name, Severity: s.Severity, Entry: s.Notification,
		}
	}
	for i := range log {
		n := &log[i]
		if place := PlaceOf(n, channel); Suppressed(place) && n.Spec.Trigger != nil {
			l.Suppress(condition.UID, condition.Name, *place, n.Spec.Trigger.Time.Time, n.Spec.Severity, n.Name)
		}
	}
}

// PlaceOf is the place that a notification has in a channel's limit, taken when it was decided or when it was sent; nil if it
// has none.
func PlaceOf(n *v1alpha1.Notification, channel string) *v1alpha1.LimitPlace {
	for _, d := range n.Spec.Deliveries {
		if d.Channel == channel && d.Limit != nil {
			return d.Limit
		}
	}
	for _, d := range n.Status.Deliveries {
		if d.Channel == channel {
			return d.Limit
		}
	}
	return nil
}

// Describe is what a condition's status tells of the channel.
func (l *Ledger) Describe(condition types.UID, channel string) []v1alpha1.ChannelSuppression {
	var all []v1alpha1.ChannelSuppression
	for _, h := range l.held {
		if s, found := h.sums[condition]; found {
			all = append(all, v1alpha1.ChannelSuppression{
				Channel: channel, Since: h.place.Since, Until: h.place.Until, Limit: h.place.Count,
				Severity: s.Severity, Suppression: s.Suppression, Entries: s.Entries, Notification: s.Entry,
			})
		}
	}
	return all
}

// Pending says whether a digest is still to tell of something.
func (l *Ledger) Pending() bool {
	return slices.ContainsFunc(l.held, func(h *held) bool { return !h.told })
}

// Due returns the earliest digest that is due, or when one will be: zero if none will. Without a rule, as the limit was taken
// away, it is due at once.
func (l *Ledger) Due(rule *Rule, now time.Time) (*v1alpha1.Digest, time.Time) {
	l.Expire(now)
	for _, h := range l.held {
		if h.told {
			continue
		}
		until := now.Truncate(time.Second)
		if rule != nil {
			until = h.place.Since.Add(rule.Length)
		}
		if now.Before(until) {
			return nil, until
		}
		return h.digest(until), time.Time{}
	}
	return nil, time.Time{}
}

// Expire forgets what it is too late to tell of.
func (l *Ledger) Expire(now time.Time) {
	l.held = slices.DeleteFunc(l.held, func(h *held) bool { return now.After(h.place.Until.Add(Late)) })
}

// Told notes that a digest has told of the interval that began then. It has ended by that: what comes begins another.
func (l *Ledger) Told(since time.Time) {
	for _, h := range l.held {
		if h.place.Since.Time.Equal(since) {
			h.told = true
		}
	}
	if l.interval.since.Equal(since) {
		l.interval = interval{}
	}
}

// Entries are the log's first entries for what the interval has held back that began then.
func (l *Ledger) Entries(since time.Time) []string {
	var entries []string
	for _, h := range l.held {
		if !h.place.Since.Time.Equal(since) {
			continue
		}
		for _, s := range h.sums {
			if s.Entry != "" {
				entries = append(entries, s.Entry)
			}
		}
	}
	slices.Sort(entries)
	return entries
}

// digest sums up what was held back: the highest severity first, and then the most.
func (h *held) digest(until time.Time) *v1alpha1.Digest {
	digest := &v1alpha1.Digest{Since: h.place.Since, Until: metav1.NewTime(until), Count: h.place.Count}
	for _, s := range h.sums {
		digest.Suppressed += s.Count
		digest.Conditions = append(digest.Conditions, v1alpha1.DigestEntry{
			Condition: s.Condition, Severity: s.Severity, Suppression: s.Suppression,
		})
	}
	slices.SortFunc(digest.Conditions, func(a, b v1alpha1.DigestEntry) int {
		return cmp.Or(cmp.Compare(b.Severity.Number(), a.Severity.Number()), cmp.Compare(b.Count, a.Count),
			cmp.Compare(a.Condition, b.Condition), a.FirstTime.Compare(b.FirstTime.Time))
	})
	digest.Conditions = digest.Conditions[:min(len(digest.Conditions), maxEntries)]
	return digest
}

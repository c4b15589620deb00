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

// maxEntries is how many conditions a digest names.
const maxEntries = 100

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

// Ledger is a channel's interval and what it has held back.
type Ledger struct {
	Interval

	// sums are what the interval that began at since has held back, by condition.
	sums  map[types.UID]Sum
	since time.Time
	// told says that a digest has told of it.
	told bool
}

// Pending says whether a digest is still to tell of what was held back.
func (l *Ledger) Pending() bool { return len(l.sums) > 0 && !l.told }

// Until is when the interval ends of which a digest is to tell. Without a limit that is over already.
func (l *Ledger) Until(rule *Rule) time.Time {
	if rule == nil {
		return l.since
	}
	return l.since.Add(rule.Length)
}

// Told notes that a digest has told of what was held back.
func (l *Ledger) Told() { l.told = true }

// Has says whether a condition has an entry for what the interval of a place holds back of it.
func (l *Ledger) Has(condition types.UID, place v1alpha1.LimitPlace) bool {
	return l.since.Equal(place.Since.Time) && l.sums[condition].Entry != ""
}

// Suppress counts a notification that was held back. The entry is empty for one that has none of its own.
func (l *Ledger) Suppress(condition types.UID, name string, place v1alpha1.LimitPlace, at time.Time, severity v1alpha1.Severity,
	entry string) {
	l.turn(place.Since.Time)
	s := l.sums[condition]
	s.Condition = name
	l.sums[condition] = s.add(at, severity, entry)
}

// turn begins to sum up an interval.
func (l *Ledger) turn(since time.Time) {
	if l.sums == nil || !l.since.Equal(since) {
		l.sums, l.since, l.told = map[types.UID]Sum{}, since, false
	}
}

// Restore takes over what a condition's status tells, unless something later is known. The log holds the condition's
// notifications: those that have an entry are counted there.
func (l *Ledger) Restore(condition *v1alpha1.NotificationCondition, channel string, log []v1alpha1.Notification) {
	for _, s := range condition.Status.Suppressed {
		if s.Channel != channel || s.Since.Time.Before(l.since) {
			continue
		}
		l.turn(s.Since.Time)
		l.sums[condition.UID] = Sum{
			Suppression: v1alpha1.Suppression{Count: s.Count - s.Entries, FirstTime: s.FirstTime, LastTime: s.LastTime},
			Condition:   condition.Name, Severity: s.Severity, Entry: s.Notification,
		}
	}
	for i := range log {
		n := &log[i]
		for _, d := range n.Spec.Deliveries {
			if d.Channel == channel && Suppressed(d.Limit) && !d.Limit.Since.Time.Before(l.since) && n.Spec.Trigger != nil {
				l.Suppress(condition.UID, condition.Name, *d.Limit, n.Spec.Trigger.Time.Time, n.Spec.Severity, n.Name)
			}
		}
	}
	// A digest is the first message of the next interval: if there is one, it was told.
	l.told = l.told || l.Since.After(l.since)
}

// Describe is what a condition's status tells; nil if nothing was held back of it.
func (l *Ledger) Describe(condition types.UID, channel string) *v1alpha1.ChannelSuppression {
	s, found := l.sums[condition]
	if !found {
		return nil
	}
	return &v1alpha1.ChannelSuppression{
		Channel: channel, Since: metav1.NewTime(l.since), Severity: s.Severity, Suppression: s.Suppression,
		Entries: s.Entries, Notification: s.Entry,
	}
}

// Digest sums up what was held back until a time: the highest severity first, and then the most.
func (l *Ledger) Digest(count int32, until time.Time) *v1alpha1.Digest {
	digest := &v1alpha1.Digest{Since: metav1.NewTime(l.since), Until: metav1.NewTime(until), Count: count}
	for _, s := range l.sums {
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

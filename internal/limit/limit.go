// SPDX-License-Identifier: Apache-2.0

// Package limit counts what goes through a channel against the channel's numeric limit, and what is held back. It is pure:
// time comes in as a parameter.
//
// An interval begins with its first message and lets so many through. What it held back is told by a digest when it has
// ended; the digest itself does not count. The place of a message in its interval stands in the message's own record, so that
// the log alone tells how far an interval has got.
package limit

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// Rule is a channel's limit.
type Rule struct {
	Count  int32
	Length time.Duration
}

// RuleOf is the limit that a channel sets; nil for none.
func RuleOf(channel *v1alpha1.NotificationChannel) *Rule {
	if channel == nil || channel.Spec.Limit == nil {
		return nil
	}
	length, err := channel.Spec.Limit.Interval.Duration()
	if err != nil || length <= 0 {
		return nil
	}
	return &Rule{Count: channel.Spec.Limit.Count, Length: length}
}

// Suppressed says whether a place says that the limit is used up.
func Suppressed(place *v1alpha1.LimitPlace) bool { return place != nil && place.Number == 0 }

// interval is the interval of a channel that began last; the zero interval: none did.
type interval struct {
	since time.Time
	taken map[int32]struct{}
	// low: all numbers up to it are taken.
	low int32
}

func (i *interval) begin(since time.Time) {
	*i = interval{since: since, taken: map[int32]struct{}{}}
}

// take takes a place for a message, in a new interval if this one is over. A place without a number says that the limit is
// used up.
func (i *interval) take(rule Rule, now time.Time) v1alpha1.LimitPlace {
	if i.since.IsZero() || !now.Before(i.since.Add(rule.Length)) {
		i.begin(now.Truncate(time.Second)) // the API stores whole seconds
	}
	place := v1alpha1.LimitPlace{
		Since: metav1.NewTime(i.since), Until: metav1.NewTime(i.since.Add(rule.Length)), Count: rule.Count,
	}
	for i.has(i.low + 1) {
		i.low++
	}
	if number := i.low + 1; number <= rule.Count {
		i.taken[number] = struct{}{}
		place.Number = number
	}
	return place
}

func (i *interval) has(number int32) bool {
	_, taken := i.taken[number]
	return taken
}

// release gives back a place whose message was not written.
func (i *interval) release(place v1alpha1.LimitPlace) {
	if i.since.Equal(place.Since.Time) && i.has(place.Number) {
		delete(i.taken, place.Number)
		i.low = min(i.low, place.Number-1)
	}
}

// learn takes note of a place that was found in the log.
func (i *interval) learn(place v1alpha1.LimitPlace) {
	if place.Since.After(i.since) {
		i.begin(place.Since.Time)
	}
	if i.since.Equal(place.Since.Time) && place.Number > 0 {
		i.taken[place.Number] = struct{}{}
	}
}

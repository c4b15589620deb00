// SPDX-License-Identifier: Apache-2.0

// Package limit counts what goes through a channel against the channel's numeric limit, and what is held back. It is pure:
// time comes in as a parameter.
//
// An interval begins with the first message, lets so many through, and ends with a digest of what it held back, which is the
// first message of the next. The place of a message in its interval stands in the message's own record, so that the log alone
// tells how far an interval has got.
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

// Interval is the interval of a channel that began last.
type Interval struct {
	// Since is when it began; zero if none did.
	Since time.Time
	// Used is how many messages it has let through.
	Used int32
}

// Over says whether the interval has ended by a time, or none has begun.
func (i Interval) Over(rule Rule, now time.Time) bool {
	return i.Since.IsZero() || !now.Before(i.Since.Add(rule.Length))
}

// Take takes a place for a message, in a new interval if this one is over, and returns it with the interval as it is then. A
// place without a number says that the limit is used up.
func (i Interval) Take(rule Rule, now time.Time) (v1alpha1.LimitPlace, Interval) {
	if i.Over(rule, now) {
		i = Interval{Since: now.Truncate(time.Second)} // the API stores whole seconds
	}
	place := v1alpha1.LimitPlace{
		Since: metav1.NewTime(i.Since), Until: metav1.NewTime(i.Since.Add(rule.Length)), Count: rule.Count,
	}
	if i.Used < rule.Count {
		i.Used++
		place.Number = i.Used
	}
	return place, i
}

// Release gives back a place whose message was not written, if none was taken after it.
func (i Interval) Release(place v1alpha1.LimitPlace) Interval {
	if i.Since.Equal(place.Since.Time) && place.Number > 0 && i.Used == place.Number {
		i.Used--
	}
	return i
}

// Learn takes note of a place that was found in the log.
func (i Interval) Learn(place *v1alpha1.LimitPlace) Interval {
	switch {
	case place == nil || place.Since.Time.Before(i.Since):
		return i
	case place.Since.After(i.Since):
		i = Interval{Since: place.Since.Time}
	}
	i.Used = max(i.Used, place.Number)
	return i
}

// Suppressed says whether a place says that the limit is used up.
func Suppressed(place *v1alpha1.LimitPlace) bool { return place != nil && place.Number == 0 }

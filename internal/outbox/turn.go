// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/limit"
	"github.com/tocsin-dev/tocsin/internal/status"
)

// Verbs for a delivery whose turn has not come, or never comes.
const (
	// Suppress: the channel's limit was used up when the notification was decided.
	Suppress Verb = "Suppress"
	// StandBy: it is a fallback, and it is not known yet whether it is needed.
	StandBy Verb = "StandBy"
	// Skip: it is a fallback that is not needed.
	Skip Verb = "Skip"
)

// Reasons of a delivery's state that has no turn.
const (
	ReasonLimitReached = "LimitReached"
	ReasonStandby      = "Standby"
	ReasonNotNeeded    = "NotNeeded"
)

// Turn says whether it is a delivery's turn: the zero Decision. Its time to retry begins at the time returned: for a fallback
// when the channel failed for which it steps in.
func Turn(n *v1alpha1.Notification, d v1alpha1.DeliveryStatus) (Decision, time.Time) {
	planned := Planned(&n.Spec, d.Channel)
	since := n.CreationTimestamp.Time
	switch {
	case limit.Suppressed(planned.Limit):
		return suppress(n.Spec.Type, planned.Limit), since
	case Final(d.State):
		return Decision{Verb: Done}, since
	case len(planned.FallbackFor) == 0:
		return Decision{}, since
	}
	var open []string
	var failed time.Time
	for _, channel := range planned.FallbackFor {
		switch first := Find(n.Status.Deliveries, channel); {
		case first.State == v1alpha1.DeliveryFailed, refusedPlace(first):
			if ended := first.FinishedTime; ended != nil && (failed.IsZero() || ended.Time.Before(failed)) {
				failed = ended.Time
			}
		case !Final(first.State):
			open = append(open, channel)
		}
	}
	switch {
	case !failed.IsZero():
		return Decision{}, failed
	case len(open) > 0:
		return Decision{Verb: StandBy, Reason: ReasonStandby,
			Message: "steps in should " + strings.Join(open, " or ") + " reach nobody"}, since
	default:
		return Decision{Verb: Skip, Reason: ReasonNotNeeded,
			Message: strings.Join(planned.FallbackFor, " and ") + " did not fail"}, since
	}
}

func suppress(kind string, place *v1alpha1.LimitPlace) Decision {
	then := "a digest will sum up what it holds back"
	if kind == v1alpha1.NotificationTypeTest {
		then = "a test counts as any other notification: try again then"
	}
	return Decision{Verb: Suppress, Reason: ReasonLimitReached, Message: fmt.Sprintf("the channel's limit of %d in %s is used up "+
		"until %s; %s", place.Count, v1alpha1.FormatDuration(place.Until.Sub(place.Since.Time)),
		place.Until.UTC().Format(time.RFC3339), then)}
}

// refusedPlace says whether a delivery found no place in its channel's limit when it was to be sent: a fallback that was needed.
func refusedPlace(d v1alpha1.DeliveryStatus) bool {
	return d.State == v1alpha1.DeliverySuppressed && limit.Suppressed(d.Limit)
}

// HasFallback says whether another channel stands by for this one.
func HasFallback(spec *v1alpha1.NotificationSpec, channel string) bool {
	return slices.ContainsFunc(spec.Deliveries, func(d v1alpha1.Delivery) bool { return slices.Contains(d.FallbackFor, channel) })
}

// Planned is what a notification is to send through a channel; of one that names no deliveries, nothing but the channel.
func Planned(spec *v1alpha1.NotificationSpec, channel string) v1alpha1.Delivery {
	for _, d := range spec.Deliveries {
		if d.Channel == channel {
			return d
		}
	}
	return v1alpha1.Delivery{Channel: channel}
}

// Limits says whether a delivery takes its place in the channel's limit only now: a test, or a fallback. Others took it when
// the notification was decided. A digest takes none.
func Limits(n *v1alpha1.Notification, d v1alpha1.DeliveryStatus) bool {
	return d.Limit == nil && d.AttemptCount == 0 && n.Spec.Digest == nil &&
		(n.Spec.Type == v1alpha1.NotificationTypeTest || len(Planned(&n.Spec, d.Channel).FallbackFor) > 0)
}

// Refused records that a delivery found no place in the channel's limit.
func Refused(d v1alpha1.DeliveryStatus, kind string, place *v1alpha1.LimitPlace, now time.Time) v1alpha1.DeliveryStatus {
	d.Limit = place
	return Suppressed(d, suppress(kind, place), nil, now)
}

// Suppressed records that the channel's limit holds a delivery back, with others, if it speaks for them.
func Suppressed(d v1alpha1.DeliveryStatus, decision Decision, with *v1alpha1.Suppression, now time.Time) v1alpha1.DeliveryStatus {
	if d.State != v1alpha1.DeliverySuppressed {
		d.FinishedTime = at(now)
	}
	d.State, d.Reason = v1alpha1.DeliverySuppressed, decision.Reason
	d.Message = status.Truncate(decision.Message, maxMessage)
	if with != nil && (d.Suppressed == nil || with.Count > d.Suppressed.Count) {
		d.Suppressed = with
	}
	return d
}

// OnStandby records that a fallback waits.
func OnStandby(d v1alpha1.DeliveryStatus, decision Decision) v1alpha1.DeliveryStatus {
	d.State, d.Reason = v1alpha1.DeliveryStandby, decision.Reason
	d.Message = status.Truncate(decision.Message, maxMessage)
	return d
}

// Skipped records that a fallback is not needed.
func Skipped(d v1alpha1.DeliveryStatus, decision Decision, now time.Time) v1alpha1.DeliveryStatus {
	d.State, d.Reason, d.FinishedTime = v1alpha1.DeliveryNotNeeded, decision.Reason, at(now)
	d.Message = status.Truncate(decision.Message, maxMessage)
	return d
}

// SPDX-License-Identifier: Apache-2.0

package outbox

import (
	"slices"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/status"
)

const (
	// maxAttempts is how many of the latest attempts are kept.
	maxAttempts = 10
	// maxMessage is how long a message gets, in bytes.
	maxMessage = 1024
	// maxResponse is how long a server's reply about one recipient gets, in bytes, and maxResponseOfMany where there are
	// more than manyRecipients: all of a Notification has to fit into what etcd stores (1.5 MB).
	maxResponse, maxResponseOfMany, manyRecipients = 512, 128, 20
)

// Held records that a delivery waits for its channel.
func Held(d v1alpha1.DeliveryStatus, decision Decision) v1alpha1.DeliveryStatus {
	d = interrupted(d)
	d.State = v1alpha1.DeliveryPending
	d.NextAttemptTime = nil
	d.Reason, d.Message = decision.Reason, status.Truncate(decision.Message, maxMessage)
	return d
}

// Expired records that a delivery's time is over.
func Expired(d v1alpha1.DeliveryStatus, decision Decision, now time.Time) v1alpha1.DeliveryStatus {
	d = interrupted(d)
	d.State = outcome(d.Recipients)
	d.NextAttemptTime, d.FinishedTime = nil, at(now)
	d.Reason, d.Message = decision.Reason, status.Truncate(decision.Message, maxMessage)
	return d
}

// Begin records that an attempt starts, before anything is sent. The recipients are all that the delivery is for.
func Begin(d v1alpha1.DeliveryStatus, recipients []string, messageID, revision string, now time.Time) v1alpha1.DeliveryStatus {
	d = interrupted(d)
	if len(d.Recipients) == 0 {
		for _, address := range recipients {
			if !slices.ContainsFunc(d.Recipients, func(r v1alpha1.RecipientStatus) bool { return r.Address == address }) {
				d.Recipients = append(d.Recipients, v1alpha1.RecipientStatus{Address: address, State: v1alpha1.RecipientPending})
			}
		}
	}
	d.State = v1alpha1.DeliverySending
	d.Reason, d.Message = string(v1alpha1.DeliverySending), ""
	d.NextAttemptTime = nil
	d.MessageID, d.ChannelRevision = messageID, revision
	d.AttemptCount++
	d.Attempts = append(slices.Clone(d.Attempts), v1alpha1.Attempt{Number: d.AttemptCount, StartTime: *at(now)})
	d.Attempts = d.Attempts[max(0, len(d.Attempts)-maxAttempts):]
	return d
}

// interrupted marks an attempt that never ended: the manager stopped meanwhile, and nobody knows whether it was sent.
func interrupted(d v1alpha1.DeliveryStatus) v1alpha1.DeliveryStatus {
	if d.State != v1alpha1.DeliverySending || len(d.Attempts) == 0 {
		return d
	}
	d.Attempts = slices.Clone(d.Attempts)
	last := &d.Attempts[len(d.Attempts)-1]
	last.Reason = ReasonInterrupted
	last.Message = "the manager stopped during this attempt; it may or may not have been sent"
	return d
}

// Pending returns the recipients that an attempt still has to tell.
func Pending(d v1alpha1.DeliveryStatus) []string {
	var pending []string
	for _, r := range d.Recipients {
		if r.State == v1alpha1.RecipientPending {
			pending = append(pending, r.Address)
		}
	}
	return pending
}

// Finish records how an attempt ended. Jitter, in [0,1), spreads repetitions.
func Finish(d v1alpha1.DeliveryStatus, result notify.Result, retry *v1alpha1.RetryPolicy, jitter float64,
	now time.Time) v1alpha1.DeliveryStatus {
	d.Recipients = merge(d.Recipients, result)
	d.Reason, d.Message = string(result.Reason), status.Truncate(result.Message, maxMessage)
	if n := len(d.Attempts); n > 0 {
		d.Attempts = slices.Clone(d.Attempts)
		last := &d.Attempts[n-1]
		last.EndTime = at(now)
		last.Reason, last.Message = d.Reason, d.Message
		last.Server, last.TLS, last.Verified, last.QueueID = result.Server, result.TLS, result.Verified, result.QueueID
	}
	if len(Pending(d)) > 0 {
		d.State = v1alpha1.DeliveryRetrying
		d.NextAttemptTime = at(now.Add(notify.Backoff(interval(retry), int(d.AttemptCount), jitter)))
		return d
	}
	d.State = outcome(d.Recipients)
	d.NextAttemptTime, d.FinishedTime = nil, at(now)
	return d
}

// merge takes over what the server said for each recipient. What is refused for good is refused for all that were left.
func merge(recipients []v1alpha1.RecipientStatus, result notify.Result) []v1alpha1.RecipientStatus {
	room := maxResponse
	if len(recipients) > manyRecipients {
		room = maxResponseOfMany
	}
	merged := slices.Clone(recipients)
	for i := range merged {
		r := &merged[i]
		if r.State != v1alpha1.RecipientPending {
			continue
		}
		said := slices.IndexFunc(result.Recipients, func(x notify.Recipient) bool { return x.Address == r.Address })
		if said >= 0 {
			answer := result.Recipients[said]
			r.Code = int32(answer.Code) //nolint:gosec // a reply code has three digits
			r.EnhancedCode, r.Response = answer.EnhancedCode, status.Truncate(answer.Response, room)
			switch answer.State {
			case notify.Accepted:
				r.State = v1alpha1.RecipientAccepted
			case notify.Refused:
				r.State = v1alpha1.RecipientRefused
			case notify.Deferred:
			}
		}
		if r.State == v1alpha1.RecipientPending && !result.Temporary {
			r.State = v1alpha1.RecipientRefused
		}
	}
	return merged
}

// outcome is the final state that the recipients add up to.
func outcome(recipients []v1alpha1.RecipientStatus) v1alpha1.DeliveryState {
	accepted := 0
	for _, r := range recipients {
		if r.State == v1alpha1.RecipientAccepted {
			accepted++
		}
	}
	switch {
	case accepted == 0:
		return v1alpha1.DeliveryFailed
	case accepted < len(recipients):
		return v1alpha1.DeliveryPartlyDelivered
	default:
		return v1alpha1.DeliveryDelivered
	}
}

func interval(retry *v1alpha1.RetryPolicy) time.Duration {
	if retry == nil {
		return notify.DefaultInterval
	}
	return durationOr(retry.Interval, notify.DefaultInterval)
}

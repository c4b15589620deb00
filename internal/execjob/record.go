// SPDX-License-Identifier: Apache-2.0

package execjob

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/outbox"
	"github.com/tocsin-dev/tocsin/internal/status"
)

// maxMessage is how long a delivery's message gets, in bytes.
const maxMessage = 1024

// ReasonBusy is the reason of a delivery that waits until fewer Jobs of its channel run.
const ReasonBusy = "Busy"

// ReasonJobNotCreated is the reason of a delivery whose Job is still to be made, as the API server cannot say whether it was.
const ReasonJobNotCreated = "JobNotCreated"

// Grace is how long after its timeout a Job is still waited for: its pods have as long to end.
const Grace = maxGracePeriod * time.Second

// Busy is the decision about a delivery that finds no room; it ends at the given time.
func Busy(limit int, end time.Time) outbox.Decision {
	return outbox.Decision{Verb: outbox.Hold, At: end, Reason: ReasonBusy,
		Message: fmt.Sprintf("%d Jobs of the channel have not finished; the delivery waits for its turn", limit)}
}

// Begin records that an attempt starts, before its Job is made.
func Begin(d v1alpha1.DeliveryStatus, notification types.UID, revision string, now time.Time) v1alpha1.DeliveryStatus {
	d = outbox.Begin(d, nil, "", revision, now)
	last(&d).Job = Name(notification, d.Channel)
	return d
}

// Current is the name of the Job of an attempt that has begun and not ended; empty if there is none.
func Current(d v1alpha1.DeliveryStatus) string {
	if d.State != v1alpha1.DeliverySending || len(d.Attempts) == 0 {
		return ""
	}
	return d.Attempts[len(d.Attempts)-1].Job
}

// Created says whether it is recorded that the Job of the current attempt was made.
func Created(d v1alpha1.DeliveryStatus) bool {
	return Current(d) != "" && d.Reason != string(v1alpha1.DeliverySending) && d.Reason != ReasonJobNotCreated
}

// End is when the Job of the current attempt is no longer waited for. The Job is nil if it cannot be read, the channel if it is
// gone.
func End(d v1alpha1.DeliveryStatus, job *batchv1.Job, channel *v1alpha1.NotificationChannel) time.Time {
	timeout := longestTimeout
	switch {
	case job != nil && job.Spec.ActiveDeadlineSeconds != nil:
		timeout = time.Duration(*job.Spec.ActiveDeadlineSeconds) * time.Second
	case channel != nil && channel.Spec.Exec != nil:
		timeout = time.Duration(seconds(channel.Spec.Exec.Timeout, DefaultTimeout)) * time.Second
	}
	begun := last(&d).StartTime.Time
	if job != nil && job.CreationTimestamp.After(begun) { // it may have taken long until it could be made
		begun = job.CreationTimestamp.Time
	}
	return begun.Add(timeout + Grace)
}

// Observe records what is known of a Job that has not finished.
func Observe(d v1alpha1.DeliveryStatus, o Outcome, output string) v1alpha1.DeliveryStatus {
	a := last(&d)
	message := o.Message
	switch {
	case o.Reason == ReasonJobUnreadable && !Created(d): // it may not have been made
		return d
	case o.Phase == Ending && Created(d):
		message = explain(message, d)
	default:
		d.Reason = o.Reason
	}
	d.Message, d.NextAttemptTime = status.Truncate(message, maxMessage), nil
	if o.Since.After(a.StartTime.Time) {
		a.StartTime = o.Since
	}
	keep(a, o, output)
	return d
}

const before = "; before: "

// explain adds to the message about a Job that ends what it waited for.
func explain(message string, d v1alpha1.DeliveryStatus) string {
	if !Created(d) || d.Reason == string(Running) {
		return message
	}
	if _, cause, found := strings.Cut(d.Message, before); found {
		return message + before + cause
	}
	return message + before + d.Message
}

// Finish records how a Job ended. It is not made again: it had its own retries.
func Finish(d v1alpha1.DeliveryStatus, o Outcome, output string, now time.Time) v1alpha1.DeliveryStatus {
	message := o.Message
	if o.Reason == ReasonDeadlineExceeded {
		message = explain(message, d)
	}
	end(&d, o.Reason, message, now)
	keep(last(&d), o, output)
	d.State = v1alpha1.DeliveryFailed
	if o.Phase == Succeeded {
		d.State = v1alpha1.DeliveryDelivered
	}
	d.FinishedTime = at(now)
	return d
}

// Refuse records that no Job could be made. Temporary: it is tried again after a while, which jitter, in [0,1), spreads.
func Refuse(d v1alpha1.DeliveryStatus, reason, message string, retry *v1alpha1.RetryPolicy, jitter float64,
	now time.Time) v1alpha1.DeliveryStatus {
	end(&d, reason, notify.Bound(message, maxMessage), now)
	if reason == ReasonJobInvalid {
		d.State, d.FinishedTime = v1alpha1.DeliveryFailed, at(now)
		return d
	}
	d.State = v1alpha1.DeliveryRetrying
	d.NextAttemptTime = at(now.Add(notify.Backoff(interval(retry), int(d.AttemptCount), jitter)))
	return d
}

// Postpone records that it is not known whether the Job was made. The attempt goes on; it is asked again after a while, which
// jitter, in [0,1), spreads.
func Postpone(d v1alpha1.DeliveryStatus, err error, retry *v1alpha1.RetryPolicy, jitter float64, now time.Time) v1alpha1.DeliveryStatus {
	message := notify.Bound(fmt.Sprintf("Job %s could not be created: %s", Current(d), err), maxMessage)
	d.Reason, d.Message = ReasonJobNotCreated, status.Truncate(message, maxMessage)
	d.NextAttemptTime = at(now.Add(notify.Backoff(interval(retry), 1, jitter)))
	return d
}

// interval is 0 where the channel does not say.
func interval(retry *v1alpha1.RetryPolicy) time.Duration {
	if retry == nil {
		return 0
	}
	parsed, err := retry.Interval.Duration()
	if err != nil {
		return 0
	}
	return parsed
}

func end(d *v1alpha1.DeliveryStatus, reason, message string, now time.Time) {
	d.Reason, d.Message, d.NextAttemptTime = reason, status.Truncate(message, maxMessage), nil
	a := last(d)
	a.EndTime, a.Reason, a.Message = at(now), d.Reason, d.Message
}

// keep takes over what is known; what a pod had printed stays when the pod is gone.
func keep(a *v1alpha1.Attempt, o Outcome, output string) {
	if o.ExitCode != nil {
		a.ExitCode = o.ExitCode
	}
	if output != "" {
		a.Output = output
	}
}

// last is the attempt that is under way, in a list that nobody else sees.
func last(d *v1alpha1.DeliveryStatus) *v1alpha1.Attempt {
	d.Attempts = slices.Clone(d.Attempts)
	return &d.Attempts[len(d.Attempts)-1]
}

func at(t time.Time) *metav1.Time {
	m := metav1.NewTime(t)
	return &m
}

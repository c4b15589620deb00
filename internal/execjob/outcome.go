// SPDX-License-Identifier: Apache-2.0

package execjob

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
)

// Phase is how far a Job has got.
type Phase string

// The phases.
const (
	// Waiting: no container runs yet, and it is known why.
	Waiting Phase = "Waiting"
	// Running: nothing is known to be wrong.
	Running Phase = "Running"
	// Ending: it has failed, and its pods are being stopped.
	Ending Phase = "Ending"
	// Succeeded and Failed are final.
	Succeeded Phase = "Succeeded"
	Failed    Phase = "Failed"
)

// How an attempt through a channel of type Exec ends, in one word. The set is closed: it labels metrics.
const (
	// ReasonCompleted: the program ended with exit code 0.
	ReasonCompleted = "Completed"
	// ReasonBackoffLimitExceeded: it failed, as often as the channel's retries allow.
	ReasonBackoffLimitExceeded = batchv1.JobReasonBackoffLimitExceeded
	// ReasonDeadlineExceeded: it had not ended within the channel's timeout.
	ReasonDeadlineExceeded = batchv1.JobReasonDeadlineExceeded
	// ReasonPodFailurePolicy: it ended with an exit code that says not to run it again.
	ReasonPodFailurePolicy = batchv1.JobReasonPodFailurePolicy
	// ReasonOOMKilled: it was stopped, as it took more memory than its limit.
	ReasonOOMKilled = "OOMKilled"
	// ReasonEvicted: the node stopped its pod.
	ReasonEvicted = "Evicted"
	// ReasonJobFailed: the Job failed for another reason, which the message tells.
	ReasonJobFailed = "JobFailed"
	// ReasonJobDeleted: somebody deleted the Job before its result was stored.
	ReasonJobDeleted = "JobDeleted"
	// ReasonJobNameTaken: there is a Job of that name, and Tocsin has not made it.
	ReasonJobNameTaken = "JobNameTaken"
	// ReasonJobUnreadable: Tocsin lost the right to read the Job, and it should have ended by now.
	ReasonJobUnreadable = "JobUnreadable"
	// ReasonJobSuspended: somebody suspended the Job, and it should have ended by now.
	ReasonJobSuspended = "JobSuspended"
	// ReasonJobForbidden: the API server does not take the Job now, for want of a right or of quota.
	ReasonJobForbidden = "JobForbidden"
	// ReasonJobInvalid: the API server does not take the Job at all.
	ReasonJobInvalid = "JobInvalid"
	// ReasonNotConfigured: the channel does not say how to make a Job, or may not.
	ReasonNotConfigured = "NotConfigured"
)

// Reasons returns all that there are, for metrics that are to exist from the start.
func Reasons() []string {
	return []string{
		ReasonCompleted, ReasonBackoffLimitExceeded, ReasonDeadlineExceeded, ReasonPodFailurePolicy, ReasonOOMKilled, ReasonEvicted,
		ReasonJobFailed, ReasonJobDeleted, ReasonJobNameTaken, ReasonJobUnreadable, ReasonJobSuspended, ReasonJobForbidden,
		ReasonJobInvalid, ReasonNotConfigured,
	}
}

// Outcome is what a Job and its pods tell.
type Outcome struct {
	Phase           Phase
	Reason, Message string
	// Since is when the Job was made.
	Since metav1.Time
	// ExitCode of the program that ended last, if one has.
	ExitCode *int32
	// Pod and Container have printed what is to be kept; empty if nothing ran.
	Pod, Container string
}

// Final says whether nothing will change any more.
func (o Outcome) Final() bool { return o.Phase == Succeeded || o.Phase == Failed }

// Deleted is the outcome of a Job that is gone.
func Deleted(name string) Outcome {
	return Outcome{Phase: Failed, Reason: ReasonJobDeleted, Message: fmt.Sprintf(
		"Job %s was deleted before its result was stored", name)}
}

// Taken is the outcome where somebody else has a Job of that name.
func Taken(name string) Outcome {
	return Outcome{Phase: Failed, Reason: ReasonJobNameTaken, Message: fmt.Sprintf(
		"there is a Job %s that Tocsin has not made; nothing was run", name)}
}

// wait finds out whether, and why, no container of a Job runs yet.
func (o *Outcome) wait(job *batchv1.Job, pod *corev1.Pod, events []corev1.Event) {
	if ptr.Deref(job.Spec.Suspend, false) {
		o.Phase, o.Reason = Waiting, ReasonJobSuspended
		o.Message = fmt.Sprintf("Job %s is suspended by its `spec.suspend`, which Tocsin does not set", job.Name)
		return
	}
	if Started(job) {
		return
	}
	if reason, message := obstacle(pod, events); reason != "" {
		o.Phase, o.Reason = Waiting, word(reason)
		o.Message = notify.Bound(fmt.Sprintf("Job %s waits: %s: %s", job.Name, reason, message), notify.MaxMessage)
	}
}

// Overdue is the outcome of a Job that should have ended, given what is known of it.
func Overdue(name string, o Outcome) Outcome {
	o.Phase = Failed
	if o.Reason != ReasonJobSuspended {
		o.Reason = ReasonDeadlineExceeded
	}
	o.Message = fmt.Sprintf("Job %s should have ended %s ago and is no longer waited for; it may still run: delete it",
		name, v1alpha1.FormatDuration(Grace))
	return o
}

// Unreadable is the outcome of a Job of which not all can be read that there is to know: what is known, once it is overdue.
func Unreadable(name string, o Outcome, err error, overdue bool) Outcome {
	if overdue && o.Final() {
		return o
	}
	o.Phase, o.Reason = Waiting, ReasonJobUnreadable
	o.Message = notify.Bound(fmt.Sprintf("Job %s cannot be followed: %s", name, err), notify.MaxMessage)
	if overdue {
		o.Phase = Failed
		o.Message = notify.Bound(fmt.Sprintf("Job %s should have ended by now and cannot be followed: %s", name, err), notify.MaxMessage)
	}
	return o
}

// Started says whether the Job has a pod whose containers run: then its pods tell no more than it does.
func Started(job *batchv1.Job) bool { return job.Status.Ready != nil && *job.Status.Ready > 0 }

// Read tells how far a Job has got. The pods are the Job's; the events those about the pod that has not started, or about
// the Job where there is no pod.
func Read(job *batchv1.Job, pods []corev1.Pod, events []corev1.Event) Outcome {
	o := Outcome{Phase: Running, Reason: string(Running), Since: job.CreationTimestamp,
		Message: fmt.Sprintf("Job %s has not finished", job.Name)}
	pod := Latest(pods)
	if pod != nil {
		o.look(pod)
	}
	for _, c := range job.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			o.Phase, o.Reason, o.Message = Succeeded, ReasonCompleted, fmt.Sprintf("Job %s completed", job.Name)
			return o
		case batchv1.JobFailed:
			o.fail(job, pod, c)
			return o
		case batchv1.JobFailureTarget:
			o.Phase = Ending
			o.Message = notify.Bound(fmt.Sprintf("Job %s is being stopped: %s: %s", job.Name, c.Reason, c.Message), notify.MaxMessage)
		}
	}
	switch {
	case job.DeletionTimestamp != nil:
		deleted := Deleted(job.Name)
		o.Phase, o.Reason, o.Message = Failed, deleted.Reason, deleted.Message
	case o.Phase == Running:
		o.wait(job, pod, events)
	}
	return o
}

// fail tells why a Job failed.
func (o *Outcome) fail(job *batchv1.Job, pod *corev1.Pod, c batchv1.JobCondition) {
	o.Phase, o.Reason = Failed, ReasonJobFailed
	switch c.Reason {
	case ReasonBackoffLimitExceeded, ReasonDeadlineExceeded, ReasonPodFailurePolicy:
		o.Reason = c.Reason
	}
	message := fmt.Sprintf("Job %s failed: %s: %s", job.Name, c.Reason, c.Message)
	if pod != nil && c.Reason != ReasonDeadlineExceeded {
		if pod.Status.Reason == ReasonEvicted {
			o.Reason = ReasonEvicted
			message += "; " + pod.Status.Message
		}
		if ended := ended(pod); ended != nil {
			if ended.State.Terminated.Reason == ReasonOOMKilled {
				o.Reason = ReasonOOMKilled
			}
			message += "; " + describe(ended)
		}
	}
	o.Message = notify.Bound(message, notify.MaxMessage)
}

func describe(c *corev1.ContainerStatus) string {
	t := c.State.Terminated
	text := fmt.Sprintf("container %s ended with exit code %d", c.Name, t.ExitCode)
	switch t.Reason {
	case "", "Error", "Completed":
	case ReasonOOMKilled:
		text += ": it took more memory than its limit"
	default: // such as StartError: the message is the container runtime's, not the program's
		text += fmt.Sprintf(" (%s): %s", t.Reason, t.Message)
	}
	return text
}

// look finds out what ran in a pod.
func (o *Outcome) look(pod *corev1.Pod) {
	if c := ended(pod); c != nil {
		o.Pod, o.Container = pod.Name, c.Name
		o.ExitCode = &c.State.Terminated.ExitCode
		return
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Running != nil {
			o.Pod, o.Container = pod.Name, c.Name
			return
		}
	}
}

// ended is the container that says how a pod has ended: the first that failed, else the first that ended of those that are
// not there to prepare.
func ended(pod *corev1.Pod) *corev1.ContainerStatus {
	var well *corev1.ContainerStatus
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		well = nil
		for i := range list {
			switch t := list[i].State.Terminated; {
			case t == nil:
			case t.ExitCode != 0:
				return &list[i]
			case well == nil:
				well = &list[i]
			}
		}
	}
	return well
}

// Latest is the pod that was made last; nil if there is none.
func Latest(pods []corev1.Pod) *corev1.Pod {
	if len(pods) == 0 {
		return nil
	}
	last := slices.MaxFunc(pods, func(a, b corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return &last
}

// preparing are the states of a container that say nothing.
var preparing = map[string]bool{"": true, "ContainerCreating": true, "PodInitializing": true}

// obstacle says what keeps a pod from starting; empty if nothing is known to.
func obstacle(pod *corev1.Pod, events []corev1.Event) (reason, message string) {
	if pod != nil {
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
				return c.Reason, c.Message
			}
		}
		for _, c := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
			if w := c.State.Waiting; w != nil && !preparing[w.Reason] {
				return w.Reason, fmt.Sprintf("container %s: %s", c.Name, w.Message)
			}
		}
	}
	return warned(events)
}

// warned is the latest warning.
func warned(events []corev1.Event) (reason, message string) {
	var last *corev1.Event
	for i, e := range events {
		if e.Type == corev1.EventTypeWarning && (last == nil || !happened(e).Before(happened(*last))) {
			last = &events[i]
		}
	}
	if last == nil {
		return "", ""
	}
	return last.Reason, last.Message
}

var reasonWord = regexp.MustCompile(`^[A-Za-z]{1,63}$`)

// word is a reason as others give it, if it is one.
func word(reason string) string {
	if reasonWord.MatchString(reason) {
		return reason
	}
	return string(Waiting)
}

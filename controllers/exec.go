// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/execjob"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/outbox"
)

// The Events about a Notification that goes through a channel of type Exec.
const (
	reasonJobCreated   = "JobCreated"
	reasonJobSucceeded = "JobSucceeded"
	reasonJobFailed    = "JobFailed"

	actionRun = "Run"
)

// Between these two, as old as the Job is, it is looked at again while no container of it runs: what keeps a pod from starting
// changes nothing about the Job.
const (
	firstLook  = 5 * time.Second
	seldomLook = time.Minute
)

// sendJob begins an attempt through a channel of type Exec, or goes on with one that a manager before this one began. That it
// begins is stored first; the Job's name is the same whoever makes it, so that there is one.
func (r *DeliveryReconciler) sendJob(ctx context.Context, n *v1alpha1.Notification, delivery v1alpha1.DeliveryStatus,
	channel *v1alpha1.NotificationChannel) (ctrl.Result, error) {
	room, err := r.exec.gate.enter(ctx, n, channel.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !room {
		_, since := outbox.Turn(n, delivery)
		busy := execjob.Busy(maxJobs, outbox.End(channel, outbox.HasFallback(&n.Spec, channel.Name), since))
		delivery = outbox.Held(delivery, busy)
		return ctrl.Result{RequeueAfter: max(time.Second, busy.At.Sub(r.Clock.Now()))}, r.record(ctx, n, &delivery)
	}
	if execjob.Current(delivery) != "" {
		if next := delivery.NextAttemptTime; next != nil && r.Clock.Now().Before(next.Time) {
			return ctrl.Result{RequeueAfter: next.Sub(r.Clock.Now())}, nil
		}
		if outdated, err := r.outdated(ctx, n); err != nil || outdated {
			return ctrl.Result{RequeueAfter: conflictRetry}, err
		}
		return r.createJob(ctx, n, delivery, channel)
	}
	delivery = execjob.Begin(delivery, n.UID, channel.Status.Revision, r.Clock.Now())
	if err := r.record(ctx, n, &delivery); err != nil {
		return ctrl.Result{}, err
	}
	return r.createJob(ctx, n, delivery, channel)
}

// outdated says whether a Notification is not the one that the API server has: its Job may have been made, and be gone.
func (r *DeliveryReconciler) outdated(ctx context.Context, n *v1alpha1.Notification) (bool, error) {
	live := &v1alpha1.Notification{}
	if err := r.Live.Get(ctx, client.ObjectKeyFromObject(n), live); err != nil {
		return false, fmt.Errorf("looking for the Notification of a Job: %w", err)
	}
	return live.UID != n.UID || live.ResourceVersion != n.ResourceVersion, nil
}

func (r *DeliveryReconciler) createJob(ctx context.Context, n *v1alpha1.Notification, delivery v1alpha1.DeliveryStatus,
	channel *v1alpha1.NotificationChannel) (ctrl.Result, error) {
	if err := r.exec.allowed.Check(channel); err != nil {
		return r.refuseJob(ctx, n, delivery, channel, execjob.ReasonNotConfigured, err)
	}
	job, err := execjob.New(n, channel, journal.Values(n))
	if err != nil {
		return r.refuseJob(ctx, n, delivery, channel, execjob.ReasonNotConfigured, err)
	}
	r.exec.jobs.ensure(n.Namespace)
	switch err := r.Create(ctx, job); {
	case err == nil:
	case apierrors.IsAlreadyExists(err):
		return ctrl.Result{RequeueAfter: conflictRetry}, nil // it is looked at then
	case apierrors.IsForbidden(err), apierrors.IsBadRequest(err): // such as an admission webhook's no
		return r.refuseJob(ctx, n, delivery, channel, execjob.ReasonJobForbidden, err)
	case neverTaken(err):
		return r.refuseJob(ctx, n, delivery, channel, execjob.ReasonJobInvalid, err)
	case stopping(ctx):
		return ctrl.Result{}, fmt.Errorf("creating Job %s: %w", job.Name, err)
	default: // it is not known whether it was made
		return r.postponeJob(ctx, n, delivery, channel, err)
	}
	ctrl.LoggerFrom(ctx).Info("Job created", "job", job.Name)
	r.exec.recorder.Eventf(n, job, corev1.EventTypeNormal, reasonJobCreated, actionRun, "channel %s: Job %s", channel.Name, job.Name)
	delivery = execjob.Observe(delivery, execjob.Read(job, nil, nil), "")
	return ctrl.Result{RequeueAfter: firstLook}, r.record(ctx, n, &delivery)
}

// neverTaken says whether the API server will not take such a Job at any time.
func neverTaken(err error) bool {
	return apierrors.IsInvalid(err) || apierrors.IsRequestEntityTooLargeError(err)
}

// postponeJob records that it is not known whether a Job was made. The attempt goes on: the Job is looked for first.
func (r *DeliveryReconciler) postponeJob(ctx context.Context, n *v1alpha1.Notification, delivery v1alpha1.DeliveryStatus,
	channel *v1alpha1.NotificationChannel, err error) (ctrl.Result, error) {
	ctrl.LoggerFrom(ctx).Info("Job not created", "reason", execjob.ReasonJobNotCreated, "cause", err.Error())
	delivery = execjob.Postpone(delivery, err, channel.Spec.Retry, rand.Float64(), r.Clock.Now())
	return ctrl.Result{RequeueAfter: delivery.NextAttemptTime.Sub(r.Clock.Now())}, r.record(ctx, n, &delivery)
}

// refuseJob records that no Job could be made.
func (r *DeliveryReconciler) refuseJob(ctx context.Context, n *v1alpha1.Notification, delivery v1alpha1.DeliveryStatus,
	channel *v1alpha1.NotificationChannel, reason string, err error) (ctrl.Result, error) {
	ctrl.LoggerFrom(ctx).Info("Job not created", "reason", reason, "cause", err.Error())
	message := fmt.Sprintf("Job %s was not created: %s", execjob.Current(delivery), err)
	delivery = execjob.Refuse(delivery, reason, message, channel.Spec.Retry, rand.Float64(), r.Clock.Now())
	if err := r.record(ctx, n, &delivery); err != nil {
		return ctrl.Result{}, err
	}
	r.counted(n, delivery, reason)
	if delivery.NextAttemptTime != nil {
		return ctrl.Result{RequeueAfter: delivery.NextAttemptTime.Sub(r.Clock.Now())}, nil
	}
	return ctrl.Result{}, nil
}

// followJob records what has become of the Job of a delivery that has begun. False: there is no Job yet. The channel is nil if
// it is gone.
func (r *DeliveryReconciler) followJob(ctx context.Context, n *v1alpha1.Notification, delivery v1alpha1.DeliveryStatus,
	channel *v1alpha1.NotificationChannel) (bool, ctrl.Result, error) {
	if err := r.exec.gate.occupy(ctx, n, delivery.Channel); err != nil {
		return true, ctrl.Result{}, err
	}
	r.exec.jobs.ensure(n.Namespace)
	job, outcome, output, err := r.examineJob(ctx, n, delivery)
	if job == nil && err == nil {
		return false, ctrl.Result{}, nil
	}
	name, now, end := execjob.Current(delivery), r.Clock.Now(), execjob.End(delivery, job, channel)
	switch {
	case err != nil && !apierrors.IsForbidden(err):
		return true, ctrl.Result{}, err
	case err != nil:
		ctrl.LoggerFrom(ctx).Info("Job cannot be followed", "job", name, "cause", err.Error())
		outcome = execjob.Unreadable(name, outcome, err, !now.Before(end))
	case !outcome.Final() && !now.Before(end):
		outcome = execjob.Overdue(name, outcome)
	}
	if outcome.Final() {
		return true, ctrl.Result{}, r.finishJob(ctx, n, delivery, job, outcome, output)
	}
	delivery = execjob.Observe(delivery, outcome, output)
	return true, ctrl.Result{RequeueAfter: nextJobLook(job, end, now)}, r.record(ctx, n, &delivery)
}

// examineJob finds out what there is to know of the Job of a delivery. The Job is nil if there is none yet, or an error says
// that it cannot be read.
func (r *DeliveryReconciler) examineJob(ctx context.Context, n *v1alpha1.Notification,
	delivery v1alpha1.DeliveryStatus) (job *batchv1.Job, outcome execjob.Outcome, output string, err error) {
	job, name := &batchv1.Job{}, execjob.Current(delivery)
	err = r.Live.Get(ctx, client.ObjectKey{Namespace: n.Namespace, Name: name}, job)
	switch {
	case apierrors.IsNotFound(err) && !execjob.Created(delivery):
		return nil, outcome, "", nil
	case apierrors.IsNotFound(err):
		return job, execjob.Deleted(name), "", nil
	case err != nil:
		return nil, outcome, "", fmt.Errorf("getting Job %s: %w", name, err)
	case !execjob.Made(job, n, delivery.Channel):
		return job, execjob.Taken(name), "", nil
	}
	outcome, output, err = r.exec.inspect(ctx, job)
	return job, outcome, output, err
}

// nextJobLook is when to look at a Job, nil if it cannot be read, although it has not changed; the end at the latest.
func nextJobLook(job *batchv1.Job, end, now time.Time) time.Duration {
	left := end.Sub(now)
	switch {
	case job == nil:
		return min(secretPoll, left)
	case execjob.Started(job): // its changes tell all
		return left
	}
	return min(max(firstLook, now.Sub(job.CreationTimestamp.Time)), seldomLook, left)
}

// finishJob stores how a Job ended, and lets go of it.
func (r *DeliveryReconciler) finishJob(ctx context.Context, n *v1alpha1.Notification, delivery v1alpha1.DeliveryStatus,
	job *batchv1.Job, outcome execjob.Outcome, output string) error {
	delivery = execjob.Finish(delivery, outcome, output, r.Clock.Now())
	if err := r.record(ctx, n, &delivery); err != nil {
		return err
	}
	name := execjob.Name(n.UID, delivery.Channel)
	ctrl.LoggerFrom(ctx).Info("Job finished", "job", name, "reason", outcome.Reason)
	r.counted(n, delivery, outcome.Reason)
	kind, reason := corev1.EventTypeNormal, reasonJobSucceeded
	if outcome.Phase == execjob.Failed {
		kind, reason = corev1.EventTypeWarning, reasonJobFailed
	}
	r.exec.recorder.Eventf(n, nil, kind, reason, actionRun, "channel %s: Job %s: %s", delivery.Channel, name, outcome.Reason)
	r.exec.gate.leave(deliveryRequest{client.ObjectKeyFromObject(n), delivery.Channel})
	if job == nil || !execjob.Made(job, n, delivery.Channel) {
		return nil
	}
	return r.letGo(ctx, &metav1.PartialObjectMetadata{ObjectMeta: job.ObjectMeta})
}

// counted counts an attempt that has ended, and the delivery if that was its end.
func (r *DeliveryReconciler) counted(n *v1alpha1.Notification, delivery v1alpha1.DeliveryStatus, reason string) {
	deliveryAttempts.WithLabelValues(string(v1alpha1.ChannelExec), reason).Inc()
	if !outbox.Final(delivery.State) {
		return
	}
	deliveriesFinished.WithLabelValues(string(delivery.State)).Inc()
	if delivery.State == v1alpha1.DeliveryDelivered {
		deliverySeconds.Observe(max(0, r.Clock.Since(n.CreationTimestamp.Time).Seconds()))
	}
}

// tidy lets go of the Jobs of a delivery whose result nobody waits for: it is stored, or the Notification is gone. The
// Notification is nil then. The cache may lag behind: only what is final there is certain.
func (r *DeliveryReconciler) tidy(ctx context.Context, request deliveryRequest, n *v1alpha1.Notification) error {
	for _, job := range r.exec.jobs.of(request) {
		if !slices.Contains(job.Finalizers, execjob.Finalizer) {
			continue
		}
		awaited := n != nil && awaits(n, request.Channel, job)
		if !awaited && (n == nil || n.UID != ownerOf(job)) {
			var err error
			if awaited, err = r.awaitedLive(ctx, request, job); err != nil {
				return err
			}
		}
		if awaited {
			continue
		}
		if err := r.letGo(ctx, job); err != nil {
			return err
		}
	}
	return nil
}

func ownerOf(job *metav1.PartialObjectMetadata) types.UID {
	return types.UID(job.Labels[execjob.LabelNotification])
}

// awaits says whether the result of a Job is still to be stored in a Notification.
func awaits(n *v1alpha1.Notification, channel string, job *metav1.PartialObjectMetadata) bool {
	return n.UID == ownerOf(job) && !outbox.Final(outbox.Find(n.Status.Deliveries, channel).State)
}

func (r *DeliveryReconciler) awaitedLive(ctx context.Context, request deliveryRequest,
	job *metav1.PartialObjectMetadata) (bool, error) {
	if request.Name == "" {
		return false, nil
	}
	live := &v1alpha1.Notification{}
	if err := r.Live.Get(ctx, request.NamespacedName, live); err != nil {
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return false, fmt.Errorf("looking for the Notification of Job %s: %w", job.Name, err)
	}
	return awaits(live, request.Channel, job), nil
}

// letGo removes the finalizer from a Job.
func (r *DeliveryReconciler) letGo(ctx context.Context, job *metav1.PartialObjectMetadata) error {
	job.SetGroupVersionKind(batchv1.SchemeGroupVersion.WithKind("Job"))
	after := job.DeepCopy()
	after.Finalizers = slices.DeleteFunc(after.Finalizers, func(f string) bool { return f == execjob.Finalizer })
	patch := client.MergeFromWithOptions(job, client.MergeFromWithOptimisticLock{})
	if err := client.IgnoreNotFound(r.Patch(ctx, after, patch)); err != nil {
		return fmt.Errorf("letting go of Job %s: %w", job.Name, err)
	}
	return nil
}

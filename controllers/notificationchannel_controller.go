// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/verify"
)

const (
	// secretPoll is how often the Secrets that channels name are looked at. They are read by name, never watched: watching
	// needs the right to list them all.
	secretPoll = 30 * time.Second
	// secretRetry is how often a Secret that cannot be used is looked at.
	secretRetry = 5 * time.Second
	// conflictRetry is when a write that met a newer object is repeated, from a cache that has caught up by then.
	conflictRetry = 100 * time.Millisecond
)

// ChannelReconciler checks each NotificationChannel and the Secrets it names, and is the one writer of its status.
type ChannelReconciler struct {
	client.Client
	Senders Senders
}

// +kubebuilder:rbac:groups=tocsin.dev,resources=notificationchannels,verbs=get;list;watch
// +kubebuilder:rbac:groups=tocsin.dev,resources=notificationchannels/status,verbs=get;patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get

// Reconcile says in the channel's status whether it can be used. A channel with Secrets is looked at again and again.
func (r *ChannelReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	channel := &v1alpha1.NotificationChannel{}
	if err := r.Get(ctx, request.NamespacedName, channel); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	verdict := verify.Channel(&channel.Spec)
	if err := r.Senders.check(channel); err != nil && verdict.Ready {
		verdict = status.Verdict{Stalled: true, Reason: v1alpha1.ReasonInvalid, Message: "`spec.email`: " + err.Error()}
	}
	revision := fmt.Sprint(channel.Generation)
	var result ctrl.Result
	if login := loginOf(channel); login != nil && !verdict.Stalled {
		result.RequeueAfter = secretPoll
		credentials, err := r.Senders.Credentials.Read(ctx, channel.Namespace, login)
		if err != nil {
			verdict, result.RequeueAfter = secretVerdict(err), secretRetry
		}
		revision += "-" + credentials.Version
	}
	return result, r.writeStatus(ctx, channel, verdict, revision)
}

func (r *ChannelReconciler) writeStatus(ctx context.Context, channel *v1alpha1.NotificationChannel,
	verdict status.Verdict, revision string) error {
	before := channel.DeepCopy()
	channel.Status.ObservedGeneration = channel.Generation
	channel.Status.Revision = revision
	status.SetReady(&channel.Status.Conditions, channel.Generation, verdict)
	if equality.Semantic.DeepEqual(before.Status, channel.Status) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := client.IgnoreNotFound(r.Status().Patch(ctx, channel, patch)); err != nil {
		return fmt.Errorf("writing the channel's status: %w", err)
	}
	return nil
}

func (r *ChannelReconciler) setupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("notificationchannel").
		For(&v1alpha1.NotificationChannel{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(quietConflicts(r))
}

func loginOf(channel *v1alpha1.NotificationChannel) *v1alpha1.MailAuth {
	if channel.Spec.Email == nil {
		return nil
	}
	return channel.Spec.Email.Auth
}

func secretVerdict(err error) status.Verdict {
	reason := v1alpha1.ReasonSecretUnreadable
	var broken *CredentialsError
	switch {
	case apierrors.IsNotFound(err):
		reason = v1alpha1.ReasonSecretNotFound
	case asCredentialsError(err, &broken):
		reason = v1alpha1.ReasonSecretInvalid
	}
	return status.Verdict{Reason: reason, Message: err.Error()}
}

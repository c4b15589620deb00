// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/verify"
)

const (
	// secretPoll is how often what channels name is looked at. Secrets are read by name, never watched: watching needs the
	// right to list them all.
	secretPoll = 30 * time.Second
	// secretRetry is how often a Secret that cannot be used is looked at.
	secretRetry = 5 * time.Second
	// channelWorkers is how many channels are looked at at once: resolvers may be slow.
	channelWorkers = 4
	// conflictRetry is when a write that met a newer object is repeated, from a cache that has caught up by then.
	conflictRetry = 100 * time.Millisecond
)

// ChannelReconciler checks each NotificationChannel, the Secrets it names and the domains that it sends to, and is the one
// writer of its status.
type ChannelReconciler struct {
	client.Client
	Senders Senders
	Clock   clock.PassiveClock
	exec    *executor
	domains domains
}

// +kubebuilder:rbac:groups=tocsin.dev,resources=notificationchannels,verbs=get;list;watch
// +kubebuilder:rbac:groups=tocsin.dev,resources=notificationchannels/status,verbs=get;patch
// +kubebuilder:rbac:groups="",resources=secrets;configmaps,verbs=get

// Reconcile says in the channel's status whether it can be used. A channel with Secrets or domains is looked at again and again.
func (r *ChannelReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	channel := &v1alpha1.NotificationChannel{}
	if err := r.Get(ctx, request.NamespacedName, channel); err != nil {
		r.domains.forget(request.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	now := r.Clock.Now()
	g, err := r.gather(ctx, channel, now)
	if err != nil {
		return ctrl.Result{}, err
	}
	before := channel.DeepCopy()
	describe(channel, g, judgeChannel(channel, g, now), now)
	return ctrl.Result{RequeueAfter: nextLook(g, now)}, r.writeStatus(ctx, channel, before)
}

func (r *ChannelReconciler) gather(ctx context.Context, channel *v1alpha1.NotificationChannel, now time.Time) (gathered, error) {
	var g gathered
	var err error
	if g.fallback, err = r.fallback(ctx, channel); err != nil {
		return g, err
	}
	if verify.Channel(&channel.Spec).Stalled {
		return g, nil
	}
	if channel.Spec.Exec != nil {
		verdict, err := r.exec.judge(ctx, channel)
		g.exec = &verdict
		return g, err
	}
	if channel.Spec.Transport() == nil {
		return g, nil
	}
	if _, g.settings = r.Senders.with(channel, Secrets{}); g.settings == nil {
		g.secrets, g.credentials = r.secrets(ctx, channel)
		g.domains = r.lookUp(ctx, channel, now)
	}
	return g, nil
}

func (r *ChannelReconciler) secrets(ctx context.Context, channel *v1alpha1.NotificationChannel) (Secrets, *CredentialsError) {
	secrets, err := r.Senders.credentials.Read(ctx, channel)
	if err != nil {
		return secrets, asCredentialsError(err)
	}
	if _, err := r.Senders.with(channel, secrets); err != nil {
		return secrets, &CredentialsError{Reason: v1alpha1.ReasonSecretInvalid, Message: "`" + settingsField(channel) + "`: " + err.Error()}
	}
	return secrets, nil
}

func (r *ChannelReconciler) fallback(ctx context.Context, channel *v1alpha1.NotificationChannel) (*v1alpha1.NotificationChannel, error) {
	ref := channel.Spec.FallbackRef
	if ref == nil {
		return nil, nil
	}
	fallback := &v1alpha1.NotificationChannel{}
	if err := r.Get(ctx, client.ObjectKey{Namespace: channel.Namespace, Name: ref.Name}, fallback); err != nil {
		if err = client.IgnoreNotFound(err); err != nil {
			return nil, fmt.Errorf("getting the fallback channel %s: %w", ref.Name, err)
		}
		return nil, nil
	}
	return fallback, nil
}

func asCredentialsError(err error) *CredentialsError {
	if broken, ok := errors.AsType[*CredentialsError](err); ok {
		return broken
	}
	return &CredentialsError{Reason: v1alpha1.ReasonSecretUnreadable, Message: err.Error()}
}

func (r *ChannelReconciler) writeStatus(ctx context.Context, channel, before *v1alpha1.NotificationChannel) error {
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
		Watches(&v1alpha1.NotificationChannel{}, handler.EnqueueRequestsFromMapFunc(r.fallingBackOn),
			builder.WithPredicates(readinessChanged())).
		WithOptions(controller.Options{MaxConcurrentReconciles: channelWorkers}).
		Complete(quietConflicts(r))
}

// readinessChanged passes the changes of a channel that matter to those that fall back on it.
func readinessChanged() predicate.Predicate {
	readiness := func(o client.Object) [3]string {
		channel, ok := o.(*v1alpha1.NotificationChannel)
		if !ok {
			return [3]string{}
		}
		c := channel.Status.Conditions
		return [3]string{
			fmt.Sprint(status.IsTrue(c, v1alpha1.ReadyCondition)),
			status.Reason(c, v1alpha1.ReadyCondition), status.Message(c, v1alpha1.ReadyCondition),
		}
	}
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool { return readiness(e.ObjectOld) != readiness(e.ObjectNew) },
	}
}

// fallingBackOn are the channels that name this one.
func (r *ChannelReconciler) fallingBackOn(ctx context.Context, o client.Object) []ctrl.Request {
	var channels v1alpha1.NotificationChannelList
	if err := r.List(ctx, &channels, client.InNamespace(o.GetNamespace())); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Channels that fall back on the channel not found", "channel", o.GetName())
		return nil
	}
	var requests []ctrl.Request
	for i := range channels.Items {
		c := &channels.Items[i]
		if c.Spec.FallbackRef != nil && c.Spec.FallbackRef.Name == o.GetName() {
			requests = append(requests, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(c)})
		}
	}
	return requests
}

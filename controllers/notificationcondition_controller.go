// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/verify"
)

// ConditionReconciler checks each NotificationCondition, hands it to the Evaluator, and is the one writer of its status.
type ConditionReconciler struct {
	client.Client
	Evaluator *Evaluator
}

// +kubebuilder:rbac:groups=tocsin.dev,resources=notificationconditions,verbs=get;list;watch
// +kubebuilder:rbac:groups=tocsin.dev,resources=notificationconditions/status,verbs=get;patch
// +kubebuilder:rbac:groups=tocsin.dev,resources=securityevents,verbs=list;watch

// Reconcile makes the Evaluator follow the condition as it is now and writes what there is to know into its status.
func (r *ConditionReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	condition := &v1alpha1.NotificationCondition{}
	if err := r.Get(ctx, request.NamespacedName, condition); err != nil {
		if apierrors.IsNotFound(err) {
			r.Evaluator.Unfollow(request.NamespacedName)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("getting the condition: %w", err)
	}
	verdict := verify.Condition(condition)
	if err := r.Evaluator.Follow(ctx, condition, verdict.Ready); err != nil && verdict.Ready {
		return ctrl.Result{}, fmt.Errorf("following the condition: %w", err)
	}
	if verdict.Ready {
		missing, err := r.missingChannel(ctx, condition)
		if err != nil {
			return ctrl.Result{}, err
		}
		if missing != nil {
			verdict = *missing
		}
	}
	return ctrl.Result{}, r.writeStatus(ctx, condition, verdict)
}

// missingChannel says which action names a channel that cannot be told through. Events are evaluated all the same, and
// what is due waits for the channel.
func (r *ConditionReconciler) missingChannel(ctx context.Context, condition *v1alpha1.NotificationCondition) (*status.Verdict, error) {
	for i, action := range condition.Spec.Actions {
		channel := &v1alpha1.NotificationChannel{}
		key := types.NamespacedName{Namespace: condition.Namespace, Name: action.ChannelRef.Name}
		field := fmt.Sprintf("spec.actions[%d]", i)
		err := r.Get(ctx, key, channel)
		switch {
		case apierrors.IsNotFound(err):
			return &status.Verdict{Reason: v1alpha1.ReasonChannelNotFound, Message: fmt.Sprintf(
				"`%s.channelRef` names %q, which does not exist in this namespace; what is due waits for it", field, key.Name)}, nil
		case err != nil:
			return nil, fmt.Errorf("getting channel %s: %w", key.Name, err)
		case action.Email != nil && channel.Spec.Type != v1alpha1.ChannelEmail:
			return &status.Verdict{Stalled: true, Reason: v1alpha1.ReasonActionInvalid, Message: fmt.Sprintf(
				"`%s.email` replaces settings of an e-mail channel, but %q is of type %s", field, key.Name, channel.Spec.Type)}, nil
		}
	}
	return nil, nil
}

func (r *ConditionReconciler) writeStatus(ctx context.Context, condition *v1alpha1.NotificationCondition, verdict status.Verdict) error {
	before := condition.DeepCopy()
	r.Evaluator.Describe(client.ObjectKeyFromObject(condition), &condition.Status)
	condition.Status.ObservedGeneration = condition.Generation
	status.SetReady(&condition.Status.Conditions, condition.Generation, verdict)
	if equality.Semantic.DeepEqual(before.Status, condition.Status) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := client.IgnoreNotFound(r.Status().Patch(ctx, condition, patch)); err != nil {
		return fmt.Errorf("writing the condition's status: %w", err)
	}
	return nil
}

// setupWithManager registers the reconciler. Its own status writes do not bring it back; the Evaluator does, now and then.
func (r *ConditionReconciler) setupWithManager(mgr ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("notificationcondition").
		For(&v1alpha1.NotificationCondition{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.NotificationChannel{}, handler.EnqueueRequestsFromMapFunc(r.conditionsOf),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(source.Channel(r.Evaluator.changed, &handler.EnqueueRequestForObject{})).
		Complete(quietConflicts(r))
}

// conditionsOf finds the conditions whose actions name a channel.
func (r *ConditionReconciler) conditionsOf(ctx context.Context, channel client.Object) []reconcile.Request {
	var conditions v1alpha1.NotificationConditionList
	if err := r.List(ctx, &conditions, client.InNamespace(channel.GetNamespace()),
		client.MatchingFields{indexByAction: channel.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Conditions of the channel not found", "channel", channel.GetName())
		return nil
	}
	requests := make([]reconcile.Request, 0, len(conditions.Items))
	for i := range conditions.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&conditions.Items[i])})
	}
	return requests
}

func readyReason(condition *v1alpha1.NotificationCondition) string {
	return status.Reason(condition.Status.Conditions, v1alpha1.ReadyCondition)
}

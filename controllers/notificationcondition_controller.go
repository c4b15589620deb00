// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
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

// censusInterval is how often a threshold that is chosen by the number of computers is looked at anew.
const censusInterval = time.Minute

// ConditionReconciler checks each NotificationCondition, hands it to the Evaluator, and is the one writer of its status.
type ConditionReconciler struct {
	client.Client
	Evaluator *Evaluator
	Recorder  events.EventRecorder
	// Surroundings are what a condition is checked against.
	Surroundings verify.Surroundings
	// Computers is the number of computers that threshold.auto goes by. 0: those in the events that are kept.
	Computers int32
}

// +kubebuilder:rbac:groups=tocsin.dev,resources=notificationconditions,verbs=get;list;watch
// +kubebuilder:rbac:groups=tocsin.dev,resources=notificationconditions/status,verbs=get;patch
// +kubebuilder:rbac:groups=tocsin.dev,resources=securityevents,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

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
	verdict := verify.Condition(condition, r.Surroundings)
	how, err := r.following(ctx, condition, verdict.Ready)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.Evaluator.Follow(ctx, condition, how); err != nil && verdict.Ready {
		return ctrl.Result{}, fmt.Errorf("following the condition: %w", err)
	}
	if verdict.Ready {
		if verdict, err = r.unhindered(ctx, condition, verdict); err != nil {
			return ctrl.Result{}, err
		}
	}
	var result ctrl.Result
	if t := condition.Spec.Threshold; t != nil && t.Auto && verdict.Ready {
		result.RequeueAfter = censusInterval
	}
	return result, r.writeStatus(ctx, condition, verdict)
}

// unhindered is the verdict about a valid condition, unless something stands in the way of what it has to tell.
func (r *ConditionReconciler) unhindered(ctx context.Context, condition *v1alpha1.NotificationCondition,
	verdict status.Verdict) (status.Verdict, error) {
	hindrance, err := verify.Actions(condition.Spec.Actions, func(name string) (*v1alpha1.NotificationChannel, error) {
		channel := &v1alpha1.NotificationChannel{}
		return channel, r.Get(ctx, client.ObjectKey{Namespace: condition.Namespace, Name: name}, channel)
	})
	if err == nil && hindrance == nil {
		hindrance = r.Evaluator.Refused(client.ObjectKeyFromObject(condition))
	}
	if err != nil || hindrance == nil {
		return verdict, err
	}
	return *hindrance, nil
}

// following gathers how the condition is to be followed.
func (r *ConditionReconciler) following(ctx context.Context, condition *v1alpha1.NotificationCondition, active bool) (Following, error) {
	how := Following{Active: active, Namespaces: []string{condition.Namespace}, Computers: r.Computers}
	if active && condition.Spec.NamespaceSelector != nil {
		selector, err := metav1.LabelSelectorAsSelector(condition.Spec.NamespaceSelector)
		if err != nil {
			return how, fmt.Errorf("reading the namespace selector: %w", err)
		}
		var namespaces corev1.NamespaceList
		if err := r.List(ctx, &namespaces, client.MatchingLabelsSelector{Selector: selector}); err != nil {
			return how, fmt.Errorf("listing the namespaces: %w", err)
		}
		for i := range namespaces.Items {
			how.Namespaces = append(how.Namespaces, namespaces.Items[i].Name)
		}
		slices.Sort(how.Namespaces)
		how.Namespaces = slices.Compact(how.Namespaces)
	}
	if how.Computers == 0 {
		how.Computers = r.Evaluator.Computers(how.Namespaces)
	}
	return how, nil
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
	if now, was := condition.Status.ExpressionErrors, before.Status.ExpressionErrors; now != nil && (was == nil || now.Count > was.Count) {
		r.Recorder.Eventf(condition, nil, corev1.EventTypeWarning, reasonExpressionFailed, actionEvaluate, "%s", unevaluated(now))
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
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.conditionsThatSelect),
			builder.WithPredicates(predicate.LabelChangedPredicate{})).
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

// conditionsThatSelect finds the conditions that watch other namespaces: all are in the operator's own.
func (r *ConditionReconciler) conditionsThatSelect(ctx context.Context, namespace client.Object) []reconcile.Request {
	if r.Surroundings.OperatorNamespace == "" {
		return nil
	}
	var conditions v1alpha1.NotificationConditionList
	if err := r.List(ctx, &conditions, client.InNamespace(r.Surroundings.OperatorNamespace)); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Conditions that select namespaces not found", "namespace", namespace.GetName())
		return nil
	}
	var requests []reconcile.Request
	for i := range conditions.Items {
		if c := &conditions.Items[i]; c.Spec.NamespaceSelector != nil {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(c)})
		}
	}
	return requests
}

func readyReason(condition *v1alpha1.NotificationCondition) string {
	return status.Reason(condition.Status.Conditions, v1alpha1.ReadyCondition)
}

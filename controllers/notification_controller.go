// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/execjob"
	"github.com/tocsin-dev/tocsin/internal/lanes"
	"github.com/tocsin-dev/tocsin/internal/limit"
	"github.com/tocsin-dev/tocsin/internal/outbox"
	"github.com/tocsin-dev/tocsin/internal/status"
)

// attemptTimeout is how long one attempt may take, all servers together.
const attemptTimeout = 15 * time.Minute

// insistence is how long the outcome of an attempt is tried to be stored.
const insistence = 30 * time.Second

// deliveryRequest is one Notification on its way through one channel; the channel is empty for the log alone.
type deliveryRequest struct {
	types.NamespacedName
	Channel string
}

// DeliveryReconciler brings each Notification through its channels. It is the only place that sends, and the one writer of
// a Notification's status.
type DeliveryReconciler struct {
	client.Client
	Senders Senders
	Clock   clock.PassiveClock
	// Live reads without a cache.
	Live client.Reader
	// Workers is how many deliveries may be under way at once.
	Workers int
	limits  *limits
	// heldBack counts a message that a limit has held back when it was to be sent.
	heldBack func(n *v1alpha1.Notification, channel string, place v1alpha1.LimitPlace)
	// evaluator is told of acknowledgements.
	evaluator *Evaluator
	exec      *executor
	// Grace is how long an attempt that is under way may go on after the manager was told to stop.
	Grace time.Duration
}

// +kubebuilder:rbac:groups=tocsin.dev,resources=notifications,verbs=get;list;watch;create;record
// +kubebuilder:rbac:groups=tocsin.dev,resources=notifications/status,verbs=get;update

// Reconcile decides what is next for one delivery, and does it.
func (r *DeliveryReconciler) Reconcile(ctx context.Context, request deliveryRequest) (ctrl.Result, error) {
	n := &v1alpha1.Notification{}
	if err := r.Get(ctx, request.NamespacedName, n); err != nil {
		if apierrors.IsNotFound(err) {
			r.exec.gate.leave(request)
			return ctrl.Result{}, r.tidy(ctx, request, nil)
		}
		return ctrl.Result{}, err
	}
	if request.Channel == "" {
		return ctrl.Result{}, r.record(ctx, n, nil)
	}
	if err := r.tidy(ctx, request, n); err != nil {
		return ctrl.Result{}, err
	}
	channel, err := r.channel(ctx, request)
	if err != nil {
		return ctrl.Result{}, err
	}
	delivery := outbox.Find(n.Status.Deliveries, request.Channel)
	if execjob.Current(delivery) != "" {
		if followed, result, err := r.followJob(ctx, n, delivery, channel); followed || err != nil {
			return result, err
		}
	}
	now := r.Clock.Now()
	decision, since := outbox.Turn(n, delivery)
	if decision.Verb == "" {
		decision = outbox.Next(delivery, channel, outbox.HasFallback(&n.Spec, delivery.Channel), since, now)
	}
	if decision.Verb == outbox.Send {
		return r.send(ctx, n, delivery, channel)
	}
	r.exec.gate.leave(request)
	return r.settle(ctx, n, delivery, decision, now)
}

// settle does what is decided about a delivery that is not sent now.
func (r *DeliveryReconciler) settle(ctx context.Context, n *v1alpha1.Notification, delivery v1alpha1.DeliveryStatus,
	decision outbox.Decision, now time.Time) (ctrl.Result, error) {
	switch decision.Verb {
	case outbox.Suppress:
		with, err := r.heldBackWith(ctx, n, delivery.Channel)
		if err != nil {
			return ctrl.Result{}, err
		}
		return ctrl.Result{}, r.conclude(ctx, n, delivery, outbox.Suppressed(delivery, decision, with, now))
	case outbox.StandBy:
		delivery = outbox.OnStandby(delivery, decision)
		return ctrl.Result{}, r.record(ctx, n, &delivery)
	case outbox.Skip:
		return ctrl.Result{}, r.conclude(ctx, n, delivery, outbox.Skipped(delivery, decision, now))
	case outbox.Expire:
		return ctrl.Result{}, r.conclude(ctx, n, delivery, outbox.Expired(delivery, decision, now))
	case outbox.Hold:
		delivery = outbox.Held(delivery, decision)
		return ctrl.Result{RequeueAfter: decision.At.Sub(now)}, r.record(ctx, n, &delivery)
	case outbox.Wait:
		return ctrl.Result{RequeueAfter: decision.At.Sub(now)}, nil
	case outbox.Done, outbox.Send:
	}
	return ctrl.Result{}, nil
}

// conclude records a delivery that ends without an attempt.
func (r *DeliveryReconciler) conclude(ctx context.Context, n *v1alpha1.Notification, before, after v1alpha1.DeliveryStatus) error {
	if err := r.record(ctx, n, &after); err != nil {
		return err
	}
	if !outbox.Final(before.State) {
		deliveriesFinished.WithLabelValues(string(after.State)).Inc()
	}
	return nil
}

// heldBackWith is what a suppressed notification speaks for, as its condition's status tells; nil if that is not known.
func (r *DeliveryReconciler) heldBackWith(ctx context.Context, n *v1alpha1.Notification, channel string) (*v1alpha1.Suppression, error) {
	if n.Spec.Condition == nil {
		return nil, nil
	}
	condition := &v1alpha1.NotificationCondition{}
	key := client.ObjectKey{Namespace: n.Namespace, Name: n.Spec.Condition.Name}
	if err := r.Get(ctx, key, condition); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("getting condition %s: %w", key, err)
	}
	for _, s := range condition.Status.Suppressed {
		if s.Channel == channel && s.Notification == n.Name {
			return &s.Suppression, nil
		}
	}
	return nil, nil
}

// entriesOf are the suppressed deliveries that speak for what limits hold back of a condition.
func entriesOf(_ context.Context, o client.Object) []deliveryRequest {
	condition, ok := o.(*v1alpha1.NotificationCondition)
	if !ok {
		return nil
	}
	var requests []deliveryRequest
	for _, s := range condition.Status.Suppressed {
		if s.Notification != "" {
			key := types.NamespacedName{Namespace: condition.Namespace, Name: s.Notification}
			requests = append(requests, deliveryRequest{key, s.Channel})
		}
	}
	return requests
}

func (r *DeliveryReconciler) channel(ctx context.Context, request deliveryRequest) (*v1alpha1.NotificationChannel, error) {
	channel := &v1alpha1.NotificationChannel{}
	key := client.ObjectKey{Namespace: request.Namespace, Name: request.Channel}
	if err := r.Get(ctx, key, channel); err != nil {
		if err = client.IgnoreNotFound(err); err != nil {
			return nil, fmt.Errorf("getting channel %s: %w", key, err)
		}
		return nil, nil
	}
	return channel, nil
}

// send makes one attempt, if the channel's limit lets it.
func (r *DeliveryReconciler) send(ctx context.Context, n *v1alpha1.Notification, delivery v1alpha1.DeliveryStatus,
	channel *v1alpha1.NotificationChannel) (ctrl.Result, error) {
	if stopping(ctx) {
		return ctrl.Result{}, nil
	}
	if outbox.Limits(n, delivery) {
		through, err := r.ration(ctx, n, &delivery, channel)
		if err != nil || !through {
			return ctrl.Result{}, err
		}
	}
	if channel.Spec.Exec != nil {
		return r.sendJob(ctx, n, delivery, channel)
	}
	return r.sendLetter(ctx, n, delivery, channel)
}

// ration takes a place in the channel's limit for a delivery, stores it, and says whether there was one.
func (r *DeliveryReconciler) ration(ctx context.Context, n *v1alpha1.Notification, delivery *v1alpha1.DeliveryStatus,
	channel *v1alpha1.NotificationChannel) (bool, error) {
	place, err := r.limits.take(ctx, channel)
	if err != nil || place == nil {
		return err == nil, err
	}
	if limit.Suppressed(place) {
		if err := r.conclude(ctx, n, *delivery, outbox.Refused(*delivery, n.Spec.Type, place, r.Clock.Now())); err != nil {
			return false, err
		}
		r.heldBack(n, channel.Name, *place)
		return false, nil
	}
	delivery.Limit = place
	err = r.record(ctx, n, delivery)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		r.limits.release(client.ObjectKeyFromObject(channel), place)
	}
	return err == nil, err
}

// stopping says whether the manager was told to stop: nothing is begun then.
func stopping(ctx context.Context) bool { return ctx.Err() != nil }

// sendLetter sends a message. That the attempt starts is stored first: a manager whose view is outdated fails there, and sends
// nothing.
func (r *DeliveryReconciler) sendLetter(ctx context.Context, n *v1alpha1.Notification, delivery v1alpha1.DeliveryStatus,
	channel *v1alpha1.NotificationChannel) (ctrl.Result, error) {
	letter := compose(n, channel)
	if delivery.MessageID != "" { // the sender may have been changed between attempts
		letter.id = delivery.MessageID
	}
	delivery = outbox.Begin(delivery, letter.recipients, letter.id, channel.Status.Revision, r.Clock.Now())
	if err := ctx.Err(); err != nil {
		return ctrl.Result{}, err
	}
	lasting, cancel := graceful(ctx, r.Grace) // from here on: an attempt whose beginning may be stored goes on
	defer cancel()
	if err := r.record(lasting, n, &delivery); err != nil {
		return ctrl.Result{}, err
	}
	sending, done := context.WithTimeout(lasting, attemptTimeout)
	defer done()
	result := r.Senders.send(sending, channel, letter.to(outbox.Pending(delivery)))
	deliveryAttempts.WithLabelValues(string(channel.Spec.Type), string(result.Reason)).Inc()
	ctrl.LoggerFrom(ctx).Info("Attempt made", "attempt", delivery.AttemptCount, "reason", result.Reason,
		"server", result.Server, "message", result.Message)
	delivery = outbox.Finish(delivery, result, channel.Spec.Retry, rand.Float64(), r.Clock.Now())
	if err := r.finish(ctx, n, channel, delivery); err != nil {
		return ctrl.Result{}, err
	}
	if delivery.NextAttemptTime != nil {
		return ctrl.Result{RequeueAfter: delivery.NextAttemptTime.Sub(r.Clock.Now())}, nil
	}
	return ctrl.Result{}, nil
}

// finish records how an attempt ended. A conflict does not matter now: nobody else writes this delivery, so its outcome is
// put into whatever the Notification has become.
func (r *DeliveryReconciler) finish(ctx context.Context, n *v1alpha1.Notification, channel *v1alpha1.NotificationChannel,
	delivery v1alpha1.DeliveryStatus) error {
	if err := r.insist(ctx, n, &delivery); err != nil || !outbox.Final(delivery.State) {
		return err
	}
	deliveriesFinished.WithLabelValues(string(delivery.State)).Inc()
	if channel != nil && delivery.State == v1alpha1.DeliveryDelivered {
		deliverySeconds.Observe(max(0, r.Clock.Since(n.CreationTimestamp.Time).Seconds()))
	}
	return nil
}

// insist records a delivery whatever the Notification has become, and although the manager may be stopping.
func (r *DeliveryReconciler) insist(ctx context.Context, n *v1alpha1.Notification, delivery *v1alpha1.DeliveryStatus) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), insistence)
	defer cancel()
	pause := wait.Backoff{Duration: conflictRetry, Factor: 2, Cap: insistence / 4, Steps: math.MaxInt32}
	var last error
	err := wait.ExponentialBackoffWithContext(ctx, pause, func(ctx context.Context) (bool, error) {
		if last = client.IgnoreNotFound(r.record(ctx, n, delivery)); last == nil {
			return true, nil
		}
		live := &v1alpha1.Notification{}
		if err := r.Live.Get(ctx, client.ObjectKeyFromObject(n), live); err != nil {
			last = err
			return apierrors.IsNotFound(err), nil
		}
		if live.UID != n.UID { // deleted, and another one has its name
			return true, nil
		}
		live.DeepCopyInto(n)
		return false, nil
	})
	if err != nil {
		return last
	}
	return nil
}

// record stores a delivery, and what all of them add up to, unless nothing has changed. It fails with a conflict when the
// Notification has changed meanwhile, and with NotFound when it is gone.
func (r *DeliveryReconciler) record(ctx context.Context, n *v1alpha1.Notification, delivery *v1alpha1.DeliveryStatus) error {
	before := n.Status.DeepCopy()
	if delivery != nil {
		n.Status.Deliveries = outbox.Put(n.Status.Deliveries, *delivery)
	}
	n.Status.ObservedGeneration = n.Generation
	outcome := outbox.Summarize(&n.Spec, n.Status.Deliveries)
	status.Set(&n.Status.Conditions, n.Generation, v1alpha1.SucceededCondition, outcome.Status, outcome.Reason, outcome.Message)
	acknowledge(n, r.Clock.Now())
	if equality.Semantic.DeepEqual(before, &n.Status) {
		return nil
	}
	if err := r.Status().Update(ctx, n); err != nil {
		return fmt.Errorf("writing the notification's status: %w", err)
	}
	return nil
}

func (r *DeliveryReconciler) setupWithManager(mgr ctrl.Manager) error {
	laneOf := func(d deliveryRequest) lanes.Lane { return lanes.Lane{Tenant: d.Namespace, Name: d.Channel} }
	newQueue := func(
		name string, limiter workqueue.TypedRateLimiter[deliveryRequest],
	) workqueue.TypedRateLimitingInterface[deliveryRequest] {
		inner := workqueue.NewTypedRateLimitingQueueWithConfig(limiter,
			workqueue.TypedRateLimitingQueueConfig[deliveryRequest]{Name: name})
		return lanes.New(inner, laneOf, lanes.SharesOf(r.Workers))
	}
	return builder.TypedControllerManagedBy[deliveryRequest](mgr).
		Named("delivery").
		Watches(&v1alpha1.Notification{}, heeding{handler.TypedEnqueueRequestsFromMapFunc(deliveriesOf), r.evaluator}).
		Watches(&v1alpha1.NotificationChannel{}, handler.TypedEnqueueRequestsFromMapFunc(r.waitingFor)).
		Watches(&v1alpha1.NotificationCondition{}, handler.TypedEnqueueRequestsFromMapFunc(entriesOf)).
		WatchesRawSource(source.TypedFunc[deliveryRequest](r.exec.jobs.start)).
		WithOptions(controller.TypedOptions[deliveryRequest]{
			MaxConcurrentReconciles: r.Workers,
			NewQueue:                newQueue,
		}).
		WithLogConstructor(func(d *deliveryRequest) logr.Logger {
			log := mgr.GetLogger().WithName("delivery")
			if d == nil {
				return log
			}
			return log.WithValues("notification", d.NamespacedName, "channel", d.Channel)
		}).
		Complete(quietConflicts(r))
}

// deliveriesOf are the deliveries of a Notification that are still to be made.
func deliveriesOf(_ context.Context, o client.Object) []deliveryRequest {
	n, ok := o.(*v1alpha1.Notification)
	if !ok {
		return nil
	}
	key := client.ObjectKeyFromObject(n)
	var requests []deliveryRequest
	for _, channel := range pendingChannels(n) {
		requests = append(requests, deliveryRequest{key, channel})
	}
	if len(requests) == 0 && n.Status.ObservedGeneration != n.Generation || unheeded(n) {
		requests = append(requests, deliveryRequest{key, ""})
	}
	return requests
}

// waitingFor are the deliveries that a change of their channel may bring on.
func (r *DeliveryReconciler) waitingFor(ctx context.Context, channel client.Object) []deliveryRequest {
	var waiting v1alpha1.NotificationList
	if err := r.List(ctx, &waiting, client.InNamespace(channel.GetNamespace()),
		client.MatchingFields{indexByPendingChannel: channel.GetName()}); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Deliveries of the channel not found", "channel", channel.GetName())
		return nil
	}
	requests := make([]deliveryRequest, 0, len(waiting.Items))
	for i := range waiting.Items {
		requests = append(requests, deliveryRequest{client.ObjectKeyFromObject(&waiting.Items[i]), channel.GetName()})
	}
	return requests
}

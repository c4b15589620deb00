// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/archive"
	"github.com/tocsin-dev/tocsin/internal/plan"
	"github.com/tocsin-dev/tocsin/internal/retention"
)

const (
	// farewell is how long a manager that stops tries to tell what was shed.
	farewell = 5 * time.Second
	// followedInterval is how often it is looked at a start whether all conditions are followed.
	followedInterval = 200 * time.Millisecond
	// patientLooks is after how many of these the log tells that it is waited.
	patientLooks = 50
	// notificationAtLeast is how long a notification is kept at least: by then the condition's status, which is written when
	// it fires, tells of it, too.
	notificationAtLeast = time.Minute
	// heldUpFor is how many attempts to write a notification hold up the deletion of the events that it comes from: about
	// five minutes. One that the API server refuses for longer must not let the store fill.
	heldUpFor = 10
)

// Retention deletes the SecurityEvents and Notifications that have been kept long enough, and those that are too many. It
// runs on the leader alone.
type Retention struct {
	client    client.Client
	cache     cache.Cache
	clock     clock.Clock
	log       logr.Logger
	evaluator *Evaluator

	events, notifications *keeper
	// archiver is nil without an archive.
	archiver *Archiver
}

// +kubebuilder:rbac:groups=tocsin.dev,resources=securityevents,verbs=delete;deletecollection
// +kubebuilder:rbac:groups=tocsin.dev,resources=notifications,verbs=delete
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create

// NewRetention returns a Retention; the manager starts it.
//
// With an Archiver, what is not archived yet stays until there are twice too many.
func NewRetention(mgr ctrl.Manager, evaluator *Evaluator, archiver *Archiver, options Options) (*Retention, error) {
	requests, err := apiutil.RESTClientForGVK(v1alpha1.GroupVersion.WithKind("SecurityEvent"), true, false, mgr.GetConfig(),
		serializer.NewCodecFactory(mgr.GetScheme()), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("making a client for deletions: %w", err)
	}
	c, clk, log := mgr.GetClient(), options.Clock, mgr.GetLogger().WithName("retention")
	r := &Retention{
		client: c, cache: mgr.GetCache(), clock: clk, log: log, evaluator: evaluator, archiver: archiver,
		events: &keeper{
			policy: options.EventRetention, stock: evaluator.events.stock, clock: clk, log: log.WithValues("kind", "SecurityEvent"),
			one: func(ctx context.Context, i retention.Item) error { return remove(ctx, c, &v1alpha1.SecurityEvent{}, i) },
			many: func(ctx context.Context, key retention.Key, number int) ([]types.UID, error) {
				return removeEvents(ctx, requests, key, number, evaluator.events.settled())
			},
			say:     crier{c, clk, describeEvents(options.EventRetention), reasonEventsShed}.say,
			expired: eventsExpired, shed: eventsShed,
		},
		notifications: &keeper{
			policy: options.NotificationRetention, stock: newStock(), clock: clk, log: log.WithValues("kind", "Notification"),
			atLeast: notificationAtLeast,
			one:     func(ctx context.Context, i retention.Item) error { return remove(ctx, c, &v1alpha1.Notification{}, i) },
			say:     crier{c, clk, describeNotifications(options.NotificationRetention), reasonNotificationsShed}.say,
			expired: notificationsExpired, shed: notificationsShed,
		},
	}
	if archiver != nil {
		archiver.told = r.notifications.stock.archived
	}
	return r, nil
}

// NeedLeaderElection makes the Retention run on the leader alone.
func (r *Retention) NeedLeaderElection() bool { return true }

// Start deletes what is to go until the context ends. It begins when all conditions that exist are followed: what was
// created while no manager led is evaluated by then.
func (r *Retention) Start(ctx context.Context) error {
	if err := r.waitForConditions(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	informer, err := r.cache.GetInformer(ctx, &v1alpha1.Notification{})
	if err != nil {
		return fmt.Errorf("watching the notifications: %w", err)
	}
	registration, err := informer.AddEventHandler(notificationHandler{r.notifications.stock, r.archiver})
	if err != nil {
		return fmt.Errorf("watching the notifications: %w", err)
	}
	select {
	case <-ctx.Done():
		return nil
	case <-registration.HasSyncedChecker().Done():
	}
	ctx, cancel := context.WithCancel(ctx)
	var keepers sync.WaitGroup
	defer func() { // a panic must end both, or it would never be seen
		cancel()
		keepers.Wait()
	}()
	keepers.Go(func() { r.notifications.run(ctx) })
	r.events.run(ctx)
	return nil
}

// waitForConditions returns once the Evaluator follows all conditions, or the context ends.
func (r *Retention) waitForConditions(ctx context.Context) error {
	for looked := 0; r.evaluator.events.waitForSync(ctx) == nil; looked++ {
		var conditions v1alpha1.NotificationConditionList
		if err := r.client.List(ctx, &conditions); err != nil {
			return fmt.Errorf("listing the conditions: %w", err)
		}
		if r.evaluator.caughtUp(conditions.Items) {
			return nil
		}
		if looked == patientLooks {
			r.log.Info("Nothing is deleted yet: there are conditions that are not followed, or notifications that are not written")
		}
		select {
		case <-ctx.Done():
		case <-r.clock.After(followedInterval):
		}
	}
	return nil
}

// caughtUp says whether all of the conditions were looked at, and what was decided about them is written.
func (e *Evaluator) caughtUp(conditions []v1alpha1.NotificationCondition) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return !e.holdsUp() && e.metEach(conditions)
}

// metEach says whether all of the conditions were looked at; the caller holds the lock.
func (e *Evaluator) metEach(conditions []v1alpha1.NotificationCondition) bool {
	return !slices.ContainsFunc(conditions, func(c v1alpha1.NotificationCondition) bool {
		_, met := e.met[client.ObjectKeyFromObject(&c)]
		return !met
	})
}

// confirm tells the event log that what it gave out was evaluated. As long as a notification is decided and not written, it
// was not: a restart decides it anew, from the events.
func (e *Evaluator) confirm() {
	e.mu.Lock()
	heldUp := e.holdsUp()
	e.mu.Unlock()
	if !heldUp {
		e.events.settle()
	}
}

// holdsUp says whether a notification that is not written yet holds up the deletion of events; the caller holds the lock.
func (e *Evaluator) holdsUp() bool {
	return slices.ContainsFunc(e.outbox, func(d *draft) bool { return d.backlog.attempts < heldUpFor })
}

// remove deletes one object, and none that has its name by now.
func remove(ctx context.Context, c client.Client, o client.Object, i retention.Item) error {
	o.SetNamespace(i.Namespace)
	o.SetName(i.Name)
	return c.Delete(ctx, o, client.Preconditions{UID: &i.UID})
}

// removeEvents deletes that many SecurityEvents of a namespace and severity in one request, and returns which. It deletes
// those that come first by name among those that there were at the position, so that nothing later goes unseen.
func removeEvents(ctx context.Context, requests rest.Interface, key retention.Key, number int, upTo plan.Position) ([]types.UID, error) {
	var deleted metav1.PartialObjectMetadataList
	err := requests.Delete().Namespace(key.Namespace).Resource("securityevents").
		VersionedParams(&metav1.ListOptions{
			FieldSelector: "spec.severity=" + string(key.Severity), Limit: int64(number),
			ResourceVersion: plan.FormatPosition(upTo), ResourceVersionMatch: metav1.ResourceVersionMatchExact,
		}, metav1.ParameterCodec).
		// without a body the API server would take resourceVersion for a precondition of each single delete
		Body(&metav1.DeleteOptions{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"}}).
		SetHeader("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1").
		Do(ctx).Into(&deleted)
	uids := make([]types.UID, 0, len(deleted.Items))
	for _, item := range deleted.Items {
		uids = append(uids, item.UID)
	}
	return uids, err
}

// notificationHandler keeps a stock up to date with the cache.
type notificationHandler struct {
	stock    *stock
	archiver *Archiver
}

// OnAdd takes up a notification.
func (h notificationHandler) OnAdd(o any, _ bool) {
	if n, ok := o.(*v1alpha1.Notification); ok {
		notificationsKept.add(n.Spec.Severity, 1)
		h.take(n)
	}
}

// OnUpdate takes notice of how far a notification is.
func (h notificationHandler) OnUpdate(before, o any) {
	if replaced(before, o) {
		h.OnDelete(before)
		h.OnAdd(o, false)
		return
	}
	if n, ok := o.(*v1alpha1.Notification); ok {
		h.take(n)
	}
}

func (h notificationHandler) take(n *v1alpha1.Notification) {
	if n.DeletionTimestamp != nil {
		h.stock.leaves(n.UID)
		return
	}
	item := notificationItem(n)
	revision, err := archive.Revision(n)
	if h.archiver == nil || item.Stage != retention.Finished || err != nil {
		h.stock.put(item)
		return
	}
	h.stock.putUnarchived(item, revision, h.archiver.ledger.has)
}

// OnDelete forgets a notification.
func (h notificationHandler) OnDelete(o any) {
	if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	if n, ok := o.(*v1alpha1.Notification); ok {
		notificationsKept.add(n.Spec.Severity, -1)
		h.stock.gone(n.UID)
	}
}

// finished says whether no delivery of a notification is under way any more.
func finished(n *v1alpha1.Notification) bool {
	s := meta.FindStatusCondition(n.Status.Conditions, v1alpha1.SucceededCondition)
	return s != nil && s.Status != metav1.ConditionUnknown
}

// notificationItem is a notification as retention sees it. Its severity is the highest of the events that it tells of.
func notificationItem(n *v1alpha1.Notification) retention.Item {
	stage := retention.Unfinished
	if finished(n) {
		stage = retention.Finished
	}
	return retention.Item{
		Key: retention.Key{Stage: stage, Severity: retention.As(n.Spec.Severity), Namespace: n.Namespace},
		UID: n.UID, Name: n.Name, Created: n.CreationTimestamp.Time,
		Place: uint64(max(0, n.CreationTimestamp.Unix())), Bytes: notificationBytes(n),
	}
}

// notificationOverhead is about what a notification takes of the manager's memory beside what is written in it.
const notificationOverhead = 2048

// notificationBytes is about what a notification takes of the manager's memory.
func notificationBytes(n *v1alpha1.Notification) int64 {
	written, err := json.Marshal(n)
	if err != nil { // it was read from JSON
		return notificationOverhead
	}
	return notificationOverhead + int64(len(written))
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"math"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
	"github.com/tocsin-dev/tocsin/internal/preset"
)

// Following is how a condition is to be followed.
type Following struct {
	// Active says that events are evaluated. A condition that is not active is remembered, but what happens meanwhile is not
	// evaluated later.
	Active bool
	// Namespaces are those whose events count, in order.
	Namespaces []string
	// Computers is the number of computers, by which threshold.auto goes.
	Computers int32
}

// Follow begins to follow a condition, or its new generation. Events that were created since its checkpoint are evaluated
// before it returns.
func (e *Evaluator) Follow(ctx context.Context, condition *v1alpha1.NotificationCondition, how Following) error {
	if err := e.events.waitForSync(ctx); err != nil {
		return err
	}
	if e.follows(condition, how) {
		return nil
	}
	key := client.ObjectKeyFromObject(condition)
	rule, err := plan.Compile(condition.DeepCopy(), e.computers(condition, how))
	if err != nil {
		e.rest(key)
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	defer e.signal()
	var log v1alpha1.NotificationList // read under the lock: what is acknowledged after this is heeded after this
	if err := e.client.List(ctx, &log, client.InNamespace(key.Namespace),
		client.MatchingFields{indexByCondition: string(condition.UID)}); err != nil {
		return err
	}
	old := e.watches[key]
	if old == nil {
		if err := e.limits.restore(ctx, condition, log.Items); err != nil {
			return err
		}
	}
	f := &follower{key: key, watch: plan.NewWatch(rule), active: how.Active, namespaces: how.Namespaces, backlog: &backlog{}}
	resting := wasInactive(condition)
	if old != nil && old.watch.Rule().Condition.UID == condition.UID {
		f.watch.Inherit(old.watch, e.passed(old))
		f.backlog = old.backlog
		resting = !old.active
	} else {
		f.watch.Resume(&condition.Status, log.Items)
	}
	e.replace(old, f)
	if resting && how.Active {
		f.watch.Skip(e.resumption(condition, old == nil))
	}
	e.catchUp(f)
	return nil
}

// resumption is the position up to which events are left out of a condition that was at rest and is active now: they were
// created before it was changed. The resourceVersions of one cluster have one order. One that was not changed, but became
// valid with the start of this manager, leaves out all that there is.
func (e *Evaluator) resumption(condition *v1alpha1.NotificationCondition, started bool) plan.Position {
	if started && condition.Status.ObservedGeneration == condition.Generation {
		return e.events.last()
	}
	return plan.ParsePosition(condition.ResourceVersion)
}

// computers is the number by which threshold.auto goes. One that was stored for this generation is kept after a restart,
// so that the events since the checkpoint are decided about as before.
func (e *Evaluator) computers(condition *v1alpha1.NotificationCondition, how Following) int32 {
	stored := condition.Status.Threshold
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.watches[client.ObjectKeyFromObject(condition)] == nil && stored != nil && stored.Computers != nil &&
		condition.Status.ObservedGeneration == condition.Generation {
		return *stored.Computers
	}
	return how.Computers
}

// Computers is the number of different computers in the events that are kept of some namespaces.
func (e *Evaluator) Computers(namespaces []string) int32 {
	return int32(min(e.events.computers(namespaces), math.MaxInt32)) //nolint:gosec // it is bounded
}

// catchUp takes the events that exist already through a condition that is followed from now on.
func (e *Evaluator) catchUp(f *follower) {
	if !f.active {
		return
	}
	records := e.events.snapshot(f.namespaces)
	e.enqueue(f, nil)
	for _, r := range records {
		if f.behind {
			return
		}
		_, firings := f.watch.Observe(plan.NewEvent(r.event, r.position))
		e.enqueue(f, firings)
	}
}

func (e *Evaluator) replace(old, f *follower) {
	if old != nil {
		e.index.Delete(old)
	}
	e.watches[f.key] = f
	e.met[f.key] = struct{}{}
	if f.active && !f.behind {
		e.index.Put(f, f.namespaces, f.watch.Rule().Filter)
	}
}

// follows says whether the condition is followed so already. Other namespaces are taken in at once: what happens there
// counts from now on.
func (e *Evaluator) follows(condition *v1alpha1.NotificationCondition, how Following) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.watches[client.ObjectKeyFromObject(condition)]
	if f == nil {
		return false
	}
	rule := f.watch.Rule()
	if rule.Condition.UID != condition.UID || rule.Condition.Generation != condition.Generation || f.active != how.Active {
		return false
	}
	if rule.Threshold.Computers != nil && preset.Auto(how.Computers) != preset.Auto(*rule.Threshold.Computers) {
		return false
	}
	if !slices.Equal(f.namespaces, how.Namespaces) {
		f.namespaces = how.Namespaces
		e.replace(f, f)
	}
	return true
}

// rest stops the evaluation of a condition that cannot be followed as it is now.
func (e *Evaluator) rest(key types.NamespacedName) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.met[key] = struct{}{}
	if f := e.watches[key]; f != nil {
		e.index.Delete(f)
		f.active = false
	}
}

// Heed takes notice that a notification was acknowledged, perhaps with the wish for quiet, or that this was taken back.
func (e *Evaluator) Heed(n *v1alpha1.Notification) {
	if n.Spec.Acknowledgement != nil {
		e.about(n, (*plan.Watch).Heed)
	}
}

// Forget takes notice that a notification is gone from the log, and its wish for quiet with it.
func (e *Evaluator) Forget(n *v1alpha1.Notification) { e.about(n, (*plan.Watch).Forget) }

// about has the condition of a notification take notice of it, and tells of what comes of that.
func (e *Evaluator) about(n *v1alpha1.Notification, notice func(*plan.Watch, *v1alpha1.Notification) bool) {
	if n.Spec.Condition == nil {
		return
	}
	key := types.NamespacedName{Namespace: n.Namespace, Name: n.Spec.Condition.Name}
	e.mu.Lock()
	defer e.mu.Unlock()
	if f := e.watches[key]; f != nil && notice(f.watch, n) {
		e.tell(key)
	}
}

// Unfollow forgets a condition that was deleted.
func (e *Evaluator) Unfollow(key types.NamespacedName) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.met, key)
	if f := e.watches[key]; f != nil {
		e.index.Delete(f)
		delete(e.watches, key)
	}
}

// Describe writes a condition's numbers into its status. While a notification of it is decided but not written they
// stay as they were, so that a restart decides it again.
func (e *Evaluator) Describe(key types.NamespacedName, status *v1alpha1.NotificationConditionStatus) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if f := e.watches[key]; f != nil && f.backlog.drafts == 0 {
		f.watch.Describe(status, e.reached(f))
		status.Suppressed = e.limits.describe(f.watch.Rule().Condition)
	}
}

// reached is the position up to which a follower has seen all that could concern it.
func (e *Evaluator) reached(f *follower) plan.Position {
	if !f.active {
		return 0
	}
	return e.passed(f)
}

// passed is the position up to which a follower has seen all that it was to see.
func (e *Evaluator) passed(f *follower) plan.Position {
	if f.behind {
		return 0
	}
	return e.position
}

// resume has a follower go on that has fallen behind, with the events that are kept; the caller holds the lock.
func (e *Evaluator) resume(f *follower) {
	f.behind, f.noted = false, time.Time{}
	e.replace(f, f)
	e.catchUp(f)
	e.signal()
}

// wasInactive says whether the status tells that the condition was not evaluated when it was last looked at.
func wasInactive(condition *v1alpha1.NotificationCondition) bool {
	switch readyReason(condition) {
	case v1alpha1.ReasonSuspended, v1alpha1.ReasonInvalid:
		return true
	}
	return false
}

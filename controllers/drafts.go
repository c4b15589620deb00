// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/plan"
	"github.com/tocsin-dev/tocsin/internal/status"
)

const (
	// draftRetry is how long the first repetition waits when the API server did not take a Notification; it doubles up to
	// draftRetryMax.
	draftRetry    = time.Second
	draftRetryMax = time.Minute
	// createTimeout is how long a request may take: the other conditions wait for it.
	createTimeout = 10 * time.Second
	// mostDrafts is how many notifications of a condition may wait to be written, and mostDraftsInAll how many of all. A
	// condition that has more takes no events until they are written.
	mostDrafts      = 200
	mostDraftsInAll = 5000
)

// backlog is what of a condition is decided and not written. The status may not go past it.
type backlog struct {
	drafts int
	// attempts is how often the first of them was not taken, and refusal why.
	attempts int
	refusal  error
}

// draft is a notification that is decided but not written yet.
type draft struct {
	condition types.NamespacedName
	backlog   *backlog
	firing    plan.Firing
	next      time.Time
	// tried says that a request was made of which it is not known whether it has created the Notification.
	tried bool
	// spokenFor says that another entry of the log speaks for it, as limits hold it back.
	spokenFor bool
	// places are those that it has taken in the limits of channels, until it is known whether it is written under them.
	places map[string]*v1alpha1.LimitPlace
}

func (d *draft) keep(channel string, place *v1alpha1.LimitPlace) {
	if place == nil {
		return
	}
	if d.places == nil {
		d.places = map[string]*v1alpha1.LimitPlace{}
	}
	d.places[channel] = place
}

// write creates the Notifications of the outbox, in order, and returns when the next repetition is due. Where one of a
// condition fails, its later ones wait for it, as a restart goes on from the latest that is written.
func (e *Evaluator) write(ctx context.Context) time.Time {
	e.mu.Lock()
	if now := e.clock.Now(); len(e.outbox) == e.waiting && now.Before(e.retryAt) { // nothing new, nothing due
		e.mu.Unlock()
		return e.retryAt
	}
	drafts := e.outbox
	e.outbox = nil
	e.mu.Unlock()
	var left []*draft
	var retry time.Time
	blocked := map[types.NamespacedName]bool{}
	for _, d := range drafts {
		if !blocked[d.condition] && !d.next.After(e.clock.Now()) && e.create(ctx, d) {
			e.settle(d)
			continue
		}
		blocked[d.condition] = true
		left = append(left, d)
		retry = earliest(retry, d.next)
	}
	e.mu.Lock()
	e.outbox = append(left, e.outbox...)
	e.waiting, e.retryAt = len(left), retry
	notificationsWaiting.Set(float64(len(left)))
	e.mu.Unlock()
	return retry
}

func (e *Evaluator) settle(d *draft) {
	e.mu.Lock()
	e.drafts--
	*d.backlog = backlog{drafts: d.backlog.drafts - 1}
	if f := e.watches[d.condition]; f != nil && f.behind && f.backlog.drafts == 0 {
		e.resume(f)
	}
	e.mu.Unlock()
	e.dirty[d.condition] = struct{}{}
	if !d.spokenFor {
		e.flushAt = earliest(e.flushAt, e.flushed.Add(firedInterval))
	}
}

// create writes one Notification and says whether the draft is settled.
func (e *Evaluator) create(ctx context.Context, d *draft) bool {
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	notification, spokenFor, err := e.compose(ctx, d)
	if err == nil && spokenFor {
		d.spokenFor = true
		e.holdBack(notification, "")
		return true
	}
	if err == nil {
		if err = e.client.Create(ctx, notification); refused(err) {
			e.release(d)
		}
	}
	log := e.log.WithValues("notification", client.ObjectKeyFromObject(notification), "reason", d.firing.Reason,
		"occurrences", d.firing.Window.Occurrences, "held", d.firing.Held)
	switch {
	case err == nil:
		e.holdBack(notification, notification.Name)
		notificationsFired.WithLabelValues(string(d.firing.Reason)).Inc()
		decisionSeconds.Observe(max(0, e.clock.Since(d.firing.Time).Seconds()))
		e.recorder.Eventf(d.firing.Rule.Condition, notification, corev1.EventTypeNormal, reasonFired, actionNotify, "%s",
			told(notification))
		log.Info("Notification created")
		return true
	case apierrors.IsAlreadyExists(err):
		return e.yield(ctx, d, notification)
	case apierrors.IsInvalid(err) && d.firing.Event != nil:
		log.Error(err, "Notification not accepted with its event; it is told without")
		d.firing.Event = nil
		return e.create(ctx, d)
	case apierrors.IsInvalid(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause), e.homeless(ctx, err, notification),
		apierrors.IsForbidden(err) && e.orphaned(d):
		notificationsLost.Inc()
		log.Error(err, "Notification cannot be created and is given up")
		return true
	}
	e.mu.Lock()
	d.tried = d.tried || !refused(err)
	d.backlog.attempts++
	d.backlog.refusal = err
	d.next = e.clock.Now().Add(min(notify.Backoff(draftRetry, d.backlog.attempts, rand.Float64()), draftRetryMax))
	e.mu.Unlock()
	e.dirty[d.condition] = struct{}{}
	log.Error(err, "Notification not created; it will be tried again", "at", d.next)
	return false
}

// refused says whether the API server has answered a create, and not created. After other errors it may have.
func refused(err error) bool {
	return apierrors.IsAlreadyExists(err) || apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsNotFound(err)
}

// orphaned says whether the condition of a draft was deleted.
func (e *Evaluator) orphaned(d *draft) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.watches[d.condition] == nil
}

// Refused says why the notifications of a condition are not written, or nothing. One failure is none.
func (e *Evaluator) Refused(key types.NamespacedName) *status.Verdict {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.watches[key]
	if f == nil || f.backlog.attempts < 2 {
		return nil
	}
	message := fmt.Sprintf("the API server does not take Notifications, and %d wait: %s", f.backlog.drafts, f.backlog.refusal)
	if f.behind {
		message += "; later events are evaluated when it does, if they are still kept"
	}
	return &status.Verdict{Reason: v1alpha1.ReasonNotificationsRefused, Message: message}
}

// homeless says whether a Notification was not taken because its namespace is gone. Not found may also mean that its kind is
// not there for a moment.
func (e *Evaluator) homeless(ctx context.Context, err error, n *v1alpha1.Notification) bool {
	return apierrors.IsNotFound(err) &&
		apierrors.IsNotFound(e.client.Get(ctx, client.ObjectKey{Name: n.Namespace}, &corev1.Namespace{}))
}

// yield gives way to a Notification that exists under the name of a draft.
func (e *Evaluator) yield(ctx context.Context, d *draft, mine *v1alpha1.Notification) bool {
	existing := &v1alpha1.Notification{}
	if err := e.watching.Get(ctx, client.ObjectKeyFromObject(mine), existing); err != nil {
		d.next = e.clock.Now().Add(draftRetry)
		return false
	}
	e.limits.note(existing)
	if journal.Same(existing, mine) {
		if d.tried {
			e.holdBack(existing, existing.Name)
		}
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.watches[d.condition]
	if f == nil || f.watch.Rule().Condition.UID != d.firing.Rule.Condition.UID {
		return true
	}
	next, again := f.watch.Yield(d.firing, existing)
	d.firing, d.next = next, e.clock.Now()
	e.enqueue(f, nil)
	return !again
}

// compose gathers the channels, renders the Notification and takes its places in their limits, unless it is in the log
// already. It says whether the log has entries that speak for it.
func (e *Evaluator) compose(ctx context.Context, d *draft) (n *v1alpha1.Notification, spokenFor bool, err error) {
	firing := d.firing
	namespace := firing.Rule.Condition.Namespace
	var channels v1alpha1.NotificationChannelList
	if err := e.client.List(ctx, &channels, client.InNamespace(namespace)); err != nil {
		return journal.Blank(firing), false, fmt.Errorf("listing the channels of %s: %w", namespace, err)
	}
	n = journal.Compose(firing, channels.Items)
	switch err := e.client.Get(ctx, client.ObjectKeyFromObject(n), &v1alpha1.Notification{}); {
	case err == nil:
		return n, false, nil
	case !apierrors.IsNotFound(err):
		return n, false, fmt.Errorf("looking for the notification in the log: %w", err)
	}
	spokenFor, err = e.ration(ctx, d, n, channels.Items)
	return n, spokenFor, err
}

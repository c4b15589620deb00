// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

const (
	// draftRetry is how long the first repetition waits when the API server did not take a Notification; it doubles up to
	// draftRetryMax.
	draftRetry    = time.Second
	draftRetryMax = time.Minute
)

// draft is a notification that is decided but not written yet.
type draft struct {
	follower *follower
	firing   plan.Firing
	attempts int
	next     time.Time
}

// adoptDrafts hands what the old follower of a condition has decided to the new one; the caller holds the lock.
func (e *Evaluator) adoptDrafts(old, f *follower) {
	for _, d := range e.outbox {
		if d.follower == old {
			d.follower = f
		}
	}
}

// write creates the Notifications of the outbox, in order, and returns when the next repetition is due. Where one of a
// condition fails, its later ones wait for it, as a restart goes on from the latest that is written.
func (e *Evaluator) write(ctx context.Context) time.Time {
	e.mu.Lock()
	drafts := e.outbox
	e.outbox = nil
	e.mu.Unlock()
	if len(drafts) == 0 {
		return time.Time{}
	}
	var left []*draft
	var retry time.Time
	blocked := map[*follower]bool{}
	for _, d := range drafts {
		if !blocked[d.follower] && !d.next.After(e.clock.Now()) && e.create(ctx, d) {
			e.settle(d)
			continue
		}
		blocked[d.follower] = true
		left = append(left, d)
		retry = earliest(retry, d.next)
	}
	e.mu.Lock()
	e.outbox = append(left, e.outbox...)
	e.mu.Unlock()
	return retry
}

func (e *Evaluator) settle(d *draft) {
	e.mu.Lock()
	d.follower.drafts--
	e.mu.Unlock()
	e.dirty[d.follower.key] = struct{}{}
	e.flushAt = time.Time{}
}

// create writes one Notification and says whether the draft is settled.
func (e *Evaluator) create(ctx context.Context, d *draft) bool {
	notification, err := e.compose(ctx, d.firing)
	if err == nil {
		err = e.client.Create(ctx, notification)
	}
	log := e.log.WithValues("notification", client.ObjectKeyFromObject(notification), "reason", d.firing.Reason,
		"occurrences", d.firing.Window.Occurrences, "held", d.firing.Held)
	switch {
	case err == nil:
		notificationsFired.WithLabelValues(string(d.firing.Reason)).Inc()
		log.Info("Notification created")
		return true
	case apierrors.IsAlreadyExists(err):
		return e.yield(ctx, d, notification)
	case apierrors.IsInvalid(err), apierrors.IsNotFound(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		notificationsLost.Inc()
		log.Error(err, "Notification cannot be created and is given up")
		return true
	}
	d.attempts++
	d.next = e.clock.Now().Add(min(notify.Backoff(draftRetry, d.attempts, rand.Float64()), draftRetryMax))
	log.Error(err, "Notification not created; it will be tried again", "at", d.next)
	return false
}

// yield gives way to a Notification that exists under the name of a draft.
func (e *Evaluator) yield(ctx context.Context, d *draft, mine *v1alpha1.Notification) bool {
	existing := &v1alpha1.Notification{}
	if err := e.watching.Get(ctx, client.ObjectKeyFromObject(mine), existing); err != nil {
		d.next = e.clock.Now().Add(draftRetry)
		return false
	}
	if journal.Same(existing, mine) {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	next, again := d.follower.watch.Yield(d.firing, existing)
	d.firing = next
	e.enqueue(d.follower, nil)
	return !again
}

// compose gathers the channels and renders the Notification.
func (e *Evaluator) compose(ctx context.Context, firing plan.Firing) (*v1alpha1.Notification, error) {
	namespace := firing.Rule.Condition.Namespace
	var channels v1alpha1.NotificationChannelList
	if err := e.client.List(ctx, &channels, client.InNamespace(namespace)); err != nil {
		return journal.Blank(firing), fmt.Errorf("listing the channels of %s: %w", namespace, err)
	}
	return journal.Compose(firing, channels.Items), nil
}

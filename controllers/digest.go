// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/limit"
	"github.com/tocsin-dev/tocsin/internal/outbox"
)

const (
	// digestLook is how often, at most, it is looked at whether a channel's limit was changed while a digest waits.
	digestLook = 10 * time.Second
	// digestRetry is when a digest is tried again that was not taken, or that waits for conditions to be looked at.
	digestRetry = 5 * time.Second
)

// digests writes the digests that are due, and returns when the next may be.
func (e *Evaluator) digests(ctx context.Context) time.Time {
	now := e.clock.Now()
	if now.Before(e.digestAt) && !e.digestAt.After(now.Add(digestLook)) { // else the clock was set back
		return e.digestAt
	}
	e.digestAt = time.Time{}
	for _, key := range e.limits.pending() {
		next, err := e.digest(ctx, key)
		if err != nil {
			e.log.Error(err, "Digest not written; it will be tried again", "channel", key)
			next = now.Add(digestRetry)
		}
		e.digestAt = earliest(e.digestAt, next, now.Add(digestLook))
	}
	return e.digestAt
}

// digest writes the digest of a channel if it is due, and returns when it will be if it is not.
func (e *Evaluator) digest(ctx context.Context, key types.NamespacedName) (time.Time, error) {
	var channels v1alpha1.NotificationChannelList
	if err := e.client.List(ctx, &channels, client.InNamespace(key.Namespace)); err != nil {
		return time.Time{}, fmt.Errorf("listing the channels: %w", err)
	}
	channel := journal.Find(channels.Items, key.Name)
	if channel == nil { // it may come back
		e.limits.expire(key)
		return time.Time{}, nil
	}
	if met, err := e.metAll(ctx, key.Namespace); err != nil || !met {
		return e.clock.Now().Add(digestRetry), err
	}
	digest, entries, due := e.limits.digest(channel)
	if digest == nil {
		return due, nil
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	recipients, err := e.recipientsOf(ctx, key, entries)
	if err != nil {
		return time.Time{}, err
	}
	n := journal.Digest(channel, digest, recipients, channels.Items)
	if err := e.file(ctx, channel, n); err != nil && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return time.Time{}, fmt.Errorf("creating the digest: %w", err)
	}
	e.limits.told(key, digest)
	for _, entry := range digest.Conditions { // what the log's entries speak for is now known
		e.dirty[types.NamespacedName{Namespace: key.Namespace, Name: entry.Condition}] = struct{}{}
	}
	e.flushAt = e.clock.Now()
	e.log.Info("Digest created", "notification", client.ObjectKeyFromObject(n), "suppressed", digest.Suppressed)
	return e.clock.Now(), nil // there may be another
}

// file creates a digest, unless there is one of its channel and interval, under the first of its names that nothing else has.
func (e *Evaluator) file(ctx context.Context, channel *v1alpha1.NotificationChannel, digest *v1alpha1.Notification) error {
	var log v1alpha1.NotificationList
	if err := e.client.List(ctx, &log, client.InNamespace(digest.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the notifications: %w", err)
	}
	taken := map[string]struct{}{}
	for i := range log.Items {
		if journal.Same(&log.Items[i], digest) { // under any name: those before it may be free again
			return nil
		}
		taken[log.Items[i].Name] = struct{}{}
	}
	for number := 0; ; number++ {
		digest.Name = journal.DigestName(channel, digest.Spec.Digest, number)
		if _, known := taken[digest.Name]; known {
			continue
		}
		err := e.client.Create(ctx, digest)
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		existing := &v1alpha1.Notification{}
		if err := e.watching.Get(ctx, client.ObjectKeyFromObject(digest), existing); err != nil {
			return fmt.Errorf("looking at what has its name: %w", err)
		}
		if journal.Same(existing, digest) {
			return nil
		}
	}
}

// recipientsOf are those whom the entries would have told through the channel, each once.
func (e *Evaluator) recipientsOf(ctx context.Context, channel types.NamespacedName, entries []string) ([]string, error) {
	var recipients []string
	for _, name := range entries {
		n := &v1alpha1.Notification{}
		if err := e.client.Get(ctx, types.NamespacedName{Namespace: channel.Namespace, Name: name}, n); err != nil {
			if apierrors.IsNotFound(err) {
				continue
			}
			return nil, fmt.Errorf("reading what was held back: %w", err)
		}
		for _, recipient := range outbox.Planned(&n.Spec, channel.Name).Recipients {
			if !slices.Contains(recipients, recipient) {
				recipients = append(recipients, recipient)
			}
		}
	}
	return recipients, nil
}

// metAll says whether all conditions of a namespace were looked at: they may know of more that was held back.
func (e *Evaluator) metAll(ctx context.Context, namespace string) (bool, error) {
	var conditions v1alpha1.NotificationConditionList
	if err := e.client.List(ctx, &conditions, client.InNamespace(namespace)); err != nil {
		return false, fmt.Errorf("listing the conditions: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.metEach(conditions.Items), nil
}

// ration takes a place for each message of a draft's notification in the limit of its channel, or finds the one that an
// earlier attempt to write it has taken. It says whether the log has entries already that speak for it, as all limits are used
// up.
func (e *Evaluator) ration(ctx context.Context, d *draft, n *v1alpha1.Notification,
	channels []v1alpha1.NotificationChannel) (spokenFor bool, err error) {
	spokenFor = len(n.Spec.Deliveries) > 0
	for i := range n.Spec.Deliveries {
		delivery := &n.Spec.Deliveries[i]
		channel := journal.Find(channels, delivery.Channel)
		if len(delivery.FallbackFor) > 0 {
			continue
		}
		if delivery.Limit = d.places[delivery.Channel]; delivery.Limit == nil && channel != nil {
			if delivery.Limit, err = e.limits.take(ctx, channel); err != nil {
				return false, err
			}
			d.keep(delivery.Channel, delivery.Limit)
		}
		key := types.NamespacedName{Namespace: n.Namespace, Name: delivery.Channel}
		spokenFor = spokenFor && e.limits.summedUp(key, delivery.Limit, n.Spec.Condition.UID)
	}
	return spokenFor, nil
}

// release gives back the places of a draft that is not written under them.
func (e *Evaluator) release(d *draft) {
	for channel, place := range d.places {
		e.limits.release(types.NamespacedName{Namespace: d.condition.Namespace, Name: channel}, place)
	}
	d.places = nil
}

// holdBack counts a notification for each of its messages that limits hold back. The entry is its name if the log has it.
func (e *Evaluator) holdBack(n *v1alpha1.Notification, entry string) {
	held := false
	for _, d := range n.Spec.Deliveries {
		if limit.Suppressed(d.Limit) {
			e.limits.suppress(n, d.Channel, *d.Limit, entry)
			held = true
		}
	}
	if held {
		notificationsSuppressed.Inc()
		e.digestAt = time.Time{}
	}
}

// heldBack counts a message of a notification in the log that a limit has held back when it was to be sent.
func (e *Evaluator) heldBack(n *v1alpha1.Notification, channel string, place v1alpha1.LimitPlace) {
	e.limits.suppress(n, channel, place, n.Name)
	notificationsSuppressed.Inc()
	if c := n.Spec.Condition; c != nil {
		e.tell(types.NamespacedName{Namespace: n.Namespace, Name: c.Name})
	}
	e.signal()
}

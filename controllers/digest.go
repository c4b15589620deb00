// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/limit"
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
	var channel *v1alpha1.NotificationChannel
	for i := range channels.Items {
		if channels.Items[i].Name == key.Name {
			channel = &channels.Items[i]
		}
	}
	if channel == nil { // nobody is left to be told
		e.limits.told(key)
		return time.Time{}, nil
	}
	if met, err := e.metAll(ctx, key.Namespace); err != nil || !met {
		return e.clock.Now().Add(digestRetry), err
	}
	digest, place, due := e.limits.digest(channel)
	if digest == nil {
		return due, nil
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	n := journal.Digest(channel, digest, place, channels.Items)
	err := e.client.Create(ctx, n)
	if err != nil {
		e.limits.release(key, place)
	}
	if client.IgnoreAlreadyExists(err) != nil && !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
		return time.Time{}, fmt.Errorf("creating the digest: %w", err)
	}
	e.limits.told(key)
	for _, entry := range digest.Conditions { // what the log's entries speak for is now known
		e.dirty[types.NamespacedName{Namespace: key.Namespace, Name: entry.Condition}] = struct{}{}
	}
	e.flushAt = e.clock.Now()
	e.log.Info("Digest created", "notification", client.ObjectKeyFromObject(n), "suppressed", digest.Suppressed)
	return time.Time{}, nil
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

// ration takes a place for each message of a notification in the limit of its channel. It says whether the log has entries
// already that speak for it, as all limits are used up.
func (e *Evaluator) ration(ctx context.Context, n *v1alpha1.Notification, channels []v1alpha1.NotificationChannel) (spokenFor bool, err error) {
	spokenFor = len(n.Spec.Deliveries) > 0
	for i := range n.Spec.Deliveries {
		d := &n.Spec.Deliveries[i]
		if len(d.FallbackFor) > 0 {
			continue
		}
		key := types.NamespacedName{Namespace: n.Namespace, Name: d.Channel}
		if d.Limit, err = e.place(ctx, key, channels); err != nil {
			e.release(n)
			return false, err
		}
		spokenFor = spokenFor && e.limits.summedUp(key, d.Limit, n.Spec.Condition.UID)
	}
	return spokenFor, nil
}

// place takes a place in a channel's limit, after the digest if one is due.
func (e *Evaluator) place(ctx context.Context, key types.NamespacedName, channels []v1alpha1.NotificationChannel) (*v1alpha1.LimitPlace, error) {
	for i := range channels {
		if channels[i].Name != key.Name {
			continue
		}
		place, err := e.limits.take(ctx, &channels[i])
		if !errors.Is(err, errDigestDue) {
			return place, err
		}
		if _, err := e.digest(ctx, key); err != nil {
			return nil, err
		}
		return e.limits.take(ctx, &channels[i])
	}
	return nil, nil
}

// release gives back the places of a notification that was not written.
func (e *Evaluator) release(n *v1alpha1.Notification) {
	for _, d := range n.Spec.Deliveries {
		e.limits.release(types.NamespacedName{Namespace: n.Namespace, Name: d.Channel}, d.Limit)
	}
}

// suppressed says whether a limit holds back some message of a notification.
func suppressed(n *v1alpha1.Notification) bool {
	for _, d := range n.Spec.Deliveries {
		if limit.Suppressed(d.Limit) {
			return true
		}
	}
	return false
}

// holdBack counts a notification that limits hold back. The entry is its name if the log has it.
func (e *Evaluator) holdBack(n *v1alpha1.Notification, entry string) {
	if !suppressed(n) {
		return
	}
	e.limits.suppress(n, entry)
	notificationsSuppressed.Inc()
	e.digestAt = time.Time{}
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/limit"
)

// maxSuppressed is how many intervals a condition's status tells of.
const maxSuppressed = 32

// limits counts what goes through the channels against their limits. How far they are it learns from the log, when a
// namespace is first asked about.
type limits struct {
	log   client.Reader
	clock clock.PassiveClock

	mu      sync.Mutex
	learned map[string]struct{}
	ledgers map[types.NamespacedName]*limit.Ledger
}

func newLimits(log client.Reader, clk clock.PassiveClock) *limits {
	return &limits{
		log: log, clock: clk, learned: map[string]struct{}{}, ledgers: map[types.NamespacedName]*limit.Ledger{},
	}
}

// learn reads the places in a namespace's log, once; the caller holds the lock.
func (l *limits) learn(ctx context.Context, namespace string) error {
	if _, known := l.learned[namespace]; known {
		return nil
	}
	var log v1alpha1.NotificationList
	if err := l.log.List(ctx, &log, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the notifications of %s: %w", namespace, err)
	}
	for i := range log.Items {
		for channel, place := range placesOf(&log.Items[i]) {
			l.ledger(types.NamespacedName{Namespace: namespace, Name: channel}).Learn(*place)
		}
	}
	l.learned[namespace] = struct{}{}
	return nil
}

// ledger is that of a channel; the caller holds the lock.
func (l *limits) ledger(channel types.NamespacedName) *limit.Ledger {
	if l.ledgers[channel] == nil {
		l.ledgers[channel] = &limit.Ledger{}
	}
	return l.ledgers[channel]
}

// placesOf are the places of a notification in the limits of its channels.
func placesOf(n *v1alpha1.Notification) map[string]*v1alpha1.LimitPlace {
	places := map[string]*v1alpha1.LimitPlace{}
	for _, d := range n.Status.Deliveries {
		if d.Limit != nil {
			places[d.Channel] = d.Limit
		}
	}
	for _, d := range n.Spec.Deliveries {
		if d.Limit != nil {
			places[d.Channel] = d.Limit
		}
	}
	return places
}

// take takes a place in a channel's limit; nil if it has none.
func (l *limits) take(ctx context.Context, channel *v1alpha1.NotificationChannel) (*v1alpha1.LimitPlace, error) {
	rule := limit.RuleOf(channel)
	if rule == nil {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.learn(ctx, channel.Namespace); err != nil {
		return nil, err
	}
	place := l.ledger(client.ObjectKeyFromObject(channel)).Take(*rule, l.clock.Now())
	return &place, nil
}

// release gives back a place whose message was not written.
func (l *limits) release(channel types.NamespacedName, place *v1alpha1.LimitPlace) {
	if place == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ledger(channel).Release(*place)
}

// note takes notice of the places of a notification that the log holds.
func (l *limits) note(n *v1alpha1.Notification) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for channel, place := range placesOf(n) {
		l.ledger(types.NamespacedName{Namespace: n.Namespace, Name: channel}).Learn(*place)
	}
}

// summedUp says whether the log has an entry that speaks for what the limit holds back of a condition at a place.
func (l *limits) summedUp(channel types.NamespacedName, place *v1alpha1.LimitPlace, condition types.UID) bool {
	if !limit.Suppressed(place) {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ledger(channel).Has(condition, *place)
}

// suppress counts a message that a limit holds back. The entry is the notification's name if the log has it.
func (l *limits) suppress(n *v1alpha1.Notification, channel string, place v1alpha1.LimitPlace, entry string) {
	condition, trigger := n.Spec.Condition, n.Spec.Trigger
	if condition == nil || trigger == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ledger(types.NamespacedName{Namespace: n.Namespace, Name: channel}).
		Suppress(condition.UID, condition.Name, place, trigger.Time.Time, n.Spec.Severity, entry)
}

// restore takes over what a condition's status and its notifications tell of what limits have held back.
func (l *limits) restore(ctx context.Context, condition *v1alpha1.NotificationCondition, log []v1alpha1.Notification) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.learn(ctx, condition.Namespace); err != nil {
		return err
	}
	for _, name := range limitedBy(condition, log) {
		ledger := l.ledger(types.NamespacedName{Namespace: condition.Namespace, Name: name})
		ledger.Restore(condition, name, log)
		ledger.Expire(l.clock.Now())
	}
	return nil
}

// limitedBy are the channels whose limits have held back something of a condition.
func limitedBy(condition *v1alpha1.NotificationCondition, log []v1alpha1.Notification) []string {
	var channels []string
	for _, s := range condition.Status.Suppressed {
		channels = append(channels, s.Channel)
	}
	for i := range log {
		for channel, place := range placesOf(&log[i]) {
			if limit.Suppressed(place) {
				channels = append(channels, channel)
			}
		}
	}
	slices.Sort(channels)
	return slices.Compact(channels)
}

// describe is what a condition's status tells of what limits have held back.
func (l *limits) describe(condition *v1alpha1.NotificationCondition) []v1alpha1.ChannelSuppression {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []v1alpha1.ChannelSuppression
	for channel, ledger := range l.ledgers {
		if channel.Namespace == condition.Namespace {
			all = append(all, ledger.Describe(condition.UID, channel.Name)...)
		}
	}
	slices.SortFunc(all, func(a, b v1alpha1.ChannelSuppression) int {
		return cmp.Or(b.Since.Compare(a.Since.Time), strings.Compare(a.Channel, b.Channel))
	})
	return all[:min(len(all), maxSuppressed)]
}

// pending are the channels of whose limits a digest is to tell.
func (l *limits) pending() []types.NamespacedName {
	l.mu.Lock()
	defer l.mu.Unlock()
	var pending []types.NamespacedName
	for channel, ledger := range l.ledgers {
		if ledger.Pending() {
			pending = append(pending, channel)
		}
	}
	return pending
}

// digest returns the digest that is due, with the log's entries for what it tells of, or when one will be.
func (l *limits) digest(channel *v1alpha1.NotificationChannel) (digest *v1alpha1.Digest, entries []string, due time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ledger := l.ledger(client.ObjectKeyFromObject(channel))
	if digest, due = ledger.Due(limit.RuleOf(channel), l.clock.Now()); digest != nil {
		entries = ledger.Entries(digest.Since.Time)
	}
	return digest, entries, due
}

// expire forgets what it is too late to tell of.
func (l *limits) expire(channel types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ledger(channel).Expire(l.clock.Now())
}

// told notes that a digest is written.
func (l *limits) told(channel types.NamespacedName, digest *v1alpha1.Digest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ledger(channel).Told(digest.Since.Time)
}

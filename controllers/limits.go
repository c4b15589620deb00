// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
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
	"github.com/tocsin-dev/tocsin/internal/outbox"
)

const (
	// maxSuppressed is how many channels a condition tells of.
	maxSuppressed = 32
	// lateDigest is how long after its interval a digest is still written.
	lateDigest = 24 * time.Hour
)

// errDigestDue says that a channel's next message is a digest.
var errDigestDue = errors.New("the digest of what the channel's limit has held back is due first")

// limits counts what goes through the channels against their limits. Of a channel it learns from the log how far it is when
// it is first asked.
type limits struct {
	log   client.Reader
	clock clock.PassiveClock

	mu      sync.Mutex
	ledgers map[types.NamespacedName]*limit.Ledger
}

func newLimits(log client.Reader, clk clock.PassiveClock) *limits {
	return &limits{log: log, clock: clk, ledgers: map[types.NamespacedName]*limit.Ledger{}}
}

// ledger returns what is known of a channel; the caller holds the lock.
func (l *limits) ledger(ctx context.Context, channel types.NamespacedName) (*limit.Ledger, error) {
	if known := l.ledgers[channel]; known != nil {
		return known, nil
	}
	var log v1alpha1.NotificationList
	if err := l.log.List(ctx, &log, client.InNamespace(channel.Namespace)); err != nil {
		return nil, fmt.Errorf("listing the notifications of %s: %w", channel.Namespace, err)
	}
	ledger := &limit.Ledger{}
	for i := range log.Items {
		n := &log.Items[i]
		ledger.Interval = ledger.Learn(outbox.Planned(&n.Spec, channel.Name).Limit)
		ledger.Interval = ledger.Learn(outbox.Find(n.Status.Deliveries, channel.Name).Limit)
	}
	l.ledgers[channel] = ledger
	return ledger, nil
}

// take takes a place in a channel's limit; nil if it has none. It fails with errDigestDue if a digest comes first.
func (l *limits) take(ctx context.Context, channel *v1alpha1.NotificationChannel) (*v1alpha1.LimitPlace, error) {
	rule := limit.RuleOf(channel)
	if rule == nil {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	ledger, err := l.ledger(ctx, client.ObjectKeyFromObject(channel))
	if err != nil {
		return nil, err
	}
	now := l.clock.Now()
	if ledger.Pending() && !now.Before(ledger.Until(rule)) {
		return nil, errDigestDue
	}
	place, next := ledger.Take(*rule, now)
	ledger.Interval = next
	return &place, nil
}

// release gives back a place whose message was not written.
func (l *limits) release(channel types.NamespacedName, place *v1alpha1.LimitPlace) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ledger := l.ledgers[channel]; ledger != nil && place != nil {
		ledger.Interval = ledger.Release(*place)
	}
}

// summedUp says whether the log has an entry that speaks for what the limit holds back of a condition at a place.
func (l *limits) summedUp(channel types.NamespacedName, place *v1alpha1.LimitPlace, condition types.UID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ledger := l.ledgers[channel]
	return ledger != nil && limit.Suppressed(place) && ledger.Has(condition, *place)
}

// suppress counts a notification for each of its places that the limits hold back. It has an entry in the log, or none.
func (l *limits) suppress(n *v1alpha1.Notification, entry string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, d := range n.Spec.Deliveries {
		ledger := l.ledgers[types.NamespacedName{Namespace: n.Namespace, Name: d.Channel}]
		if ledger != nil && limit.Suppressed(d.Limit) {
			ledger.Suppress(n.Spec.Condition.UID, n.Spec.Condition.Name, *d.Limit, n.Spec.Trigger.Time.Time, n.Spec.Severity, entry)
		}
	}
}

// restore takes over what a condition's status and its notifications tell of what limits have held back.
func (l *limits) restore(ctx context.Context, condition *v1alpha1.NotificationCondition, log []v1alpha1.Notification) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range limitedBy(condition, log) {
		ledger, err := l.ledger(ctx, types.NamespacedName{Namespace: condition.Namespace, Name: name})
		if err != nil {
			return err
		}
		ledger.Restore(condition, name, log)
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
		for _, d := range log[i].Spec.Deliveries {
			if limit.Suppressed(d.Limit) {
				channels = append(channels, d.Channel)
			}
		}
	}
	slices.Sort(channels)
	return slices.Compact(channels)
}

// describe is what a condition's status tells of what limits have held back, by channel.
func (l *limits) describe(condition *v1alpha1.NotificationCondition) []v1alpha1.ChannelSuppression {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []v1alpha1.ChannelSuppression
	for channel, ledger := range l.ledgers {
		if channel.Namespace != condition.Namespace {
			continue
		}
		if s := ledger.Describe(condition.UID, channel.Name); s != nil {
			all = append(all, *s)
		}
	}
	slices.SortFunc(all, func(a, b v1alpha1.ChannelSuppression) int {
		return b.Since.Compare(a.Since.Time)
	})
	all = all[:min(len(all), maxSuppressed)]
	slices.SortFunc(all, func(a, b v1alpha1.ChannelSuppression) int { return strings.Compare(a.Channel, b.Channel) })
	return all
}

// pending are the channels of whose intervals a digest is to tell.
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

// digest returns the digest that is due and its place, or when one will be. One that is long overdue is left out: it was
// written, and deleted since.
func (l *limits) digest(channel *v1alpha1.NotificationChannel) (*v1alpha1.Digest, *v1alpha1.LimitPlace, time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ledger := l.ledgers[client.ObjectKeyFromObject(channel)]
	if ledger == nil || !ledger.Pending() {
		return nil, nil, time.Time{}
	}
	rule := limit.RuleOf(channel)
	until, now := ledger.Until(rule), l.clock.Now()
	switch {
	case rule == nil:
		return ledger.Digest(0, now), nil, until
	case now.Before(until):
		return nil, nil, until
	case now.After(until.Add(lateDigest)):
		ledger.Told()
		return nil, nil, time.Time{}
	}
	place, next := ledger.Take(*rule, now)
	ledger.Interval = next
	return ledger.Digest(rule.Count, until), &place, until
}

// told notes that a digest is written, or cannot be.
func (l *limits) told(channel types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ledger := l.ledgers[channel]; ledger != nil {
		ledger.Told()
	}
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/execjob"
	"github.com/tocsin-dev/tocsin/internal/outbox"
)

// maxJobs is how many Jobs of one channel may be unfinished: as many again wait in the log, not in the cluster.
const maxJobs = 10

// gate lets so many deliveries of a channel have a Job at a time; the others wait in the order in which their Notifications
// were created. Of a channel it learns from the log who has a Job and who waits when it is first asked.
type gate struct {
	log client.Reader
	// wake has a delivery looked at that need not wait any longer.
	wake func(deliveryRequest)

	mu       sync.Mutex
	channels map[types.NamespacedName]*turnstile
}

// turnstile is a channel's.
type turnstile struct {
	inside  map[string]bool
	waiting map[string]turn
}

// turn is whose turn it is among those that wait.
type turn struct {
	created  metav1.Time
	sequence int64
}

func turnOf(n *v1alpha1.Notification) turn {
	t := turn{created: n.CreationTimestamp}
	if n.Spec.Trigger != nil {
		t.sequence = n.Spec.Trigger.Sequence
	}
	return t
}

func (t *turnstile) queue() []string {
	names := make([]string, 0, len(t.waiting))
	for name := range t.waiting {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		x, y := t.waiting[a], t.waiting[b]
		return cmp.Or(x.created.Compare(y.created.Time), cmp.Compare(x.sequence, y.sequence), cmp.Compare(a, b))
	})
	return names
}

// due are those that need not wait any longer.
func (t *turnstile) due() []string {
	queue := t.queue()
	return queue[:min(len(queue), max(0, maxJobs-len(t.inside)))]
}

// of returns a channel's turnstile; the caller holds the lock.
func (g *gate) of(ctx context.Context, channel types.NamespacedName) (*turnstile, error) {
	if known := g.channels[channel]; known != nil {
		return known, nil
	}
	var pending v1alpha1.NotificationList
	if err := g.log.List(ctx, &pending, client.InNamespace(channel.Namespace),
		client.MatchingFields{indexByPendingChannel: channel.Name}); err != nil {
		return nil, fmt.Errorf("listing the deliveries of channel %s: %w", channel, err)
	}
	t := &turnstile{inside: map[string]bool{}, waiting: map[string]turn{}}
	for i := range pending.Items {
		n := &pending.Items[i]
		switch d := outbox.Find(n.Status.Deliveries, channel.Name); {
		case execjob.Current(d) != "":
			t.inside[n.Name] = true
		case d.Reason == execjob.ReasonBusy:
			t.waiting[n.Name] = turnOf(n)
		}
	}
	g.channels[channel] = t
	return t, nil
}

// enter says whether a delivery may have a Job now. If not, it waits, and is woken.
func (g *gate) enter(ctx context.Context, n *v1alpha1.Notification, channel string) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, err := g.of(ctx, types.NamespacedName{Namespace: n.Namespace, Name: channel})
	if err != nil || t.inside[n.Name] {
		return err == nil, err
	}
	t.waiting[n.Name] = turnOf(n)
	if !slices.Contains(t.due(), n.Name) {
		return false, nil
	}
	delete(t.waiting, n.Name)
	t.inside[n.Name] = true
	return true, nil
}

// occupy notes that a delivery has a Job, whether there is room or not.
func (g *gate) occupy(ctx context.Context, n *v1alpha1.Notification, channel string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, err := g.of(ctx, types.NamespacedName{Namespace: n.Namespace, Name: channel})
	if err == nil {
		delete(t.waiting, n.Name)
		t.inside[n.Name] = true
	}
	return err
}

// leave notes that a delivery has no Job and does not wait for one, and wakes those whose turn it is.
func (g *gate) leave(d deliveryRequest) {
	for _, name := range g.left(d) {
		g.wake(deliveryRequest{types.NamespacedName{Namespace: d.Namespace, Name: name}, d.Channel})
	}
}

func (g *gate) left(d deliveryRequest) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.channels[types.NamespacedName{Namespace: d.Namespace, Name: d.Channel}]
	if t == nil {
		return nil
	}
	if _, waited := t.waiting[d.Name]; !waited && !t.inside[d.Name] {
		return nil
	}
	delete(t.inside, d.Name)
	delete(t.waiting, d.Name)
	return t.due()
}

// quiet says whether no delivery of a namespace has a Job.
func (g *gate) quiet(namespace string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for channel, t := range g.channels {
		if channel.Namespace == namespace && len(t.inside) > 0 {
			return false
		}
	}
	return true
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// record is one SecurityEvent at its place in the order of creation.
type record struct {
	position plan.Position
	event    *v1alpha1.SecurityEvent
}

// eventLog holds the SecurityEvents that the cluster holds, and queues new ones in the order in which they were created.
// A plain informer does neither: it has no order among the objects of a list. It is a cache.ReflectorStore.
type eventLog struct {
	mu    sync.Mutex
	known map[types.UID]record
	// ordered holds the known records of each namespace in order.
	ordered map[string][]record
	queue   []record
	wake    chan struct{}
	synced  chan struct{}
	once    sync.Once
}

func newEventLog() *eventLog {
	return &eventLog{
		known: map[types.UID]record{}, ordered: map[string][]record{},
		wake: make(chan struct{}, 1), synced: make(chan struct{}),
	}
}

// run keeps the log up to date until the context ends.
func (l *eventLog) run(ctx context.Context, c client.WithWatch) {
	listWatch := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list := &v1alpha1.SecurityEventList{}
			return list, c.List(ctx, list, &client.ListOptions{Raw: &options})
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return c.Watch(ctx, &v1alpha1.SecurityEventList{}, &client.ListOptions{Raw: &options})
		},
	}
	cache.NewReflectorWithOptions(listWatch, &v1alpha1.SecurityEvent{}, l, cache.ReflectorOptions{Name: "securityevents"}).
		RunWithContext(ctx)
}

// waitForSync returns once the log holds what the cluster held when it started.
func (l *eventLog) waitForSync(ctx context.Context) error {
	select {
	case <-l.synced:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// snapshot returns the records of a namespace in order.
func (l *eventLog) snapshot(namespace string) []record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.ordered[namespace])
}

// take returns the records queued since the last call, in order.
func (l *eventLog) take() []record {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.queue
	l.queue = nil
	return taken
}

// Add queues an event that was just created.
func (l *eventLog) Add(obj any) error {
	event, ok := obj.(*v1alpha1.SecurityEvent)
	if !ok {
		return fmt.Errorf("event log: got a %T", obj)
	}
	l.mu.Lock()
	l.add(event)
	l.mu.Unlock()
	l.signal()
	return nil
}

// add keeps the place of an event that is known already: only its metadata can have changed.
func (l *eventLog) add(event *v1alpha1.SecurityEvent) {
	if _, ok := l.known[event.UID]; ok {
		return
	}
	event.ManagedFields = nil
	r := record{plan.ParsePosition(event.ResourceVersion), event}
	l.known[event.UID] = r
	l.queue = append(l.queue, r)
	records := l.ordered[event.Namespace]
	i, _ := slices.BinarySearchFunc(records, r, byPosition)
	l.ordered[event.Namespace] = slices.Insert(records, i, r)
}

func (l *eventLog) remove(r record) {
	delete(l.known, r.event.UID)
	namespace := r.event.Namespace
	records := l.ordered[namespace]
	if i, ok := slices.BinarySearchFunc(records, r, byPosition); ok {
		records = slices.Delete(records, i, i+1)
	}
	if l.ordered[namespace] = records; len(records) == 0 {
		delete(l.ordered, namespace)
	}
}

// Update is what Add is: an event never changes.
func (l *eventLog) Update(obj any) error { return l.Add(obj) }

// Delete forgets an event.
func (l *eventLog) Delete(obj any) error {
	if event, ok := obj.(*v1alpha1.SecurityEvent); ok {
		l.mu.Lock()
		if r, known := l.known[event.UID]; known {
			l.remove(r)
		}
		l.mu.Unlock()
	}
	return nil
}

// Replace takes over a list: it queues what is new in it, in order, and forgets what is gone.
func (l *eventLog) Replace(list []any, _ string) error {
	listed := make([]record, 0, len(list))
	for _, obj := range list {
		event, ok := obj.(*v1alpha1.SecurityEvent)
		if !ok {
			return fmt.Errorf("event log: got a %T", obj)
		}
		listed = append(listed, record{plan.ParsePosition(event.ResourceVersion), event})
	}
	slices.SortFunc(listed, byPosition)
	l.mu.Lock()
	present := make(map[types.UID]struct{}, len(listed))
	for _, r := range listed {
		present[r.event.UID] = struct{}{}
		l.add(r.event)
	}
	for uid, r := range l.known {
		if _, ok := present[uid]; !ok {
			l.remove(r)
		}
	}
	l.mu.Unlock()
	l.once.Do(func() { close(l.synced) })
	l.signal()
	return nil
}

// Resync has nothing to do: the log misses nothing.
func (l *eventLog) Resync() error { return nil }

func (l *eventLog) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func byPosition(a, b record) int { return cmp.Compare(a.position, b.position) }

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
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
// A plain informer does neither: it has no order among the objects of a list. It is a cache.ReflectorStore, of unstructured
// objects: one event that cannot be read must not keep all others from being read.
type eventLog struct {
	log   logr.Logger
	mu    sync.Mutex
	known map[types.UID]record
	// ordered holds the known records of each namespace in order.
	ordered map[string][]record
	queue   []record
	census  census
	wake    chan struct{}
	synced  chan struct{}
	once    sync.Once
}

func newEventLog(log logr.Logger) *eventLog {
	return &eventLog{
		log: log, known: map[types.UID]record{}, ordered: map[string][]record{}, census: census{},
		wake: make(chan struct{}, 1), synced: make(chan struct{}),
	}
}

// run keeps the log up to date until the context ends.
func (l *eventLog) run(ctx context.Context, c client.WithWatch) {
	listWatch := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("SecurityEventList"))
			return list, c.List(ctx, list, &client.ListOptions{Raw: &options})
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			list := &unstructured.UnstructuredList{}
			list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("SecurityEventList"))
			return c.Watch(ctx, list, &client.ListOptions{Raw: &options})
		},
	}
	expected := &unstructured.Unstructured{}
	expected.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("SecurityEvent"))
	cache.NewReflectorWithOptions(listWatch, expected, l, cache.ReflectorOptions{Name: "securityevents"}).RunWithContext(ctx)
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

// snapshot returns the records of some namespaces in order.
func (l *eventLog) snapshot(namespaces []string) []record {
	l.mu.Lock()
	defer l.mu.Unlock()
	var records []record
	for _, namespace := range namespaces {
		records = append(records, l.ordered[namespace]...)
	}
	if len(namespaces) > 1 {
		slices.SortFunc(records, byPosition)
	}
	return records
}

// computers is the number of different computers in the events of some namespaces.
func (l *eventLog) computers(namespaces []string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.census.count(namespaces)
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
	event, err := l.read(obj)
	if event == nil {
		return err
	}
	l.mu.Lock()
	l.add(event)
	l.mu.Unlock()
	l.signal()
	return nil
}

// read returns nil for an event that cannot be read: it is counted and left out. The schema admits none, but may not have
// been there when it was stored.
func (l *eventLog) read(obj any) (*v1alpha1.SecurityEvent, error) {
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return nil, fmt.Errorf("event log: got a %T", obj)
	}
	event := &v1alpha1.SecurityEvent{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, event); err != nil {
		eventsUnreadable.Inc()
		l.log.Error(err, "SecurityEvent cannot be read and is left out", "event", client.ObjectKeyFromObject(u))
		return nil, nil
	}
	return event, nil
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
	l.census.add(event, 1)
}

func (l *eventLog) remove(r record) {
	delete(l.known, r.event.UID)
	l.census.add(r.event, -1)
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
	if u, ok := obj.(*unstructured.Unstructured); ok {
		l.mu.Lock()
		if r, known := l.known[u.GetUID()]; known {
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
		event, err := l.read(obj)
		if err != nil {
			return err
		}
		if event == nil {
			continue
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

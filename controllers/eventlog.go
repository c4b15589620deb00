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
	// bytes is about what it takes of the manager's memory.
	bytes int64
}

// eventLog holds the SecurityEvents that the cluster holds, and queues new ones in the order in which they were created.
// A plain informer does neither: it has no order among the objects of a list. It is a cache.ReflectorStore, of unstructured
// objects: one event that cannot be read must not keep all others from being read.
type eventLog struct {
	log   logr.Logger
	mu    sync.Mutex
	known map[types.UID]record
	// ordered holds the known records of each namespace in order.
	ordered map[string]*row
	// queue holds what is to be evaluated, and taken what is being evaluated.
	queue, taken []record
	// seen is the latest position that the API server told of, and listed that of the latest list.
	seen, listed plan.Position
	// evaluated is what horizon found last.
	evaluated plan.Position
	// stock is what was evaluated and may be deleted.
	stock  *stock
	census census
	wake   chan struct{}
	synced chan struct{}
	once   sync.Once
}

func newEventLog(log logr.Logger) *eventLog {
	return &eventLog{
		log: log, known: map[types.UID]record{}, ordered: map[string]*row{}, census: census{}, stock: newStock(),
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
		records = append(records, l.ordered[namespace].present(l.known)...)
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

// last is the latest position that was heard of.
func (l *eventLog) last() plan.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen
}

// take returns the records queued since the last call, in order. None of them may be deleted before settle is called.
func (l *eventLog) take() []record {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.horizon()
	taken := l.queue
	l.taken = append(l.taken, taken...)
	l.queue = nil
	return taken
}

// settle says that all records that were taken have been evaluated, and that what came of it is written.
func (l *eventLog) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.taken {
		if _, known := l.known[r.event.UID]; known {
			l.stock.put(r.item())
		}
	}
	l.taken = nil
}

// settled is the latest position up to which every event was evaluated.
func (l *eventLog) settled() plan.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.horizon()
}

// horizon is what settled is. An event that was changed before it was listed was created before its position: only when all
// of a list are evaluated does a position say that all before it are.
func (l *eventLog) horizon() plan.Position {
	switch {
	case len(l.taken) > 0:
	case len(l.queue) == 0:
		l.evaluated = l.seen
	case l.queue[0].position > l.listed:
		l.evaluated = max(l.evaluated, l.queue[0].position-1)
	}
	return l.evaluated
}

// Add queues an event that was just created.
func (l *eventLog) Add(obj any) error {
	r, err := l.read(obj)
	if r == nil {
		return err
	}
	l.mu.Lock()
	l.seen = max(l.seen, r.position)
	l.add(*r)
	l.mu.Unlock()
	l.signal()
	return nil
}

// legible is an event as it was read, and what it takes of the manager's memory.
type legible struct {
	*v1alpha1.SecurityEvent

	bytes int64
}

// Transformer makes the Reflector keep events as they are read while it lists them: as they come they are ten times as
// large. It leaves what cannot be read as it is.
func (l *eventLog) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) {
		u, ok := obj.(*unstructured.Unstructured)
		if !ok {
			return obj, nil
		}
		event := &v1alpha1.SecurityEvent{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, event); err != nil {
			eventsUnreadable.Inc()
			l.log.Error(err, "SecurityEvent cannot be read and is left out", "event", client.ObjectKeyFromObject(u))
			return obj, nil
		}
		event.ManagedFields = nil
		return &legible{event, weigh(u.Object, event)}, nil
	}
}

// read returns nil for an event that cannot be read: it is counted and left out. The schema admits none, but may not have
// been there when it was stored.
func (l *eventLog) read(obj any) (*record, error) {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		transformed, err := l.Transformer()(u)
		if err != nil || transformed == obj {
			return nil, err
		}
		obj = transformed
	}
	event, ok := obj.(*legible)
	if !ok {
		return nil, fmt.Errorf("event log: got a %T", obj)
	}
	return &record{plan.ParsePosition(event.ResourceVersion), event.SecurityEvent, event.bytes}, nil
}

// add keeps the place of an event that is known already: only its metadata can have changed.
func (l *eventLog) add(r record) {
	if r.event.DeletionTimestamp != nil {
		l.stock.leaves(r.event.UID)
	}
	if _, ok := l.known[r.event.UID]; ok || r.event.DeletionTimestamp != nil {
		return // an event that is being deleted has lost its place in the order
	}
	l.known[r.event.UID] = r
	l.queue = append(l.queue, r)
	if l.ordered[r.event.Namespace] == nil {
		l.ordered[r.event.Namespace] = &row{}
	}
	l.ordered[r.event.Namespace].add(r)
	l.census.add(r.event, 1)
	eventsKept.add(r.event.Spec.Severity, 1)
}

func (l *eventLog) remove(r record) {
	delete(l.known, r.event.UID)
	l.census.add(r.event, -1)
	if l.ordered[r.event.Namespace].remove(l.known); len(l.ordered[r.event.Namespace].records) == 0 {
		delete(l.ordered, r.event.Namespace)
	}
	l.stock.gone(r.event.UID)
	eventsKept.add(r.event.Spec.Severity, -1)
}

// Update is what Add is: an event never changes.
func (l *eventLog) Update(obj any) error { return l.Add(obj) }

// Delete forgets an event.
func (l *eventLog) Delete(obj any) error {
	if o, ok := obj.(metav1.Object); ok {
		l.mu.Lock()
		if r, known := l.known[o.GetUID()]; known {
			l.remove(r)
		}
		l.seen = max(l.seen, plan.ParsePosition(o.GetResourceVersion()))
		l.mu.Unlock()
	}
	return nil
}

// Bookmark notes that nothing has happened up to a resourceVersion that was not told.
func (l *eventLog) Bookmark(resourceVersion string) error {
	l.mu.Lock()
	l.seen = max(l.seen, plan.ParsePosition(resourceVersion))
	l.mu.Unlock()
	return nil
}

// Replace takes over a list: it queues what is new in it, in order, and forgets what is gone.
func (l *eventLog) Replace(list []any, resourceVersion string) error {
	listed := make([]record, 0, len(list))
	for _, obj := range list {
		r, err := l.read(obj)
		if err != nil {
			return err
		}
		if r != nil {
			listed = append(listed, *r)
		}
	}
	slices.SortFunc(listed, byPosition)
	l.mu.Lock()
	present := make(map[types.UID]struct{}, len(listed))
	for _, r := range listed {
		present[r.event.UID] = struct{}{}
		l.add(r)
	}
	l.listed = plan.ParsePosition(resourceVersion)
	l.seen = max(l.seen, l.listed)
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

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/archive"
	"github.com/tocsin-dev/tocsin/internal/notify"
)

const (
	// archiveBatch is how many notifications are written at once, and archiveBytes how many bytes about.
	archiveBatch = 100
	archiveBytes = 4 << 20
	// archivePause is the time between two writes, in which what is to be written gathers.
	archivePause = time.Second
	// archiveTimeout is how long a write may take.
	archiveTimeout = 30 * time.Second
	// archiveRetry is how long the first repetition waits; it doubles up to archiveRetryMax.
	archiveRetry    = time.Second
	archiveRetryMax = time.Minute
)

// Archiver writes the notifications that are finished, and those that are gone, to an archive, and writes them anew when
// they change. The notifications themselves are the queue: what is not archived yet is not deleted by the Retention, and a
// new leader asks the archive what it has. It runs on the leader alone.
type Archiver struct {
	store  archive.Store
	client client.Reader
	cache  cache.Cache
	clock  clock.Clock
	log    logr.Logger
	// told is called when the store has an object up to a revision.
	told func(types.UID, int64)

	ledger *archiveLedger
	// size is how many are written at once: one after a failure, then twice as many each time, so that an entry that the
	// store does not take holds up no others.
	size     int
	failures int
}

// NewArchiver returns an Archiver; the manager starts it.
func NewArchiver(mgr ctrl.Manager, options Options) *Archiver {
	return &Archiver{
		store: options.Archive, client: mgr.GetClient(), cache: mgr.GetCache(), clock: options.Clock,
		log: mgr.GetLogger().WithName("archive"), told: func(types.UID, int64) {},
		ledger: newArchiveLedger(), size: archiveBatch,
	}
}

// NeedLeaderElection makes the Archiver run on the leader alone.
func (a *Archiver) NeedLeaderElection() bool { return true }

// Start archives until the context ends.
func (a *Archiver) Start(ctx context.Context) error {
	informer, err := a.cache.GetInformer(ctx, &v1alpha1.Notification{})
	if err != nil {
		return fmt.Errorf("watching the notifications: %w", err)
	}
	if _, err := informer.AddEventHandler(archiveHandler{a.ledger}); err != nil {
		return fmt.Errorf("watching the notifications: %w", err)
	}
	for {
		pause := a.step(ctx)
		wake := a.ledger.wake
		if pause > 0 {
			wake = nil
		}
		var timer <-chan time.Time
		if pause > 0 {
			timer = a.clock.After(pause)
		}
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
			defer cancel()
			a.step(ctx) // what is gone from the cluster is nowhere else
			return nil
		case <-wake:
		case <-timer:
		}
	}
}

// step writes once, and returns how long to wait then; zero if there is nothing to write.
func (a *Archiver) step(ctx context.Context) time.Duration {
	if ctx.Err() != nil || a.ledger.empty() {
		return 0
	}
	ctx, cancel := context.WithTimeout(ctx, archiveTimeout)
	defer cancel()
	if err := a.write(ctx); err != nil {
		if errors.Is(ctx.Err(), context.Canceled) {
			return archivePause // the manager stops
		}
		a.size, a.failures = 1, a.failures+1
		archiveFailures.Inc()
		wait := min(notify.Backoff(archiveRetry, a.failures, rand.Float64()), archiveRetryMax)
		a.log.Error(err, "Notifications not archived; it will be tried again", "pending", a.ledger.len(), "after", wait)
		return wait
	}
	a.size, a.failures = min(2*a.size, archiveBatch), 0
	if a.ledger.len() >= a.size {
		return time.Nanosecond // there is more to do than can gather
	}
	return archivePause
}

// write asks the store for what it may have already, or else writes a batch.
func (a *Archiver) write(ctx context.Context) error {
	if asked := a.ledger.unknown(archive.MaxPage); len(asked) > 0 {
		revisions, err := a.store.Revisions(ctx, asked)
		if err != nil {
			return err
		}
		for _, uid := range asked {
			a.settle(uid, revisions[uid])
		}
		return nil
	}
	batch, entries, err := a.batch(ctx)
	if err != nil {
		return err
	}
	if err := a.store.Put(ctx, entries); err != nil {
		a.ledger.postpone(batch)
		return err
	}
	archiveEntries.Add(float64(len(entries)))
	for _, due := range batch {
		a.settle(due.uid, due.revision)
	}
	return nil
}

// settle notes that the store has an object up to a revision.
func (a *Archiver) settle(uid types.UID, revision int64) {
	a.ledger.settle(uid, revision)
	a.told(uid, revision)
}

// batch takes what is to be written next, as it is in the cache by now. Its revision is then that of the entry.
func (a *Archiver) batch(ctx context.Context) ([]archiveDue, []archive.Entry, error) {
	var batch []archiveDue
	var entries []archive.Entry
	size := 0
	for _, due := range a.ledger.next(a.size) {
		n := due.gone
		if n == nil {
			n = &v1alpha1.Notification{}
			if err := a.client.Get(ctx, due.key, n); client.IgnoreNotFound(err) != nil {
				return nil, nil, fmt.Errorf("reading a notification: %w", err)
			}
			if n.UID != due.uid { // it is gone, which the handler is about to hear of
				a.ledger.postpone([]archiveDue{due})
				continue
			}
		}
		e, err := archive.NewEntry(n)
		if err != nil {
			return nil, nil, err
		}
		if due.revision, err = archive.Revision(n); err != nil {
			return nil, nil, err
		}
		if size += e.Size(); size > archiveBytes && len(entries) > 0 {
			break
		}
		batch, entries = append(batch, due), append(entries, e)
	}
	return batch, entries, nil
}

// archiveHandler keeps the ledger up to date with the cache.
type archiveHandler struct{ ledger *archiveLedger }

// OnAdd takes up a notification. What was there before the manager led may be archived already.
func (h archiveHandler) OnAdd(o any, initial bool) {
	if n, ok := o.(*v1alpha1.Notification); ok && finished(n) {
		h.ledger.due(n, initial)
	}
}

// OnUpdate takes notice of what became of a notification.
func (h archiveHandler) OnUpdate(_, o any) {
	if n, ok := o.(*v1alpha1.Notification); ok && finished(n) {
		h.ledger.due(n, false)
	}
}

// OnDelete keeps what is gone until it is archived.
func (h archiveHandler) OnDelete(o any) {
	if gone, ok := o.(toolscache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	if n, ok := o.(*v1alpha1.Notification); ok {
		h.ledger.gone(n)
	}
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
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
	// archiveAside is after how long an entry is tried again that the store refuses while it takes others.
	archiveAside = 10 * time.Minute
	// farewellRetry is how long a manager that stops waits until it tries again.
	farewellRetry = 200 * time.Millisecond
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
	// taken is an entry that the store has taken. Whether it takes it again tells whether a failure is the store's, or that
	// of the entries that it was given. Empty: it has taken none yet.
	taken []archive.Entry
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
		var wake <-chan struct{}
		if pause == 0 {
			wake, pause = a.ledger.wake, a.ledger.restored(a.clock.Now())
		}
		var timer <-chan time.Time
		if pause > 0 {
			timer = a.clock.After(pause)
		}
		select {
		case <-ctx.Done():
			a.flush(ctx)
			return nil
		case <-wake:
		case <-timer:
		}
	}
}

// flush writes, when the manager stops, what waits. What is gone from the cluster is nowhere else: it comes first, and is
// tried until the time is over. The rest is the next leader's, if the store does not take it, or has just failed.
func (a *Archiver) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	a.ledger.restore(a.clock.Now().Add(archiveAside))
	failed := a.failures > 0
	for left := a.ledger.len(); ctx.Err() == nil && left > 0; left = a.ledger.len() {
		if failed && a.ledger.goneLen() == 0 {
			break
		}
		a.ledger.goneFirst()
		if failed = a.writeBatch(ctx) != nil; !failed && a.ledger.len() < left {
			continue
		}
		if a.ledger.goneLen() == 0 {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(farewellRetry):
		}
	}
	if n := a.ledger.goneLen(); n > 0 {
		archiveLost.Add(float64(n))
		a.log.Error(ctx.Err(), "Notifications that are gone from the cluster are not archived, and are lost", "number", n)
	}
}

// step writes once, and returns how long to wait then; zero if there is nothing to write.
func (a *Archiver) step(ctx context.Context) time.Duration {
	if ctx.Err() != nil {
		return 0
	}
	a.ledger.restore(a.clock.Now())
	if a.ledger.empty() {
		return 0
	}
	if err := a.write(ctx); err != nil {
		a.failures++
		if ctx.Err() != nil {
			return archivePause // the manager stops
		}
		archiveFailures.Inc()
		wait := min(notify.Backoff(archiveRetry, a.failures, rand.Float64()), archiveRetryMax)
		a.log.Error(err, "Notifications not archived; it will be tried again", "pending", a.ledger.len(), "after", wait)
		return wait
	}
	a.failures = 0
	if a.ledger.len() >= a.size {
		return time.Nanosecond // there is more to do than can gather
	}
	return archivePause
}

// write asks the store for what it may have already, or else writes a batch.
func (a *Archiver) write(ctx context.Context) error {
	asked := a.ledger.unknown(archive.MaxPage)
	if len(asked) == 0 {
		return a.writeBatch(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, archiveTimeout)
	defer cancel()
	revisions, err := a.store.Revisions(ctx, asked)
	if err != nil {
		return err
	}
	before := a.ledger.aheadLen()
	for _, uid := range asked {
		a.settle(uid, revisions[uid])
	}
	if n := a.ledger.aheadLen(); n > before {
		a.log.Info("The archive has later revisions than the cluster; if that lasts, etcd was restored to an earlier state, "+
			"and what becomes of these notifications is not archived", "number", n)
	}
	return nil
}

// writeBatch writes what is next. The error is the store's, or the cache's.
func (a *Archiver) writeBatch(ctx context.Context) error {
	batch, entries, err := a.batch(ctx)
	if err != nil {
		return err
	}
	if err := a.put(ctx, batch, entries); err != nil {
		a.size = 1
		a.ledger.postpone(batch)
		return err
	}
	if a.size < archiveBatch && 2*a.size >= archiveBatch {
		a.ledger.goneFirst() // the failure may have put it behind
	}
	a.size = min(2*a.size, archiveBatch)
	return nil
}

// put writes a batch. If the store does not take it, and takes what it has taken before, it is halved until what is refused
// is found, which is set aside if it is refused once more. The error is the store's.
func (a *Archiver) put(ctx context.Context, batch []archiveDue, entries []archive.Entry) error {
	if len(batch) == 0 {
		return nil
	}
	err := a.tell(ctx, entries)
	if err != nil && (archive.Unavailable(err) || len(a.taken) == 0 || a.tell(ctx, a.taken) != nil) {
		return err
	}
	if err != nil && len(batch) > 1 {
		half := len(batch) / 2
		if err := a.put(ctx, batch[:half], entries[:half]); err != nil {
			return err
		}
		return a.put(ctx, batch[half:], entries[half:])
	}
	if err != nil {
		err = a.tell(ctx, entries) // the store may have been away for a moment
	}
	switch {
	case err == nil:
		a.took(batch, entries)
		return nil
	case archive.Unavailable(err):
		return err
	default:
		a.setAside(batch[0], err)
		return nil
	}
}

// took notes what the store has taken.
func (a *Archiver) took(batch []archiveDue, entries []archive.Entry) {
	archiveEntries.Add(float64(len(entries)))
	a.taken = smallest(entries)
	for _, due := range batch {
		a.settle(due.uid, due.revision)
	}
}

func (a *Archiver) tell(ctx context.Context, entries []archive.Entry) error {
	ctx, cancel := context.WithTimeout(ctx, archiveTimeout)
	defer cancel()
	return a.store.Put(ctx, entries)
}

// setAside has an entry wait that cannot be stored as it is. A change brings it back at once.
func (a *Archiver) setAside(due archiveDue, err error) {
	archiveRefusals.Inc()
	a.log.Error(err, "Notification refused by the archive, which takes others; it will be tried again",
		"notification", due.key, "after", archiveAside)
	a.ledger.setAside(due, a.clock.Now().Add(archiveAside))
}

func smallest(entries []archive.Entry) []archive.Entry {
	return []archive.Entry{slices.MinFunc(entries, func(a, b archive.Entry) int { return cmp.Compare(a.Size(), b.Size()) })}
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
			a.setAside(due, err)
			continue
		}
		due.revision = e.Revision()
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

// OnUpdate takes notice of what became of a notification. One that was deleted and made anew while nobody watched comes as an
// update of the other one.
func (h archiveHandler) OnUpdate(before, o any) {
	if replaced(before, o) {
		h.OnDelete(before)
	}
	if n, ok := o.(*v1alpha1.Notification); ok && finished(n) {
		h.ledger.due(n, false)
	}
}

// replaced says whether two that have the same name are different notifications.
func replaced(before, after any) bool {
	a, ok := before.(*v1alpha1.Notification)
	b, both := after.(*v1alpha1.Notification)
	return ok && both && a.UID != b.UID
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

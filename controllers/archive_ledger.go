// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"container/list"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/archive"
)

// archiveGoneLimit is how many notifications are kept in memory that are gone from the cluster and not archived yet, and
// archiveGoneBytes about how many bytes of them. Those that are still in the cluster are not kept a second time.
const (
	archiveGoneLimit = 1000
	archiveGoneBytes = 16 << 20
)

// archiveLedger lists what is to be archived, by name alone, and knows what is.
type archiveLedger struct {
	mu sync.Mutex
	// archived are the revisions that the archive has of what the cluster has.
	archived map[types.UID]int64
	// ahead are those of which the archive has a later revision than the cluster.
	ahead map[types.UID]struct{}
	// pending is what is to be archived, in the order of queue.
	pending map[types.UID]*list.Element
	queue   list.List
	// aside is what is to be archived and cannot be as it is, until it is tried again.
	aside map[types.UID]archiveAsideDue
	// goneNumber and goneBytes are what is kept of what is gone.
	goneNumber int
	goneBytes  int64
	wake       chan struct{}
}

// archiveDue is a notification that is to be archived.
type archiveDue struct {
	uid      types.UID
	key      client.ObjectKey
	revision int64
	// ask says that the archive may have it.
	ask bool
	// gone is the notification if the cluster does not have it any more.
	gone  *v1alpha1.Notification
	bytes int64
}

// archiveAsideDue is set aside until then.
type archiveAsideDue struct {
	archiveDue

	until time.Time
}

func newArchiveLedger() *archiveLedger {
	return &archiveLedger{
		archived: map[types.UID]int64{}, ahead: map[types.UID]struct{}{}, pending: map[types.UID]*list.Element{},
		aside: map[types.UID]archiveAsideDue{}, wake: make(chan struct{}, 1),
	}
}

// has says whether the archive has that revision of a notification. A later one is not it: either the cache is about to hear
// of it, or etcd was restored to an earlier state, and the archive does not have what the cluster has.
func (l *archiveLedger) has(uid types.UID, revision int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.archived[uid] == revision
}

// due notes that a notification is to be archived as it is now.
func (l *archiveLedger) due(n *v1alpha1.Notification, ask bool) {
	revision, err := archive.Revision(n)
	if err != nil { // the API server's are numbers
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.compare(n.UID, revision)
	if l.archived[n.UID] >= revision {
		return
	}
	l.put(archiveDue{uid: n.UID, key: client.ObjectKeyFromObject(n), revision: revision, ask: ask})
}

// compare notes whether the archive is ahead of the cluster, which for longer than a moment it only is when etcd was restored to
// an earlier state. The caller holds the lock.
func (l *archiveLedger) compare(uid types.UID, revision int64) {
	if l.archived[uid] > revision {
		l.ahead[uid] = struct{}{}
	} else {
		delete(l.ahead, uid)
	}
	archiveAhead.Set(float64(len(l.ahead)))
}

// aheadLen is of how many the archive has a later revision than the cluster.
func (l *archiveLedger) aheadLen() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ahead)
}

// gone notes that a notification is not there any more. What was archived is as it was archived.
func (l *archiveLedger) gone(n *v1alpha1.Notification) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, known := l.archived[n.UID]
	_, pending := l.pending[n.UID]
	_, aside := l.aside[n.UID]
	pending = pending || aside
	delete(l.archived, n.UID)
	l.compare(n.UID, 0)
	if known && !pending {
		return
	}
	revision, err := archive.Revision(n) // the one of its deletion, which is later than all others
	due := archiveDue{
		uid: n.UID, key: client.ObjectKeyFromObject(n), revision: revision, gone: n, bytes: notificationBytes(n),
	}
	if err != nil || l.goneNumber >= archiveGoneLimit || l.goneBytes+due.bytes > archiveGoneBytes {
		l.drop(n.UID)
		archiveLost.Inc()
		return
	}
	l.goneNumber, l.goneBytes = l.goneNumber+1, l.goneBytes+due.bytes
	l.put(due)
}

// put adds what is due, or replaces it in its place; what is gone comes first, as it is nowhere else. The caller holds the
// lock.
func (l *archiveLedger) put(due archiveDue) {
	delete(l.aside, due.uid)
	element, pending := l.pending[due.uid]
	if pending {
		element.Value = due
	} else {
		element = l.queue.PushBack(due)
		l.pending[due.uid] = element
	}
	if due.gone != nil {
		l.queue.MoveToFront(element)
	}
	l.measure()
	l.signal()
}

func (l *archiveLedger) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// drop forgets what is due; the caller holds the lock.
func (l *archiveLedger) drop(uid types.UID) {
	due := l.aside[uid].archiveDue
	delete(l.aside, uid)
	if element, pending := l.pending[uid]; pending {
		due = dueOf(element)
		l.queue.Remove(element)
		delete(l.pending, uid)
	}
	if due.gone != nil {
		l.goneNumber, l.goneBytes = l.goneNumber-1, l.goneBytes-due.bytes
	}
	l.measure()
}

// setAside takes out what cannot be archived as it is, until then; unless it has changed meanwhile.
func (l *archiveLedger) setAside(due archiveDue, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	element, pending := l.pending[due.uid]
	if !pending || dueOf(element).gone != due.gone || dueOf(element).revision > due.revision {
		return
	}
	l.queue.Remove(element)
	delete(l.pending, due.uid)
	l.aside[due.uid] = archiveAsideDue{due, until}
	l.measure()
}

// restore brings back what was set aside until now.
func (l *archiveLedger) restore(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for uid, due := range l.aside {
		if !now.Before(due.until) {
			delete(l.aside, uid)
			l.pending[uid] = l.queue.PushBack(due.archiveDue)
		}
	}
	l.measure()
}

// restored is how long it is until something that was set aside comes back; zero if there is nothing.
func (l *archiveLedger) restored(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	var wait time.Duration
	for _, due := range l.aside {
		if left := max(due.until.Sub(now), time.Nanosecond); wait == 0 || left < wait {
			wait = left
		}
	}
	return wait
}

// settle notes that the archive has a revision of a notification; 0 that it has none.
func (l *archiveLedger) settle(uid types.UID, revision int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	element, pending := l.pending[uid]
	if !pending {
		return // it went meanwhile
	}
	due := dueOf(element)
	if due.ask {
		due.ask = false
		element.Value = due
	}
	if due.gone == nil && revision > 0 {
		l.archived[uid] = max(revision, l.archived[uid])
		l.compare(uid, due.revision)
	}
	if revision >= due.revision {
		l.drop(uid)
	}
}

// unknown are notifications of which the archive is to be asked.
func (l *archiveLedger) unknown(limit int) []types.UID {
	l.mu.Lock()
	defer l.mu.Unlock()
	var uids []types.UID
	for e := l.queue.Front(); e != nil && len(uids) < limit; e = e.Next() {
		if due := dueOf(e); due.ask {
			uids = append(uids, due.uid)
		}
	}
	return uids
}

// next is what is to be archived next.
func (l *archiveLedger) next(limit int) []archiveDue {
	l.mu.Lock()
	defer l.mu.Unlock()
	var batch []archiveDue
	for e := l.queue.Front(); e != nil && len(batch) < limit; e = e.Next() {
		batch = append(batch, dueOf(e))
	}
	return batch
}

// postpone puts at the end what could not be archived.
func (l *archiveLedger) postpone(batch []archiveDue) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, due := range batch {
		if element, pending := l.pending[due.uid]; pending {
			l.queue.MoveToBack(element)
		}
	}
}

// goneFirst puts at the beginning what is gone from the cluster, in its order.
func (l *archiveLedger) goneFirst() {
	l.mu.Lock()
	defer l.mu.Unlock()
	var last, next *list.Element
	for e := l.queue.Front(); e != nil; e = next {
		if next = e.Next(); dueOf(e).gone == nil {
			continue
		}
		if last == nil {
			l.queue.MoveToFront(e)
		} else {
			l.queue.MoveAfter(e, last)
		}
		last = e
	}
}

// len is how many are to be archived now, without those that were set aside.
func (l *archiveLedger) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.queue.Len()
}

func (l *archiveLedger) empty() bool { return l.len() == 0 }

// goneLen is how many are to be archived that are gone from the cluster.
func (l *archiveLedger) goneLen() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.goneNumber
}

// measure tells how much is pending, without what was set aside; the caller holds the lock.
func (l *archiveLedger) measure() { archivePending.Set(float64(l.queue.Len())) }

func dueOf(e *list.Element) archiveDue {
	due, _ := e.Value.(archiveDue)
	return due
}

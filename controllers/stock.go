// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/retention"
)

// stock is what of one kind may be deleted, and what was asked to go. What has gone is what the API server tells of, not
// what it was asked for.
type stock struct {
	mu   sync.Mutex
	kept *retention.Ledger
	// recent is when the earliest of those was created that have been put since the groups were looked at.
	recent map[v1alpha1.Severity]time.Time
	// leaving are objects that are on their way, with the reason for which they were asked to go, if they were.
	leaving map[types.UID]departure
	// shedding is the request for many that was made last.
	shedding shedding
	// departed are those that are gone because they were asked to go.
	departed []departure
	// unarchived are the revisions in which objects are to be archived before they go.
	unarchived map[types.UID]int64
	// wake tells that something has changed.
	wake chan struct{}
}

// departure is an object that goes for a reason.
type departure struct {
	item   retention.Item
	reason retention.Reason
}

// shedding is a request that deletes many of a key, by a choice of the API server's.
type shedding struct {
	key    retention.Key
	reason retention.Reason
	// gone is how many have gone since it was made.
	gone int
	// awaited are those that it deleted, until they have gone.
	awaited map[types.UID]struct{}
}

func newStock() *stock {
	return &stock{
		kept: retention.NewLedger(), recent: map[v1alpha1.Severity]time.Time{}, leaving: map[types.UID]departure{},
		unarchived: map[types.UID]int64{}, wake: make(chan struct{}, 1),
	}
}

// put adds an object that may be deleted, or moves it to its key.
func (s *stock) put(i retention.Item) {
	s.mu.Lock()
	s.place(i)
	s.mu.Unlock()
	s.signal()
}

// place puts; the caller holds the lock.
func (s *stock) place(i retention.Item) {
	if _, leaving := s.leaving[i.UID]; leaving && !s.kept.Has(i.UID) {
		return
	}
	s.kept.Put(i)
	if known, ok := s.recent[i.Severity]; i.Stage == retention.Finished && (!ok || i.Created.Before(known)) {
		s.recent[i.Severity] = i.Created
	}
}

// putUnarchived puts an object that is finished, and is to be archived in its revision before it goes. What asks whether it
// is must not hold what archived waits for.
func (s *stock) putUnarchived(i retention.Item, revision int64, has func(types.UID, int64) bool) {
	s.mu.Lock()
	if has(i.UID, revision) {
		delete(s.unarchived, i.UID)
	} else {
		s.unarchived[i.UID] = revision
		i.Stage = retention.Unarchived
	}
	s.place(i)
	s.mu.Unlock()
	s.signal()
}

// archived notes that an object is archived in a revision. A later one than wanted is not it, see archiveLedger.has.
func (s *stock) archived(uid types.UID, revision int64) {
	s.mu.Lock()
	wanted, waits := s.unarchived[uid]
	if waits = waits && revision == wanted; waits {
		delete(s.unarchived, uid)
		if i, kept := s.kept.Remove(uid); kept {
			i.Stage = retention.Finished
			s.place(i)
		}
	}
	s.mu.Unlock()
	if waits {
		s.signal()
	}
}

// leaves notes that an object is on its way, whatever it still waits for: nothing more can be done about it.
func (s *stock) leaves(uid types.UID) {
	s.mu.Lock()
	i, _ := s.kept.Remove(uid)
	delete(s.unarchived, uid)
	if _, known := s.leaving[uid]; !known {
		s.leaving[uid] = departure{item: i}
	}
	delete(s.shedding.awaited, uid)
	s.mu.Unlock()
	s.signal()
}

// gone notes that an object is no longer there.
func (s *stock) gone(uid types.UID) {
	s.mu.Lock()
	d := s.leaving[uid]
	if i, kept := s.kept.Remove(uid); kept && i.Key == s.shedding.key {
		d = departure{i, s.shedding.reason}
		s.shedding.gone++
	}
	if d.reason != "" {
		s.departed = append(s.departed, d)
	}
	delete(s.leaving, uid)
	delete(s.unarchived, uid)
	delete(s.shedding.awaited, uid)
	s.mu.Unlock()
	s.signal()
}

// ask takes the oldest of a key, which is asked to go.
func (s *stock) ask(key retention.Key, reason retention.Reason) (retention.Item, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, found := s.kept.Oldest(key)
	if found {
		s.kept.Remove(i.UID)
		s.leaving[i.UID] = departure{i, reason}
	}
	return i, found
}

// refuse puts back an object of which it is not known whether it goes. If it does, it was asked to.
func (s *stock) refuse(i retention.Item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, leaving := s.leaving[i.UID]; leaving { // else it is gone already
		s.kept.Put(i)
	}
}

// askMany begins a request that deletes many. What goes of the key from now on goes because of it, until the next begins.
func (s *stock) askMany(key retention.Key, reason retention.Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shedding = shedding{key: key, reason: reason}
}

// await makes the stock wait for those that a request deleted, and says whether it has deleted any.
func (s *stock) await(uids []types.UID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shedding.awaited = map[types.UID]struct{}{}
	for _, uid := range uids {
		if s.kept.Has(uid) {
			s.shedding.awaited[uid] = struct{}{}
		}
	}
	return s.shedding.gone+len(s.shedding.awaited) > 0
}

// awaits says whether what a request deleted is still to go.
func (s *stock) awaits() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.shedding.awaited) > 0
}

// settle ends what a request for many has begun: what goes from now on does not go because of it.
func (s *stock) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shedding = shedding{}
}

// take returns what has departed since the last call.
func (s *stock) take() []departure {
	s.mu.Lock()
	defer s.mu.Unlock()
	departed := s.departed
	s.departed = nil
	return departed
}

// total is how many may be deleted, and how many bytes they take.
func (s *stock) total() (int, int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept.Total()
}

// groups sums up what may be deleted.
func (s *stock) groups() []retention.Group {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.recent)
	return s.kept.Groups()
}

// soonest is when the first of those reaches its age that have been put since the groups were looked at, or zero.
func (s *stock) soonest(ages retention.Ages) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	var soonest time.Time
	for severity, created := range s.recent {
		soonest = earliest(soonest, created.Add(ages.Of(severity)))
	}
	return soonest
}

func (s *stock) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

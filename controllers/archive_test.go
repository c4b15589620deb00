// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/archive"
	"github.com/tocsin-dev/tocsin/internal/retention"
)

// shelf is an archive in a file of which the test sees how it is used, and that may be away.
type shelf struct {
	archive.Store

	puts, asked int
	// away is what each call fails with.
	away error
	// refuses is the number of an entry with which nothing is taken.
	refuses func([]archive.Entry) error
	// during happens while a batch is written.
	during func()
}

func (s *shelf) Put(ctx context.Context, entries []archive.Entry) error {
	if s.away != nil {
		return s.away
	}
	if s.refuses != nil {
		if err := s.refuses(entries); err != nil {
			return err
		}
	}
	if s.during != nil {
		s.during()
	}
	s.puts += len(entries)
	return s.Store.Put(ctx, entries)
}

func (s *shelf) Revisions(ctx context.Context, uids []types.UID) (map[types.UID]int64, error) {
	if s.away != nil {
		return nil, s.away
	}
	s.asked += len(uids)
	return s.Store.Revisions(ctx, uids)
}

// kept are the notifications of a cluster, as a client reads them.
type kept map[client.ObjectKey]*v1alpha1.Notification

func (k kept) Get(_ context.Context, key client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	n, found := k[key]
	if !found {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "notifications"}, key.Name)
	}
	n.DeepCopyInto(o.(*v1alpha1.Notification))
	return nil
}

func (k kept) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("nobody needs to list")
}

// archiving is an Archiver of a cluster that the test plays.
type archiving struct {
	*Archiver

	t       *testing.T
	shelf   *shelf
	cluster kept
	handler archiveHandler
	version int
	time    *clocktesting.FakeClock
}

func newArchiving(t *testing.T, path string) *archiving {
	t.Helper()
	database, err := archive.New("sqlite://" + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := database.Close(); err != nil {
			t.Error(err)
		}
	})
	a := &archiving{t: t, shelf: &shelf{Store: database}, cluster: kept{}, version: 100, time: clocktesting.NewFakeClock(time.Now())}
	a.Archiver = &Archiver{
		store: a.shelf, client: a.cluster, clock: a.time, log: logr.Discard(),
		told: func(types.UID, int64) {}, ledger: newArchiveLedger(), size: archiveBatch,
	}
	a.handler = archiveHandler{a.ledger}
	return a
}

// set writes a notification as a change makes it.
func (a *archiving) set(name string, change func(*v1alpha1.Notification)) {
	a.t.Helper()
	key := client.ObjectKey{Namespace: "security", Name: name}
	a.version++
	before, known := a.cluster[key]
	n := &v1alpha1.Notification{}
	if known {
		n = before.DeepCopy()
	} else {
		n.Namespace, n.Name, n.UID, n.Spec.Type = "security", name, types.UID("uid-"+name), "RiskOutbreak"
	}
	if change != nil {
		change(n)
	}
	n.ResourceVersion = fmt.Sprint(a.version)
	a.cluster[key] = n
	if known {
		a.handler.OnUpdate(before, n)
	} else {
		a.handler.OnAdd(n, false)
	}
}

func ended(n *v1alpha1.Notification) {
	n.Status.Conditions = []metav1.Condition{{Type: v1alpha1.SucceededCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonLogged}}
}

func acknowledged(n *v1alpha1.Notification) {
	n.Spec.Acknowledgement = &v1alpha1.Acknowledgement{Comment: "seen"}
}

// remove deletes a notification: the API server tells it with a revision of its own.
func (a *archiving) remove(name string) {
	key := client.ObjectKey{Namespace: "security", Name: name}
	n := a.cluster[key].DeepCopy()
	delete(a.cluster, key)
	a.version++
	n.ResourceVersion = fmt.Sprint(a.version)
	a.handler.OnDelete(n)
}

// settle works until there is nothing left to do.
func (a *archiving) settle() {
	a.t.Helper()
	for range 1000 {
		if a.step(a.t.Context()) == 0 {
			return
		}
	}
	a.t.Fatalf("there is no end: %d pending", a.ledger.len())
}

// holds checks which notifications the archive has; an asterisk tells those that are acknowledged there.
func (a *archiving) holds(want ...string) {
	a.t.Helper()
	page, err := a.shelf.Find(a.t.Context(), archive.Query{})
	if err != nil {
		a.t.Fatal(err)
	}
	var got []string
	for _, n := range page.Notifications {
		if n.Spec.Acknowledgement != nil {
			n.Name += "*"
		}
		got = append(got, n.Name)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		a.t.Errorf("the archive has %v, want %v", got, want)
	}
}

func TestArchiverWritesWhatIsFinishedAndWhatBecomesOfIt(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	a.set("a", ended)
	a.set("b", nil)
	a.settle()
	a.holds("a")
	a.set("b", ended)
	a.set("a", acknowledged)
	a.settle()
	a.holds("a*", "b")
	if a.shelf.asked > 0 {
		t.Error("the archive was asked for what it cannot have")
	}
}

func TestArchiverKeepsWhatIsDeletedBeforeItIsArchived(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	a.set("finished", ended)
	a.set("under-way", nil)
	a.set("archived", ended)
	a.step(t.Context())
	a.set("archived", acknowledged)
	a.set("later", ended)
	for _, name := range []string{"finished", "under-way", "archived", "later"} {
		a.remove(name)
	}
	a.settle()
	a.holds("archived*", "finished", "later", "under-way")
	if a.shelf.puts != 5 {
		t.Errorf("%d entries were written, want 5: one anew", a.shelf.puts)
	}
}

func TestArchiverAsksAfterARestart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	before := newArchiving(t, path)
	for i := range 1200 {
		before.set(fmt.Sprint("n-", i), ended)
	}
	before.settle()
	before.set("n-7", acknowledged)
	before.set("new", ended)
	after := newArchiving(t, path)
	maps.Copy(after.cluster, before.cluster)
	for _, n := range after.cluster {
		after.handler.OnAdd(n, true)
	}
	after.settle()
	if after.shelf.asked != 1201 || after.shelf.puts != 2 {
		t.Errorf("it asked for %d and wrote %d, want 1201 and 2", after.shelf.asked, after.shelf.puts)
	}
	for _, n := range after.cluster {
		if revision, err := archive.Revision(n); err != nil || !after.ledger.has(n.UID, revision) {
			t.Errorf("it does not know that %s is archived", n.Name)
		}
	}
}

// An etcd that was restored to an earlier state gives out revisions anew that the archive has already.
func TestAnArchiveThatIsAheadOfTheClusterDoesNotHaveWhatTheClusterHas(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	before := newArchiving(t, path)
	before.set("a", ended)
	earlier := before.cluster[client.ObjectKey{Namespace: "security", Name: "a"}]
	before.version = 200
	before.set("a", func(n *v1alpha1.Notification) { n.Labels = map[string]string{"later": "yes"} })
	before.settle()

	after := newArchiving(t, path)
	after.cluster[client.ObjectKeyFromObject(earlier)] = earlier
	after.version = 101
	b := newStock()
	retained := notificationHandler{b, after.Archiver}
	after.told = b.archived
	after.handler.OnAdd(earlier, true)
	retained.OnAdd(earlier, true)
	after.settle()
	unarchived := func() bool { return b.groups()[0].Stage == retention.Unarchived }
	if after.ledger.aheadLen() != 1 || !unarchived() {
		t.Errorf("%d are ahead", after.ledger.aheadLen())
	}
	after.set("a", acknowledged)
	retained.OnUpdate(earlier, after.cluster[client.ObjectKeyFromObject(earlier)])
	after.settle()
	if after.ledger.aheadLen() != 1 || !unarchived() {
		t.Errorf("%d are ahead, and what was dropped counts as archived", after.ledger.aheadLen())
	}
	after.version = 300
	after.set("a", acknowledged)
	retained.OnUpdate(earlier, after.cluster[client.ObjectKeyFromObject(earlier)])
	after.settle()
	after.holds("a*")
	if after.ledger.aheadLen() != 0 || unarchived() {
		t.Errorf("%d are ahead when the cluster has caught up", after.ledger.aheadLen())
	}
}

func TestANotificationThatIsMadeAnewUnderItsNameIsAnother(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	stock := newStock()
	retained := notificationHandler{stock, a.Archiver}
	a.set("same", nil)
	key := client.ObjectKey{Namespace: "security", Name: "same"}
	first := a.cluster[key]
	retained.OnAdd(first, false)
	a.version++
	second := first.DeepCopy()
	second.UID, second.ResourceVersion = "uid-second", fmt.Sprint(a.version)
	ended(second)
	a.cluster[key] = second
	a.handler.OnUpdate(first, second) // while the watch was away, one was deleted and the other made
	retained.OnUpdate(first, second)
	a.settle()
	a.holds("same", "same")
	if n, _ := stock.total(); n != 1 {
		t.Errorf("the retention knows of %d", n)
	}
}

func TestArchiverWaitsForAnArchiveThatIsAway(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	a.shelf.away = errors.New("connection refused")
	for i := range 250 {
		a.set(fmt.Sprintf("n-%03d", i), ended)
	}
	var waits []time.Duration
	for range 9 {
		waits = append(waits, a.step(t.Context()))
	}
	if waits[0] < 900*time.Millisecond || waits[0] > 1100*time.Millisecond || waits[8] != archiveRetryMax || !slices.IsSorted(waits) {
		t.Errorf("it waits %v", waits)
	}
	a.shelf.away = nil
	a.settle()
	if a.shelf.puts != 250 || a.ledger.len() != 0 {
		t.Errorf("%d were written, %d are pending", a.shelf.puts, a.ledger.len())
	}
}

// refusing has the store refuse, for good, whatever is written together with a poisonous one.
func refusing(entries []archive.Entry) error {
	for _, e := range entries {
		if strings.Contains(fmt.Sprintf("%+v", e), "poison") {
			return errors.New("no")
		}
	}
	return nil
}

func TestAnEntryThatIsRefusedIsSetAside(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	a.set("first", ended)
	a.settle()
	a.shelf.refuses = refusing
	for i := range 300 {
		a.set(fmt.Sprint("n-", i), ended)
		if i%150 == 70 {
			a.set(fmt.Sprint("poison-", i), ended)
		}
	}
	for range 4 { // two batches and a half, and what is then left
		if pause := a.step(t.Context()); pause > archivePause {
			t.Errorf("the others wait for %v", pause)
		}
	}
	if a.shelf.puts < 301 || a.ledger.len() != 0 || len(a.ledger.aside) != 2 {
		t.Errorf("%d of 301 were written, %d are pending, %d aside", a.shelf.puts, a.ledger.len(), len(a.ledger.aside))
	}
	if a.ledger.has("uid-poison-70", 1) {
		t.Error("what was refused counts as archived, and may be deleted")
	}

	tried := 0
	a.shelf.refuses = func(entries []archive.Entry) error { tried++; return refusing(entries) }
	if a.settle(); tried > 0 {
		t.Errorf("what is set aside was tried %d times at once", tried)
	}
	if wait := a.ledger.restored(a.clock.Now()); wait != archiveAside {
		t.Errorf("it is tried again after %v", wait)
	}
	a.time.Step(archiveAside)
	a.settle()
	if tried == 0 || len(a.ledger.aside) != 2 {
		t.Errorf("tried %d times after a while, %d are aside", tried, len(a.ledger.aside))
	}
	a.shelf.refuses = nil
	a.set("poison-70", acknowledged) // a change is tried at once
	a.settle()
	a.time.Step(archiveAside)
	a.settle()
	for _, name := range []string{"poison-70", "poison-220"} {
		revision, err := archive.Revision(a.cluster[client.ObjectKey{Namespace: "security", Name: name}])
		if err != nil || len(a.ledger.aside) != 0 || !a.ledger.has(types.UID("uid-"+name), revision) {
			t.Errorf("%s is not archived, %d are still aside", name, len(a.ledger.aside))
		}
	}
}

func TestAStoreThatWasAwayForAMomentRefusesNothing(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	a.set("first", ended)
	a.settle()
	failures := 1
	a.shelf.refuses = func([]archive.Entry) error {
		if failures--; failures >= 0 {
			return errors.New("conn closed")
		}
		return nil
	}
	a.set("second", ended)
	a.settle()
	a.holds("first", "second")
	if len(a.ledger.aside) != 0 {
		t.Error("it is set aside")
	}
}

func TestWhatIsRefusedAndDeletedIsStillKept(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	a.set("first", ended)
	a.settle()
	a.shelf.refuses = refusing
	a.set("poison", ended)
	a.settle()
	a.remove("poison")
	a.settle()
	if a.ledger.goneLen() != 1 || len(a.ledger.aside) != 1 {
		t.Fatalf("%d that are gone are kept, %d are aside", a.ledger.goneLen(), len(a.ledger.aside))
	}
	a.shelf.refuses = nil
	a.flush(t.Context())
	a.holds("first", "poison")
	if a.ledger.goneLen() != 0 {
		t.Error("it is still kept")
	}
}

func TestAnEntryThatCannotBeMadeHoldsUpNoOthers(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	a.set("odd", ended)
	a.cluster[client.ObjectKey{Namespace: "security", Name: "odd"}].ResourceVersion = "no number"
	a.set("other", ended)
	a.settle()
	a.holds("other")
	if len(a.ledger.aside) != 1 {
		t.Errorf("%d are aside", len(a.ledger.aside))
	}
}

// What is the store's own trouble is nobody's fault: nothing is set aside, as all of it is to be written when it is over.
func TestNothingIsSetAsideWhileTheStoreIsInTrouble(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(*archiving) error{
		"it takes nothing":          func(*archiving) error { return errors.New("no") },
		"it is away for new things": func(*archiving) error { return &net.OpError{Op: "dial", Err: errors.New("connection refused")} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
			a.set("first", ended)
			a.settle()
			a.shelf.refuses = func([]archive.Entry) error { return refuse(a) }
			for i := range 250 {
				a.set(fmt.Sprint("n-", i), ended)
			}
			for range 20 {
				a.step(t.Context())
			}
			if len(a.ledger.aside) != 0 || a.ledger.len() != 250 {
				t.Errorf("%d are pending, %d aside", a.ledger.len(), len(a.ledger.aside))
			}
		})
	}
}

func TestWhenTheManagerStopsWhatIsGoneIsWritten(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	a.shelf.away = errors.New("connection refused")
	for i := range 300 {
		a.set(fmt.Sprintf("kept-%03d", i), ended)
	}
	for i := range 250 {
		name := fmt.Sprintf("gone-%03d", i)
		a.set(name, ended)
		a.remove(name)
	}
	for range 3 {
		a.step(t.Context())
	}
	failures := 2
	a.shelf.refuses = func([]archive.Entry) error {
		if failures--; failures >= 0 {
			return errors.New("the server is starting")
		}
		return nil
	}
	a.shelf.away = nil
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.flush(ctx)
	if a.ledger.goneLen() != 0 || a.ledger.len() != 0 {
		t.Errorf("%d are pending, of which %d are nowhere else", a.ledger.len(), a.ledger.goneLen())
	}
}

func TestWhenTheManagerStopsWhatIsGoneIsWrittenFirst(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	a.shelf.away = errors.New("connection refused")
	for i := range 5 {
		name := fmt.Sprint("gone-", i)
		a.set(name, ended)
		a.remove(name)
	}
	for i := range 300 {
		a.set(fmt.Sprint("kept-", i), ended)
	}
	for range 3 {
		a.step(t.Context())
	}
	a.shelf.away = nil
	var order []bool
	a.shelf.refuses = func(entries []archive.Entry) error {
		for _, e := range entries {
			order = append(order, strings.Contains(fmt.Sprintf("%+v", e), "gone-"))
		}
		return nil
	}
	a.flush(t.Context())
	if len(order) != 305 || slices.Contains(order[:5], false) {
		t.Errorf("%d were written, the first of them gone: %v", len(order), order[:min(10, len(order))])
	}
}

func TestWhatAFailureHasPutBehindComesFirstWhenItIsOver(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	a.shelf.away = errors.New("connection refused")
	a.set("gone", ended)
	a.remove("gone")
	for i := range 1000 {
		a.set(fmt.Sprint("kept-", i), ended)
	}
	a.step(t.Context())
	a.shelf.away = nil
	for a.ledger.goneLen() > 0 && !a.ledger.empty() {
		a.step(t.Context())
	}
	if a.ledger.len() < 700 {
		t.Errorf("it was written when %d were left", a.ledger.len())
	}
}

func TestWhatIsLostWhenTheManagerStopsIsTold(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	var said strings.Builder
	a.log = funcr.New(func(_, args string) { said.WriteString(args) }, funcr.Options{})
	a.shelf.away = errors.New("connection refused")
	a.set("gone", ended)
	a.remove("gone")
	a.flush(t.Context())
	if !strings.Contains(said.String(), `"number"=1`) {
		t.Errorf("it says %q", said.String())
	}
}

func TestAManagerThatStopsAsksNoMoreOfAnArchiveThatHasJustFailed(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	tries := 0
	ctx, cancel := context.WithCancel(t.Context())
	a.shelf.refuses = func([]archive.Entry) error {
		tries++
		cancel() // it is told to stop while the archive hangs
		return context.Canceled
	}
	a.set("kept", ended)
	a.step(ctx)
	a.flush(ctx)
	if tries != 1 {
		t.Errorf("it has tried %d times", tries)
	}
}

func TestAManagerThatStopsDoesNotWaitForAnArchiveThatIsAwayForWhatIsInTheCluster(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	tries := 0
	a.shelf.refuses = func([]archive.Entry) error { tries++; return errors.New("connection refused") }
	a.set("kept", ended)
	a.flush(t.Context())
	if tries != 1 {
		t.Errorf("it has tried %d times", tries)
	}
}

func TestWhatChangesWhileItIsWrittenIsWrittenAnew(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	a.set("changed", ended)
	a.set("removed", ended)
	a.shelf.during = func() {
		a.shelf.during = nil
		a.set("changed", acknowledged)
		a.set("removed", acknowledged)
		a.remove("removed")
	}
	a.settle()
	a.holds("changed*", "removed*")
}

func TestWhatIsGoneIsKeptWithinBounds(t *testing.T) {
	t.Parallel()
	a := newArchiving(t, filepath.Join(t.TempDir(), "log.db"))
	a.shelf.away = errors.New("connection refused")
	for i := range archiveGoneLimit + 10 {
		name := fmt.Sprint("n-", i)
		a.set(name, ended)
		a.remove(name)
	}
	if got := a.ledger.len(); got != archiveGoneLimit {
		t.Errorf("%d are pending", got)
	}
	a.shelf.away = nil
	a.settle()
	for i := range 2 { // there is room again
		name := fmt.Sprint("later-", i)
		a.set(name, ended)
		a.remove(name)
	}
	if a.ledger.len() != 2 || a.ledger.goneNumber != 2 {
		t.Errorf("%d are pending, %d counted", a.ledger.len(), a.ledger.goneNumber)
	}
}

func TestWhatIsNotArchivedStays(t *testing.T) {
	t.Parallel()
	b := newBench(t, 10, 0)
	archived := map[types.UID]bool{}
	put := func(n int, age time.Duration) {
		for range n {
			b.placed++
			uid, created := types.UID(fmt.Sprint("n", b.placed)), b.time.Now().Add(-age)
			b.stock.putUnarchived(retention.Item{
				Key: retention.Key{Namespace: "a", Severity: v1alpha1.SeverityInfo}, UID: uid, Name: string(uid),
				Place: uint64(b.placed), Created: created,
			}, 7, func(uid types.UID, _ int64) bool { return archived[uid] })
		}
	}
	put(2, 2*time.Hour) // long over its age
	b.step()
	b.wants()
	b.stock.archived("n1", 6) // an earlier revision
	b.step()
	b.wants()
	b.stock.archived("n1", 7)
	b.step()
	b.wants("n1")
	b.stock.gone("n1")
	put(19, 0)
	b.time.Step(time.Second)
	b.step()
	b.wants() // twenty, of which ten are too many
	put(1, 0)
	b.time.Step(time.Second)
	b.step()
	b.wants("n2") // twice as many and one: the oldest goes, archived or not
}

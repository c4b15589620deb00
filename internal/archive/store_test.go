// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/archive"
)

// noon is when the tests happen.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// sqliteFile is an archive in a file of its own.
func sqliteFile(t testing.TB) *archive.Database {
	t.Helper()
	return open(t, "sqlite://"+filepath.Join(t.TempDir(), "log %3F%23%2541.db")) // a name that is hard to pass on
}

func open(t testing.TB, location string) *archive.Database {
	t.Helper()
	d, err := archive.New(location)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// stored writes notifications to an archive.
func stored(t testing.TB, s archive.Store, notifications ...v1alpha1.Notification) {
	t.Helper()
	entries := make([]archive.Entry, 0, len(notifications))
	for i := range notifications {
		e, err := archive.NewEntry(&notifications[i])
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	if err := s.Put(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
}

// found is all that a query selects, page by page, by name.
func found(t testing.TB, s archive.Store, q archive.Query) []string {
	t.Helper()
	var names []string
	for pages := 0; ; pages++ {
		page, err := s.Find(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Notifications {
			names = append(names, page.Notifications[i].Name)
		}
		if q.Continue = page.Continue; q.Continue == "" {
			return names
		}
		if pages > 10_000 {
			t.Fatal("the pages do not end")
		}
	}
}

// told is a notification of a condition, a minute before noon for each number.
func told(number int) v1alpha1.Notification {
	at := metav1.NewTime(noon.Add(-time.Duration(number) * time.Minute))
	return v1alpha1.Notification{
		TypeMeta: metav1.TypeMeta{APIVersion: "tocsin.dev/v1alpha1", Kind: "Notification"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "security", Name: fmt.Sprintf("outbreak-%d", number), UID: types.UID(fmt.Sprintf("uid-%05d", number)),
			ResourceVersion: fmt.Sprint(1000 + number), CreationTimestamp: at,
		},
		Spec: v1alpha1.NotificationSpec{
			Type: "RiskOutbreak", Severity: v1alpha1.SeverityCritical, Creator: "Alice",
			Condition: &v1alpha1.ConditionSnapshot{Name: "outbreak", UID: "c", Generation: 1},
			Trigger: &v1alpha1.Trigger{
				Reason: v1alpha1.TriggerThresholdReached, Time: at, Sequence: int64(number), ComputerNames: []string{"WS-042", "srv-1"},
			},
			Deliveries: []v1alpha1.Delivery{{Channel: "mail", Subject: "Outbreak", Message: "Five computers, 100% of them"}},
		},
		Status: v1alpha1.NotificationStatus{Conditions: []metav1.Condition{{
			Type: v1alpha1.SucceededCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonDelivered, LastTransitionTime: at,
		}}},
	}
}

// stores are tested alike; those of PostgreSQL are in postgres_test.go.
type stores func(t testing.TB) *archive.Database

func TestSQLite(t *testing.T) {
	t.Parallel()
	testStore(t, sqliteFile)
}

func testStore(t *testing.T, empty stores) {
	t.Run("what was put is found as it was", func(t *testing.T) {
		t.Parallel()
		s, n := empty(t), told(1)
		stored(t, s, n)
		got, err := s.Get(t.Context(), "security", "outbreak-1")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(&n, got); diff != "" {
			t.Error(diff)
		}
		for _, absent := range []string{"outbreak-2", "OUTBREAK-1", "outbreak%", ""} {
			if _, err := s.Get(t.Context(), "security", absent); !errors.Is(err, archive.ErrNotFound) {
				t.Errorf("%q: %v", absent, err)
			}
		}
	})
	t.Run("a later state replaces an earlier one, never the other way round", func(t *testing.T) {
		t.Parallel()
		s := empty(t)
		before, after := told(1), told(1)
		before.ResourceVersion, after.ResourceVersion = "999", "1000" // as numbers, not as text
		after.Spec.Acknowledgement = &v1alpha1.Acknowledgement{Comment: "seen", By: "bob", Time: &metav1.Time{Time: noon}}
		for range 2 {
			stored(t, s, after)
			stored(t, s, before)
		}
		got, err := s.Get(t.Context(), "security", "outbreak-1")
		if err != nil {
			t.Fatal(err)
		}
		if got.Spec.Acknowledgement == nil {
			t.Error("the acknowledgement is gone")
		}
		yes := true
		if names := found(t, s, archive.Query{Filter: v1alpha1.NotificationFilterSpec{Acknowledged: &yes}}); len(names) != 1 {
			t.Errorf("found %v", names)
		}
	})
	t.Run("revisions of what there is", func(t *testing.T) {
		t.Parallel()
		s := empty(t)
		stored(t, s, told(1), told(2))
		asked := []types.UID{"uid-00002", "nobody", `') OR 1=1 --`}
		for i := range 1200 {
			asked = append(asked, types.UID(fmt.Sprint("other-", i)))
		}
		got, err := s.Revisions(t.Context(), append(asked, "uid-00001"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[types.UID]int64{"uid-00001": 1001, "uid-00002": 1002}, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("pages hold what there is once, the newest first", func(t *testing.T) { t.Parallel(); testPages(t, empty(t)) })
	t.Run("the oldest first", func(t *testing.T) { t.Parallel(); testOldestFirst(t, empty(t)) })
	t.Run("what was created before", func(t *testing.T) { t.Parallel(); testFrom(t, empty(t)) })
	t.Run("it finds what the filter matches", func(t *testing.T) { t.Parallel(); testAgreement(t, empty(t)) })
	t.Run("hostile text is text", func(t *testing.T) { t.Parallel(); testHostile(t, empty(t)) })
	t.Run("questions that make no sense", func(t *testing.T) { t.Parallel(); testRefused(t, empty(t)) })
	t.Run("many at once", func(t *testing.T) { t.Parallel(); testCrowd(t, empty(t)) })
}

func testPages(t *testing.T, s archive.Store) {
	var want []string
	for i := range 23 {
		n := told(i / 3) // three at the same time
		n.Name, n.UID = fmt.Sprintf("n-%02d", i), types.UID(fmt.Sprintf("u-%02d", i))
		stored(t, s, n)
		want = append(want, n.Name)
	}
	slices.SortFunc(want, func(a, b string) int { // by time, the newest first; then by UID, backwards
		minutes := func(name string) int {
			i, _ := strconv.Atoi(strings.TrimPrefix(name, "n-"))
			return i / 3
		}
		if minutes(a) != minutes(b) {
			return minutes(a) - minutes(b)
		}
		return strings.Compare(b, a)
	})
	for _, limit := range []int{0, 1, 2, 5, 22, 23, 24, archive.MaxPage + 1} {
		if diff := cmp.Diff(want, found(t, s, archive.Query{Limit: limit})); diff != "" {
			t.Errorf("pages of %d: %s", limit, diff)
		}
	}
	page, err := s.Find(t.Context(), archive.Query{Limit: 5})
	if err != nil || len(page.Notifications) != 5 {
		t.Errorf("a page of 5 has %d: %v", len(page.Notifications), err)
	}
	big := told(0)
	big.Spec.Deliveries[0].Message = strings.Repeat("long ", 1<<16)
	for i := range 8 {
		big.Name, big.UID = fmt.Sprint("big-", i), types.UID(fmt.Sprint("v-", i))
		stored(t, s, big)
	}
	page, err = s.Find(t.Context(), archive.Query{})
	if err != nil || len(page.Notifications) != 4 || page.Continue == "" {
		t.Errorf("a page of big entries has %d, and %q follows: %v", len(page.Notifications), page.Continue, err)
	}
	if names := found(t, s, archive.Query{}); len(names) != 31 {
		t.Errorf("found %d in all, want 31", len(names))
	}
}

// testOldestFirst finds the same in the other order, and what comes meanwhile at the end.
func testOldestFirst(t *testing.T, s archive.Store) {
	for i := range 23 {
		n := told(i / 3)
		n.Name, n.UID = fmt.Sprintf("n-%02d", i), types.UID(fmt.Sprintf("u-%02d", i))
		stored(t, s, n)
	}
	want := found(t, s, archive.Query{})
	slices.Reverse(want)
	for _, limit := range []int{0, 1, 3, 5, 23} {
		if diff := cmp.Diff(want, found(t, s, archive.Query{Order: archive.OldestFirst, Limit: limit})); diff != "" {
			t.Errorf("pages of %d: %s", limit, diff)
		}
	}
	page, err := s.Find(t.Context(), archive.Query{Order: archive.OldestFirst, Limit: 20})
	if err != nil {
		t.Fatal(err)
	}
	stored(t, s, told(-1))
	rest := found(t, s, archive.Query{Order: archive.OldestFirst, Continue: page.Continue})
	if len(rest) != 4 || rest[3] != "outbreak--1" {
		t.Errorf("what follows is %v", rest)
	}
}

// testFrom leaves out what was created before a time, whenever it was decided.
func testFrom(t *testing.T, s archive.Store) {
	for i := range 10 { // created a minute before noon for each; decided in the other order
		n := told(i)
		n.Spec.Trigger.Time = metav1.NewTime(noon.Add(time.Duration(i) * time.Hour))
		stored(t, s, n)
	}
	other := told(0)
	other.Namespace, other.Name, other.UID = "plant", "elsewhere", "elsewhere"
	stored(t, s, other)
	for back, want := range map[time.Duration]int{
		0: 1, time.Minute: 2, time.Minute - time.Second: 1, time.Hour: 10, -time.Second: 0, 5*time.Minute - 1: 5,
	} {
		q := archive.Query{Namespace: "security", From: noon.Add(-back), Limit: 3}
		if names := found(t, s, q); len(names) != want {
			t.Errorf("from %v before noon: %v, want %d", back, names, want)
		}
	}
}

func testHostile(t *testing.T, s archive.Store) {
	texts := []string{
		`'; DROP TABLE notification_archive; --`, `" OR ""="`, `%`, `_`, `\`, `\%`, `$1`, `?`, "a\x00b", "\u202e", "\u2028</script>",
		"ĀÉß İ", "日本語", "🜲", "a\nb", `{"a":1}`, `*`, `\u0000`, "\uFFFD", "c\x00\x00d", "\x01\x1b[2J", "\u0085",
	}
	for i, text := range texts {
		n := told(i)
		n.Namespace, n.Name, n.Spec.Creator = text, text, text
		n.Spec.Type, n.Spec.Condition.Name, n.Spec.Trigger.ComputerNames = text, text, []string{text}
		n.Spec.Deliveries = []v1alpha1.Delivery{{Channel: text, Subject: text, Message: text}}
		n.Spec.Acknowledgement = &v1alpha1.Acknowledgement{By: text, Comment: text}
		stored(t, s, n)
	}
	for i, text := range texts {
		w := []v1alpha1.Wildcard{v1alpha1.Wildcard(text)}
		q := archive.Query{Namespace: text, Filter: v1alpha1.NotificationFilterSpec{
			Types: w, Creators: w, Conditions: w, Computers: w, Channels: w, Text: text,
		}}
		page, err := s.Find(t.Context(), q)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if len(page.Notifications) != 1 || page.Notifications[0].UID != told(i).UID || page.Notifications[0].Name != text {
			t.Errorf("%q: found %d", text, len(page.Notifications))
		}
		for _, part := range []archive.Query{{Filter: v1alpha1.NotificationFilterSpec{Text: text}}, {Filter: v1alpha1.NotificationFilterSpec{Creators: w}}} {
			if !slices.Contains(found(t, s, part), text) {
				t.Errorf("%q is not found by one of its parts", text)
			}
		}
	}
	for i, text := range texts { // it comes back as it was
		got, err := s.Get(t.Context(), text, text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got.UID != told(i).UID || got.Spec.Deliveries[0].Message != text || got.Spec.Trigger.ComputerNames[0] != text ||
			got.Spec.Acknowledgement.Comment != text {
			t.Errorf("%q came back as %+v", text, got)
		}
	}
	broken := told(1000)
	broken.Spec.Deliveries[0].Message, broken.Spec.Creator = "no \xff UTF-8 \xed\xa0\x80", "\xc3" // which JSON cannot hold
	stored(t, s, broken)
	if got, err := s.Get(t.Context(), "security", "outbreak-1000"); err != nil || !strings.HasPrefix(got.Spec.Deliveries[0].Message, "no \uFFFD UTF-8") {
		t.Errorf("%v, %+v", err, got)
	}
	if names := found(t, s, archive.Query{Filter: v1alpha1.NotificationFilterSpec{Text: "_"}}); len(names) != 2 { // and the table that is not dropped
		t.Errorf("an underscore stands for %d texts", len(names))
	}
}

func testRefused(t *testing.T, s archive.Store) {
	since, until := metav1.NewTime(noon), metav1.NewTime(noon.Add(-time.Hour))
	for name, c := range map[string]struct {
		query archive.Query
		says  string
	}{
		"a range that ends before it begins": {archive.Query{Filter: v1alpha1.NotificationFilterSpec{Since: &since, Until: &until}}, "spec.until"},
		"no duration":                        {archive.Query{Filter: v1alpha1.NotificationFilterSpec{Last: "a while"}}, "spec.last"},
		"last and since":                     {archive.Query{Filter: v1alpha1.NotificationFilterSpec{Last: "1h", Since: &since}}, "spec.last"},
		"a place that was not given out":     {archive.Query{Continue: "here"}, "continue"},
		"a place without an entry":           {archive.Query{Continue: "17."}, "continue"},
		"a place with too much":              {archive.Query{Continue: "17." + strings.Repeat("x", 200)}, "continue"},
	} {
		_, err := s.Find(t.Context(), c.query)
		if !errors.Is(err, archive.ErrQuery) || !strings.Contains(fmt.Sprint(err), c.says) {
			t.Errorf("%s: %v, want one that says %q", name, err, c.says)
		}
	}
	if names := found(t, s, archive.Query{Continue: "17.' OR 1=1"}); len(names) != 0 {
		t.Errorf("found %v", names)
	}
}

// testCrowd has many write and read at once; nothing is lost and nobody is refused.
func testCrowd(t *testing.T, s archive.Store) {
	const writers, each = 8, 20
	failures := make(chan error, 2*writers)
	for w := range writers {
		go func() {
			for i := range each {
				n := told(w*each + i)
				e, err := archive.NewEntry(&n)
				if err == nil {
					err = s.Put(t.Context(), []archive.Entry{e})
				}
				if err != nil {
					failures <- err
					return
				}
			}
			failures <- nil
		}()
		go func() {
			for range each {
				if _, err := s.Find(t.Context(), archive.Query{Limit: 3}); err != nil {
					failures <- err
					return
				}
			}
			failures <- nil
		}()
	}
	for range 2 * writers {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	if names := found(t, s, archive.Query{}); len(names) != writers*each {
		t.Errorf("there are %d, want %d", len(names), writers*each)
	}
}

// shuffled returns the same random numbers each time.
func shuffled(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 17)) }

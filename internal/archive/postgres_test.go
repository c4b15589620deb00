// SPDX-License-Identifier: Apache-2.0

//go:build interop

package archive_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/internal/archive"
	"github.com/tocsin-dev/tocsin/internal/testkit/postgres"
)

// patience is how long the server may take for what it does in an instant on a machine that has nothing else to do.
const patience = 60 * time.Second

// locationOf is that of an empty database.
func locationOf(t testing.TB, s *postgres.Server) string {
	t.Helper()
	_, location := s.Database(t)
	return location
}

func TestPostgreSQL(t *testing.T) {
	t.Parallel()
	s := postgres.New(t)
	t.Run("store", func(t *testing.T) {
		testStore(t, func(t testing.TB) *archive.Database { return open(t, locationOf(t, s)) })
	})
	t.Run("replicas that start at once", func(t *testing.T) { testReplicas(t, locationOf(t, s)) })
	t.Run("a newer schema is refused", func(t *testing.T) {
		name, location := s.Database(t)
		stored(t, open(t, location), told(1))
		if err := s.Admin(t.Context(), name, "INSERT INTO notification_archive_schema VALUES (99)"); err != nil {
			t.Fatal(err)
		}
		if _, err := open(t, location).Get(t.Context(), "a", "b"); !errors.Is(err, archive.ErrNewerSchema) || !archive.Unavailable(err) {
			t.Error(err)
		}
	})
	t.Run("a database that is not UTF-8", func(t *testing.T) {
		_, location := s.Database(t, "ENCODING SQL_ASCII LC_COLLATE 'C' LC_CTYPE 'C'")
		if _, err := open(t, location).Get(t.Context(), "a", "b"); err == nil || !strings.Contains(err.Error(), "must have UTF8") {
			t.Error(err)
		}
	})
	t.Run("a wrong password is not shown", func(t *testing.T) {
		passfile := filepath.Join(t.TempDir(), "passfile")
		if err := os.WriteFile(passfile, []byte("*:*:*:*:wrong-"+postgres.Password), 0o600); err != nil {
			t.Fatal(err)
		}
		location := strings.Replace(locationOf(t, s), filepath.Join(s.Dir, "passfile"), passfile, 1)
		_, err := open(t, location).Get(t.Context(), "a", "b")
		if err == nil || !strings.Contains(err.Error(), "password authentication failed") || strings.Contains(err.Error(), postgres.Password) || !archive.Unavailable(err) {
			t.Error(err)
		}
	})
	t.Run("what is refused is no trouble of the database's", func(t *testing.T) {
		name, location := s.Database(t)
		d := open(t, location)
		stored(t, d, told(1))
		if err := s.Admin(t.Context(), name,
			"ALTER TABLE notification_archive ADD CHECK (name <> 'outbreak-2')"); err != nil {
			t.Fatal(err)
		}
		poison, other := told(2), told(3)
		refused, err := archive.NewEntry(&poison)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Put(t.Context(), []archive.Entry{refused}); err == nil || archive.Unavailable(err) {
			t.Errorf("refused with: %v", err)
		}
		stored(t, d, other)
	})
	t.Run("what was written survives a kill of the writer", func(t *testing.T) {
		location := locationOf(t, s)
		last := killedWriter(t, location, 50)
		if got := len(found(t, open(t, location), archive.Query{})); got < last {
			t.Errorf("%d entries are left of %d", got, last)
		}
	})
}

// testReplicas has several managers open an empty database at the same moment and write the same entries.
func testReplicas(t *testing.T, location string) {
	const replicas = 6
	var all sync.WaitGroup
	for range replicas {
		d := open(t, location)
		all.Go(func() {
			for from := range 3 {
				var entries []archive.Entry
				for number := range 50 {
					n := told(from*25 + (number*7)%50) // in another order each time
					e, err := archive.NewEntry(&n)
					if err != nil {
						t.Error(err)
						return
					}
					entries = append(entries, e)
				}
				if err := d.Put(t.Context(), entries); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if names := found(t, open(t, location), archive.Query{}); len(names) != 100 {
		t.Errorf("there are %d, want 100", len(names))
	}
}

// TestPostgreSQLIsAwayAndBack crashes the server three times while somebody writes and tries again.
func TestPostgreSQLIsAwayAndBack(t *testing.T) {
	t.Parallel()
	s := postgres.New(t)
	d := open(t, locationOf(t, s))
	stored(t, d, told(0))
	stop, failed := make(chan struct{}), make(chan error, 1)
	var written atomic.Int64
	want := map[types.UID]int64{"uid-00000": 1000}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for number := 1; ; number++ {
			n := told(number)
			e, _ := archive.NewEntry(&n)
			for {
				err := d.Put(t.Context(), []archive.Entry{e})
				if err == nil {
					break
				}
				select {
				case failed <- err:
				default:
				}
				time.Sleep(10 * time.Millisecond)
			}
			want[n.UID] = int64(1000 + number)
			written.Store(int64(number))
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	progress := func() {
		t.Helper()
		from := written.Load()
		for deadline := time.Now().Add(patience); written.Load() < from+20; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("nothing more was written after %d", from)
			}
		}
	}
	for range 3 {
		progress()
		s.Crash(t)
		select {
		case err := <-failed:
			if strings.Contains(err.Error(), postgres.Password) {
				t.Errorf("the error shows the password: %v", err)
			}
		case <-time.After(patience):
			t.Fatal("the server is away, and nobody notices")
		}
		s.Start(t)
	}
	progress()
	close(stop)
	<-done
	uids := make([]types.UID, 0, len(want))
	for uid := range want {
		uids = append(uids, uid)
	}
	got, err := d.Revisions(t.Context(), uids)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"database/sql"
	"errors"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// slow is a kind whose schema takes its time.
type slow struct {
	kind

	steps   *atomic.Int32
	proceed chan struct{}
}

func (s slow) alone(ctx context.Context, _ *sql.Tx) error {
	s.steps.Add(1)
	select {
	case <-s.proceed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func slowly(t *testing.T) (*Database, slow) {
	t.Helper()
	s := slow{sqlite{filepath.Join(t.TempDir(), "log.db")}, &atomic.Int32{}, make(chan struct{})}
	return newDatabase(s), s
}

// TestNobodyWhoWaitsEndsAMigration that takes longer than he waits.
func TestNobodyWhoWaitsEndsAMigration(t *testing.T) {
	t.Parallel()
	d, s := slowly(t)
	t.Cleanup(func() { _ = d.Close() })
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		_, err := d.Find(ctx, Query{})
		cancel()
		if !errors.Is(err, errNotReady) || !errors.Is(err, context.DeadlineExceeded) || !Unavailable(err) {
			t.Error(err)
		}
	}
	close(s.proceed)
	if _, err := d.Find(t.Context(), Query{}); err != nil {
		t.Error(err)
	}
	if n := s.steps.Load(); n != 2 { // the one that is missing, and the look that none is
		t.Errorf("%d steps", n)
	}
}

func TestCloseEndsAMigration(t *testing.T) {
	t.Parallel()
	d, _ := slowly(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := d.Find(ctx, Query{}); !errors.Is(err, errNotReady) {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if _, err := d.Find(t.Context(), Query{}); !errors.Is(err, errClosed) {
		t.Error(err)
	}
}

func TestLinesThatAreCut(t *testing.T) {
	t.Parallel()
	l := &lines{open: map[*line]struct{}{}}
	var others []net.Conn
	dial := l.dialer(func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		others = append(others, there)
		return here, nil
	})
	ended, err := dial(t.Context(), "tcp", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t.Context(), "tcp", ""); err != nil {
		t.Fatal(err)
	}
	if err := ended.Close(); err != nil || len(l.open) != 1 {
		t.Errorf("%d are listed: %v", len(l.open), err)
	}
	l.cut()
	if _, err := dial(t.Context(), "tcp", ""); !errors.Is(err, errClosed) {
		t.Error(err)
	}
	for i, other := range others {
		if _, err := other.Read(make([]byte, 1)); err == nil {
			t.Errorf("line %d is not cut", i)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTheLogOfWritesStaysWithinBounds while there is always somebody who reads, one before the other ends.
func TestTheLogOfWritesStaysWithinBounds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	d := today(t, path)
	p, err := d.connected(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done, begun := make(chan error, 1), make(chan struct{})
	go func() { done <- readInTurn(ctx, p.reads, begun) }()
	<-begun
	text, biggest := strings.Repeat("x", 2<<20), int64(0)
	for number := range 5 * sqliteLog / len(text) {
		if err := d.Put(t.Context(), []Entry{{uid: fmt.Sprint("u", number), text: text, object: "{}"}}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		biggest = max(biggest, info.Size())
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if biggest > 2*sqliteLog {
		t.Errorf("the log of writes had %d MiB", biggest>>20)
	}
}

// readInTurn reads from before one transaction ends to after the next has begun, until the context ends.
func readInTurn(ctx context.Context, db *sql.DB, begun chan<- struct{}) error {
	read := func() (*sql.Tx, error) {
		ctx := context.WithoutCancel(ctx)
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return nil, err
		}
		var number int
		return tx, tx.QueryRowContext(ctx, "SELECT count(*) FROM notification_archive").Scan(&number)
	}
	before, err := read()
	close(begun)
	for err == nil && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond) // several are written meanwhile
		next, failed := read()
		err = errors.Join(failed, before.Rollback())
		before = next
	}
	return errors.Join(err, before.Rollback())
}

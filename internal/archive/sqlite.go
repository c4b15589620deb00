// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver named sqlite
)

// sqlite is a database in a file.
type sqlite struct{ path string }

const (
	// sqliteReaders is how many read at once, as many as package serve lets ask. One writes.
	sqliteReaders = 6
	// sqliteLog is how many bytes the write-ahead log takes, more or less: those who read while others do may keep it from
	// being used anew.
	sqliteLog = 16 << 20
)

func newSQLite(location *url.URL) (*Database, error) {
	switch {
	case location.Host != "":
		return nil, fmt.Errorf("the path of the file must be absolute, with three slashes: sqlite:///%s%s", location.Host, location.Path)
	case location.Path == "" || filepath.Base(location.Path) == "/":
		return nil, errors.New("the path of the file is missing: sqlite:///path/file.db")
	case location.RawQuery != "" || location.Fragment != "" || location.User != nil:
		return nil, errors.New("there may be nothing but the path of the file: sqlite:///path/file.db")
	}
	return newDatabase(sqlite{filepath.Clean(location.Path)}), nil
}

func (s sqlite) migrations() string { return "sqlite" }

// alone has nothing to do: each transaction that writes is alone from its beginning.
func (sqlite) alone(context.Context, *sql.Tx) error { return nil }

// by names the index: what SQLite knows of how much each leaves is out of date as soon as it has learnt it.
func (sqlite) by(index string) string { return " INDEXED BY notification_archive_" + index }

func (s sqlite) connect(ctx context.Context) (*pools, error) {
	// Nobody else is to read the log; what SQLite makes beside the file gets the file's mode.
	file, err := os.OpenFile(s.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	writes, err := s.open("immediate", "journal_mode(WAL)", "synchronous(FULL)", fmt.Sprintf("journal_size_limit(%d)", sqliteLog))
	if err != nil {
		return nil, err
	}
	writes.SetMaxOpenConns(1)
	reads, err := s.open("deferred", "query_only(1)")
	if err != nil {
		return nil, errors.Join(err, writes.Close())
	}
	reads.SetMaxOpenConns(sqliteReaders)
	// the journal's mode is set before anybody reads
	if err := writes.PingContext(ctx); err != nil {
		return nil, errors.Join(err, reads.Close(), writes.Close())
	}
	log := &writeAhead{path: s.path + "-wal", at: sqliteLog}
	return &pools{
		writes: writes, reads: reads,
		written: func(ctx context.Context) { log.bound(ctx, writes) },
		close:   func() error { return errors.Join(reads.Close(), writes.Close()) },
	}, nil
}

// writeAhead is SQLite's write-ahead log. At its end SQLite goes on at its beginning, if nobody reads what it holds: those who
// read one after the other are fine, but where there is always one it would grow for ever.
type writeAhead struct {
	path string
	mu   sync.Mutex
	// at is how many bytes it must have for it to be emptied.
	at int64
}

// bound empties the log if it is long. That waits until those have ended who read what it holds, and others who begin read
// the file itself. Where one reads for too long, it is tried again when the log has grown as much again.
func (w *writeAhead) bound(ctx context.Context, db *sql.DB) {
	w.mu.Lock()
	defer w.mu.Unlock()
	size := w.size()
	if size < w.at {
		return
	}
	_, _ = db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)") // what is written is written
	w.at = w.size() + sqliteLog
}

func (w *writeAhead) size() int64 {
	info, err := os.Stat(w.path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// open prepares connections. In a pod there may be no folder for temporary files: they are kept in memory, where a sort
// never holds more than the positions of a page.
func (s sqlite) open(lock string, pragmas ...string) (*sql.DB, error) {
	options := url.Values{
		"_txlock": {lock}, "_pragma": append([]string{"busy_timeout(10000)", "temp_store(MEMORY)"}, pragmas...),
	}
	location := url.URL{Scheme: "file", Path: s.path, RawQuery: options.Encode()}
	return sql.Open("sqlite", location.String())
}

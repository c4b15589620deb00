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

	_ "modernc.org/sqlite" // the driver named sqlite
)

// sqlite is a database in a file.
type sqlite struct{ path string }

// sqliteReaders is how many read at once, as many as package serve lets ask. One writes.
const sqliteReaders = 6

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

func (s sqlite) connect(ctx context.Context) (*pools, error) {
	// Nobody else is to read the log; what SQLite makes beside the file gets the file's mode.
	file, err := os.OpenFile(s.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := file.Close(); err != nil {
		return nil, err
	}
	writes, err := s.open("immediate", "journal_mode(WAL)", "synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	writes.SetMaxOpenConns(1)
	reads, err := s.open("deferred", "query_only(1)")
	if err != nil {
		return nil, errors.Join(err, writes.Close())
	}
	reads.SetMaxOpenConns(sqliteReaders)
	p := &pools{writes: writes, reads: reads, close: func() error { return errors.Join(reads.Close(), writes.Close()) }}
	// The journal's mode is set before anybody reads, and SQLite learns which index leaves how much; it looks at a part only.
	if _, err := writes.ExecContext(ctx, "PRAGMA analysis_limit = 400; PRAGMA optimize = 0x10002"); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

// open prepares connections. In a pod there may be no folder for temporary files: they are kept in memory, where a sort
// never holds more than a page.
func (s sqlite) open(lock string, pragmas ...string) (*sql.DB, error) {
	options := url.Values{
		"_txlock": {lock}, "_pragma": append([]string{"busy_timeout(10000)", "temp_store(MEMORY)"}, pragmas...),
	}
	location := url.URL{Scheme: "file", Path: s.path, RawQuery: options.Encode()}
	return sql.Open("sqlite", location.String())
}

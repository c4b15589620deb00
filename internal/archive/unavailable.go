// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"slices"

	"github.com/jackc/pgx/v5/pgconn"
	driver "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// troubles are what SQLite reports that has nothing to do with what it was given.
var troubles = []int{
	sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CORRUPT,
	sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_PERM,
	sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT,
}

// aboutContent are the classes of PostgreSQL's errors that are about what it was given: data exceptions, violated constraints
// and exceeded limits of a row or an index.
var aboutContent = []string{"22", "23", "54"}

// Unavailable says whether an error of Put is for certain the database's own trouble: it is away, full or forbids it. Others
// may be about what it was given.
func Unavailable(err error) bool {
	var bySQLite *driver.Error
	var byPostgres *pgconn.PgError
	var byNetwork net.Error
	var byFile *fs.PathError
	switch {
	case errors.As(err, &bySQLite):
		return slices.Contains(troubles, bySQLite.Code()&0xff)
	case errors.As(err, &byPostgres):
		return len(byPostgres.Code) < 2 || !slices.Contains(aboutContent, byPostgres.Code[:2])
	default:
		return errors.As(err, &byNetwork) || errors.As(err, &byFile) || errors.Is(err, ErrNewerSchema) || errors.Is(err, errClosed) ||
			errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	}
}

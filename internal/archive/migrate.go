// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// migrations are the steps from an empty database to the schema of today, a folder for each kind, in the order of their names.
// A step that was released is never changed, and none takes away what the version before needs: while the replicas of the
// manager are replaced, both work.
//
//go:embed migrations/*/*.sql
var migrations embed.FS

// migrate takes the steps that are missing, each in a transaction of its own.
func migrate(ctx context.Context, db *sql.DB, k kind, files fs.FS) error {
	names, err := fs.Glob(files, path.Join("migrations", k.migrations(), "*.sql"))
	if err != nil {
		return err
	}
	for upToDate := false; !upToDate; {
		if upToDate, err = step(ctx, db, k, files, names); err != nil {
			return err
		}
	}
	return nil
}

// step takes the next step, and says whether there was none.
func step(ctx context.Context, db *sql.DB, k kind, files fs.FS, names []string) (upToDate bool, err error) {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, ignoreDone(tx.Rollback())) }()
	if err := k.alone(ctx, tx); err != nil {
		return false, err
	}
	const table = "CREATE TABLE IF NOT EXISTS notification_archive_schema (version BIGINT NOT NULL PRIMARY KEY)"
	if _, err := tx.ExecContext(ctx, table); err != nil {
		return false, err
	}
	var version int
	if err := tx.QueryRowContext(ctx, "SELECT coalesce(max(version), 0) FROM notification_archive_schema").Scan(&version); err != nil {
		return false, err
	}
	switch {
	case version == len(names):
		return true, tx.Commit()
	case version > len(names):
		return false, fmt.Errorf("%w: it has schema %d and this version knows schemas up to %d; "+
			"run the newer version again, or restore the database from before the upgrade", ErrNewerSchema, version, len(names))
	}
	statements, err := fs.ReadFile(files, names[version])
	if err != nil {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, string(statements)); err != nil {
		return false, fmt.Errorf("%s: %w", path.Base(names[version]), err)
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO notification_archive_schema (version) VALUES ($1)", version+1); err != nil {
		return false, err
	}
	return false, tx.Commit()
}

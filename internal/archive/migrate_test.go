// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"errors"
	"io/fs"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"k8s.io/apimachinery/pkg/types"
)

// opened is an archive with other migrations than those of today.
func opened(t *testing.T, path string, files fs.FS) (*pools, error) {
	t.Helper()
	d, err := newSQLite(&url.URL{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.kind.connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.close(); err != nil {
			t.Error(err)
		}
	})
	return p, migrate(t.Context(), p.writes, d.kind, files)
}

// later is the schemas of today and one more step.
func later(t *testing.T, statements string) fs.FS {
	t.Helper()
	files := fstest.MapFS{"migrations/sqlite/9999_later.sql": {Data: []byte(statements)}}
	names, err := fs.Glob(migrations, "migrations/sqlite/*.sql")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(migrations, name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	return files
}

func today(t *testing.T, path string) *Database {
	t.Helper()
	d, err := newSQLite(&url.URL{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestAnOldSchemaIsMigrated(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	d := today(t, path)
	if err := d.Put(t.Context(), []Entry{{uid: "u", name: "kept", object: "{}"}}); err != nil {
		t.Fatal(err)
	}
	p, err := opened(t, path, later(t, `
		ALTER TABLE notification_archive ADD COLUMN later TEXT NOT NULL DEFAULT 'added';
		UPDATE notification_archive SET later = later || ' to ' || name;`))
	if err != nil {
		t.Fatal(err)
	}
	var value string
	if err := p.reads.QueryRowContext(t.Context(), "SELECT later FROM notification_archive").Scan(&value); err != nil || value != "added to kept" {
		t.Errorf("%q, %v", value, err)
	}
	// what has opened the database before goes on
	if err := d.Put(t.Context(), []Entry{{uid: "v", object: "{}"}}); err != nil {
		t.Error(err)
	}
}

func TestANewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	if _, err := opened(t, path, later(t, "CREATE TABLE later (a TEXT);")); err != nil {
		t.Fatal(err)
	}
	d := today(t, path)
	for range 2 {
		_, err := d.Revisions(t.Context(), []types.UID{"u"})
		if !errors.Is(err, ErrNewerSchema) || !strings.Contains(err.Error(), "it has schema 2 and this version knows schemas up to 1") {
			t.Error(err)
		}
	}
}

func TestAStepThatFailsLeavesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	if _, err := opened(t, path, later(t, "CREATE TABLE later (a TEXT); INSERT INTO nowhere VALUES (1);")); err == nil || !strings.Contains(err.Error(), "9999_later.sql") {
		t.Fatal(err)
	}
	p, err := opened(t, path, later(t, "CREATE TABLE later (a TEXT);"))
	if err != nil {
		t.Fatal(err)
	}
	var steps int
	if err := p.reads.QueryRowContext(t.Context(), "SELECT count(*) FROM notification_archive_schema").Scan(&steps); err != nil || steps != 2 {
		t.Errorf("%d steps were taken: %v", steps, err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

const upsert = `INSERT INTO notification_archive (uid, revision, namespace, name, created, decided, kind, condition, severity,
  creator, state, acknowledged, acknowledged_by, acknowledged_at, channels, computers, text, object)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
ON CONFLICT (uid) DO UPDATE SET revision = excluded.revision, namespace = excluded.namespace, name = excluded.name,
  created = excluded.created, decided = excluded.decided, kind = excluded.kind, condition = excluded.condition,
  severity = excluded.severity, creator = excluded.creator, state = excluded.state, acknowledged = excluded.acknowledged,
  acknowledged_by = excluded.acknowledged_by, acknowledged_at = excluded.acknowledged_at, channels = excluded.channels,
  computers = excluded.computers, text = excluded.text, object = excluded.object
WHERE excluded.revision >= notification_archive.revision`

// Put adds or replaces entries.
func (d *Database) Put(ctx context.Context, entries []Entry) error {
	if len(entries) == 0 {
		return nil
	}
	db, err := d.connected(ctx)
	if err != nil {
		return err
	}
	tx, err := db.writes.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("writing to the archive: %w", err)
	}
	if err := put(ctx, tx, entries); err != nil {
		return fmt.Errorf("writing to the archive: %w", errors.Join(err, ignoreDone(tx.Rollback())))
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("writing to the archive: %w", err)
	}
	db.written(ctx)
	return nil
}

// put writes in the order of the UIDs: two who write the same ones do not wait for each other in turn.
func put(ctx context.Context, tx *sql.Tx, entries []Entry) error {
	statement, err := tx.PrepareContext(ctx, upsert)
	if err != nil {
		return err
	}
	defer statement.Close()
	ordered := slices.SortedFunc(slices.Values(entries), func(a, b Entry) int { return cmp.Compare(a.uid, b.uid) })
	for i := range ordered {
		e := &ordered[i]
		if _, err := statement.ExecContext(ctx, e.uid, e.revision, e.namespace, e.name, e.created, e.decided, e.kind, e.condition,
			e.severity, e.creator, e.state, e.acknowledged, e.acknowledgedBy, e.acknowledgedAt, e.channels, e.computers, e.text,
			e.object); err != nil {
			return fmt.Errorf("notification %s/%s: %w", e.namespace, e.name, err)
		}
	}
	return nil
}

// ignoreDone leaves out that a transaction has ended already, as it does with its context.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// maxAsked is how many revisions are asked for at once.
const maxAsked = 500

// Revisions returns the revisions of those entries that there are. It is asked by who writes, whom no reader is to hold up.
func (d *Database) Revisions(ctx context.Context, uids []types.UID) (map[types.UID]int64, error) {
	db, err := d.connected(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[types.UID]int64, len(uids))
	for some := range slices.Chunk(uids, maxAsked) {
		w := &where{}
		anyOf(w, "uid", some)
		if err := eachRow(ctx, db.writes, "SELECT uid, revision FROM notification_archive"+w.String(), w.values,
			func(rows *sql.Rows) error {
				var uid string
				var revision int64
				err := rows.Scan(&uid, &revision)
				found[types.UID(uid)] = revision
				return err
			}); err != nil {
			return nil, fmt.Errorf("asking the archive what it holds: %w", err)
		}
	}
	return found, nil
}

// eachRow visits the rows that a statement returns.
func eachRow(ctx context.Context, db *sql.DB, statement string, values []any, visit func(*sql.Rows) error) error {
	rows, err := db.QueryContext(ctx, statement, values...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Find returns a page.
func (d *Database) Find(ctx context.Context, q Query) (Page, error) {
	conditions, filter, err := q.compile()
	if err != nil {
		return Page{}, err
	}
	s := search{kind: d.kind, filter: filter, order: q.Order, limit: q.Limit}
	if s.limit <= 0 || s.limit > MaxPage {
		s.limit = MaxPage
	}
	if q.Continue != "" {
		from, err := parsePosition(q.Continue)
		if err != nil {
			return Page{}, err
		}
		s.at = &from
	}
	db, err := d.connected(ctx)
	if err != nil {
		return Page{}, err
	}
	for more := true; more; {
		if more, err = s.next(ctx, db.reads, *conditions); err != nil {
			return Page{}, fmt.Errorf("searching the archive: %w", err)
		}
	}
	return s.page, nil
}

func decode(object []byte) (*v1alpha1.Notification, error) {
	n := &v1alpha1.Notification{}
	if err := json.Unmarshal(object, n); err != nil {
		return nil, fmt.Errorf("reading an entry: %w", err)
	}
	return n, nil
}

// Get returns the entry of one notification.
func (d *Database) Get(ctx context.Context, namespace, name string) (*v1alpha1.Notification, error) {
	db, err := d.connected(ctx)
	if err != nil {
		return nil, err
	}
	var object []byte
	err = db.reads.QueryRowContext(ctx, strings.Join([]string{
		"SELECT object FROM notification_archive WHERE namespace = $1 AND name = $2",
		"ORDER BY created DESC, revision DESC LIMIT 1",
	}, " "), clean(namespace), clean(name)).Scan(&object)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("reading the archive: %w", err)
	}
	return decode(object)
}

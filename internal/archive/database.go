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
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

// Database is a Store in an SQL database. It connects when it is first asked for something, and tries anew with each call
// until it has succeeded; the schema is brought up to date then.
type Database struct {
	kind kind
	// connecting is held by who connects.
	connecting chan struct{}
	// pools are nil until the database was reached.
	pools  *pools
	closed bool
}

// pools are the connections to a database: those that write, and those that read.
type pools struct {
	writes, reads *sql.DB
	close         func() error
}

var _ Store = &Database{}

// kind is what SQLite and PostgreSQL differ in.
type kind interface {
	// connect opens the database.
	connect(ctx context.Context) (*pools, error)
	// migrations is the folder that holds them.
	migrations() string
	// alone keeps everybody else from changing the schema until the transaction ends.
	alone(ctx context.Context, tx *sql.Tx) error
}

func newDatabase(k kind) *Database { return &Database{kind: k, connecting: make(chan struct{}, 1)} }

// connected returns the database once it is reached and its schema is up to date.
func (d *Database) connected(ctx context.Context) (*pools, error) {
	select {
	case d.connecting <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-d.connecting }()
	switch {
	case d.closed:
		return nil, errClosed
	case d.pools != nil:
		return d.pools, nil
	}
	opened, err := d.kind.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the archive: %w", err)
	}
	if err := migrate(ctx, opened.writes, d.kind, migrations); err != nil {
		return nil, fmt.Errorf("bringing the schema of the archive up to date: %w", errors.Join(err, opened.close()))
	}
	d.pools = opened
	return opened, nil
}

var errClosed = errors.New("the archive is closed")

// Close releases the database. Nothing else can be done with it then.
func (d *Database) Close() error {
	d.connecting <- struct{}{}
	defer func() { <-d.connecting }()
	opened := d.pools
	d.pools, d.closed = nil, true
	if opened == nil {
		return nil
	}
	return opened.close()
}

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

// Revisions returns the revisions of those entries that there are.
func (d *Database) Revisions(ctx context.Context, uids []types.UID) (map[types.UID]int64, error) {
	db, err := d.connected(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[types.UID]int64, len(uids))
	for some := range slices.Chunk(uids, maxAsked) {
		w := &where{}
		anyOf(w, "uid", some)
		if err := eachRow(ctx, db.reads, "SELECT uid, revision FROM notification_archive"+w.String(), w.values,
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
	s := search{filter: filter, order: q.Order, limit: q.Limit}
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

// search fills a page.
type search struct {
	filter *logfilter.Filter
	order  Order
	limit  int
	page   Page
	bytes  int
	// at is the entry that was looked at last.
	at *position
}

// errFull ends a search whose page is full.
var errFull = errors.New("the page is full")

// statement asks for as many rows as the page may hold entries. They begin behind the last one: whatever the page, none is
// skipped.
func (s *search) statement(w where) (statement string, values []any) {
	w.terms, w.values = slices.Clip(w.terms), slices.Clip(w.values)
	behind, order := "<", "decided DESC, uid DESC"
	if s.order == OldestFirst {
		behind, order = ">", "decided, uid"
	}
	if s.at != nil {
		w.term("(decided, uid) "+behind+" (%s, %s)", s.at.decided, s.at.uid)
	}
	statement = "SELECT decided, uid, object FROM notification_archive" + w.String() + " ORDER BY " + order + " LIMIT " + w.value(s.limit)
	return statement, w.values
}

// next looks at the rows of a statement, and says whether there is more to look at.
func (s *search) next(ctx context.Context, db *sql.DB, w where) (bool, error) {
	statement, values := s.statement(w)
	seen := 0
	err := eachRow(ctx, db, statement, values, func(rows *sql.Rows) error {
		seen++
		return s.look(rows)
	})
	if errors.Is(err, errFull) {
		s.page.Continue = s.at.String()
		return false, nil
	}
	return seen == s.limit, err
}

func (s *search) look(rows *sql.Rows) error {
	var at position
	var object []byte
	if err := rows.Scan(&at.decided, &at.uid, &object); err != nil {
		return err
	}
	s.at = &at
	n, err := decode(object)
	if err != nil {
		return err
	}
	if !s.filter.Match(n) {
		return nil
	}
	s.page.Notifications = append(s.page.Notifications, *n)
	if s.bytes += len(object); s.bytes >= maxPageBytes || len(s.page.Notifications) == s.limit {
		return errFull
	}
	return nil
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

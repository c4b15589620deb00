// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"database/sql"
	"errors"
	"slices"

	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

// search fills a page.
type search struct {
	kind   kind
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
// skipped. What may have to be sorted is positions alone; the objects, which may be big, are fetched one after the other.
func (s *search) statement(w where) (statement string, values []any) {
	w.terms, w.values = slices.Clip(w.terms), slices.Clip(w.values)
	behind, order := "<", " ORDER BY decided DESC, uid DESC"
	if s.order == OldestFirst {
		behind, order = ">", " ORDER BY decided, uid"
	}
	if s.at != nil {
		w.term("(decided, uid) "+behind+" (%s, %s)", s.at.decided, s.at.uid)
	}
	positions := "SELECT decided, uid FROM notification_archive" + s.kind.by(w.index) + w.String() + order + " LIMIT " + w.value(s.limit)
	statement = "SELECT decided, uid, (SELECT object FROM notification_archive AS entry WHERE entry.uid = found.uid) FROM (" +
		positions + ") AS found" + order
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

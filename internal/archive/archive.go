// SPDX-License-Identifier: Apache-2.0

// Package archive keeps entries of the log in a database, for as long as somebody wants them: SQLite in a file, or
// PostgreSQL. What it finds is what a NotificationFilter selects, as package logfilter says.
package archive

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// Store keeps entries. All of it may be called at the same time, also by several programs on the same database.
type Store interface {
	// Put adds entries, all or none. One that is there already is replaced, unless it is of a later revision.
	Put(ctx context.Context, entries []Entry) error
	// Revisions says which of the objects there are entries of, and of what revision.
	Revisions(ctx context.Context, uids []types.UID) (map[types.UID]int64, error)
	// Find returns a page of what a query selects. The error is ErrQuery if it can never be answered.
	Find(ctx context.Context, q Query) (Page, error)
	// Get returns the entry of a notification by its name; of several the one created last. The error is ErrNotFound if
	// there is none.
	Get(ctx context.Context, namespace, name string) (*v1alpha1.Notification, error)
	// Close releases the database.
	Close() error
}

const (
	// MaxPage is the most entries that a page holds, and what it holds when the query does not say.
	MaxPage = 500
	// maxPageBytes is when a page is full whatever it holds: an entry may be as big as the API server allows.
	maxPageBytes = 1 << 20
)

var (
	// ErrQuery is that a query makes no sense.
	ErrQuery = errors.New("the query cannot be answered")
	// ErrNotFound is that the archive has no such entry.
	ErrNotFound = errors.New("the archive has no such notification")
	// ErrNewerSchema is that a newer version of Tocsin has changed the database.
	ErrNewerSchema = errors.New("the database was changed by a newer version of Tocsin")
)

// Order is the one in which entries are found.
type Order int

// By the time at which they were decided.
const (
	NewestFirst Order = iota
	OldestFirst
)

// Query selects entries.
type Query struct {
	// Namespace limits it to one. Empty: all.
	Namespace string
	// From limits it to notifications that were not created before. Zero: all.
	From   time.Time
	Filter v1alpha1.NotificationFilterSpec
	// Now is what the filter counts back from.
	Now   time.Time
	Order Order
	// Limit is how many entries a page may hold. 0: MaxPage.
	Limit int
	// Continue is that of the page before, which has the same order. Empty: the first page.
	Continue string
}

// Page is some of what was found.
type Page struct {
	Notifications []v1alpha1.Notification
	// Continue asks for what follows. Empty: that was all. What follows may turn out to be nothing.
	Continue string
}

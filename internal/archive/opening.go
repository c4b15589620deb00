// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Database is a Store in an SQL database. It connects when it is first asked for something, and tries anew with each call
// until it has succeeded; the schema is brought up to date then. That takes as long as it takes, whoever waits for it.
type Database struct {
	kind kind

	mu sync.Mutex
	// end ends the attempt to open it.
	end context.CancelFunc
	// opening is nil unless the database is being opened.
	opening *opening
	// pools are nil until the database was reached.
	pools  *pools
	closed bool
}

// opening is an attempt to open the database. The error is there when it is done.
type opening struct {
	done chan struct{}
	err  error
}

// pools are the connections to a database: those that write, and those that read.
type pools struct {
	writes, reads *sql.DB
	// written is called after each write.
	written func(context.Context)
	close   func() error
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
	// by makes the database search by an index, where it does not know best.
	by(index string) string
}

// connectTimeout is how long it may take to reach the database.
const connectTimeout = 30 * time.Second

var (
	errClosed   = errors.New("the archive is closed")
	errNotReady = errors.New("the archive is not ready: it is being opened, or its schema brought up to date")
)

func newDatabase(k kind) *Database { return &Database{kind: k, end: func() {}} }

// connected returns the database once it is reached and its schema is up to date.
func (d *Database) connected(ctx context.Context) (*pools, error) {
	opened, attempt, err := d.open(ctx)
	if opened != nil || err != nil {
		return opened, err
	}
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", errNotReady, ctx.Err())
	case <-attempt.done:
	}
	if attempt.err != nil {
		return nil, attempt.err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, errClosed
	}
	return d.pools, nil
}

// open returns the database if it is open, or else the attempt that is being made.
func (d *Database) open(ctx context.Context) (*pools, *opening, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.closed:
		return nil, nil, errClosed
	case d.pools != nil:
		return d.pools, nil, nil
	case d.opening == nil:
		d.opening = &opening{done: make(chan struct{})}
		life, end := context.WithCancel(context.WithoutCancel(ctx)) // it does not end with who asks first
		d.end = end
		go d.attempt(life, d.opening)
	}
	return nil, d.opening, nil
}

// attempt tries to open the database.
func (d *Database) attempt(life context.Context, o *opening) {
	opened, err := d.connect(life)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.end()
	if err == nil && d.closed {
		err = errors.Join(errClosed, opened.close())
	}
	if err == nil {
		d.pools = opened
	}
	o.err = err
	d.opening = nil
	close(o.done)
}

func (d *Database) connect(life context.Context) (*pools, error) {
	ctx, cancel := context.WithTimeout(life, connectTimeout)
	defer cancel()
	opened, err := d.kind.connect(ctx)
	if err != nil {
		return nil, fmt.Errorf("opening the archive: %w", err)
	}
	if err := migrate(life, opened.writes, d.kind, migrations); err != nil {
		return nil, fmt.Errorf("bringing the schema of the archive up to date: %w", errors.Join(err, opened.close()))
	}
	return opened, nil
}

// Close releases the database. Nothing else can be done with it then.
func (d *Database) Close() error {
	d.mu.Lock()
	d.end()
	opened, attempt := d.pools, d.opening
	d.pools, d.closed = nil, true
	d.mu.Unlock()
	switch {
	case attempt != nil:
		<-attempt.done
	case opened != nil:
		return opened.close()
	}
	return nil
}

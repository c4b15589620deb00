// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgres is a database of a server.
type postgres struct{ config *pgxpool.Config }

const (
	// postgresReaders is how many connections a manager reads with at most, unless the URL says pool_max_conns.
	postgresReaders = 6
	// postgresWriters is how many it writes with, whatever the URL says: no reader is to hold up a write.
	postgresWriters = 2
	// cancelPatience is how long a server that was asked to cancel a statement may take for it.
	cancelPatience = time.Second
	// closePatience is how long a server may take to end the connections.
	closePatience = time.Second
)

// newPostgres takes the URL as it was read and as it was written, which is what pgx reads.
func newPostgres(location *url.URL, written string) (*Database, error) {
	_, typed := location.User.Password()
	options := location.Query()
	if typed || options.Has("password") || options.Has("sslpassword") {
		return nil, errors.New("the password must not be part of the URL, where everybody sees it: " +
			"set the environment variable PGPASSWORD, or PGPASSFILE, or `passfile` in the URL, to a file")
	}
	config, err := pgxpool.ParseConfig(written)
	if err != nil {
		return nil, fmt.Errorf("reading the URL: %w", withoutValues(err))
	}
	if !options.Has("pool_max_conns") {
		config.MaxConns = postgresReaders
	}
	c := &config.ConnConfig.Config
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "tocsin"
	}
	c.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: cancelPatience}
	}
	return newDatabase(postgres{config}), nil
}

// withoutValues keeps what is wrong with a configuration and leaves out the configuration, of which pgx hides passwords, but
// only where it finds them.
func withoutValues(err error) error {
	if inner := errors.Unwrap(err); inner != nil {
		return inner
	}
	return errors.New("it is not a URL of PostgreSQL such as postgres://tocsin@db.example.com/tocsin?sslmode=verify-full")
}

func (postgres) migrations() string { return "postgres" }

// schemaLock is the number by which managers know that one of them changes the schema: the letters "tocsin".
const schemaLock = 0x746f6373696e

func (postgres) alone(ctx context.Context, tx *sql.Tx) error {
	_, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", int64(schemaLock))
	return err
}

// by leaves it to PostgreSQL, which keeps count of what each index leaves.
func (postgres) by(string) string { return "" }

func (p postgres) connect(ctx context.Context) (*pools, error) {
	lines := &lines{open: map[*line]struct{}{}}
	readers, writers := p.config.Copy(), p.config.Copy()
	writers.MaxConns, writers.MinConns, writers.MinIdleConns = postgresWriters, 0, 0
	readers.ConnConfig.DialFunc = lines.dialer(p.config.ConnConfig.DialFunc)
	writers.ConnConfig.DialFunc = readers.ConnConfig.DialFunc
	reads, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), readers)
	if err != nil {
		return nil, err
	}
	writes, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), writers)
	if err != nil {
		reads.Close()
		return nil, err
	}
	opened := &pools{
		writes: stdlib.OpenDBFromPool(writes), reads: stdlib.OpenDBFromPool(reads), written: func(context.Context) {},
	}
	opened.close = func() error {
		patience := time.AfterFunc(closePatience, lines.cut)
		defer patience.Stop()
		err := errors.Join(opened.reads.Close(), opened.writes.Close())
		reads.Close()
		writes.Close()
		return err
	}
	var encoding string
	if err := opened.writes.QueryRowContext(ctx, "SHOW server_encoding").Scan(&encoding); err != nil {
		return nil, errors.Join(err, opened.close())
	}
	if encoding != "UTF8" {
		return nil, errors.Join(opened.close(), fmt.Errorf("the database has the encoding %s and must have UTF8: "+
			"make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0", encoding))
	}
	return opened, nil
}

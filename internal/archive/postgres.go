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
	// postgresConnections is how many connections a manager has at most, unless the URL says pool_max_conns.
	postgresConnections = 8
	// cancelPatience is how long a server that was asked to cancel a statement may take for it.
	cancelPatience = 5 * time.Second
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
		config.MaxConns = postgresConnections
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

func (p postgres) connect(ctx context.Context) (*pools, error) {
	pool, err := pgxpool.NewWithConfig(context.WithoutCancel(ctx), p.config.Copy())
	if err != nil {
		return nil, err
	}
	db := stdlib.OpenDBFromPool(pool)
	opened := &pools{writes: db, reads: db, close: func() error {
		err := db.Close()
		pool.Close()
		return err
	}}
	var encoding string
	if err := db.QueryRowContext(ctx, "SHOW server_encoding").Scan(&encoding); err != nil {
		return nil, errors.Join(err, opened.close())
	}
	if encoding != "UTF8" {
		return nil, errors.Join(opened.close(), fmt.Errorf("the database has the encoding %s and must have UTF8: "+
			"make one with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0", encoding))
	}
	return opened, nil
}

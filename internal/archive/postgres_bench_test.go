// SPDX-License-Identifier: Apache-2.0

//go:build interop

package archive_test

import (
	"testing"

	"github.com/tocsin-dev/tocsin/internal/testkit/postgres"
)

// BenchmarkPostgreSQL is BenchmarkSQLite with PostgreSQL.
func BenchmarkPostgreSQL(b *testing.B) {
	benchmarkStore(b, open(b, locationOf(b, postgres.New(b))))
}

// SPDX-License-Identifier: Apache-2.0

//go:build interop

package archive_test

import "testing"

// BenchmarkPostgreSQL is BenchmarkSQLite with PostgreSQL.
func BenchmarkPostgreSQL(b *testing.B) {
	s := newServer(b)
	benchmarkStore(b, open(b, s.database(b)))
}

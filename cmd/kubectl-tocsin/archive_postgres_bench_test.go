// SPDX-License-Identifier: Apache-2.0

//go:build interop

package main_test

import (
	"testing"

	"github.com/tocsin-dev/tocsin/internal/testkit/postgres"
)

// BenchmarkArchiveInPostgreSQL is BenchmarkArchiveInSQLite with PostgreSQL.
func BenchmarkArchiveInPostgreSQL(b *testing.B) {
	_, location := postgres.New(b).Database(b)
	benchmarkArchive(b, location)
}

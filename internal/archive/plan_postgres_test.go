// SPDX-License-Identifier: Apache-2.0

//go:build interop

package archive

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	server "github.com/tocsin-dev/tocsin/internal/testkit/postgres"
)

// TestPostgreSQLFindsPagesByAnIndex: it may sort what an index has found of several criteria, but it never reads the table from
// its beginning.
func TestPostgreSQLFindsPagesByAnIndex(t *testing.T) {
	t.Parallel()
	s := server.New(t)
	name, location := s.Database(t)
	d, err := New(location)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	many(t, d, 20_000)
	if err := s.Admin(t.Context(), name, "ANALYZE notification_archive"); err != nil {
		t.Fatal(err)
	}
	for name, q := range planned {
		for order, at := range map[Order]*position{NewestFirst: nil, OldestFirst: {decided: 1, uid: "u"}} {
			q.Order = order
			plan := explained(t.Context(), t, d, "EXPLAIN ", q, at)
			if !strings.Contains(plan, "Index") || strings.Contains(plan, "Seq Scan") {
				t.Errorf("%s, order %d: %s", name, order, plan)
			}
			if name == "no criterion" && (strings.Contains(plan, "Sort") || at != nil && !strings.Contains(plan, "Index Cond")) {
				t.Errorf("%s, order %d: a page costs the more the later it is: %s", name, order, plan)
			}
		}
	}
}

// TestNoReaderHoldsUpAWrite to PostgreSQL, however few connections the URL allows.
func TestNoReaderHoldsUpAWrite(t *testing.T) {
	t.Parallel()
	_, location := server.New(t).Database(t)
	d, err := New(location + "&pool_max_conns=1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	p, err := d.connected(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	reader, err := p.reads.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Rollback() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := d.Put(ctx, []Entry{{uid: "u", object: "{}"}}); err != nil {
		t.Error(err)
	}
	if found, err := d.Revisions(ctx, []types.UID{"u"}); err != nil || len(found) != 1 {
		t.Error(found, err)
	}
}

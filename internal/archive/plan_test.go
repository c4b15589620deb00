// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

// planned are questions of which each page must cost about the same, however many entries there are.
var planned = map[string]Query{
	"no criterion": {},
	"a namespace":  {Namespace: "team-3"},
	"a time range": {Filter: v1alpha1.NotificationFilterSpec{Last: "24h"}},
	"five criteria": {Filter: v1alpha1.NotificationFilterSpec{
		Last: "4380h", Severities: []v1alpha1.Severity{"Critical"}, Types: []v1alpha1.Wildcard{"RiskOutbreak"},
		Conditions: []v1alpha1.Wildcard{"condition-7"}, Acknowledged: new(bool),
	}},
	"five criteria of a namespace": {Namespace: "team-3", From: time.Unix(1, 0), Filter: v1alpha1.NotificationFilterSpec{
		Last: "4380h", Severities: []v1alpha1.Severity{"Critical", "Warning"}, Computers: []v1alpha1.Wildcard{"ws-1*"}, Text: "trojan",
		Creators: []v1alpha1.Wildcard{"alice"},
	}},
}

// explained says how a database finds the page behind a position; empty for the first.
func explained(ctx context.Context, t *testing.T, db *sql.DB, explain string, q Query, at *position) string {
	t.Helper()
	q.Now = time.Now()
	w, filter, err := q.compile()
	if err != nil {
		t.Fatal(err)
	}
	s := search{filter: filter, order: q.Order, limit: MaxPage, at: at}
	statement, values := s.statement(*w)
	rows, err := db.QueryContext(ctx, explain+statement, values...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var plan strings.Builder
	for rows.Next() {
		cells := make([]any, len(columns))
		for i := range cells {
			cells[i] = new(sql.NullString)
		}
		if err := rows.Scan(cells...); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&plan, cells[len(cells)-1].(*sql.NullString).String)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return plan.String()
}

// many writes so many entries that a database prefers indexes.
func many(t *testing.T, d *Database, number int) {
	t.Helper()
	var batch []Entry
	for i := range number {
		n := v1alpha1.Notification{}
		n.Namespace, n.Name, n.UID, n.ResourceVersion = fmt.Sprint("team-", i%20), fmt.Sprint("n-", i), "", "1"
		n.CreationTimestamp = metav1.NewTime(time.Now().Add(-time.Duration(i) * time.Hour))
		n.Spec.Type, n.Spec.Severity, n.Spec.Creator = "RiskOutbreak", []v1alpha1.Severity{"Info", "Warning", "Critical"}[i%3], "alice"
		n.Spec.Condition = &v1alpha1.ConditionSnapshot{Name: fmt.Sprint("condition-", i%40)}
		e, err := NewEntry(&n)
		if err != nil {
			t.Fatal(err)
		}
		e.uid, e.decided = fmt.Sprintf("u-%06d", i), logfilter.Time(&n).Unix()
		if batch = append(batch, e); len(batch) == 500 || i == number-1 {
			if err := d.Put(t.Context(), batch); err != nil {
				t.Fatal(err)
			}
			batch = batch[:0]
		}
	}
}

// TestPagesAreFoundByAnIndex of SQLite, in the order in which they are wanted: nothing is sorted, and nothing is skipped.
func TestPagesAreFoundByAnIndex(t *testing.T) {
	t.Parallel()
	d := today(t, filepath.Join(t.TempDir(), "log.db"))
	many(t, d, 2000)
	p, err := d.connected(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for name, q := range planned {
		for order, at := range map[Order]*position{NewestFirst: nil, OldestFirst: {decided: 1, uid: "u"}} {
			q.Order = order
			plan := explained(t.Context(), t, p.reads, "EXPLAIN QUERY PLAN ", q, at)
			if !strings.Contains(plan, "USING INDEX") || strings.Contains(plan, "TEMP B-TREE") {
				t.Errorf("%s, order %d: %s", name, order, plan)
			}
			if at != nil && !strings.Contains(plan, "SEARCH") {
				t.Errorf("%s: a later page begins at the beginning: %s", name, plan)
			}
		}
	}
}

// TestTheIndexThatLeavesLeastIsUsed by a manager that finds the archive filled.
func TestTheIndexThatLeavesLeastIsUsed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log.db")
	before := today(t, path)
	many(t, before, 2000)
	if err := before.Close(); err != nil {
		t.Fatal(err)
	}
	p, err := today(t, path).connected(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	plan := explained(t.Context(), t, p.reads, "EXPLAIN QUERY PLAN ", planned["five criteria"], nil)
	if !strings.Contains(plan, "USING INDEX notification_archive_condition") {
		t.Errorf("of many types and states, and 40 conditions: %s", plan)
	}
}

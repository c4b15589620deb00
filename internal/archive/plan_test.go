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

// within stands before the steps of SQLite that find positions, before any object is read.
const within = "positions: "

// explained says how a database finds the page behind a position; empty for the first.
func explained(ctx context.Context, t *testing.T, d *Database, explain string, q Query, at *position) string {
	t.Helper()
	q.Now = time.Now()
	w, filter, err := q.compile()
	if err != nil {
		t.Fatal(err)
	}
	p, err := d.connected(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s := search{kind: d.kind, filter: filter, order: q.Order, limit: MaxPage, at: at}
	statement, values := s.statement(*w)
	rows, err := p.reads.QueryContext(ctx, explain+statement, values...)
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
		depth := ""
		if len(cells) == 4 && cells[1].(*sql.NullString).String != "0" { // SQLite names the step that it is a part of
			depth = within
		}
		fmt.Fprintln(&plan, depth+cells[len(cells)-1].(*sql.NullString).String)
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
	for name, q := range planned {
		for order, at := range map[Order]*position{NewestFirst: nil, OldestFirst: {decided: 1, uid: "u"}} {
			q.Order = order
			plan := explained(t.Context(), t, d, "EXPLAIN QUERY PLAN ", q, at)
			if !strings.Contains(plan, "INDEX notification_archive") || strings.Contains(plan, "TEMP B-TREE") {
				t.Errorf("%s, order %d: %s", name, order, plan)
			}
			if at != nil && !strings.Contains(plan, within+"SEARCH") {
				t.Errorf("%s: a later page begins at the beginning: %s", name, plan)
			}
		}
	}
}

// fill has SQLite make entries up to a number, none of which is acknowledged, of 40 conditions and ten types.
func fill(t *testing.T, d *Database, from, to int) {
	t.Helper()
	p, err := d.connected(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.writes.ExecContext(t.Context(), `WITH RECURSIVE i(n) AS (SELECT $1 UNION ALL SELECT n + 1 FROM i WHERE n + 1 < $2)
		INSERT INTO notification_archive SELECT 'u-' || n, 1, 'team-' || (n % 20), 'n-' || n, n, n, 'type-' || (n % 10),
		'condition-' || (n % 40), CASE n % 3 WHEN 0 THEN 'Critical' ELSE 'Info' END, 'alice', 'Delivered', 0, '', NULL, '', '', '', '{}'
		FROM i`, from, to); err != nil {
		t.Fatal(err)
	}
}

// TestTheIndexThatLeavesLeastIsUsed however many entries there are, and whatever SQLite knows about them.
func TestTheIndexThatLeavesLeastIsUsed(t *testing.T) {
	t.Parallel()
	no := false
	f := func(f v1alpha1.NotificationFilterSpec) Query { f.Last = "4380h"; return Query{Filter: f} }
	few := []v1alpha1.Severity{"Critical"}
	questions := map[string]struct {
		asked Query
		index string
	}{
		"five criteria": {planned["five criteria"], "condition"},
		"patterns":      {f(v1alpha1.NotificationFilterSpec{Conditions: []v1alpha1.Wildcard{"condition-*"}, Acknowledged: &no}), "acknowledged"},
		"several types": {f(v1alpha1.NotificationFilterSpec{Types: []v1alpha1.Wildcard{"type-1", "type-2"}, Acknowledged: &no}), "kind"},
		"a severity":    {f(v1alpha1.NotificationFilterSpec{Severities: few, Acknowledged: &no}), "severity"},
		"severities":    {f(v1alpha1.NotificationFilterSpec{Severities: append(few, "Info")}), "decided"},
		"a creator":     {f(v1alpha1.NotificationFilterSpec{Severities: few, Creators: []v1alpha1.Wildcard{"bob"}}), "creator"},
		"a namespace":   {Query{Namespace: "team-1", Filter: f(v1alpha1.NotificationFilterSpec{Acknowledged: &no}).Filter}, "namespace"},
		"text":          {f(v1alpha1.NotificationFilterSpec{Text: "trojan"}), "decided"},
	}
	d := today(t, filepath.Join(t.TempDir(), "log.db"))
	from := 0
	for _, number := range []int{2000, 17_000} {
		fill(t, d, from, number)
		from = number
		for _, learn := range []string{"", "PRAGMA analysis_limit = 400; ANALYZE", "PRAGMA analysis_limit = 0; ANALYZE"} {
			if _, err := d.pools.writes.ExecContext(t.Context(), learn); err != nil {
				t.Fatal(err)
			}
			d.pools.reads.SetMaxIdleConns(0) // new connections read what was learnt
			for name, q := range questions {
				plan := explained(t.Context(), t, d, "EXPLAIN QUERY PLAN ", q.asked, nil)
				if !strings.Contains(plan, "INDEX notification_archive_"+q.index+" (") {
					t.Errorf("%s, %d entries, %q: %s", name, number, learn, plan)
				}
			}
		}
	}
}

// TestNoObjectIsSorted where SQLite cannot find a page in its order: objects may be big, and sorts are in memory.
func TestNoObjectIsSorted(t *testing.T) {
	t.Parallel()
	d := today(t, filepath.Join(t.TempDir(), "log.db"))
	fill(t, d, 0, 2000)
	for name, filter := range map[string]v1alpha1.NotificationFilterSpec{
		"types":      {Types: []v1alpha1.Wildcard{"Test", "Digest"}},
		"conditions": {Conditions: []v1alpha1.Wildcard{"condition-1", "condition-2"}},
		"creators":   {Creators: []v1alpha1.Wildcard{"alice", "bob"}},
	} {
		plan := explained(t.Context(), t, d, "EXPLAIN QUERY PLAN ", Query{Filter: filter}, nil)
		if !strings.Contains(plan, within+"USE TEMP B-TREE") || strings.Contains(plan, "\nUSE TEMP B-TREE") {
			t.Errorf("%s: %s", name, plan)
		}
	}
}

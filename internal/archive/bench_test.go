// SPDX-License-Identifier: Apache-2.0

package archive_test

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/archive"
)

// BenchmarkSQLite fills an archive with 100,000 entries of three years and asks for the first page.
func BenchmarkSQLite(b *testing.B) { benchmarkStore(b, sqliteFile(b)) }

const benchEntries = 100_000

func benchmarkStore(b *testing.B, s archive.Store) {
	began := time.Now()
	var batch []archive.Entry
	for i := range benchEntries {
		n := told(i * 15)
		n.Name, n.UID = fmt.Sprintf("n-%06d", i), types.UID(fmt.Sprintf("6f1c2a0e-0000-4000-8000-%012d", i))
		n.Spec.Condition.Name = fmt.Sprintf("condition-%d", i%40)
		n.Spec.Severity = []v1alpha1.Severity{v1alpha1.SeverityInfo, v1alpha1.SeverityWarning, v1alpha1.SeverityCritical}[i%3]
		n.Spec.Creator = fmt.Sprintf("user-%d", i%11)
		n.Spec.Trigger.ComputerNames = []string{fmt.Sprintf("ws-%04d", i%5000)}
		n.Spec.Deliveries[0].Message = fmt.Sprintf("Trojan number %d was found on ws-%04d. Look into it.\n", i, i%5000)
		if i%2 == 0 {
			n.Spec.Acknowledgement = &v1alpha1.Acknowledgement{Comment: "looked into", By: "bob"}
		}
		e, err := archive.NewEntry(&n)
		if err != nil {
			b.Fatal(err)
		}
		if batch = append(batch, e); len(batch) == 100 {
			if err := s.Put(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	b.Logf("%d entries were written in %s", benchEntries, time.Since(began).Round(time.Millisecond))
	no := false
	for _, question := range []struct {
		name   string
		filter v1alpha1.NotificationFilterSpec
	}{
		{"the latest", v1alpha1.NotificationFilterSpec{}},
		{"five criteria", v1alpha1.NotificationFilterSpec{Last: "8760h", Acknowledged: &no, Severities: []v1alpha1.Severity{"Critical"},
			Conditions: []v1alpha1.Wildcard{"condition-7"}, Creators: []v1alpha1.Wildcard{"user-*"}}},
		{"a computer", v1alpha1.NotificationFilterSpec{Computers: []v1alpha1.Wildcard{"WS-0042"}}},
		{"a rare text", v1alpha1.NotificationFilterSpec{Text: "number 77777 "}},
		{"a text that is not there", v1alpha1.NotificationFilterSpec{Text: "nowhere"}},
		{"nothing in all the time", v1alpha1.NotificationFilterSpec{States: []v1alpha1.LogState{v1alpha1.ReasonFailed}}},
	} {
		b.Run(question.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Find(b.Context(), archive.Query{Filter: question.filter, Now: noon, Limit: 100}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

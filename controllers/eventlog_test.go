// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func stored(uid, namespace, resourceVersion, time string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "tocsin.dev/v1alpha1", "kind": "SecurityEvent",
		"metadata": map[string]any{"uid": uid, "namespace": namespace, "name": uid, "resourceVersion": resourceVersion},
		"spec":     map[string]any{"type": "RiskDetected", "severity": "Critical", "title": "found", "time": time},
	}}
}

const noon = "2026-11-22T12:00:00Z"

func names(records []record) string {
	var all string
	for _, r := range records {
		all += string(r.event.UID)
	}
	return all
}

func TestEventLog(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		run      func(*eventLog) error
		queued   string
		snapshot string
	}{
		"a list is queued in order of creation, whatever its own": {
			run: func(l *eventLog) error {
				return l.Replace([]any{stored("b", "ns", "20", noon), stored("c", "ns", "100", noon), stored("a", "ns", "3", noon)}, "100")
			},
			queued: "abc", snapshot: "abc",
		},
		"an event that cannot be read does not keep the others from being read": {
			run: func(l *eventLog) error {
				return l.Replace([]any{stored("a", "ns", "1", noon), stored("b", "ns", "2", "2026-11-22t12:00:00z")}, "2")
			},
			queued: "a", snapshot: "a",
		},
		"a change of metadata keeps an event's place": {
			run: func(l *eventLog) error {
				_ = l.Add(stored("a", "ns", "1", noon))
				_ = l.Add(stored("b", "ns", "2", noon))
				return l.Update(stored("a", "ns", "3", noon))
			},
			queued: "ab", snapshot: "ab",
		},
		"a second list brings what is new and takes what is gone": {
			run: func(l *eventLog) error {
				_ = l.Replace([]any{stored("a", "ns", "1", noon), stored("b", "ns", "2", noon)}, "2")
				return l.Replace([]any{stored("b", "ns", "2", noon), stored("d", "ns", "9", noon), stored("c", "ns", "5", noon)}, "9")
			},
			queued: "abcd", snapshot: "bcd",
		},
		"namespaces are apart": {
			run: func(l *eventLog) error {
				_ = l.Add(stored("x", "other", "1", noon))
				return l.Add(stored("a", "ns", "2", noon))
			},
			queued: "xa", snapshot: "a",
		},
		"what is deleted is forgotten": {
			run: func(l *eventLog) error {
				_ = l.Add(stored("a", "ns", "1", noon))
				return l.Delete(stored("a", "ns", "7", noon))
			},
			queued: "a", snapshot: "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newEventLog(logr.Discard())
			if err := tc.run(l); err != nil {
				t.Fatal(err)
			}
			if got := names(l.take()); got != tc.queued {
				t.Errorf("queued %q, want %q", got, tc.queued)
			}
			if got := names(l.snapshot([]string{"ns"})); got != tc.snapshot {
				t.Errorf("holds %q, want %q", got, tc.snapshot)
			}
			if again := l.take(); len(again) > 0 {
				t.Errorf("queued twice: %q", names(again))
			}
		})
	}
}

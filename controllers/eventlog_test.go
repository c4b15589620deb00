// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tocsin-dev/tocsin/internal/plan"
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

// leaving is a stored event that is to go, and waits for something.
func leaving(o *unstructured.Unstructured) *unstructured.Unstructured {
	now := metav1.Now()
	o.SetDeletionTimestamp(&now)
	return o
}

// What the log offers for deletion has been evaluated, and so has everything up to the position that it tells.
func TestEventLogOffersWhatWasEvaluated(t *testing.T) {
	t.Parallel()
	type step struct {
		what    string
		do      func(*eventLog)
		settled plan.Position
		offers  int
	}
	list := func(l *eventLog) {
		_ = l.Replace([]any{stored("a", "ns", "3", noon), stored("b", "ns", "7", noon)}, "10")
	}
	add := func(uid, position string) func(*eventLog) {
		return func(l *eventLog) { _ = l.Add(stored(uid, "ns", position, noon)) }
	}
	take := func(l *eventLog) { l.take() }
	evaluated := func(l *eventLog) { l.take(); l.settle() }
	for name, steps := range map[string][]step{
		"a list": {
			{"is stored", list, 0, 0},
			{"is being evaluated", take, 0, 0},
			{"is evaluated", (*eventLog).settle, 10, 2},
		},
		"an event": {
			{"comes after a list", func(l *eventLog) { list(l); evaluated(l); add("c", "15")(l) }, 14, 2},
			{"is followed by another", add("d", "17"), 14, 2},
			{"is being evaluated", take, 14, 2},
			{"is followed by another", add("e", "19"), 14, 2},
			{"is evaluated", (*eventLog).settle, 18, 4},
			{"as is the other", evaluated, 19, 5},
		},
		"what happens otherwise": {
			{"after a list", func(l *eventLog) { list(l); evaluated(l) }, 10, 2},
			{"one is deleted", func(l *eventLog) { _ = l.Delete(stored("a", "ns", "12", noon)) }, 12, 1},
			{"nothing for a while", func(l *eventLog) { _ = l.Bookmark("20") }, 20, 1},
			{"one is to go, but waits", func(l *eventLog) { _ = l.Update(leaving(stored("b", "ns", "25", noon))) }, 25, 0},
		},
		"an event that is deleted before it is evaluated is not offered": {
			{"stored", list, 0, 0},
			{"taken", take, 0, 0},
			{"deleted", func(l *eventLog) { _ = l.Delete(stored("a", "ns", "12", noon)) }, 0, 0},
			{"evaluated", (*eventLog).settle, 12, 1},
		},
		"nor one that is to go": {
			{"stored", add("a", "1"), 0, 0},
			{"taken", take, 0, 0},
			{"to go", func(l *eventLog) { _ = l.Update(leaving(stored("a", "ns", "2", noon))) }, 0, 0},
			{"evaluated", (*eventLog).settle, 2, 0},
		},
		"nor one that was to go when it was listed": {
			{"stored, and not evaluated: it has lost its place", func(l *eventLog) {
				_ = l.Replace([]any{leaving(stored("a", "ns", "1", noon))}, "1")
			}, 1, 0},
		},
		"an event that was changed was there before its position": {
			{"a list", func(l *eventLog) { list(l); evaluated(l) }, 10, 2},
			{"a second one", func(l *eventLog) {
				_ = l.Replace([]any{stored("b", "ns", "7", noon), stored("c", "ns", "90", noon)}, "100")
			}, 10, 1},
			{"evaluated", evaluated, 100, 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newEventLog(logr.Discard())
			for _, s := range steps {
				s.do(l)
				if got := l.settled(); got != s.settled {
					t.Errorf("%s: evaluated up to %d, want %d", s.what, got, s.settled)
				}
				if offers, _ := l.stock.total(); offers != s.offers {
					t.Errorf("%s: %d are offered, want %d", s.what, offers, s.offers)
				}
			}
		})
	}
}

// Whatever comes and goes, a namespace's events are there in order.
func TestEventLogKeepsOrder(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	l := newEventLog(logr.Discard())
	var want []string
	for position := 1; position < 3000; position++ {
		uid := fmt.Sprint(position)
		if len(want) > 0 && r.IntN(20) < 9 {
			i := r.IntN(len(want))
			_ = l.Delete(stored(want[i], "ns", uid, noon))
			want = slices.Delete(want, i, i+1)
		} else {
			_ = l.Add(stored(uid, "ns", uid, noon))
			want = append(want, uid)
		}
		if position%100 > 0 {
			continue
		}
		if got := names(l.snapshot([]string{"ns"})); got != strings.Join(want, "") {
			t.Fatalf("after %d: holds %s, want %s", position, got, strings.Join(want, ""))
		}
		if row := l.ordered["ns"]; len(row.records) > 2*len(want) {
			t.Fatalf("after %d: %d records for %d events", position, len(row.records), len(want))
		}
	}
}

func TestEventsAreWeighed(t *testing.T) {
	t.Parallel()
	weight := func(change func(map[string]any)) int64 {
		t.Helper()
		o := stored("a", "ns", "1", noon)
		change(o.Object)
		r, err := newEventLog(logr.Discard()).read(o)
		if err != nil {
			t.Fatal(err)
		}
		return r.bytes
	}
	spec := func(o map[string]any) map[string]any { return o["spec"].(map[string]any) }
	plain := weight(func(map[string]any) {})
	if plain < 512 || plain > 2048 {
		t.Errorf("a small event weighs %d bytes", plain)
	}
	for name, tc := range map[string]struct {
		change      func(map[string]any)
		least, most int64
	}{
		"a long text": {func(o map[string]any) { spec(o)["description"] = strings.Repeat("x", 4000) }, 4000, 4100},
		"an attribute": {func(o map[string]any) {
			spec(o)["attributes"] = map[string]any{"name": strings.Repeat("x", 1000)}
		}, 1000, 1200},
		"a large annotation": {func(o map[string]any) {
			o["metadata"].(map[string]any)["annotations"] = map[string]any{"name": strings.Repeat("x", 100000)}
		}, 100000, 100200},
		"who wrote which field is not kept": {func(o map[string]any) {
			o["metadata"].(map[string]any)["managedFields"] = []any{map[string]any{"manager": strings.Repeat("x", 1000)}}
		}, 0, 0},
	} {
		if more := weight(tc.change) - plain; more < tc.least || more > tc.most {
			t.Errorf("%s weighs %d bytes more, want %d to %d", name, more, tc.least, tc.most)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/retention"
)

// row holds the records of a namespace in order, and some that are gone: to take each out at once would cost the more, the
// more are kept.
type row struct {
	records []record
	gone    int
}

func (w *row) add(r record) {
	i, found := slices.BinarySearchFunc(w.records, r, byPosition)
	if found { // it was gone, and is listed again
		w.gone--
		return
	}
	w.records = slices.Insert(w.records, i, r)
}

// remove notes that one more is no longer known.
func (w *row) remove(known map[types.UID]record) {
	if w.gone++; 2*w.gone > len(w.records) {
		w.records, w.gone = w.present(known), 0
	}
}

// present returns those that are known.
func (w *row) present(known map[types.UID]record) []record {
	if w == nil {
		return nil
	}
	records := make([]record, 0, len(w.records)-w.gone)
	for _, r := range w.records {
		if _, ok := known[r.event.UID]; ok {
			records = append(records, r)
		}
	}
	return records
}

// What an event takes of the manager's memory beside its text, measured: the event itself, one of its values, and one
// attribute, label or annotation.
const (
	recordBytes = 512
	valueBytes  = 16
	entryBytes  = 80
)

// weigh is about what an event takes of the manager's memory.
func weigh(object map[string]any, e *v1alpha1.SecurityEvent) int64 {
	entries := len(e.Spec.Attributes) + len(e.Labels) + len(e.Annotations)
	return recordBytes + weighValue(object) + int64(entryBytes*entries)
}

// weighValue is a value's text and that of all within it, with the names of the fields.
func weighValue(value any) int64 {
	bytes := int64(valueBytes)
	switch v := value.(type) {
	case string:
		bytes += int64(len(v))
	case []any:
		for _, e := range v {
			bytes += weighValue(e)
		}
	case map[string]any:
		for name, e := range v {
			if name != "managedFields" {
				bytes += int64(len(name)) + weighValue(e)
			}
		}
	}
	return bytes
}

// item is the record as retention sees it.
func (r record) item() retention.Item {
	e := r.event
	return retention.Item{
		Key: retention.Key{Severity: retention.As(e.Spec.Severity), Namespace: e.Namespace},
		UID: e.UID, Name: e.Name, Place: r.position, Created: e.CreationTimestamp.Time, Bytes: r.bytes,
	}
}

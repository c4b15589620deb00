// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"maps"
	"reflect"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/traits"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// Event is an event as expressions see it. It is converted when the first of them is asked, and once. It is not safe for
// concurrent use.
type Event struct {
	spec  *v1alpha1.SecurityEventSpec
	bound cel.Activation
}

// NewEvent prepares an event for expressions, at hardly any cost. The spec must not change while the Event is in use.
func NewEvent(spec *v1alpha1.SecurityEventSpec) *Event { return &Event{spec: spec} }

func (e *Event) activation() (cel.Activation, error) {
	if e.bound != nil {
		return e.bound, nil
	}
	bound, err := cel.NewActivation(map[string]any{variable: fieldsOf(e.spec)})
	e.bound = bound
	return bound, err
}

// fieldsOf holds what the event says. What is not set, or empty, is absent, unless the API says what that means: a switch
// is off, there are no attributes, and it happened once.
func fieldsOf(spec *v1alpha1.SecurityEventSpec) map[string]any {
	fields := event.value(reflect.ValueOf(spec).Elem()).(map[string]any)
	if spec.Count == nil {
		fields["count"] = int64(1)
	}
	return fields
}

// ordered is a map whose keys come in order, so that an event is always judged in the same way.
type ordered struct {
	traits.Mapper
	keys traits.Lister
}

func inOrder(entries map[string]any) ordered {
	return ordered{
		Mapper: types.NewStringInterfaceMap(types.DefaultTypeAdapter, entries),
		keys:   types.NewStringList(types.DefaultTypeAdapter, slices.Sorted(maps.Keys(entries))),
	}
}

// Iterator implements traits.Iterable.
func (o ordered) Iterator() traits.Iterator { return o.keys.Iterator() }

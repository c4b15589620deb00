// SPDX-License-Identifier: Apache-2.0

package logfilter

import (
	"strings"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/preset"
)

// Selectors are the parts of a filter that the API server can apply; nil where there are none. They let through all that the
// filter does, and more: the rest is for Match.
type Selectors struct {
	Fields fields.Selector
	Labels labels.Selector
}

// Selectors for the log. One value becomes a field selector, several a label selector where all entries have the label that
// could match. What is compared without case goes to the server only where the spelling is known.
func (f *Filter) Selectors() Selectors {
	var b builder
	b.types(spelled(f.spec.Types, typeName))
	b.conditions(spelled(f.spec.Conditions, conditionName))
	b.severities(f.spec.Severities)
	if names, ok := spelled(f.spec.Creators, creatorName); ok && len(names) == 1 {
		b.field("spec.creator", names[0])
	}
	return b.done()
}

// EventSelectors are those for events. Their types are an open vocabulary, of which no spelling is known.
func (f *Filter) EventSelectors() Selectors {
	var b builder
	if len(f.spec.Severities) == 1 {
		b.field("spec.severity", string(f.spec.Severities[0]))
	}
	return b.done()
}

type builder struct {
	fields []fields.Selector
	labels []labels.Requirement
}

func (b *builder) field(name, value string) {
	b.fields = append(b.fields, fields.OneTermEqualSelector(name, value))
}

// label asks for one of several values, if all of them can be the value of a label.
func (b *builder) label(name string, values []string) {
	for _, value := range values {
		if len(validation.IsValidLabelValue(value)) > 0 {
			return
		}
	}
	if requirement, err := labels.NewRequirement(name, selection.In, values); err == nil {
		b.labels = append(b.labels, *requirement)
	}
}

func (b *builder) types(names []string, ok bool) {
	switch {
	case !ok:
	case len(names) == 1:
		b.field("spec.type", names[0])
	default:
		for _, name := range names {
			if name == v1alpha1.NotificationTypeTest { // users create those, without labels
				return
			}
		}
		b.label(journal.LabelType, names)
	}
}

func (b *builder) conditions(names []string, ok bool) {
	switch {
	case !ok:
	case len(names) == 1:
		b.field("spec.condition.name", names[0])
	default:
		b.label(journal.LabelCondition, names)
	}
}

func (b *builder) severities(of []v1alpha1.Severity) {
	switch len(of) {
	case 0:
	case 1:
		b.field("spec.severity", string(of[0]))
	default:
		names := make([]string, 0, len(of))
		for _, s := range of {
			names = append(names, string(s))
		}
		b.label(journal.LabelSeverity, names)
	}
}

func (b *builder) done() Selectors {
	var s Selectors
	if len(b.fields) > 0 {
		s.Fields = fields.AndSelectors(b.fields...)
	}
	if len(b.labels) > 0 {
		s.Labels = labels.NewSelector().Add(b.labels...)
	}
	return s
}

// spelled returns the only values that can match a list, if there is a list without stars and each has one spelling.
func spelled(list []v1alpha1.Wildcard, spelling func(string) (string, bool)) ([]string, bool) {
	names := make([]string, 0, len(list))
	for _, w := range list {
		name, ok := spelling(string(w))
		if !ok || strings.Contains(name, "*") {
			return nil, false
		}
		names = append(names, name)
	}
	return names, len(names) > 0
}

// typeName spells a type as the log does, if Tocsin knows it.
func typeName(name string) (string, bool) {
	for _, known := range []string{v1alpha1.NotificationTypeTest, v1alpha1.NotificationTypeDigest} {
		if strings.EqualFold(name, known) {
			return known, true
		}
	}
	for _, p := range preset.All() {
		if strings.EqualFold(name, string(p.Type)) {
			return string(p.Type), true
		}
	}
	return "", false
}

// conditionName spells the name of an object, which is in lower case.
func conditionName(name string) (string, bool) { return strings.ToLower(name), true }

func creatorName(name string) (string, bool) { return name, true }

// SPDX-License-Identifier: Apache-2.0

package logfilter

import (
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// ForEvents says whether the filter can be asked about events, which know nothing of what became of them. The error names
// the fields that cannot.
func (f *Filter) ForEvents() error {
	var fields []string
	for _, field := range []struct {
		name  string
		given bool
	}{
		{"acknowledged", f.spec.Acknowledged != nil}, {"creators", len(f.spec.Creators) > 0},
		{"conditions", len(f.spec.Conditions) > 0}, {"channels", len(f.spec.Channels) > 0}, {"states", len(f.spec.States) > 0},
	} {
		if field.given {
			fields = append(fields, "`"+field.name+"`")
		}
	}
	if len(fields) > 0 {
		return fmt.Errorf("events have no %s: that is what the log knows", strings.Join(fields, ", "))
	}
	return nil
}

// MatchEvent says whether an event meets the filter, as far as ForEvents allows: types are event types then.
func (f *Filter) MatchEvent(e *v1alpha1.SecurityEvent) bool {
	computer := ""
	if e.Spec.Computer != nil {
		computer = e.Spec.Computer.Name
	}
	return f.during(EventTime(e)) &&
		f.types.match(string(e.Spec.Type)) &&
		oneOf(f.spec.Severities, e.Spec.Severity) &&
		f.computers.match(computer) &&
		(f.text == "" || f.tells(&e.Spec))
}

// EventTime is when an event last happened; not later than it was created.
func EventTime(e *v1alpha1.SecurityEvent) time.Time {
	happened, created := e.Spec.LastTime, e.CreationTimestamp.Time
	if happened == nil {
		happened = e.Spec.Time
	}
	if happened == nil || happened.After(created) {
		return created
	}
	return happened.Time
}

// SPDX-License-Identifier: Apache-2.0

// Package match says whether a security event meets a condition's filter, and if not, which field did not.
package match

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/expression"
	"github.com/tocsin-dev/tocsin/internal/preset"
)

// Verdict is Matched, or the first field of the filter that the event did not meet.
type Verdict string

// The verdicts.
const (
	Matched          Verdict = "Matched"
	OtherType        Verdict = "OtherType"
	OtherSeverity    Verdict = "OtherSeverity"
	OtherDomain      Verdict = "OtherDomain"
	OtherGroup       Verdict = "OtherGroup"
	OtherServer      Verdict = "OtherServer"
	OtherComputer    Verdict = "OtherComputer"
	OtherRisk        Verdict = "OtherRisk"
	OtherApplication Verdict = "OtherApplication"
	OtherActivity    Verdict = "OtherActivity"
	OtherRule        Verdict = "OtherRule"
	NoEmailAlertRule Verdict = "NoEmailAlertRule"
	OtherUser        Verdict = "OtherUser"
	// OtherExpression: the expression is false. ExpressionFailed: it cannot be evaluated for this event.
	OtherExpression  Verdict = "OtherExpression"
	ExpressionFailed Verdict = "ExpressionFailed"
)

// Event is an event's spec, with what is worked out of it once for all filters. It is not safe for concurrent use.
type Event struct {
	spec *v1alpha1.SecurityEventSpec
	// asked is the event as expressions see it.
	asked *expression.Event
	// These are what wildcards are asked about.
	eventType, domain, group, server, computer, risk, application, path, rule, user text
}

// NewEvent returns the event with this spec, which must not change while the Event is in use.
func NewEvent(spec *v1alpha1.SecurityEventSpec) *Event {
	e := &Event{
		spec: spec, asked: expression.NewEvent(spec),
		eventType: text{value: string(spec.Type)}, server: text{value: spec.Server}, user: text{value: spec.User},
	}
	if c := spec.Computer; c != nil {
		e.computer.value, e.domain.value, e.group.value = c.Name, c.Domain, c.Group
	}
	if spec.Risk != nil {
		e.risk.value = spec.Risk.Name
	}
	if spec.Application != nil {
		e.application.value, e.path.value = spec.Application.Name, spec.Application.Path
	}
	if spec.Network != nil && spec.Network.Rule != nil {
		e.rule.value = spec.Network.Rule.Name
	}
	return e
}

// Filter is a condition's filter, ready to be asked often.
type Filter struct {
	types           wildcards
	severities      []v1alpha1.Severity
	domains         wildcards
	groups          wildcards
	servers         wildcards
	computers       wildcards
	risks           wildcards
	namesRisk       bool
	applications    wildcards
	activities      []v1alpha1.NetworkActivity
	rules           wildcards
	emailAlertsOnly bool
	users           wildcards
	expression      *expression.Expression

	exactTypes []string
}

// Compile prepares the filter of a condition together with the event types of its preset. An error begins with the field
// that cannot be used, a colon and a space.
func Compile(spec *v1alpha1.NotificationConditionSpec) (*Filter, error) {
	own := v1alpha1.EventFilter{}
	if spec.Filter != nil {
		own = *spec.Filter
	}
	kind := preset.For(spec.Type)
	f := &Filter{
		severities:      own.Severities,
		domains:         compileWildcards(own.Domains),
		groups:          compileWildcards(own.Groups),
		servers:         compileWildcards(own.Servers),
		computers:       compileWildcards(own.Computers),
		risks:           compileWildcards(own.Risks),
		namesRisk:       kind.OncePerRisk(),
		applications:    compileWildcards(own.Applications),
		activities:      own.Activities,
		rules:           compileWildcards(own.Rules),
		emailAlertsOnly: own.EmailAlertRulesOnly,
		users:           compileWildcards(own.Users),
	}
	f.types = compileWildcards(kind.EventTypes)
	if len(own.EventTypes) > 0 {
		if err := possible(own.EventTypes); err != nil {
			return nil, fmt.Errorf("spec.filter.eventTypes: %w", err)
		}
		f.types = compileWildcards(own.EventTypes)
	}
	f.exactTypes = exact(f.types)
	if own.Expression != "" {
		var err error
		if f.expression, err = expression.Compile(own.Expression); err != nil {
			return nil, fmt.Errorf("spec.filter.expression: %w", err)
		}
	}
	return f, nil
}

const maxEventType = 63

// possibleType is a wildcard for an event type, in lower case: what the API takes as one, with stars in it.
var possibleType = regexp.MustCompile(`^[a-z*][a-z0-9*]*$`)

// possible refuses a wildcard that fits no event type at all.
func possible(eventTypes []v1alpha1.Wildcard) error {
	for _, w := range eventTypes {
		lower := strings.ToLower(string(w))
		if !possibleType.MatchString(lower) || len(strings.ReplaceAll(lower, "*", "")) > maxEventType {
			return fmt.Errorf("%q can match no event type: these are CamelCase names such as RiskDetected, of letters and digits, "+
				"with at most %d of them", w, maxEventType)
		}
	}
	return nil
}

// exact returns the patterns as they are when none has a star, else nil: such a filter cannot be indexed by type.
func exact(patterns wildcards) []string {
	types := make([]string, 0, len(patterns))
	for _, w := range patterns {
		if len(w) != 1 {
			return nil
		}
		types = append(types, w[0])
	}
	return types
}

// checks are what a filter asks, in the order in which a verdict names them.
var checks = [...]struct {
	otherwise Verdict
	holds     func(*Filter, *Event) bool
}{
	{OtherType, func(f *Filter, e *Event) bool { return f.types.match(&e.eventType) }},
	{OtherSeverity, func(f *Filter, e *Event) bool { return oneOf(f.severities, e.spec.Severity) }},
	{OtherDomain, func(f *Filter, e *Event) bool { return f.domains.match(&e.domain) }},
	{OtherGroup, func(f *Filter, e *Event) bool { return f.groups.match(&e.group) }},
	{OtherServer, func(f *Filter, e *Event) bool { return f.servers.match(&e.server) }},
	{OtherComputer, func(f *Filter, e *Event) bool { return f.computers.match(&e.computer) }},
	{OtherRisk, func(f *Filter, e *Event) bool { return f.risks.match(&e.risk) && (!f.namesRisk || e.risk.value != "") }},
	{OtherApplication, func(f *Filter, e *Event) bool { return f.applications.match(&e.application, &e.path) }},
	{OtherActivity, func(f *Filter, e *Event) bool { return oneOf(f.activities, activity(e.spec)) }},
	{OtherRule, func(f *Filter, e *Event) bool { return f.rules.match(&e.rule) }},
	{NoEmailAlertRule, func(f *Filter, e *Event) bool { return !f.emailAlertsOnly || emailAlert(e.spec) }},
	{OtherUser, func(f *Filter, e *Event) bool { return f.users.match(&e.user) }},
}

// Match says whether the event meets the filter. With ExpressionFailed the error tells what cannot be evaluated.
func (f *Filter) Match(e *Event) (Verdict, error) {
	for i := range checks {
		if !checks[i].holds(f, e) {
			return checks[i].otherwise, nil
		}
	}
	return f.ask(e.asked)
}

func activity(event *v1alpha1.SecurityEventSpec) v1alpha1.NetworkActivity {
	if event.Network == nil {
		return ""
	}
	return event.Network.Activity
}

func emailAlert(event *v1alpha1.SecurityEventSpec) bool {
	return event.Network != nil && event.Network.Rule != nil && event.Network.Rule.SendEmailAlert
}

// ask asks the expression, which costs more than all the rest.
func (f *Filter) ask(event *expression.Event) (Verdict, error) {
	if f.expression == nil {
		return Matched, nil
	}
	switch holds, err := f.expression.Holds(event); {
	case err != nil:
		return ExpressionFailed, err
	case !holds:
		return OtherExpression, nil
	default:
		return Matched, nil
	}
}

func oneOf[S ~string](allowed []S, value S) bool {
	return len(allowed) == 0 || slices.Contains(allowed, value)
}

// key is how an Index knows an event type: event types are compared without regard to case, as wildcards are.
func key(eventType string) string { return strings.ToLower(eventType) }

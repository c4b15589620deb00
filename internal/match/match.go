// SPDX-License-Identifier: Apache-2.0

// Package match says whether a security event meets a condition's filter, and if not, which field did not.
package match

import (
	"slices"
	"strings"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
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
}

// NewEvent returns the event with this spec.
func NewEvent(spec *v1alpha1.SecurityEventSpec) *Event { return &Event{spec: spec} }

// Filter is a condition's filter, ready to be asked often.
type Filter struct {
	types           wildcards
	severities      []v1alpha1.Severity
	domains         wildcards
	groups          wildcards
	servers         wildcards
	computers       wildcards
	risks           wildcards
	applications    wildcards
	activities      []v1alpha1.NetworkActivity
	rules           wildcards
	emailAlertsOnly bool
	users           wildcards

	exactTypes []string
}

// Compile prepares the filter of a condition together with the event types of its preset. An error begins with the field
// that cannot be used, a colon and a space.
func Compile(spec *v1alpha1.NotificationConditionSpec) (*Filter, error) {
	own := v1alpha1.EventFilter{}
	if spec.Filter != nil {
		own = *spec.Filter
	}
	f := &Filter{
		severities:      own.Severities,
		domains:         compileWildcards(own.Domains),
		groups:          compileWildcards(own.Groups),
		servers:         compileWildcards(own.Servers),
		computers:       compileWildcards(own.Computers),
		risks:           compileWildcards(own.Risks),
		applications:    compileWildcards(own.Applications),
		activities:      own.Activities,
		rules:           compileWildcards(own.Rules),
		emailAlertsOnly: own.EmailAlertRulesOnly,
		users:           compileWildcards(own.Users),
	}
	if len(own.EventTypes) > 0 {
		f.types = compileWildcards(own.EventTypes)
	} else {
		f.types = compileWildcards(preset.For(spec.Type).EventTypes)
	}
	f.exactTypes = exact(f.types)
	return f, nil
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

// Match says whether the event meets the filter. With ExpressionFailed the error tells what cannot be evaluated.
func (f *Filter) Match(e *Event) (Verdict, error) {
	event := e.spec
	computer, network := event.Computer, event.Network
	if computer == nil {
		computer = &v1alpha1.Computer{}
	}
	if network == nil {
		network = &v1alpha1.Network{}
	}
	rule := network.Rule
	if rule == nil {
		rule = &v1alpha1.FirewallRule{}
	}
	for _, check := range [...]struct {
		holds   bool
		verdict Verdict
	}{
		{f.types.match(string(event.Type)), OtherType},
		{oneOf(f.severities, event.Severity), OtherSeverity},
		{f.domains.match(computer.Domain), OtherDomain},
		{f.groups.match(computer.Group), OtherGroup},
		{f.servers.match(event.Server), OtherServer},
		{f.computers.match(computer.Name), OtherComputer},
		{f.risks.match(riskName(event)), OtherRisk},
		{f.matchesApplication(event.Application), OtherApplication},
		{oneOf(f.activities, network.Activity), OtherActivity},
		{f.rules.match(rule.Name), OtherRule},
		{!f.emailAlertsOnly || rule.SendEmailAlert, NoEmailAlertRule},
		{f.users.match(event.User), OtherUser},
	} {
		if !check.holds {
			return check.verdict, nil
		}
	}
	return Matched, nil
}

func (f *Filter) matchesApplication(application *v1alpha1.Application) bool {
	if application == nil {
		return len(f.applications) == 0
	}
	return f.applications.match(application.Name, application.Path)
}

func riskName(event *v1alpha1.SecurityEventSpec) string {
	if event.Risk == nil {
		return ""
	}
	return event.Risk.Name
}

func oneOf[S ~string](allowed []S, value S) bool {
	return len(allowed) == 0 || slices.Contains(allowed, value)
}

// key is how an Index knows an event type: event types are compared without regard to case, as wildcards are.
func key(eventType string) string { return strings.ToLower(eventType) }

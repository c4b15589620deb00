// SPDX-License-Identifier: Apache-2.0

package match_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/match"
)

// blocked is an event that has every field a filter can ask for.
func blocked() v1alpha1.SecurityEventSpec {
	return v1alpha1.SecurityEventSpec{
		Type: "TrafficLogged", Severity: v1alpha1.SeverityWarning, Title: "Inbound connection blocked",
		Computer:    &v1alpha1.Computer{Name: "ws-0042", Domain: "CORP", Group: "Workstations/Berlin"},
		Server:      "epm-01",
		User:        `CORP\jdoe`,
		Risk:        &v1alpha1.Risk{Name: "EICAR-Test-File"},
		Application: &v1alpha1.Application{Name: "svchost.exe", Path: `C:\Windows\System32\svchost.exe`},
		Network: &v1alpha1.Network{
			Activity: v1alpha1.ActivityTraffic, Rule: &v1alpha1.FirewallRule{Name: "Block RDP", SendEmailAlert: true},
		},
	}
}

// TestMatch: each field of a filter, what it lets through and what it does not. An event that lacks what is asked for does
// not match.
func TestMatch(t *testing.T) {
	t.Parallel()
	type filter = v1alpha1.EventFilter
	type list = []v1alpha1.Wildcard
	for name, tc := range map[string]struct {
		preset v1alpha1.ConditionType
		filter *filter
		event  func(*v1alpha1.SecurityEventSpec)
		want   match.Verdict
	}{
		"nothing is asked of an event that says nothing": {
			event: func(e *v1alpha1.SecurityEventSpec) { *e = v1alpha1.SecurityEventSpec{Type: e.Type} }, want: match.Matched,
		},
		"no filter: everything":                            {want: match.Matched},
		"an empty filter: everything":                      {filter: &filter{}, want: match.Matched},
		"the preset's event types":                         {preset: "ClientSecurityAlert", want: match.Matched},
		"another preset's":                                 {preset: "RiskOutbreak", want: match.OtherType},
		"a type that this version does not know is Custom": {preset: "FromTheFuture", want: match.Matched},
		"event types replace the preset's": {
			preset: "RiskOutbreak", filter: &filter{EventTypes: list{"TrafficLogged"}}, want: match.Matched,
		},
		"and the preset's do not count any longer": {
			preset: "ClientSecurityAlert", filter: &filter{EventTypes: list{"RiskDetected"}}, want: match.OtherType,
		},
		"event types by wildcard": {filter: &filter{EventTypes: list{"*logged"}}, want: match.Matched},

		"one of the severities": {
			filter: &filter{Severities: []v1alpha1.Severity{"Critical", "Warning"}}, want: match.Matched,
		},
		"another severity": {filter: &filter{Severities: []v1alpha1.Severity{"Critical"}}, want: match.OtherSeverity},

		"the domain":                {filter: &filter{Domains: list{"corp"}}, want: match.Matched},
		"another domain":            {filter: &filter{Domains: list{"LAB"}}, want: match.OtherDomain},
		"a domain, but no computer": {filter: &filter{Domains: list{"*"}}, event: noComputer, want: match.OtherDomain},
		"the group":                 {filter: &filter{Groups: list{"Workstations/*"}}, want: match.Matched},
		"another group":             {filter: &filter{Groups: list{"Servers/*"}}, want: match.OtherGroup},
		"a group, but no computer":  {filter: &filter{Groups: list{"*"}}, event: noComputer, want: match.OtherGroup},
		"the server":                {filter: &filter{Servers: list{"epm-*"}}, want: match.Matched},
		"another server":            {filter: &filter{Servers: list{"epm-02"}}, want: match.OtherServer},
		"a server, but the event has none": {
			filter: &filter{Servers: list{"*"}}, event: func(e *v1alpha1.SecurityEventSpec) { e.Server = "" }, want: match.OtherServer,
		},
		"the computer":                       {filter: &filter{Computers: list{"srv-1", "WS-*"}}, want: match.Matched},
		"another computer":                   {filter: &filter{Computers: list{"srv-*"}}, want: match.OtherComputer},
		"a computer, but the event has none": {filter: &filter{Computers: list{"*"}}, event: noComputer, want: match.OtherComputer},

		"the risk":     {filter: &filter{Risks: list{"eicar*"}}, want: match.Matched},
		"another risk": {filter: &filter{Risks: list{"Trojan.*"}}, want: match.OtherRisk},
		"a risk, but the event has none": {
			filter: &filter{Risks: list{"*"}}, event: func(e *v1alpha1.SecurityEventSpec) { e.Risk = nil }, want: match.OtherRisk,
		},

		"the application by name": {filter: &filter{Applications: list{"SVCHOST.exe"}}, want: match.Matched},
		"the application by path": {filter: &filter{Applications: list{`c:\windows\*`}}, want: match.Matched},
		"another application":     {filter: &filter{Applications: list{"cmd.exe"}}, want: match.OtherApplication},
		"an application, but the event has none": {
			filter: &filter{Applications: list{"*"}}, event: noApplication, want: match.OtherApplication,
		},
		"no application is asked for, and the event has none": {filter: &filter{}, event: noApplication, want: match.Matched},

		"the activity": {
			filter: &filter{Activities: []v1alpha1.NetworkActivity{"Packet", "Traffic"}}, want: match.Matched,
		},
		"another activity": {
			filter: &filter{Activities: []v1alpha1.NetworkActivity{"Packet"}}, want: match.OtherActivity,
		},
		"an activity, but the event is none of a network": {
			filter: &filter{Activities: []v1alpha1.NetworkActivity{"Traffic"}}, event: noNetwork, want: match.OtherActivity,
		},
		"the rule":                    {filter: &filter{Rules: list{"block *"}}, want: match.Matched},
		"another rule":                {filter: &filter{Rules: list{"Allow *"}}, want: match.OtherRule},
		"a rule, but none applied":    {filter: &filter{Rules: list{"*"}}, event: noRule, want: match.OtherRule},
		"rules that ask for an alert": {filter: &filter{EmailAlertRulesOnly: true}, want: match.Matched},
		"rules that ask for one, but this does not": {
			filter: &filter{EmailAlertRulesOnly: true},
			event:  func(e *v1alpha1.SecurityEventSpec) { e.Network.Rule.SendEmailAlert = false }, want: match.NoEmailAlertRule,
		},
		"rules that ask for one, but none applied": {
			filter: &filter{EmailAlertRulesOnly: true}, event: noRule, want: match.NoEmailAlertRule,
		},
		"rules that ask for one, but no network": {
			filter: &filter{EmailAlertRulesOnly: true}, event: noNetwork, want: match.NoEmailAlertRule,
		},

		"a risk that is told once must have a name": {
			preset: "NewRiskDetected", event: func(e *v1alpha1.SecurityEventSpec) { e.Type, e.Risk = "RiskDetected", nil },
			want: match.OtherRisk,
		},
		"a risk that is told once, with a name": {
			preset: "NewRiskDetected", event: func(e *v1alpha1.SecurityEventSpec) { e.Type = "RiskDetected" }, want: match.Matched,
		},

		"the user":     {filter: &filter{Users: list{`*\jdoe`}}, want: match.Matched},
		"another user": {filter: &filter{Users: list{"root"}}, want: match.OtherUser},
		"a user, but the event has none": {
			filter: &filter{Users: list{"*"}}, event: func(e *v1alpha1.SecurityEventSpec) { e.User = "" }, want: match.OtherUser,
		},

		"the expression":           {filter: &filter{Expression: `event.title.contains("blocked")`}, want: match.Matched},
		"a false expression":       {filter: &filter{Expression: `event.title.contains("allowed")`}, want: match.OtherExpression},
		"an expression that fails": {filter: &filter{Expression: `event.task == "scan"`}, want: match.ExpressionFailed},
		"an expression is asked last": {
			filter: &filter{Users: list{"root"}, Expression: `event.task == "scan"`}, want: match.OtherUser,
		},

		"all fields hold": {
			filter: &filter{
				Severities: []v1alpha1.Severity{"Warning"}, EventTypes: list{"Traffic*"}, Domains: list{"CORP"}, Groups: list{"*/Berlin"},
				Servers: list{"epm-01"}, Computers: list{"ws-*"}, Risks: list{"*"}, Applications: list{"*"},
				Activities: []v1alpha1.NetworkActivity{"Traffic"}, Rules: list{"*rdp"}, EmailAlertRulesOnly: true, Users: list{"*"},
				Expression: "event.count == 1",
			},
			want: match.Matched,
		},
		"all fields hold but one": {
			filter: &filter{Domains: list{"CORP"}, Groups: list{"*/Berlin"}, Computers: list{"ws-0043"}, Users: list{"*"}},
			want:   match.OtherComputer,
		},
		"the verdict names the first that does not": {
			filter: &filter{Users: list{"root"}, Domains: list{"LAB"}}, want: match.OtherDomain,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			event := blocked()
			if tc.event != nil {
				tc.event(&event)
			}
			preset := tc.preset
			if preset == "" {
				preset = "Custom"
			}
			got, err := compiled(t, &v1alpha1.NotificationConditionSpec{Type: preset, Filter: tc.filter}).Match(match.NewEvent(&event))
			if got != tc.want || (err != nil) != (got == match.ExpressionFailed) {
				t.Errorf("got %s, %v, want %s", got, err, tc.want)
			}
		})
	}
}

func compiled(tb testing.TB, spec *v1alpha1.NotificationConditionSpec) *match.Filter {
	tb.Helper()
	filter, err := match.Compile(spec)
	if err != nil {
		tb.Fatal(err)
	}
	return filter
}

// TestExpressionFailed: the error says what could not be evaluated, and the event is as good as before for the next filter.
func TestExpressionFailed(t *testing.T) {
	t.Parallel()
	spec := blocked()
	event := match.NewEvent(&spec)
	filter := func(text string) *match.Filter {
		return compiled(t, &v1alpha1.NotificationConditionSpec{Type: "Custom", Filter: &v1alpha1.EventFilter{Expression: text}})
	}
	_, err := filter(`event.task == "scan"`).Match(event)
	if want := "there is no `task`; ask has() first, or read it with .? and orValue()"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if verdict, err := filter(`event.?task.orValue("") == ""`).Match(event); verdict != match.Matched || err != nil {
		t.Errorf("got %s, %v", verdict, err)
	}
}

// TestRefused: a filter that cannot be used, or could never match, and which field of it.
func TestRefused(t *testing.T) {
	t.Parallel()
	const never = " can match no event type: these are CamelCase names such as RiskDetected, of letters and digits, with at most 63 of them"
	for name, tc := range map[string]struct {
		filter v1alpha1.EventFilter
		want   string
	}{
		"an expression that does not compile": {
			v1alpha1.EventFilter{Expression: "event.severity == 3"},
			"spec.filter.expression: line 1, column 16: `==` cannot be applied to (string, int): both sides must have the same type",
		},
		"an expression that is never true": {v1alpha1.EventFilter{Expression: "1 > 2"}, "spec.filter.expression: can never be true"},
		"an expression that gives a text":  {v1alpha1.EventFilter{Expression: "event.title"}, "spec.filter.expression: must be true or false, but gives a string"},

		"a space in an event type":         {eventTypes("risk detected"), `spec.filter.eventTypes: "risk detected"` + never},
		"an underscore in a wildcard":      {eventTypes("risk_*"), `spec.filter.eventTypes: "risk_*"` + never},
		"one of several event types":       {eventTypes("RiskDetected", "Risk?etected"), `spec.filter.eventTypes: "Risk?etected"` + never},
		"an event type with a digit first": {eventTypes("2fa*"), `spec.filter.eventTypes: "2fa*"` + never},
		"letters that no event type has":   {eventTypes("*Gerät*"), `spec.filter.eventTypes: "*Gerät*"` + never},
		"more letters than an event type has": {
			eventTypes(v1alpha1.Wildcard(strings.Repeat("a", 32) + "*" + strings.Repeat("b", 32))),
			`spec.filter.eventTypes: "` + strings.Repeat("a", 32) + "*" + strings.Repeat("b", 32) + `"` + never,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := match.Compile(&v1alpha1.NotificationConditionSpec{Type: "Custom", Filter: &tc.filter})
			if fmt.Sprint(err) != tc.want {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

func eventTypes(types ...v1alpha1.Wildcard) v1alpha1.EventFilter {
	return v1alpha1.EventFilter{EventTypes: types}
}

// TestPossibleEventTypes: what could match an event type is let through, and does match.
func TestPossibleEventTypes(t *testing.T) {
	t.Parallel()
	for wildcard, eventType := range map[v1alpha1.Wildcard]v1alpha1.EventType{
		"riskdetected": "RiskDetected", "RISK*": "RiskDetected", "*": "A", "*1": "A1", "a*9*": "A123456789",
		// The sign for degrees Kelvin is a k where case does not matter.
		"\u212aind*": "Kind",
		v1alpha1.Wildcard(strings.Repeat("a", 63) + "*"): v1alpha1.EventType("A" + strings.Repeat("a", 62)),
	} {
		filter := eventTypes(wildcard)
		event := v1alpha1.SecurityEventSpec{Type: eventType}
		got, err := compiled(t, &v1alpha1.NotificationConditionSpec{Type: "Custom", Filter: &filter}).Match(match.NewEvent(&event))
		if got != match.Matched || err != nil {
			t.Errorf("%q and %s: got %s, %v", wildcard, eventType, got, err)
		}
	}
}

func noComputer(e *v1alpha1.SecurityEventSpec)    { e.Computer = nil }
func noApplication(e *v1alpha1.SecurityEventSpec) { e.Application = nil }
func noNetwork(e *v1alpha1.SecurityEventSpec)     { e.Network = nil }
func noRule(e *v1alpha1.SecurityEventSpec)        { e.Network.Rule = nil }

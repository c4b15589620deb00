// SPDX-License-Identifier: Apache-2.0

package match_test

import (
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

		"the user":     {filter: &filter{Users: list{`*\jdoe`}}, want: match.Matched},
		"another user": {filter: &filter{Users: list{"root"}}, want: match.OtherUser},
		"a user, but the event has none": {
			filter: &filter{Users: list{"*"}}, event: func(e *v1alpha1.SecurityEventSpec) { e.User = "" }, want: match.OtherUser,
		},

		"all fields hold": {
			filter: &filter{
				Severities: []v1alpha1.Severity{"Warning"}, EventTypes: list{"Traffic*"}, Domains: list{"CORP"}, Groups: list{"*/Berlin"},
				Servers: list{"epm-01"}, Computers: list{"ws-*"}, Risks: list{"*"}, Applications: list{"*"},
				Activities: []v1alpha1.NetworkActivity{"Traffic"}, Rules: list{"*rdp"}, EmailAlertRulesOnly: true, Users: list{"*"},
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
			filter := match.Compile(&v1alpha1.NotificationConditionSpec{Type: preset, Filter: tc.filter})
			if got := filter.Match(&event); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func noComputer(e *v1alpha1.SecurityEventSpec)    { e.Computer = nil }
func noApplication(e *v1alpha1.SecurityEventSpec) { e.Application = nil }
func noNetwork(e *v1alpha1.SecurityEventSpec)     { e.Network = nil }
func noRule(e *v1alpha1.SecurityEventSpec)        { e.Network.Rule = nil }

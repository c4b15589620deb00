// SPDX-License-Identifier: Apache-2.0

package match_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/match"
)

func blocked() *v1alpha1.SecurityEventSpec {
	return &v1alpha1.SecurityEventSpec{
		Type: "TrafficLogged", Severity: v1alpha1.SeverityWarning, Title: "blocked", Server: "epm-01", User: `CORP\jdoe`,
		Computer:    &v1alpha1.Computer{Name: "ws-0042", Domain: "CORP", Group: "Workstations/Berlin"},
		Risk:        &v1alpha1.Risk{Name: "EICAR-Test-File"},
		Application: &v1alpha1.Application{Name: "mstsc.exe", Path: `C:\Windows\System32\mstsc.exe`},
		Network: &v1alpha1.Network{
			Activity: v1alpha1.ActivityTraffic, Rule: &v1alpha1.FirewallRule{Name: "Block RDP", SendEmailAlert: true},
		},
	}
}

func TestFilter(t *testing.T) {
	t.Parallel()
	type filter = v1alpha1.EventFilter
	type list = []v1alpha1.Wildcard
	bare := &v1alpha1.SecurityEventSpec{Type: "TrafficLogged", Severity: v1alpha1.SeverityWarning, Title: "bare"}
	quiet := blocked()
	quiet.Network.Rule.SendEmailAlert = false
	for name, tc := range map[string]struct {
		filter filter
		event  *v1alpha1.SecurityEventSpec
		want   match.Verdict
	}{
		"nothing asked":                         {filter{}, blocked(), match.Matched},
		"nothing asked of a bare event":         {filter{}, bare, match.Matched},
		"one of the severities":                 {filter{Severities: []v1alpha1.Severity{"Critical", "Warning"}}, blocked(), match.Matched},
		"none of the severities":                {filter{Severities: []v1alpha1.Severity{"Critical"}}, blocked(), match.OtherSeverity},
		"types of its own replace the preset's": {filter{EventTypes: list{"RiskDetected"}}, blocked(), match.OtherType},
		"types with a star":                     {filter{EventTypes: list{"Traffic*"}}, blocked(), match.Matched},
		"domain in another case":                {filter{Domains: list{"corp"}}, blocked(), match.Matched},
		"another domain":                        {filter{Domains: list{"LAB"}}, blocked(), match.OtherDomain},
		"group below":                           {filter{Groups: list{"Workstations/*"}}, blocked(), match.Matched},
		"another group":                         {filter{Groups: list{"Servers/*"}}, blocked(), match.OtherGroup},
		"another server":                        {filter{Servers: list{"epm-02"}}, blocked(), match.OtherServer},
		"computer by a star within":             {filter{Computers: list{"ws-*42"}}, blocked(), match.Matched},
		"another computer":                      {filter{Computers: list{"srv-*"}}, blocked(), match.OtherComputer},
		"another risk":                          {filter{Risks: list{"W32.*"}}, blocked(), match.OtherRisk},
		"application by its path":               {filter{Applications: list{`c:\windows\*`}}, blocked(), match.Matched},
		"another application":                   {filter{Applications: list{"ssh"}}, blocked(), match.OtherApplication},
		"another activity":                      {filter{Activities: []v1alpha1.NetworkActivity{"Packet"}}, blocked(), match.OtherActivity},
		"another rule":                          {filter{Rules: list{"Allow *"}}, blocked(), match.OtherRule},
		"a rule that asks for an alert":         {filter{EmailAlertRulesOnly: true}, blocked(), match.Matched},
		"a rule that does not":                  {filter{EmailAlertRulesOnly: true}, quiet, match.NoEmailAlertRule},
		"another user":                          {filter{Users: list{`CORP\root`}}, blocked(), match.OtherUser},
		"all fields have to hold":               {filter{Domains: list{"CORP"}, Users: list{"nobody"}}, blocked(), match.OtherUser},
		"a star asks for some value":            {filter{Computers: list{"*"}}, bare, match.OtherComputer},
		"an event without the application":      {filter{Applications: list{"*"}}, bare, match.OtherApplication},
		"an event without a network":            {filter{EmailAlertRulesOnly: true}, bare, match.NoEmailAlertRule},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			compiled := match.Compile(&v1alpha1.NotificationConditionSpec{Type: "ClientSecurityAlert", Filter: &tc.filter})
			if got := compiled.Match(tc.event); got != tc.want {
				t.Errorf("Match() = %s, want %s", got, tc.want)
			}
		})
	}
}

func TestPresetSuppliesTheTypes(t *testing.T) {
	t.Parallel()
	for kind, want := range map[v1alpha1.ConditionType]match.Verdict{
		"ClientSecurityAlert": match.Matched, "RiskOutbreak": match.OtherType, "Custom": match.Matched,
	} {
		if got := match.Compile(&v1alpha1.NotificationConditionSpec{Type: kind}).Match(blocked()); got != want {
			t.Errorf("%s: %s, want %s", kind, got, want)
		}
	}
}

func candidates(x *match.Index[string], namespace, eventType string) string {
	var found []string
	x.Candidates(namespace, eventType, func(c string) { found = append(found, c) })
	slices.Sort(found)
	return strings.Join(found, " ")
}

func TestIndex(t *testing.T) {
	t.Parallel()
	of := func(types ...v1alpha1.Wildcard) *match.Filter {
		return match.Compile(&v1alpha1.NotificationConditionSpec{Type: "Custom", Filter: &v1alpha1.EventFilter{EventTypes: types}})
	}
	x := match.NewIndex[string]()
	x.Put("a", "ns", of("RiskDetected"))
	x.Put("b", "ns", of("RiskDetected", "TrafficLogged"))
	x.Put("star", "ns", of("Risk*"))
	x.Put("any", "ns", of())
	x.Put("elsewhere", "other", of("RiskDetected"))
	for name, tc := range map[string]struct{ namespace, eventType, want string }{
		"those of the type, and those of any":       {"ns", "RiskDetected", "a any b star"},
		"types are compared without regard to case": {"ns", "riskdetected", "a any b star"},
		"another type":                   {"ns", "TrafficLogged", "any b star"},
		"another namespace":              {"other", "RiskDetected", "elsewhere"},
		"a namespace without conditions": {"none", "RiskDetected", ""},
	} {
		if got := candidates(x, tc.namespace, tc.eventType); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	x.Put("a", "ns", of("TrafficLogged"))
	x.Delete("b")
	x.Delete("unknown")
	if got := candidates(x, "ns", "RiskDetected"); got != "any star" {
		t.Errorf("after changes: %q", got)
	}
	if got := candidates(x, "ns", "TrafficLogged"); got != "a any star" {
		t.Errorf("after changes: %q", got)
	}
}

// FuzzWildcard compares with what a regular expression says.
func FuzzWildcard(f *testing.F) {
	for _, seed := range [][2]string{{"ws-*", "WS-1"}, {"*", "x"}, {"a*b*c", "abbc"}, {"**", "a"}, {"a*a", "a"}, {"köln*", "KÖLN-1"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, value string) {
		lower := strings.ToLower(pattern)
		quoted := strings.ReplaceAll(regexp.QuoteMeta(lower), `\*`, `.*`)
		slow, err := regexp.Compile(`(?s)^` + quoted + `$`)
		if err != nil || pattern == "" || value == "" {
			t.Skip()
		}
		compiled := match.Compile(&v1alpha1.NotificationConditionSpec{
			Type: "Custom", Filter: &v1alpha1.EventFilter{Users: []v1alpha1.Wildcard{v1alpha1.Wildcard(pattern)}},
		})
		want := slow.MatchString(strings.ToLower(value))
		if got := compiled.Match(&v1alpha1.SecurityEventSpec{User: value}) == match.Matched; got != want {
			t.Errorf("%q matches %q: %v, want %v", pattern, value, got, want)
		}
	})
}

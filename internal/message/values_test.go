// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
)

// checkValues compares those that have a value.
func checkValues(t *testing.T, got, want placeholder.Values) {
	t.Helper()
	got = maps.Clone(got)
	maps.DeleteFunc(got, func(_ placeholder.Name, value string) bool { return value == "" })
	for _, p := range placeholder.All() {
		if got[p.Name] != want[p.Name] {
			t.Errorf("%s:\n got %q\nwant %q", p.Name, got[p.Name], want[p.Name])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d values, want %d", len(got), len(want))
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spec *v1alpha1.NotificationSpec
		want placeholder.Values
	}{
		"single detection": {singleDetection(), placeholder.Values{
			"SEVERITY": "Critical", "KLCSAK_EVENT_SEVERITY_NUM": "4", "COMPUTER": "ws-0042", "DOMAIN": "CORP",
			"HOST_IP": "10.0.0.42", "HOST_CONN_IP": "192.0.2.9", "EVENT": "Malicious object detected",
			"DESCR": `Object C:\Temp\eicar.com detected: EICAR-Test-File`, "RISE_TIME": "2026-11-22T08:30:00Z",
			"KLCSAK_EVENT_TASK_DISPLAY_NAME": "Full scan", "KL_PRODUCT": "Network Agent", "KL_VERSION": "13.1.0.8324",
			"CONDITION": "single-risk", "TYPE": "SingleRiskEvent", "OCCURRENCES": "1", "COMPUTERS": "1",
			"RISK": "EICAR-Test-File", "ACTION": "Quarantined", "WINDOW": "1m", "HELD": "0",
			"FIRST_TIME": "2026-11-22T08:30:00Z", "LAST_TIME": "2026-11-22T08:30:00Z",
			"NAMESPACE": "security", "NOTIFICATION": "n-1",
		}},
		"only what is required": {bare(), placeholder.Values{
			"SEVERITY": "Functional failure", "KLCSAK_EVENT_SEVERITY_NUM": "3", "EVENT": "Protection stopped",
			"RISE_TIME": "2026-11-22T10:00:00Z", "FIRST_TIME": "2026-11-22T10:00:00Z", "LAST_TIME": "2026-11-22T10:00:00Z",
			"CONDITION": "all", "TYPE": "Custom", "OCCURRENCES": "1", "COMPUTERS": "0", "WINDOW": "1m", "HELD": "0",
			"NAMESPACE": "security", "NOTIFICATION": "n-1",
		}},
		"test": {test(), placeholder.Values{
			"SEVERITY": "Info", "KLCSAK_EVENT_SEVERITY_NUM": "1", "COMPUTER": "test-computer", "DOMAIN": "test-domain",
			"HOST_IP": "192.0.2.1", "HOST_CONN_IP": "192.0.2.2", "EVENT": "Test notification",
			"DESCR":                          "Sample description of a test: nothing has happened.",
			"KLCSAK_EVENT_TASK_DISPLAY_NAME": "Test task", "KL_PRODUCT": "Test product", "KL_VERSION": "0.0",
			"CONDITION": "test-condition", "TYPE": "Test", "OCCURRENCES": "1", "COMPUTERS": "1", "RISK": "Test risk",
			"ACTION": "Test action", "WINDOW": "1m", "HELD": "0", "NAMESPACE": "security", "NOTIFICATION": "n-1",
		}},
		"nothing": {nil, placeholder.Values{
			"KLCSAK_EVENT_SEVERITY_NUM": "0", "OCCURRENCES": "0", "COMPUTERS": "0", "HELD": "0",
			"NAMESPACE": "security", "NOTIFICATION": "n-1",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkValues(t, Values("security", "n-1", tc.spec), tc.want)
		})
	}
}

func TestValuesOfTheTrigger(t *testing.T) {
	t.Parallel()
	values := Values("security", "n-1", outbreak())
	for name, want := range map[placeholder.Name]string{
		placeholder.Computer: "ws-0046", placeholder.Computers: "5", placeholder.Occurrences: "17", placeholder.Held: "12",
		placeholder.Risk: "Worm.Win32.Example, EICAR-Test-File", placeholder.Window: "1h",
		placeholder.FirstTime: "2026-11-22T08:30:00Z", placeholder.LastTime: "2026-11-22T09:12:44Z",
	} {
		if values[name] != want {
			t.Errorf("%s = %q, want %q", name, values[name], want)
		}
	}
	if got := Values("", "", firewall())[placeholder.Action]; got != "Blocked" {
		t.Errorf("ACTION of a firewall = %q", got)
	}
}

// TestSeverityIsTheHighest: the notification's, which may be above that of the latest event.
func TestSeverityIsTheHighest(t *testing.T) {
	t.Parallel()
	spec := singleDetection()
	spec.Trigger.Event.Severity = v1alpha1.SeverityInfo
	if got := Values("", "", spec); got[placeholder.Severity] != "Critical" || got[placeholder.SeverityNumber] != "4" {
		t.Errorf("got %q and %q", got[placeholder.Severity], got[placeholder.SeverityNumber])
	}
	spec.Severity = ""
	if got := Values("", "", spec)[placeholder.Severity]; got != "Info" {
		t.Errorf("without the notification's: %q", got)
	}
}

func TestRiskNames(t *testing.T) {
	t.Parallel()
	risk := &v1alpha1.Risk{Name: "event's"}
	twenty := strings.Split(strings.Repeat("r ", 19)+"r", " ")
	for name, tc := range map[string]struct {
		risks []string
		risk  *v1alpha1.Risk
		want  string
	}{
		"none":              {nil, nil, ""},
		"the event's":       {nil, risk, "event's"},
		"the trigger's":     {[]string{"a"}, nil, "a"},
		"the latest of one": {[]string{"a"}, risk, "event's"},
		"two":               {[]string{"a", "b"}, risk, "a, b"},
		"five":              {[]string{"a", "b", "c", "d", "e"}, nil, "a, b, c, d, e"},
		"seven":             {[]string{"a", "b", "c", "d", "e", "f", "g"}, nil, "a, b, c, d, e and 2 more"},
		"no more were kept": {twenty, nil, "r, r, r, r, r and at least 15 more"},
		"hostile":           {[]string{"a\nb", "c\u202e"}, nil, "a b, c\ufffd"},
	} {
		if got := riskNames(&v1alpha1.Trigger{Risks: tc.risks}, tc.risk); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

func TestTidyDuration(t *testing.T) {
	t.Parallel()
	for duration, want := range map[v1alpha1.Duration]string{
		"60m": "1h", "1h0m0s": "1h", "90s": "1m30s", "1m": "1m", "30s": "30s", "1h30m": "1h30m", "3610s": "1h10s",
		"168h": "168h", "10m": "10m", "20h": "20h", "": "", "soon": "soon",
	} {
		if got := tidyDuration(duration); got != want {
			t.Errorf("%q: got %q, want %q", duration, got, want)
		}
	}
}

func TestFillTimes(t *testing.T) {
	t.Parallel()
	values := placeholder.Values{placeholder.FirstTime: "2026-11-22T08:30:00Z"}
	FillTimes(values, time.Date(2026, 11, 22, 13, 0, 0, 5, time.FixedZone("", 3600)))
	checkValues(t, values, placeholder.Values{
		"RISE_TIME": "2026-11-22T12:00:00Z", "FIRST_TIME": "2026-11-22T08:30:00Z", "LAST_TIME": "2026-11-22T12:00:00Z",
	})
}

// TestValuesAreCleanAndBounded: whatever the schema lets through, and more.
func TestValuesAreCleanAndBounded(t *testing.T) {
	t.Parallel()
	spec := hostile()
	spec.Severity = v1alpha1.Severity(strings.Repeat("\u202e\n", 400))
	spec.Condition.Threshold.Window = "\x1b[31m"
	spec.Trigger.Event.Title = strings.Repeat("\r\nx", 4000)
	spec.Trigger.Event.Description = strings.Repeat("\r\nx", 9000)
	spec.Trigger.Event.Risk = &v1alpha1.Risk{Name: strings.Repeat("r", 900), Action: strings.Repeat("a", 900)}
	for name, value := range Values(strings.Repeat("n", 900), "n\n1", spec) {
		checkClean(t, value, name == placeholder.Description)
		limit := map[placeholder.Name]int{placeholder.Description: maxDescription, placeholder.Risk: 6 * maxValue}[name]
		if n := utf8.RuneCountInString(value); n > max(limit, maxValue) {
			t.Errorf("%s has %d characters", name, n)
		}
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	network := func(direction string, local, remote *v1alpha1.Endpoint) *v1alpha1.Network {
		return &v1alpha1.Network{Direction: direction, Protocol: "UDP", Local: local, Remote: remote}
	}
	here := &v1alpha1.Endpoint{IP: "2001:db8::1", Port: pointer(int32(53))}
	there := &v1alpha1.Endpoint{Host: "evil.example", Port: pointer(int32(0))}
	for _, tc := range []struct{ got, want string }{
		{connection(nil), ""},
		{connection(&v1alpha1.Network{}), ""},
		{connection(network("Inbound", here, there)), "UDP inbound from evil.example (port 0) to [2001:db8::1]:53"},
		{connection(network("Outbound", here, there)), "UDP outbound from [2001:db8::1]:53 to evil.example (port 0)"},
		{connection(network("", nil, &v1alpha1.Endpoint{IP: "192.0.2.1"})), "UDP from 192.0.2.1"},
		{application(nil), ""},
		{application(&v1alpha1.Application{Path: "/bin/sh"}), "/bin/sh"},
		{application(&v1alpha1.Application{Name: "sh", Path: "/bin/sh"}), "sh (/bin/sh)"},
		{involvedObject(&v1alpha1.InvolvedObject{Kind: "Node", Name: "n1"}), "Node n1"},
		{involvedObject(&v1alpha1.InvolvedObject{Kind: "Pod", Namespace: "web", Name: "p1"}), "Pod web/p1"},
		{firewallRule(&v1alpha1.Network{}), ""},
		{where(placeholder.Values{"HOST_IP": "192.0.2.1"}), "192.0.2.1"},
		{where(placeholder.Values{"COMPUTERS": "3"}), ""},
		{where(placeholder.Values{"COMPUTER": "a", "HOST_IP": "192.0.2.1", "HOST_CONN_IP": "192.0.2.1"}), "a (192.0.2.1)"},
		{when(placeholder.Values{}), ""},
		{when(placeholder.Values{"FIRST_TIME": "2026-11-22T08:30:00Z"}), "2026-11-22 08:30:00 UTC"},
		{when(placeholder.Values{"LAST_TIME": "yesterday"}), "yesterday"},
		{when(placeholder.Values{"FIRST_TIME": "2026-11-22T23:59:00Z", "LAST_TIME": "2026-11-23T00:01:00Z"}),
			"2026-11-22 23:59:00 to 2026-11-23 00:01:00 UTC"},
		{howMany(placeholder.Values{"OCCURRENCES": "many"}), ""},
		{howMany(placeholder.Values{"OCCURRENCES": "2"}), "2 occurrences"},
		{fmt.Sprint(computerNames(singleDetection())), "[]"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package message

import (
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

func at(clock string) *metav1.Time {
	t, err := time.Parse(time.RFC3339, "2026-11-22T"+clock+"Z")
	if err != nil {
		panic(err)
	}
	return &metav1.Time{Time: t}
}

func pointer[T any](value T) *T { return &value }

// eicar is the scanner's event of the samples.
func eicar() v1alpha1.SecurityEventSpec {
	return v1alpha1.SecurityEventSpec{
		Type:        "RiskDetected",
		Severity:    v1alpha1.SeverityCritical,
		Title:       "Malicious object detected",
		Description: `Object C:\Temp\eicar.com detected: EICAR-Test-File`,
		Time:        at("08:30:00"),
		Computer: &v1alpha1.Computer{
			Name: "ws-0042", IP: "10.0.0.42", ConnectionIP: "192.0.2.9", Domain: "CORP", Group: "Workstations/Berlin",
		},
		Server:  "epm-01",
		Product: &v1alpha1.Product{Vendor: "Example AV", Name: "Network Agent", Version: "13.1.0.8324"},
		Task:    "Full scan",
		User:    `CORP\jdoe`,
		Risk:    &v1alpha1.Risk{Name: "EICAR-Test-File", Category: "Malware", Action: "Quarantined"},
	}
}

func snapshot(name string, event v1alpha1.SecurityEventSpec) *v1alpha1.EventSnapshot {
	return &v1alpha1.EventSnapshot{SecurityEventSpec: event, Name: name, UID: "0b0f6a52-9d0e-4c1b-8d53-7a9b3b5b1f00"}
}

func condition(name string, count int32, window v1alpha1.Duration, scope v1alpha1.Scope) *v1alpha1.ConditionSnapshot {
	return &v1alpha1.ConditionSnapshot{
		Name: name, UID: "6f9a6b0e-3f0a-4a57-9d3c-0d8f0c1f9a11", Generation: 1, Damper: "1h",
		Threshold: v1alpha1.EffectiveThreshold{Count: count, Window: window, Scope: scope},
	}
}

func singleDetection() *v1alpha1.NotificationSpec {
	return &v1alpha1.NotificationSpec{
		Type:      "SingleRiskEvent",
		Severity:  v1alpha1.SeverityCritical,
		Condition: condition("single-risk", 1, "1m", v1alpha1.ScopeAnyComputer),
		Trigger: &v1alpha1.Trigger{
			Reason: v1alpha1.TriggerThresholdReached, Time: *at("08:30:01"), Sequence: 1, Occurrences: 1, Computers: 1,
			ComputerNames: []string{"ws-0042"}, Risks: []string{"EICAR-Test-File"},
			FirstTime: at("08:30:00"), LastTime: at("08:30:00"), Event: snapshot("eicar-x7k2p", eicar()),
		},
	}
}

func outbreak() *v1alpha1.NotificationSpec {
	event := eicar()
	event.Computer = &v1alpha1.Computer{Name: "ws-0046", IP: "10.0.0.46", Domain: "CORP"}
	event.Title = "Virus outbreak"
	event.Description = "Worm.Win32.Example spreads through shared folders."
	event.Risk = &v1alpha1.Risk{Name: "Worm.Win32.Example", Action: "Left alone"}
	return &v1alpha1.NotificationSpec{
		Type:      "RiskOutbreak",
		Severity:  v1alpha1.SeverityCritical,
		Condition: condition("outbreak", 5, "60m", v1alpha1.ScopeDistinctComputers),
		Trigger: &v1alpha1.Trigger{
			Reason: v1alpha1.TriggerStillReached, Time: *at("09:30:00"), Sequence: 2, Occurrences: 17, Computers: 5, Held: 12,
			ComputerNames: []string{"ws-0046", "ws-0045", "ws-0044", "ws-0043", "ws-0042"},
			Risks:         []string{"Worm.Win32.Example", "EICAR-Test-File"},
			FirstTime:     at("08:30:00"), LastTime: at("09:12:44"), Event: snapshot("worm-9qz4c", event),
		},
	}
}

func firewall() *v1alpha1.NotificationSpec {
	event := v1alpha1.SecurityEventSpec{
		Type: "TrafficLogged", Severity: v1alpha1.SeverityWarning, Title: "Inbound connection blocked",
		Description: "Rule 'Block RDP from outside' blocked 203.0.113.7:50123 to 10.0.0.42:3389",
		Time:        at("08:31:00"), LastTime: at("08:31:20"), Count: pointer(int32(14)),
		Computer: &v1alpha1.Computer{Name: "ws-0042", IP: "10.0.0.42", Domain: "CORP", Group: "Workstations/Berlin"},
		Product:  &v1alpha1.Product{Name: "Firewall", Version: "14.3"},
		Network: &v1alpha1.Network{
			Activity: v1alpha1.ActivityTraffic, Direction: "Inbound", Protocol: "TCP", Action: "Blocked",
			Local:  &v1alpha1.Endpoint{IP: "10.0.0.42", Port: pointer(int32(3389))},
			Remote: &v1alpha1.Endpoint{IP: "203.0.113.7", Port: pointer(int32(50123))},
			Rule:   &v1alpha1.FirewallRule{Name: "Block RDP from outside", SendEmailAlert: true},
		},
	}
	return &v1alpha1.NotificationSpec{
		Type: "ClientSecurityAlert", Severity: v1alpha1.SeverityWarning,
		Condition: condition("firewall-alerts", 2, "1m", v1alpha1.ScopeSingleComputer),
		Trigger: &v1alpha1.Trigger{
			Reason: v1alpha1.TriggerThresholdReached, Time: *at("08:31:21"), Sequence: 1, Occurrences: 14, Computers: 1, Held: 1,
			ComputerNames: []string{"ws-0042"}, FirstTime: at("08:31:00"), LastTime: at("08:31:20"),
			Event: snapshot("fw-2h5xn", event),
		},
	}
}

func test() *v1alpha1.NotificationSpec {
	return &v1alpha1.NotificationSpec{Type: "Test", ChannelRef: &v1alpha1.ChannelReference{Name: "soc-mail"}}
}

// bare has nothing but what the schema requires.
func bare() *v1alpha1.NotificationSpec {
	return &v1alpha1.NotificationSpec{
		Type:      "Custom",
		Condition: condition("all", 1, "1m", v1alpha1.ScopeAnyComputer),
		Trigger: &v1alpha1.Trigger{
			Reason: v1alpha1.TriggerThresholdReached, Time: *at("10:00:00"), Sequence: 1, Occurrences: 1,
			Event: snapshot("some-4jw8d", v1alpha1.SecurityEventSpec{
				Type: "Other", Severity: v1alpha1.SeverityFunctionalFailure, Title: "Protection stopped",
			}),
		},
	}
}

// hostile tries what events have tried on others.
func hostile() *v1alpha1.NotificationSpec {
	spec := firewall()
	spec.Trigger.Computers = 23
	spec.Trigger.ComputerNames = nil
	for range 20 {
		spec.Trigger.ComputerNames = append(spec.Trigger.ComputerNames, "<b>pc</b>\r\n&amp;")
	}
	spec.Trigger.Risks = []string{"a<i>", "b\u202eexe.fdp", "%RISK%", "d\x1b]0;owned\x07", "e", "f", "g"}
	event := &spec.Trigger.Event.SecurityEventSpec
	event.Title = "<script>alert(1)</script>\r\nBcc: x@y.example\r\n\r\n%COMPUTER% %%"
	event.Description = strings.Repeat("</td><img src=x onerror=alert(2)>\r\nRisk: none\x00\u2028\t`id` $(id) ${id}\n\n\n\n", 60)
	event.Description = string([]rune(event.Description)[:4096])
	event.Computer = &v1alpha1.Computer{
		Name: "ws\u202e2400\u202c\u200b%DOMAIN%", IP: `"><a href="javascript:alert(3)">`, Domain: "\u05e7\u05d5\u05e8\u05e4 \u2066x",
	}
	event.User = "root\x1b[2J\x7f\u0085" + "z" + strings.Repeat("\u0301", 40)
	event.Task = "{{.Secret}} {{printf \"%s\" .}}"
	event.Product = &v1alpha1.Product{Name: "--></style><style>*{display:none}", Version: "\xff\xfe\ufeff"}
	event.Application = &v1alpha1.Application{Name: "invoice\u202efdp.exe", Path: `C:\a b\'"<>&.exe`}
	event.InvolvedObject = &v1alpha1.InvolvedObject{Kind: "Pod", Namespace: "default", Name: "https://evil.example/?a=1&b=2"}
	event.Network.Protocol = "TCP</bdi>"
	event.Network.Rule.Name = "expression(alert(4)); background: url(https://evil.example/p.png)"
	return spec
}

// limited is a digest of three conditions; that of a fourth did not fit into the object.
func limited() *v1alpha1.NotificationSpec {
	entry := func(severity v1alpha1.Severity, condition string, count int64, first, last string) v1alpha1.DigestEntry {
		return v1alpha1.DigestEntry{Condition: condition, Severity: severity, Suppression: v1alpha1.Suppression{
			Count: count, FirstTime: *at(first), LastTime: *at(last),
		}}
	}
	return &v1alpha1.NotificationSpec{
		Type: v1alpha1.NotificationTypeDigest, Severity: v1alpha1.SeverityCritical,
		Digest: &v1alpha1.Digest{
			Since: *at("08:30:00"), Until: *at("09:30:00"), Count: 20, Suppressed: 57,
			Conditions: []v1alpha1.DigestEntry{
				entry(v1alpha1.SeverityCritical, "outbreak", 3, "09:12:44", "09:27:03"),
				entry(v1alpha1.SeverityFunctionalFailure, "definitions-out-of-date", 1, "09:01:10", "09:01:10"),
				entry(v1alpha1.SeverityWarning, "firewall-alerts", 53, "08:41:02", "09:29:58"),
			},
		},
		Deliveries: []v1alpha1.Delivery{
			{Channel: "soc-phone", FallbackFor: []string{"soc-mail"}}, {Channel: "soc-mail"},
		},
	}
}

// SPDX-License-Identifier: Apache-2.0

// Package preset is the table of condition types: the event types that count for each, and its default threshold.
package preset

import (
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// DefaultDamper is the damper period "Auto" (Symantec Endpoint Protection Manager, "Creating administrator notifications").
const DefaultDamper = 60 * time.Minute

// Custom is the type without event types of its own: every event counts.
const Custom v1alpha1.ConditionType = "Custom"

// NewRiskDetected is the type that tells of each risk once, whatever its damper (Symantec Endpoint Protection Manager: "New
// risk detected").
const NewRiskDetected v1alpha1.ConditionType = "NewRiskDetected"

// Preset is one condition type. Its damper is DefaultDamper, save for NewRiskDetected, which needs none.
type Preset struct {
	Type v1alpha1.ConditionType
	// Summary is a sentence; `kubectl explain` and docs/event-types.md have it too.
	Summary    string
	EventTypes []v1alpha1.EventType
	Count      int32
	Window     time.Duration
	Scope      v1alpha1.Scope
}

var table = []Preset{
	{"AuthenticationFailure", "Logins that failed.",
		[]v1alpha1.EventType{"AuthenticationFailed"}, 5, time.Minute, v1alpha1.ScopeAnyComputer},
	{"ClientListChanged", "A computer was added, moved, renamed, deleted, or changed its hardware or mode.",
		[]v1alpha1.EventType{"ClientAdded", "ClientMoved", "ClientRenamed", "ClientDeleted", "ClientHardwareChanged",
			"ClientModeChanged", "UnmanagedDetectorChanged"}, 1, time.Minute, v1alpha1.ScopeAnyComputer},
	{"ClientSecurityAlert", "An attack, a firewall rule, or compliance, device or application control on a computer.",
		[]v1alpha1.EventType{"AttackDetected", "TrafficLogged", "PacketLogged", "ComplianceFailed", "DeviceBlocked",
			"ApplicationBlocked"}, 2, time.Minute, v1alpha1.ScopeAnyComputer},
	{"DownloadProtectionOutOfDate", "Download protection content is older than it should be.",
		[]v1alpha1.EventType{"DownloadProtectionOutOfDate"}, 1, time.Hour, v1alpha1.ScopeDistinctComputers},
	{"EnforcerDown", "An enforcer went offline.",
		[]v1alpha1.EventType{"EnforcerDown"}, 1, time.Minute, v1alpha1.ScopeAnyComputer},
	{"FileReputation", "The file reputation service cannot be used.",
		[]v1alpha1.EventType{"FileReputationFailed"}, 1, time.Minute, v1alpha1.ScopeAnyComputer},
	{"ForcedApplicationDetected", "A commercial application, or one on the administrator's list, was found.",
		[]v1alpha1.EventType{"ForcedApplicationDetected", "CommercialApplicationDetected"}, 1, time.Minute,
		v1alpha1.ScopeAnyComputer},
	{"IPSSignaturesOutOfDate", "Intrusion prevention signatures are older than they should be.",
		[]v1alpha1.EventType{"IPSSignaturesOutOfDate"}, 1, time.Hour, v1alpha1.ScopeDistinctComputers},
	{"NetworkLoad", "Too many or too slow connections between computers and their server.",
		[]v1alpha1.EventType{"NetworkLoadHigh"}, 1, time.Minute, v1alpha1.ScopeAnyComputer},
	{"NewClientSoftware", "A new client package or new security definitions arrived.",
		[]v1alpha1.EventType{"ClientPackageAdded", "SecurityDefinitionsAdded"}, 1, time.Minute, v1alpha1.ScopeAnyComputer},
	{"NewLearnedApplication", "An application was seen for the first time.",
		[]v1alpha1.EventType{"ApplicationLearned"}, 1, time.Minute, v1alpha1.ScopeAnyComputer},
	{NewRiskDetected, "A risk was seen for the first time.",
		[]v1alpha1.EventType{"RiskDetected"}, 1, time.Minute, v1alpha1.ScopeAnyComputer},
	{"NewUserAllowedDownload", "A user allowed a download that was advised against.",
		[]v1alpha1.EventType{"DownloadAllowedByUser"}, 1, time.Minute, v1alpha1.ScopeAnyComputer},
	{"PowerEraserRecommended", "A computer needs a thorough cleaning.",
		[]v1alpha1.EventType{"PowerEraserRecommended"}, 1, time.Minute, v1alpha1.ScopeAnyComputer},
	{"RiskOutbreak", "Risks spread over several computers.",
		[]v1alpha1.EventType{"RiskDetected"}, 5, time.Hour, v1alpha1.ScopeDistinctComputers},
	{"ServerHealth", "The health of a management server changed.",
		[]v1alpha1.EventType{"ServerHealthChanged"}, 1, time.Minute, v1alpha1.ScopeAnyComputer},
	{"SingleRiskEvent", "A risk was found.",
		[]v1alpha1.EventType{"RiskDetected"}, 1, time.Minute, v1alpha1.ScopeAnyComputer},
	{"SONARDefinitionsOutOfDate", "Behaviour analysis definitions are older than they should be.",
		[]v1alpha1.EventType{"SONARDefinitionsOutOfDate"}, 1, time.Hour, v1alpha1.ScopeDistinctComputers},
	{"SystemEvent", "Server activity, replication failures, backups and system errors.",
		[]v1alpha1.EventType{"ServerActivity", "ReplicationFailed", "BackupFinished", "SystemError"}, 1, time.Minute,
		v1alpha1.ScopeAnyComputer},
	{"UnmanagedComputers", "A computer without protection was seen in the network.",
		[]v1alpha1.EventType{"UnmanagedComputerDetected"}, 1, time.Minute, v1alpha1.ScopeAnyComputer},
	{"VirusDefinitionsOutOfDate", "Virus definitions on computers are older than they should be.",
		[]v1alpha1.EventType{"VirusDefinitionsOutOfDate"}, 1, time.Hour, v1alpha1.ScopeDistinctComputers},
	{Custom, "Whatever the filter says.", nil, 1, time.Minute, v1alpha1.ScopeAnyComputer},
}

// All returns the table, in the order of the API's enum.
func All() []Preset { return table }

// For returns the preset of a condition type. A type that this version does not know is treated as Custom.
func For(t v1alpha1.ConditionType) Preset {
	for _, p := range table {
		if p.Type == t {
			return p
		}
	}
	return table[len(table)-1]
}

// OncePerRisk says that a condition of this type tells of each risk once.
func (p Preset) OncePerRisk() bool { return p.Type == NewRiskDetected }

// Threshold returns the threshold in effect: the condition's own, field by field, else the preset's. With `auto`, count and
// window go by the number of computers.
func (p Preset) Threshold(own *v1alpha1.Threshold, computers int32) v1alpha1.EffectiveThreshold {
	effective := v1alpha1.EffectiveThreshold{Count: p.Count, Window: v1alpha1.FormatDuration(p.Window), Scope: p.Scope}
	if own == nil {
		return effective
	}
	if own.Auto {
		effective.Count, effective.Window = Auto(computers), v1alpha1.FormatDuration(autoWindow)
		effective.Computers = &computers
	}
	if own.Count != nil {
		effective.Count = *own.Count
	}
	if own.Window != "" {
		effective.Window = own.Window
	}
	if own.Scope != "" {
		effective.Scope = own.Scope
	}
	return effective
}

// autoWindow is the window of a threshold that is chosen automatically.
const autoWindow = time.Minute

// Auto is the count to begin with for so many computers (Symantec Endpoint Protection Manager, "Threshold guidelines for
// administrator notifications"; the step beyond 1000 computers is Tocsin's own).
func Auto(computers int32) int32 {
	switch {
	case computers < 100:
		return 2
	case computers <= 1000:
		return 5
	default:
		return 10
	}
}

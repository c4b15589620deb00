// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// CreatorAnnotation of a NotificationCondition is the name of the user who created it. Admission vouches for it.
const CreatorAnnotation = Group + "/creator"

// ConditionType is a preset: it supplies the event types that count and the default threshold. Custom supplies none.
//
// +kubebuilder:validation:Enum=AuthenticationFailure;ClientListChanged;ClientSecurityAlert;DownloadProtectionOutOfDate;EnforcerDown;FileReputation;ForcedApplicationDetected;IPSSignaturesOutOfDate;NetworkLoad;NewClientSoftware;NewLearnedApplication;NewRiskDetected;NewUserAllowedDownload;PowerEraserRecommended;RiskOutbreak;ServerHealth;SingleRiskEvent;SONARDefinitionsOutOfDate;SystemEvent;UnmanagedComputers;VirusDefinitionsOutOfDate;Custom
type ConditionType string

// NotificationConditionSpec says what matters: which events, how many of them, how often to tell, and whom.
//
// +kubebuilder:validation:XValidation:rule="self.type != 'NewRiskDetected' || !has(self.notifyWhenCleared) || !self.notifyWhenCleared",message="`notifyWhenCleared` may not be set with type NewRiskDetected: it tells of each risk once, there is nothing to clear",fieldPath=".notifyWhenCleared"
type NotificationConditionSpec struct {
	// type is a preset that supplies event types and a default threshold:
	//
	// - AuthenticationFailure: Logins that failed.
	// - ClientListChanged: A computer was added, moved, renamed, deleted, or changed its hardware or mode.
	// - ClientSecurityAlert: An attack, a firewall rule, or compliance, device or application control on a computer.
	// - DownloadProtectionOutOfDate: Download protection content is older than it should be.
	// - EnforcerDown: An enforcer went offline.
	// - FileReputation: The file reputation service cannot be used.
	// - ForcedApplicationDetected: A commercial application, or one on the administrator's list, was found.
	// - IPSSignaturesOutOfDate: Intrusion prevention signatures are older than they should be.
	// - NetworkLoad: Too many or too slow connections between computers and their server.
	// - NewClientSoftware: A new client package or new security definitions arrived.
	// - NewLearnedApplication: An application was seen for the first time.
	// - NewRiskDetected: A risk was seen for the first time.
	// - NewUserAllowedDownload: A user allowed a download that was advised against.
	// - PowerEraserRecommended: A computer needs a thorough cleaning.
	// - RiskOutbreak: Risks spread over several computers.
	// - ServerHealth: The health of a management server changed.
	// - SingleRiskEvent: A risk was found.
	// - SONARDefinitionsOutOfDate: Behaviour analysis definitions are older than they should be.
	// - SystemEvent: Server activity, replication failures, backups and system errors.
	// - UnmanagedComputers: A computer without protection was seen in the network.
	// - VirusDefinitionsOutOfDate: Virus definitions on computers are older than they should be.
	// - Custom: Whatever the filter says.
	//
	// docs/event-types.md lists the event types and thresholds.
	// +required
	Type ConditionType `json:"type"`
	// suspend stops the evaluation. Events that arrive meanwhile are not looked at later either.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// filter limits the condition to certain events; all its fields must hold. Unset: all events of the type.
	// +optional
	Filter *EventFilter `json:"filter,omitempty"`
	// namespaceSelector makes a condition in the operator's own namespace watch the events of the selected namespaces too,
	// besides those of its own. An empty selector selects all namespaces. Elsewhere it may not be set.
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	// threshold is how many occurrences within how much time it takes. Unset: the preset's.
	// +optional
	Threshold *Threshold `json:"threshold,omitempty"`
	// damper keeps the same action from being repeated all the time. Unset: Auto, which is 60 minutes.
	// +optional
	Damper *Damper `json:"damper,omitempty"`
	// actions are the channels to tell through. Unset: the namespace's channels with `default: true`; where there are none,
	// the notification is kept in the log alone.
	// +optional
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="self.all(a, self.exists_one(b, b.channelRef.name == a.channelRef.name))",message="may name each channel once"
	// +listType=atomic
	Actions []Action `json:"actions,omitempty"`
	// notifyWhenCleared sends one more note when the condition has fired, its damper has ended, and nothing has met its
	// filter for the length of its window. What happens after that note is told at once.
	// +optional
	NotifyWhenCleared bool `json:"notifyWhenCleared,omitempty"`
}

// Wildcard is a value to compare with, in which * stands for any number of characters.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=512
// +kubebuilder:validation:XValidation:rule="self.matches('^[^*]*([*]+[^*]*){0,16}$')",message="may hold at most 16 wildcards *"
type Wildcard string

// EventFilter selects events. Every field that is given must hold; within a list any entry may. In Wildcard lists * stands
// for any number of characters, and case does not matter, as names of computers, domains and risks have no reliable case.
// An event that lacks the value does not match.
type EventFilter struct {
	// severities of the event.
	// +optional
	// +kubebuilder:validation:MaxItems=4
	// +listType=set
	Severities []Severity `json:"severities,omitempty"`
	// eventTypes replace the preset's event types.
	// +optional
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	EventTypes []Wildcard `json:"eventTypes,omitempty"`
	// domains of the computer.
	// +optional
	// +kubebuilder:validation:MaxItems=128
	// +listType=set
	Domains []Wildcard `json:"domains,omitempty"`
	// groups of the computer, such as Workstations/*.
	// +optional
	// +kubebuilder:validation:MaxItems=128
	// +listType=set
	Groups []Wildcard `json:"groups,omitempty"`
	// servers that reported the event.
	// +optional
	// +kubebuilder:validation:MaxItems=128
	// +listType=set
	Servers []Wildcard `json:"servers,omitempty"`
	// computers by name.
	// +optional
	// +kubebuilder:validation:MaxItems=128
	// +listType=set
	Computers []Wildcard `json:"computers,omitempty"`
	// risks by name.
	// +optional
	// +kubebuilder:validation:MaxItems=128
	// +listType=set
	Risks []Wildcard `json:"risks,omitempty"`
	// applications by name or path.
	// +optional
	// +kubebuilder:validation:MaxItems=128
	// +listType=set
	Applications []Wildcard `json:"applications,omitempty"`
	// activities: which logs of a firewall or intrusion prevention.
	// +optional
	// +kubebuilder:validation:MaxItems=3
	// +listType=set
	Activities []NetworkActivity `json:"activities,omitempty"`
	// rules of the firewall, by name.
	// +optional
	// +kubebuilder:validation:MaxItems=128
	// +listType=set
	Rules []Wildcard `json:"rules,omitempty"`
	// emailAlertRulesOnly: only events of firewall rules that ask for an alert.
	// +optional
	EmailAlertRulesOnly bool `json:"emailAlertRulesOnly,omitempty"`
	// users concerned.
	// +optional
	// +kubebuilder:validation:MaxItems=128
	// +listType=set
	Users []Wildcard `json:"users,omitempty"`
	// expression is a CEL expression over `event` (its spec) that must be true, for what the other fields cannot say. It is
	// asked last. An error while it is evaluated, such as a field that the event lacks, means no match; it is counted in
	// the status.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	Expression string `json:"expression,omitempty"`
}

// Scope says what a threshold counts.
//
// +kubebuilder:validation:Enum=AnyComputer;SingleComputer;DistinctComputers
type Scope string

const (
	// ScopeAnyComputer counts all occurrences.
	ScopeAnyComputer Scope = "AnyComputer"
	// ScopeSingleComputer counts the occurrences on each computer by itself.
	ScopeSingleComputer Scope = "SingleComputer"
	// ScopeDistinctComputers counts different computers.
	ScopeDistinctComputers Scope = "DistinctComputers"
)

// Threshold is reached when at least `count` occurrences lie within `window`, by the time of the events.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.auto) && self.auto) || !has(self.count) && !has(self.window)",message="`auto` chooses `count` and `window`: give either `auto: true` or those two"
type Threshold struct {
	// count of occurrences (or of computers, with scope DistinctComputers) that it takes, at or above.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Count *int32 `json:"count,omitempty"`
	// window is the length of time in which they must lie.
	// +optional
	Window Duration `json:"window,omitempty"`
	// scope is what is counted: AnyComputer (all occurrences), SingleComputer (on each computer by itself) or
	// DistinctComputers (different computers).
	// +optional
	Scope Scope `json:"scope,omitempty"`
	// auto chooses by the number of computers: fewer than 100: 2 in 1m; 100 to 1000: 5 in 1m; more: 10 in 1m. The number is
	// that of the computers in the events that are kept, or what the manager's flag --computers says. The status shows the
	// choice.
	// +optional
	Auto bool `json:"auto,omitempty"`
}

// DamperPeriod is Auto (60 minutes), None or a duration.
//
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:XValidation:rule="self in ['Auto', 'None'] || self.matches('^([0-9]{1,6}[hms])+$') && duration(self) > duration('0s') && duration(self) <= duration('720h')",message="must be Auto, None or a duration of at most 720h such as 20m or 1h"
type DamperPeriod string

const (
	// DamperAuto is a damper of 60 minutes.
	DamperAuto DamperPeriod = "Auto"
	// DamperNone is no damper: what fired is used up and counting starts anew.
	DamperNone DamperPeriod = "None"
)

// DamperPer says for what a damper runs by itself.
//
// +kubebuilder:validation:Enum=Condition;Computer;Risk
type DamperPer string

const (
	// DamperPerCondition runs one damper for the whole condition.
	DamperPerCondition DamperPer = "Condition"
	// DamperPerComputer runs a damper for each computer.
	DamperPerComputer DamperPer = "Computer"
	// DamperPerRisk runs a damper for each risk, and counts each risk by itself.
	DamperPerRisk DamperPer = "Risk"
)

// Damper is the time in which the same action is not repeated; what arrives meanwhile is counted as held.
type Damper struct {
	// period is Auto (60 minutes), None or a duration. When it ends and the threshold is still reached, one more
	// notification says how many were held; and so on each period until the rate falls.
	// +optional
	Period DamperPeriod `json:"period,omitempty"`
	// per is what a damper runs for: Condition (the default), Computer or Risk. With Risk, each risk is also counted by
	// itself. With type NewRiskDetected neither period nor per matter: each risk is told once.
	// +optional
	Per DamperPer `json:"per,omitempty"`
}

// Action tells through one channel.
type Action struct {
	// channelRef names the channel.
	// +required
	ChannelRef ChannelReference `json:"channelRef"`
	// email replaces settings of an e-mail channel for this condition only.
	// +optional
	Email *EmailOverride `json:"email,omitempty"`
}

// EmailOverride replaces settings of an e-mail channel. What is not given stays as the channel has it.
type EmailOverride struct {
	// recipients instead of the channel's.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=set
	Recipients []MailAddress `json:"recipients,omitempty"`
	// subject instead of the channel's.
	// +optional
	Subject Subject `json:"subject,omitempty"`
	// message instead of the channel's.
	// +optional
	Message Text `json:"message,omitempty"`
}

// NotificationCondition declares what matters. It watches the events of its own namespace; in the operator's own namespace
// it may watch others too.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=ntfcond,categories=tocsin
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Matched",type=integer,JSONPath=`.status.matchedTotal`
// +kubebuilder:printcolumn:name="Fired",type=integer,JSONPath=`.status.firedTotal`
// +kubebuilder:printcolumn:name="Last-Fired",type=date,JSONPath=`.status.lastFiredTime`
// +kubebuilder:printcolumn:name="Held",type=integer,JSONPath=`.status.held`,priority=1
// +kubebuilder:printcolumn:name="Damper-Until",type=string,JSONPath=`.status.damperUntil`,priority=1
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.type`
type NotificationCondition struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec says what matters.
	// +required
	Spec NotificationConditionSpec `json:"spec"`
	// status is what became of it.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status NotificationConditionStatus `json:"status,omitzero"`
}

// NotificationConditionList is a list of NotificationConditions.
//
// +kubebuilder:object:root=true
type NotificationConditionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NotificationCondition `json:"items"`
}

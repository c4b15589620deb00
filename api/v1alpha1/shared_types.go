// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"strconv"
	"strings"
	"time"
)

// Severity is how bad an event is, in the words of Kaspersky Security Center; the order is Info, Warning,
// FunctionalFailure, Critical. OCSF severity_id: 1, 3, 4 and 5.
//
// +kubebuilder:validation:Enum=Info;Warning;FunctionalFailure;Critical
type Severity string

const (
	// SeverityInfo is worth knowing, nothing to do.
	SeverityInfo Severity = "Info"
	// SeverityWarning needs attention some time.
	SeverityWarning Severity = "Warning"
	// SeverityFunctionalFailure says that a protection stopped doing its work.
	SeverityFunctionalFailure Severity = "FunctionalFailure"
	// SeverityCritical needs somebody now.
	SeverityCritical Severity = "Critical"
)

// Number is the severity as Kaspersky Security Center numbers it (%KLCSAK_EVENT_SEVERITY_NUM%): 1 to 4, and 0 for a
// severity that this version does not know.
func (s Severity) Number() int {
	switch s {
	case SeverityInfo:
		return 1
	case SeverityWarning:
		return 2
	case SeverityFunctionalFailure:
		return 3
	case SeverityCritical:
		return 4
	default:
		return 0
	}
}

// SeverityOf is the severity with this number; empty for one that there is not.
func SeverityOf(number int) Severity {
	for _, s := range []Severity{SeverityInfo, SeverityWarning, SeverityFunctionalFailure, SeverityCritical} {
		if s.Number() == number {
			return s
		}
	}
	return ""
}

// Duration is a length of time such as 90s, 60m, 1h or 1h30m.
//
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}[hms])+$') && duration(self) > duration('0s') && duration(self) <= duration('168h')",message="must be a duration above zero and at most 168h, such as 90s, 60m, 1h or 1h30m"
type Duration string

// Duration returns the length of time. The schema admits only what parses; anything else is an error.
func (d Duration) Duration() (time.Duration, error) {
	return time.ParseDuration(string(d))
}

// FormatDuration writes a length of time the way manifests do: 1h rather than 1h0m0s. Fractions of a second are dropped.
func FormatDuration(d time.Duration) Duration {
	d = d.Truncate(time.Second)
	if d < time.Second {
		return "0s"
	}
	var out strings.Builder
	for _, unit := range []struct {
		length time.Duration
		symbol string
	}{{time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if n := d / unit.length; n > 0 {
			out.WriteString(strconv.FormatInt(int64(n), 10) + unit.symbol)
			d -= n * unit.length
		}
	}
	return Duration(out.String())
}

// MailAddress is one e-mail address, bare (soc@example.com) or with a display name ("SOC <soc@example.com>"). The
// domain may be internationalised.
//
// +kubebuilder:validation:MinLength=3
// +kubebuilder:validation:MaxLength=320
// +kubebuilder:validation:XValidation:rule="self.matches('^([^<>@,;\\\\x00-\\\\x1f\\\\x7f]*<[^\\\\s<>@,;\\\\x00-\\\\x1f\\\\x7f]+@[^\\\\s<>@,;\\\\x00-\\\\x1f\\\\x7f]+>|[^\\\\s<>@,;\\\\x00-\\\\x1f\\\\x7f]+@[^\\\\s<>@,;\\\\x00-\\\\x1f\\\\x7f]+)$')",message="must be one e-mail address, such as soc@example.com or \"SOC <soc@example.com>\""
type MailAddress string

// Subject is one line with placeholders such as %COMPUTER%; %% is a percent sign. docs/placeholders.md lists the names.
//
// +kubebuilder:validation:MaxLength=255
// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]*$`
// +kubebuilder:validation:XValidation:rule="self.matches('^([^%]|%%|%(SEVERITY|COMPUTER|DOMAIN|EVENT|DESCR|RISE_TIME|KLCSAK_EVENT_TASK_DISPLAY_NAME|KLCSAK_EVENT_SEVERITY_NUM|KL_PRODUCT|KL_VERSION|HOST_IP|HOST_CONN_IP|CONDITION|TYPE|OCCURRENCES|COMPUTERS|RISK|ACTION|WINDOW|FIRST_TIME|LAST_TIME|HELD|NAMESPACE|NOTIFICATION)%)*$')",messageExpression="'unknown or unclosed placeholder %s at character %d; a percent sign is written %%%%'.format([self.substring(self.find('^([^%]|%%|%(SEVERITY|COMPUTER|DOMAIN|EVENT|DESCR|RISE_TIME|KLCSAK_EVENT_TASK_DISPLAY_NAME|KLCSAK_EVENT_SEVERITY_NUM|KL_PRODUCT|KL_VERSION|HOST_IP|HOST_CONN_IP|CONDITION|TYPE|OCCURRENCES|COMPUTERS|RISK|ACTION|WINDOW|FIRST_TIME|LAST_TIME|HELD|NAMESPACE|NOTIFICATION)%)*').size(), self.find('^([^%]|%%|%(SEVERITY|COMPUTER|DOMAIN|EVENT|DESCR|RISE_TIME|KLCSAK_EVENT_TASK_DISPLAY_NAME|KLCSAK_EVENT_SEVERITY_NUM|KL_PRODUCT|KL_VERSION|HOST_IP|HOST_CONN_IP|CONDITION|TYPE|OCCURRENCES|COMPUTERS|RISK|ACTION|WINDOW|FIRST_TIME|LAST_TIME|HELD|NAMESPACE|NOTIFICATION)%)*').size() + self.substring(self.find('^([^%]|%%|%(SEVERITY|COMPUTER|DOMAIN|EVENT|DESCR|RISE_TIME|KLCSAK_EVENT_TASK_DISPLAY_NAME|KLCSAK_EVENT_SEVERITY_NUM|KL_PRODUCT|KL_VERSION|HOST_IP|HOST_CONN_IP|CONDITION|TYPE|OCCURRENCES|COMPUTERS|RISK|ACTION|WINDOW|FIRST_TIME|LAST_TIME|HELD|NAMESPACE|NOTIFICATION)%)*').size()).find('^%[A-Za-z0-9_]*%?').size()), self.find('^([^%]|%%|%(SEVERITY|COMPUTER|DOMAIN|EVENT|DESCR|RISE_TIME|KLCSAK_EVENT_TASK_DISPLAY_NAME|KLCSAK_EVENT_SEVERITY_NUM|KL_PRODUCT|KL_VERSION|HOST_IP|HOST_CONN_IP|CONDITION|TYPE|OCCURRENCES|COMPUTERS|RISK|ACTION|WINDOW|FIRST_TIME|LAST_TIME|HELD|NAMESPACE|NOTIFICATION)%)*').size() + 1])"
type Subject string

// Text is text with placeholders such as %COMPUTER%; %% is a percent sign. docs/placeholders.md lists the names.
//
// +kubebuilder:validation:MaxLength=8192
// +kubebuilder:validation:XValidation:rule="self.matches('^([^%]|%%|%(SEVERITY|COMPUTER|DOMAIN|EVENT|DESCR|RISE_TIME|KLCSAK_EVENT_TASK_DISPLAY_NAME|KLCSAK_EVENT_SEVERITY_NUM|KL_PRODUCT|KL_VERSION|HOST_IP|HOST_CONN_IP|CONDITION|TYPE|OCCURRENCES|COMPUTERS|RISK|ACTION|WINDOW|FIRST_TIME|LAST_TIME|HELD|NAMESPACE|NOTIFICATION)%)*$')",messageExpression="'unknown or unclosed placeholder %s at character %d; a percent sign is written %%%%'.format([self.substring(self.find('^([^%]|%%|%(SEVERITY|COMPUTER|DOMAIN|EVENT|DESCR|RISE_TIME|KLCSAK_EVENT_TASK_DISPLAY_NAME|KLCSAK_EVENT_SEVERITY_NUM|KL_PRODUCT|KL_VERSION|HOST_IP|HOST_CONN_IP|CONDITION|TYPE|OCCURRENCES|COMPUTERS|RISK|ACTION|WINDOW|FIRST_TIME|LAST_TIME|HELD|NAMESPACE|NOTIFICATION)%)*').size(), self.find('^([^%]|%%|%(SEVERITY|COMPUTER|DOMAIN|EVENT|DESCR|RISE_TIME|KLCSAK_EVENT_TASK_DISPLAY_NAME|KLCSAK_EVENT_SEVERITY_NUM|KL_PRODUCT|KL_VERSION|HOST_IP|HOST_CONN_IP|CONDITION|TYPE|OCCURRENCES|COMPUTERS|RISK|ACTION|WINDOW|FIRST_TIME|LAST_TIME|HELD|NAMESPACE|NOTIFICATION)%)*').size() + self.substring(self.find('^([^%]|%%|%(SEVERITY|COMPUTER|DOMAIN|EVENT|DESCR|RISE_TIME|KLCSAK_EVENT_TASK_DISPLAY_NAME|KLCSAK_EVENT_SEVERITY_NUM|KL_PRODUCT|KL_VERSION|HOST_IP|HOST_CONN_IP|CONDITION|TYPE|OCCURRENCES|COMPUTERS|RISK|ACTION|WINDOW|FIRST_TIME|LAST_TIME|HELD|NAMESPACE|NOTIFICATION)%)*').size()).find('^%[A-Za-z0-9_]*%?').size()), self.find('^([^%]|%%|%(SEVERITY|COMPUTER|DOMAIN|EVENT|DESCR|RISE_TIME|KLCSAK_EVENT_TASK_DISPLAY_NAME|KLCSAK_EVENT_SEVERITY_NUM|KL_PRODUCT|KL_VERSION|HOST_IP|HOST_CONN_IP|CONDITION|TYPE|OCCURRENCES|COMPUTERS|RISK|ACTION|WINDOW|FIRST_TIME|LAST_TIME|HELD|NAMESPACE|NOTIFICATION)%)*').size() + 1])"
type Text string

// ChannelReference names a NotificationChannel of the same namespace.
type ChannelReference struct {
	// name of the NotificationChannel, in the same namespace.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// SecretReference names a Secret of the same namespace.
type SecretReference struct {
	// name of the Secret, in the same namespace.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
}

// KeyReference names one key of a Secret or ConfigMap of the same namespace.
type KeyReference struct {
	// kind of the object that holds the key: Secret (the default) or ConfigMap.
	// +optional
	Kind KeyReferenceKind `json:"kind,omitempty"`
	// name of the object, in the same namespace.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// key within the object.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// KeyReferenceKind is the kind of object that holds a referred key.
//
// +kubebuilder:validation:Enum=Secret;ConfigMap
type KeyReferenceKind string

// Reasons of the Ready condition that conditions and channels share.
const (
	// ReadyCondition is the type of the status condition that says whether an object is in force.
	ReadyCondition = "Ready"
	// StalledCondition is present and True while only a change of the object can make it Ready.
	StalledCondition = "Stalled"
	// ReconcilingCondition is present and True while Tocsin is working towards Ready by itself.
	ReconcilingCondition = "Reconciling"

	// ReasonReady appears on Ready=True: the object is valid and in force.
	ReasonReady = "Ready"
	// ReasonSuspended appears on Ready=False while spec.suspend is true.
	ReasonSuspended = "Suspended"
	// ReasonInvalid appears on Ready=False and Stalled=True when a field cannot be used; the message names it.
	ReasonInvalid = "Invalid"
	// ReasonChannelNotFound appears on Ready=False of a condition while an action names a channel that does not exist. Events
	// are evaluated all the same, and what is due waits for the channel.
	ReasonChannelNotFound = "ChannelNotFound"
	// ReasonActionInvalid appears on Ready=False and Stalled=True of a condition when an action does not fit its channel.
	// Events are evaluated all the same; the action is done as far as it fits.
	ReasonActionInvalid = "ActionInvalid"
	// ReasonNotificationsRefused appears on Ready=False of a condition while the API server does not take its Notifications,
	// for example because of a quota.
	ReasonNotificationsRefused = "NotificationsRefused"
)

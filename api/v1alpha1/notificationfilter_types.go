// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Age is a length of time that reaches back from now, such as 24h, 720h or 1h30m.
//
// +kubebuilder:validation:MaxLength=32
// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}[hms])+$') && duration(self) > duration('0s') && duration(self) <= duration('87600h')",message="must be a duration above zero and at most 87600h (ten years), such as 24h, 720h or 1h30m"
type Age string

// LogState is how the deliveries of a notification went as a whole: the reason of its status condition Succeeded.
//
// +kubebuilder:validation:Enum=Pending;Sending;Retrying;Delivered;Logged;PartlyDelivered;Failed;Suppressed
type LogState string

// NotificationFilterSpec selects entries of the log. Every field that is given must hold; within a list any entry may. In
// Wildcard lists * stands for any number of characters. An entry that lacks the value does not match. A filter without
// fields selects everything.
//
// +kubebuilder:validation:XValidation:rule="!has(self.since) || !has(self.until) || self.since < self.until",message="`until` must be later than `since`",fieldPath=".until"
// +kubebuilder:validation:XValidation:rule="!has(self.last) || !has(self.since) && !has(self.until)",message="`last` counts back from now: give either `last`, or `since` and `until`",fieldPath=".last"
type NotificationFilterSpec struct {
	// since is the first moment that counts.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time of RFC 3339 such as 2026-11-22T08:30:00Z, from 1970 on"
	Since *metav1.Time `json:"since,omitempty"`
	// until is the first moment that no longer counts.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')",message="must be a time of RFC 3339 such as 2026-11-22T08:30:00Z, from 1970 on"
	Until *metav1.Time `json:"until,omitempty"`
	// last is how far back the filter reaches from whenever it is used, instead of since and until.
	// +optional
	Last Age `json:"last,omitempty"`
	// acknowledged: true selects what somebody has taken notice of, false what nobody has. Unset: both.
	// +optional
	Acknowledged *bool `json:"acknowledged,omitempty"`
	// types of the notification: the condition's type, Test or Digest. Case does not matter.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	Types []Wildcard `json:"types,omitempty"`
	// creators of the condition, as the cluster knows users; case matters, as it does there.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +listType=set
	Creators []Wildcard `json:"creators,omitempty"`
	// conditions by name. Case does not matter.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +listType=set
	Conditions []Wildcard `json:"conditions,omitempty"`
	// severities of the notification.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=4
	// +listType=set
	Severities []Severity `json:"severities,omitempty"`
	// computers by name: those that the notification lists, which are the latest 20. Case does not matter.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +listType=set
	Computers []Wildcard `json:"computers,omitempty"`
	// channels by name that it went through, or was to go through. Case does not matter.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +listType=set
	Channels []Wildcard `json:"channels,omitempty"`
	// states of the deliveries as a whole.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +listType=set
	States []LogState `json:"states,omitempty"`
	// text that a subject, a message, the event or the acknowledgement's comment holds, as it stands; case does not matter.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Text string `json:"text,omitempty"`
}

// NotificationFilter is a question to the log that was given a name. It is used by people and their tools; Tocsin's manager
// does nothing with it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,shortName=ntffilter,categories=tocsin
// +kubebuilder:printcolumn:name="Last",type=string,JSONPath=`.spec.last`
// +kubebuilder:printcolumn:name="Acknowledged",type=boolean,JSONPath=`.spec.acknowledged`
// +kubebuilder:printcolumn:name="Severities",type=string,JSONPath=`.spec.severities`
// +kubebuilder:printcolumn:name="Conditions",type=string,JSONPath=`.spec.conditions`
// +kubebuilder:printcolumn:name="Types",type=string,JSONPath=`.spec.types`,priority=1
// +kubebuilder:printcolumn:name="States",type=string,JSONPath=`.spec.states`,priority=1
// +kubebuilder:printcolumn:name="Text",type=string,JSONPath=`.spec.text`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type NotificationFilter struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the question.
	// +optional
	Spec NotificationFilterSpec `json:"spec,omitzero"`
}

// NotificationFilterList is a list of NotificationFilters.
//
// +kubebuilder:object:root=true
type NotificationFilterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NotificationFilter `json:"items"`
}

// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	// NotificationTypeTest is the type of a notification that a user creates to try a channel.
	NotificationTypeTest = "Test"
	// NotificationTypeDigest is the type of a notification that sums up what a channel's limit held back.
	NotificationTypeDigest = "Digest"
)

// NotificationSpec is one decision to tell somebody: what was known, and the text, when it was made. It never changes,
// save that an acknowledgement may be added.
//
// +kubebuilder:validation:XValidation:rule="(self.type == 'Test') == has(self.channelRef)",message="`channelRef` must be set when `type` is Test, and only then"
// +kubebuilder:validation:XValidation:rule="self.type != 'Test' || !has(self.condition) && !has(self.trigger) && !has(self.deliveries) && !has(self.severity) && !has(self.creator)",message="a notification of type Test may hold `type` and `channelRef` only"
// +kubebuilder:validation:XValidation:rule="self.type == 'Test' || self.type == 'Digest' || has(self.condition) && has(self.trigger)",message="a notification that is no Test needs `condition` and `trigger`: Tocsin writes those; users create type Test"
// +kubebuilder:validation:XValidation:rule="(self.type == 'Digest') == has(self.digest)",message="`digest` must be set when `type` is Digest, and only then"
// +kubebuilder:validation:XValidation:rule="has(self.condition) == has(oldSelf.condition) && has(self.creator) == has(oldSelf.creator) && has(self.severity) == has(oldSelf.severity) && has(self.trigger) == has(oldSelf.trigger) && has(self.digest) == has(oldSelf.digest) && has(self.deliveries) == has(oldSelf.deliveries)",message="may not be changed, save for `acknowledgement`: the log tells what was"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.acknowledgement) || has(self.acknowledgement)",message="`acknowledgement` may not be taken back"
// +kubebuilder:validation:XValidation:rule="!has(self.acknowledgement) || !has(self.acknowledgement.quietUntilCleared) || !self.acknowledgement.quietUntilCleared || has(self.trigger) && self.trigger.reason != 'Cleared' && self.type != 'NewRiskDetected'",message="`acknowledgement.quietUntilCleared` may be set where a condition has fired that can fire again: not with `type` Test, Digest or NewRiskDetected, nor when it has cleared"
type NotificationSpec struct {
	// type is the condition's type, or Test for one that a user creates to try a channel.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="may not be changed: the log tells what was"
	Type string `json:"type"`
	// channelRef names the channel that a Test is sent through.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="may not be changed: the log tells what was"
	ChannelRef *ChannelReference `json:"channelRef,omitempty"`
	// condition that fired.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="may not be changed: the log tells what was"
	Condition *ConditionSnapshot `json:"condition,omitempty"`
	// creator is who made the condition.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="may not be changed: the log tells what was"
	Creator string `json:"creator,omitempty"`
	// severity is the highest among the events that counted.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="may not be changed: the log tells what was"
	Severity Severity `json:"severity,omitempty"`
	// trigger is what made the condition fire.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="may not be changed: the log tells what was"
	Trigger *Trigger `json:"trigger,omitempty"`
	// digest is, with type Digest, what a channel's limit held back.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="may not be changed: the log tells what was"
	Digest *Digest `json:"digest,omitempty"`
	// deliveries are the messages to send, one for each channel. Empty: the log alone.
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=channel
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="may not be changed: the log tells what was"
	Deliveries []Delivery `json:"deliveries,omitempty"`
	// acknowledgement says that somebody has taken notice.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self.comment == oldSelf.comment && has(self.by) == has(oldSelf.by) && has(self.time) == has(oldSelf.time) && (!has(self.by) || self.by == oldSelf.by) && (!has(self.time) || self.time == oldSelf.time)",messageExpression="'may be set once, and ' + (has(oldSelf.by) ? oldSelf.by : 'somebody') + ' has done so'"
	// +kubebuilder:validation:XValidation:rule="!has(self.quietUntilCleared) || !self.quietUntilCleared || has(oldSelf.quietUntilCleared) && oldSelf.quietUntilCleared",message="`quietUntilCleared` can be taken back later, and not be asked for: acknowledge the next notification of the condition with it"
	Acknowledgement *Acknowledgement `json:"acknowledgement,omitempty"`
}

// ConditionSnapshot is the condition as it was when it fired.
type ConditionSnapshot struct {
	// name of the NotificationCondition.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// uid of the NotificationCondition.
	// +required
	UID types.UID `json:"uid"`
	// generation of the NotificationCondition.
	// +required
	Generation int64 `json:"generation"`
	// threshold in effect.
	// +required
	Threshold EffectiveThreshold `json:"threshold"`
	// damper in effect, as a duration; empty for none.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Damper string `json:"damper,omitempty"`
}

// TriggerReason says why a condition fired.
//
// +kubebuilder:validation:Enum=ThresholdReached;StillReached;Cleared
type TriggerReason string

const (
	// TriggerThresholdReached: an event brought the count to the threshold.
	TriggerThresholdReached TriggerReason = "ThresholdReached"
	// TriggerStillReached: the damper ended while the threshold was still reached.
	TriggerStillReached TriggerReason = "StillReached"
	// TriggerCleared: the damper had ended and nothing had happened for the length of the window.
	TriggerCleared TriggerReason = "Cleared"
)

// Trigger is what made a condition fire.
type Trigger struct {
	// reason is ThresholdReached, StillReached when a damper ended and the rate had not fallen, or Cleared when nothing has
	// happened for the length of the window.
	// +required
	Reason TriggerReason `json:"reason"`
	// time of the decision.
	// +required
	Time metav1.Time `json:"time"`
	// key is the computer or risk that the damper is for, or "computer/risk"; empty for the whole condition.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Key string `json:"key,omitempty"`
	// sequence counts the notifications of this condition and key: the first is 1.
	// +required
	// +kubebuilder:validation:Minimum=1
	Sequence int64 `json:"sequence"`
	// occurrences in the window.
	// +required
	Occurrences int64 `json:"occurrences"`
	// computers is the number of different computers in the window.
	// +required
	Computers int32 `json:"computers"`
	// computerNames are the computers' names, the latest first, at most 20.
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=atomic
	ComputerNames []string `json:"computerNames,omitempty"`
	// risks are the names of the risks in the window, the latest first, at most 20.
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MaxLength=256
	// +listType=atomic
	Risks []string `json:"risks,omitempty"`
	// firstTime is when the first occurrence in the window happened.
	// +optional
	FirstTime *metav1.Time `json:"firstTime,omitempty"`
	// lastTime is when the last occurrence in the window happened.
	// +optional
	LastTime *metav1.Time `json:"lastTime,omitempty"`
	// held is the number of occurrences held by the damper since the last notification.
	// +optional
	Held int64 `json:"held,omitempty"`
	// lastFiredTime is, with reason Cleared, when the condition last fired.
	// +optional
	LastFiredTime *metav1.Time `json:"lastFiredTime,omitempty"`
	// event is the latest event that counted.
	// +optional
	Event *EventSnapshot `json:"event,omitempty"`
	// upTo is the resourceVersion of the latest event that counted; a restart goes on from here.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	UpTo string `json:"upTo,omitempty"`
}

// EventSnapshot is a SecurityEvent as it was; the object itself may be gone.
type EventSnapshot struct {
	SecurityEventSpec `json:",inline"`

	// namespace of the SecurityEvent.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// name of the SecurityEvent.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// uid of the SecurityEvent.
	// +required
	UID types.UID `json:"uid"`
}

// Delivery is a message to send through one channel, rendered when the decision was made.
type Delivery struct {
	// channel is the name of the NotificationChannel.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Channel string `json:"channel"`
	// recipients to tell. Empty: the channel's own at the time of sending, as the channel did not exist when the decision
	// was made.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MaxLength=320
	// +listType=atomic
	Recipients []string `json:"recipients,omitempty"`
	// subject, rendered.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Subject string `json:"subject,omitempty"`
	// message, rendered.
	// +optional
	// +kubebuilder:validation:MaxLength=32768
	Message string `json:"message,omitempty"`
	// fallbackFor are the channels in whose place this one steps in, should one of them reach nobody.
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=253
	// +listType=atomic
	FallbackFor []string `json:"fallbackFor,omitempty"`
	// limit is the place in the channel's limit. Unset: the channel had none, or the place is taken when the message is sent.
	// +optional
	Limit *LimitPlace `json:"limit,omitempty"`
}

// LimitPlace is the place of a message among those that a channel's limit lets through in an interval.
type LimitPlace struct {
	// since is when the interval began.
	// +required
	Since metav1.Time `json:"since"`
	// until is when it ends.
	// +required
	Until metav1.Time `json:"until"`
	// count is how many the limit lets through.
	// +required
	Count int32 `json:"count"`
	// number of the message in the interval; the first is 1. Unset: the limit was used up, and the message is not sent.
	// +optional
	// +kubebuilder:validation:Minimum=1
	Number int32 `json:"number,omitempty"`
}

// Digest is what a channel's limit held back in an interval.
type Digest struct {
	// since is when the interval began.
	// +required
	Since metav1.Time `json:"since"`
	// until is when it ended.
	// +required
	Until metav1.Time `json:"until"`
	// count is how many the limit let through.
	// +required
	Count int32 `json:"count"`
	// suppressed is how many notifications were held back.
	// +required
	Suppressed int64 `json:"suppressed"`
	// conditions are those whose notifications were, the highest severity first and then the most, at most 100.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	Conditions []DigestEntry `json:"conditions,omitempty"`
}

// DigestEntry is what was held back of one condition.
type DigestEntry struct {
	// condition is the name of the NotificationCondition.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Condition string `json:"condition"`
	// severity is the highest among those held back.
	// +optional
	Severity    Severity `json:"severity,omitempty"`
	Suppression `json:",inline"`
}

// Suppression is how many notifications were held back by a limit, and when.
type Suppression struct {
	// count of the notifications.
	// +required
	Count int64 `json:"count"`
	// firstTime is when the first of them was decided.
	// +required
	FirstTime metav1.Time `json:"firstTime"`
	// lastTime is when the last of them was decided.
	// +required
	LastTime metav1.Time `json:"lastTime"`
}

// Acknowledgement says that somebody has taken notice.
type Acknowledgement struct {
	// comment says what was found or done.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Comment string `json:"comment"`
	// by is the name of the user who acknowledged. The API server writes it.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	By string `json:"by,omitempty"`
	// time of the acknowledgement. The API server writes it.
	// +optional
	Time *metav1.Time `json:"time,omitempty"`
	// quietUntilCleared: the condition tells nothing more until its threshold is no longer reached, or something more severe
	// arrives; with `damper.per`, nothing more of the same computer or risk only. It may be taken back.
	// +optional
	QuietUntilCleared bool `json:"quietUntilCleared,omitempty"`
}

// NotificationStatus is what became of the deliveries.
type NotificationStatus struct {
	// conditions: Succeeded is Unknown while deliveries are under way, then True or False for good.
	// +optional
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation that the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// acknowledged says whether somebody has acknowledged the notification.
	// +optional
	// +kubebuilder:default:=false
	Acknowledged bool `json:"acknowledged"`
	// acknowledgedTime is when that was: spec.acknowledgement.time, or when Tocsin first saw it where the API server did not
	// write that.
	// +optional
	AcknowledgedTime *metav1.Time `json:"acknowledgedTime,omitempty"`
	// deliveries tell for each channel how far it has got.
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +listType=map
	// +listMapKey=channel
	Deliveries []DeliveryStatus `json:"deliveries,omitempty"`
}

// Succeeded and its reasons.
const (
	// SucceededCondition is the type of the status condition that says how the deliveries went as a whole.
	SucceededCondition = "Succeeded"
	// AcknowledgedCondition is the type of the status condition that is there, and True, once somebody has acknowledged.
	AcknowledgedCondition = "Acknowledged"

	// ReasonPending appears on Succeeded=Unknown before any attempt was made.
	ReasonPending = "Pending"
	// ReasonSending appears on Succeeded=Unknown while an attempt is under way.
	ReasonSending = "Sending"
	// ReasonRetrying appears on Succeeded=Unknown while an attempt that failed waits for its repetition.
	ReasonRetrying = "Retrying"
	// ReasonDelivered appears on Succeeded=True when all channels accepted for all recipients.
	ReasonDelivered = "Delivered"
	// ReasonSuppressed appears on Succeeded=False when the limits of all channels were used up.
	ReasonSuppressed = "Suppressed"
	// ReasonLogged appears on Succeeded=True when there was no channel to tell through: the log alone.
	ReasonLogged = "Logged"
	// ReasonPartlyDelivered appears on Succeeded=False when something was accepted and something was not.
	ReasonPartlyDelivered = "PartlyDelivered"
	// ReasonFailed appears on Succeeded=False when nothing was accepted.
	ReasonFailed = "Failed"

	// ReasonAcknowledged appears on Acknowledged=True; the message says who it was, and when.
	ReasonAcknowledged = "Acknowledged"
)

// Notification is one decision to tell somebody, the text, and what became of each delivery: the entry in the log.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=ntf,categories=tocsin
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`,priority=1
// +kubebuilder:printcolumn:name="Condition",type=string,JSONPath=`.spec.condition.name`
// +kubebuilder:printcolumn:name="Severity",type=string,JSONPath=`.spec.severity`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.conditions[?(@.type=="Succeeded")].reason`
// +kubebuilder:printcolumn:name="Acknowledged-By",type=string,JSONPath=`.spec.acknowledgement.by`,priority=1
// +kubebuilder:printcolumn:name="Occurrences",type=integer,JSONPath=`.spec.trigger.occurrences`,priority=1
// +kubebuilder:printcolumn:name="Held",type=integer,JSONPath=`.spec.trigger.held`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Succeeded")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.type`
// +kubebuilder:selectablefield:JSONPath=`.spec.channelRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.condition.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.severity`
// +kubebuilder:selectablefield:JSONPath=`.spec.creator`
// +kubebuilder:selectablefield:JSONPath=`.status.acknowledged`
type Notification struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is the decision. It never changes, save for the acknowledgement.
	// +required
	Spec NotificationSpec `json:"spec"`
	// status is what became of the deliveries.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status NotificationStatus `json:"status,omitzero"`
}

// NotificationList is a list of Notifications.
//
// +kubebuilder:object:root=true
type NotificationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Notification `json:"items"`
}

// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NotificationConditionStatus is what became of the condition.
type NotificationConditionStatus struct {
	// conditions: Ready says whether the condition is in force; Stalled that only a change of it can help.
	// +optional
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation that the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// threshold in effect, after preset and defaults.
	// +optional
	Threshold *EffectiveThreshold `json:"threshold,omitempty"`
	// matchedTotal counts the occurrences that met the filter since the condition was created.
	// +optional
	MatchedTotal int64 `json:"matchedTotal,omitempty"`
	// heldTotal counts the occurrences that dampers held since the condition was created.
	// +optional
	HeldTotal int64 `json:"heldTotal,omitempty"`
	// firedTotal counts the notifications of the condition since it was created.
	// +optional
	FiredTotal int64 `json:"firedTotal,omitempty"`
	// lastEvaluatedTime is when the latest event was created that these numbers include.
	// +optional
	LastEvaluatedTime *metav1.Time `json:"lastEvaluatedTime,omitempty"`
	// lastFiredTime is when the condition last fired.
	// +optional
	LastFiredTime *metav1.Time `json:"lastFiredTime,omitempty"`
	// damperUntil is when the last of the running dampers ends; unset while none runs.
	// +optional
	DamperUntil *metav1.Time `json:"damperUntil,omitempty"`
	// held is the number of occurrences held since the last notification, by all dampers together.
	// +optional
	Held int64 `json:"held,omitempty"`
	// window is what the threshold's window held when these numbers were written: of several windows (scope SingleComputer,
	// a damper per Risk) the one that the latest event counts in. Unset while it is empty.
	// +optional
	Window *WindowStatus `json:"window,omitempty"`
	// expressionErrors tells of events for which `filter.expression` could not be evaluated; such an event does not match.
	// +optional
	ExpressionErrors *ExpressionErrors `json:"expressionErrors,omitempty"`
	// knownRisks are the names that a condition of type NewRiskDetected knows, the one told last at the end, at most 1000:
	// beyond that, the one known longest is forgotten, and is told again once its notification is deleted.
	// +optional
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MaxLength=256
	// +listType=atomic
	KnownRisks []string `json:"knownRisks,omitempty"`
	// dampers are the state of the condition's dampers, newest first, at most 100. Empty before it first fired.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	Dampers []DamperStatus `json:"dampers,omitempty"`
	// suppressed tells what the limits of channels have held back of this condition: in each interval of which no digest has
	// told, and in the latest of each channel.
	// +optional
	// +kubebuilder:validation:MaxItems=32
	// +listType=atomic
	Suppressed []ChannelSuppression `json:"suppressed,omitempty"`
	// checkpoint is the resourceVersion of the last event that these numbers include. It is stored now and then, not per
	// event: after a restart the events since are evaluated again, with the same result.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	Checkpoint string `json:"checkpoint,omitempty"`
	// skippedUpTo is the resourceVersion of the last event that was created while the condition was suspended or not valid.
	// Events up to it do not count, not even in a window that reaches back that far.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	SkippedUpTo string `json:"skippedUpTo,omitempty"`
}

// EffectiveThreshold is a threshold after presets and defaults.
type EffectiveThreshold struct {
	// count of occurrences or computers that it takes, at or above.
	// +required
	Count int32 `json:"count"`
	// window in which they must lie.
	// +required
	Window Duration `json:"window"`
	// scope is what is counted.
	// +required
	Scope Scope `json:"scope"`
	// computers is the number of computers that `auto` went by; unset without `auto`.
	// +optional
	Computers *int32 `json:"computers,omitempty"`
}

// ChannelSuppression is what a channel's limit holds back of a condition.
type ChannelSuppression struct {
	// channel whose limit was used up.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Channel string `json:"channel"`
	// since is when the channel's interval began.
	// +required
	Since metav1.Time `json:"since"`
	// until is when it ends.
	// +required
	Until metav1.Time `json:"until"`
	// limit is how many the channel lets through in it.
	// +required
	Limit int32 `json:"limit"`
	// severity is the highest among those held back.
	// +optional
	Severity    Severity `json:"severity,omitempty"`
	Suppression `json:",inline"`
	// entries is how many of them have an entry of their own in the log.
	// +optional
	Entries int64 `json:"entries,omitempty"`
	// notification is the name of the log's first entry for them, which sums up all.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Notification string `json:"notification,omitempty"`
}

// WindowStatus is what a threshold's window holds.
type WindowStatus struct {
	// occurrences in the window.
	// +required
	Occurrences int64 `json:"occurrences"`
	// computers is the number of different computers in the window.
	// +required
	Computers int32 `json:"computers"`
	// time as of which this is.
	// +required
	Time metav1.Time `json:"time"`
}

// ExpressionErrors tells of events for which a filter's expression could not be evaluated.
type ExpressionErrors struct {
	// count of such events since the condition was created.
	// +required
	Count int64 `json:"count"`
	// lastTime is when the latest of them was created.
	// +required
	LastTime metav1.Time `json:"lastTime"`
	// namespace of the latest of them.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
	// event is the name of the latest of them.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Event string `json:"event"`
	// message says what could not be evaluated.
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message"`
}

// DamperStatus is the state of one damper.
type DamperStatus struct {
	// key is the computer or risk that the damper is for, or "computer/risk"; empty for the whole condition.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Key string `json:"key,omitempty"`
	// sequence is the number of the last notification: the first is 1.
	// +required
	Sequence int64 `json:"sequence"`
	// lastFiredTime is when it last fired.
	// +required
	LastFiredTime metav1.Time `json:"lastFiredTime"`
	// lastTime is when the latest event was created that concerned this damper.
	// +optional
	LastTime *metav1.Time `json:"lastTime,omitempty"`
	// until is when the damper ends; unset when it is not running.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
	// clearedTime is when the condition cleared: the damper had ended and nothing had happened for a window. Unset since it
	// last fired.
	// +optional
	ClearedTime *metav1.Time `json:"clearedTime,omitempty"`
	// quiet is that somebody who acknowledged a notification asked to hear no more until it is over. Unset if nobody has, once the
	// condition has cleared or the threshold was reached anew, and when it was taken back.
	// +optional
	Quiet *QuietStatus `json:"quiet,omitempty"`
	// highestSeverity is that of what has arrived since it last fired; unset if nothing has, and once the condition has cleared.
	// +optional
	HighestSeverity Severity `json:"highestSeverity,omitempty"`
	// held is the number of occurrences held since the last notification.
	// +optional
	Held int64 `json:"held,omitempty"`
	// usedUpTo is the resourceVersion of the event that last fired.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	UsedUpTo string `json:"usedUpTo,omitempty"`
}

// QuietStatus is since when all that arrives is held, as somebody wished who acknowledged a notification.
type QuietStatus struct {
	// notification with which it was asked for.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Notification string `json:"notification"`
	// by is who asked.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	By string `json:"by,omitempty"`
	// since is when it was acknowledged.
	// +required
	Since metav1.Time `json:"since"`
	// severity of the notification: anything more severe ends the quiet.
	// +required
	Severity Severity `json:"severity"`
	// nextCheckTime is when the quiet ends at the latest, unless the threshold is still reached then. Unset once it has ended.
	// +optional
	NextCheckTime *metav1.Time `json:"nextCheckTime,omitempty"`
	// endedTime is when it ended. Unset while it lasts.
	// +optional
	EndedTime *metav1.Time `json:"endedTime,omitempty"`
}

// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// DeliveryState is how far a delivery has got.
//
// +kubebuilder:validation:Enum=Pending;Standby;Sending;Retrying;Delivered;PartlyDelivered;Failed;Suppressed;NotNeeded
type DeliveryState string

const (
	// DeliveryPending waits for its first attempt, or for its channel to become ready.
	DeliveryPending DeliveryState = "Pending"
	// DeliverySending is being attempted, or was when the manager stopped.
	DeliverySending DeliveryState = "Sending"
	// DeliveryRetrying failed for a passing reason and will be tried again at nextAttemptTime.
	DeliveryRetrying DeliveryState = "Retrying"
	// DeliveryDelivered was accepted for all recipients. Final.
	DeliveryDelivered DeliveryState = "Delivered"
	// DeliveryPartlyDelivered was accepted for some recipients and refused for good for the others. Final.
	DeliveryPartlyDelivered DeliveryState = "PartlyDelivered"
	// DeliveryFailed was refused for good, or its time to retry is over. Final.
	DeliveryFailed DeliveryState = "Failed"
	// DeliverySuppressed is held back by the channel's limit; a digest tells of it. Final.
	DeliverySuppressed DeliveryState = "Suppressed"
	// DeliveryStandby is a fallback that waits for how the channel fares for which it would step in.
	DeliveryStandby DeliveryState = "Standby"
	// DeliveryNotNeeded is a fallback for a channel that has delivered. Final.
	DeliveryNotNeeded DeliveryState = "NotNeeded"
)

// DeliveryStatus is how far the delivery through one channel has got.
type DeliveryStatus struct {
	// channel is the name of the NotificationChannel.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Channel string `json:"channel"`
	// state is Pending, Sending, Retrying, Delivered, PartlyDelivered, Failed or Suppressed; of a fallback also Standby or
	// NotNeeded.
	// +required
	State DeliveryState `json:"state"`
	// reason of the state, one CamelCase word.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Reason string `json:"reason,omitempty"`
	// message says more about the state.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// messageID that every attempt carries, so that a mail system can drop a twin.
	// +optional
	// +kubebuilder:validation:MaxLength=320
	MessageID string `json:"messageID,omitempty"`
	// attemptCount is how many attempts were made.
	// +optional
	AttemptCount int32 `json:"attemptCount,omitempty"`
	// nextAttemptTime is when the next attempt is due.
	// +optional
	NextAttemptTime *metav1.Time `json:"nextAttemptTime,omitempty"`
	// finishedTime is when the state became final.
	// +optional
	FinishedTime *metav1.Time `json:"finishedTime,omitempty"`
	// channelRevision is the channel's status.revision at the latest attempt. Once it differs, the next attempt does not wait.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	ChannelRevision string `json:"channelRevision,omitempty"`
	// limit is the place in the channel's limit, where it was taken when the message was sent: of a Test, and of a channel
	// that stepped in for another.
	// +optional
	Limit *LimitPlace `json:"limit,omitempty"`
	// suppressed sums up, with state Suppressed, this notification and the later ones of the condition that the limit held
	// back in the same interval.
	// +optional
	Suppressed *Suppression `json:"suppressed,omitempty"`
	// recipients tell what the server said for each address.
	// +optional
	// +kubebuilder:validation:MaxItems=100
	// +listType=map
	// +listMapKey=address
	Recipients []RecipientStatus `json:"recipients,omitempty"`
	// attempts are the latest attempts, the newest last, at most 10.
	// +optional
	// +kubebuilder:validation:MaxItems=10
	// +listType=map
	// +listMapKey=number
	Attempts []Attempt `json:"attempts,omitempty"`
}

// RecipientState is what a server said for one address.
//
// +kubebuilder:validation:Enum=Pending;Accepted;Refused
type RecipientState string

const (
	// RecipientPending has not been accepted yet; it will be tried again.
	RecipientPending RecipientState = "Pending"
	// RecipientAccepted was accepted by the server.
	RecipientAccepted RecipientState = "Accepted"
	// RecipientRefused was refused for good.
	RecipientRefused RecipientState = "Refused"
)

// RecipientStatus is what a server said for one address.
type RecipientStatus struct {
	// address of the recipient.
	// +required
	// +kubebuilder:validation:MaxLength=320
	Address string `json:"address"`
	// state is Pending, Accepted or Refused.
	// +required
	State RecipientState `json:"state"`
	// code of the server's reply (RFC 5321).
	// +optional
	Code int32 `json:"code,omitempty"`
	// enhancedCode of the server's reply, such as 5.1.1 (RFC 3463).
	// +optional
	// +kubebuilder:validation:MaxLength=16
	EnhancedCode string `json:"enhancedCode,omitempty"`
	// response is the text of the server's reply, shortened.
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Response string `json:"response,omitempty"`
}

// Attempt is one attempt at a delivery.
type Attempt struct {
	// number of the attempt: the first is 1.
	// +required
	Number int32 `json:"number"`
	// startTime is when it began.
	// +required
	StartTime metav1.Time `json:"startTime"`
	// endTime is when it ended; unset while it runs, or when the manager stopped before it ended.
	// +optional
	EndTime *metav1.Time `json:"endTime,omitempty"`
	// reason is how it ended, one CamelCase word, such as Accepted, Refused, Timeout or Unknown.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Reason string `json:"reason,omitempty"`
	// message is what was said or went wrong, shortened.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
	// server that was spoken to last, as host:port.
	// +optional
	// +kubebuilder:validation:MaxLength=320
	Server string `json:"server,omitempty"`
	// tls is the version of TLS that was used, such as "TLS 1.3"; "none" for an open connection.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	TLS string `json:"tls,omitempty"`
	// verified says how the server's certificate was checked: CA or DANE; empty if it was not.
	// +optional
	// +kubebuilder:validation:MaxLength=16
	Verified string `json:"verified,omitempty"`
	// queueID is what the server calls the message, if it said so.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	QueueID string `json:"queueID,omitempty"`
	// job that the attempt runs as, through a channel of type Exec.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Job string `json:"job,omitempty"`
	// exitCode of the program that the Job ran last.
	// +optional
	ExitCode *int32 `json:"exitCode,omitempty"`
	// output is the last that the program printed: at most 20 lines and 1024 bytes, printable characters alone.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Output string `json:"output,omitempty"`
}

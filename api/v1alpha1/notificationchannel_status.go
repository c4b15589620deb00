// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// NotificationChannelStatus is what became of the channel.
type NotificationChannelStatus struct {
	// conditions: Ready says whether the channel can be used; Stalled that only a change of it can help.
	// +optional
	// +kubebuilder:validation:MaxItems=8
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
	// observedGeneration is the generation that the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// clientCertificate tells how long the client's certificate is valid.
	// +optional
	ClientCertificate *CertificateStatus `json:"clientCertificate,omitempty"`
	// revision changes with the spec and with the Secrets it names. Deliveries that wait for their next attempt go out at
	// once when it does.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Revision string `json:"revision,omitempty"`
}

// CertificateStatus tells how long a certificate is valid.
type CertificateStatus struct {
	// subject of the certificate.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Subject string `json:"subject,omitempty"`
	// notAfter is when it expires.
	// +required
	NotAfter metav1.Time `json:"notAfter"`
}

// Types of a channel's further status conditions. Each is there only while it is True.
const (
	// CertificateExpiringCondition: the client's certificate expires within 30 days.
	CertificateExpiringCondition = "CertificateExpiring"
	// DNSSECAdvisedCondition: the servers are found by DNS, and DNSSEC is not required, so that whoever can forge an answer gets
	// the mail, whatever `tls.mode` says; the message tells why.
	DNSSECAdvisedCondition = "DNSSECAdvised"
	// FallbackNotReadyCondition: the channel that `fallbackRef` names cannot be used.
	FallbackNotReadyCondition = "FallbackNotReady"
)

// Reasons of a channel's Ready condition.
const (
	// ReasonSecretNotFound appears on Ready=False while a Secret or ConfigMap that the channel names does not exist.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretInvalid appears on Ready=False while a Secret or ConfigMap that the channel names lacks a key, or holds what
	// cannot be used.
	ReasonSecretInvalid = "SecretInvalid"
	// ReasonSecretUnreadable appears on Ready=False while a Secret or ConfigMap cannot be read, for want of permission or of an
	// answer.
	ReasonSecretUnreadable = "SecretUnreadable"
	// ReasonCertificateExpired appears on Ready=False while the client's certificate is one that has expired.
	ReasonCertificateExpired = "CertificateExpired"
	// ReasonExecForbidden appears on Ready=False of a channel of type Exec while the manager lacks a right that it needs to run
	// programs in the namespace; the message names it.
	ReasonExecForbidden = "ExecForbidden"
)

// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ChannelType is a way to tell somebody.
//
// +kubebuilder:validation:Enum=Email;SMS;Exec
type ChannelType string

const (
	// ChannelEmail sends e-mail.
	ChannelEmail ChannelType = "Email"
	// ChannelSMS sends short messages through a mail gateway.
	ChannelSMS ChannelType = "SMS"
	// ChannelExec runs a program as a Kubernetes Job.
	ChannelExec ChannelType = "Exec"
)

// NotificationChannelSpec is one way to tell somebody, with its settings, limits and credentials.
//
// +kubebuilder:validation:XValidation:rule="(self.type == 'Email') == has(self.email)",message="`email` must be set when `type` is Email, and only then"
// +kubebuilder:validation:XValidation:rule="(self.type == 'SMS') == has(self.sms)",message="`sms` must be set when `type` is SMS, and only then"
// +kubebuilder:validation:XValidation:rule="(self.type == 'Exec') == has(self.exec)",message="`exec` must be set when `type` is Exec, and only then"
type NotificationChannelSpec struct {
	// type is Email, SMS or Exec; the field of that name holds the settings.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="may not be changed: create another channel"
	Type ChannelType `json:"type"`
	// default: conditions of this namespace that name no action tell through this channel.
	// +optional
	Default bool `json:"default,omitempty"`
	// suspend holds deliveries back. They go out when it is lifted, unless `retry.for` is over by then.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
	// limit is the most notifications that this channel sends in an interval; what is over it is summed up in one digest.
	// +optional
	Limit *Limit `json:"limit,omitempty"`
	// fallbackRef names the channel that takes over what this one could not deliver.
	// +optional
	FallbackRef *ChannelReference `json:"fallbackRef,omitempty"`
	// retry says how long and how often a delivery that failed for a passing reason is tried again.
	// +optional
	Retry *RetryPolicy `json:"retry,omitempty"`
	// email holds the settings of an e-mail channel.
	// +optional
	Email *EmailChannel `json:"email,omitempty"`
	// sms holds the settings of an SMS channel.
	// +optional
	SMS *SMSChannel `json:"sms,omitempty"`
	// exec holds the settings of a channel that runs a program.
	// +optional
	Exec *ExecChannel `json:"exec,omitempty"`
}

// Transport is how an e-mail or SMS channel hands over its mail; nil for a channel that sends none.
func (s *NotificationChannelSpec) Transport() *MailTransport {
	switch {
	case s.Email != nil:
		return &s.Email.MailTransport
	case s.SMS != nil:
		return &s.SMS.MailTransport
	}
	return nil
}

// Limit is a number of notifications per interval.
type Limit struct {
	// count of notifications, at most.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	Count int32 `json:"count"`
	// interval in which they are counted.
	// +required
	Interval Duration `json:"interval"`
}

// RetryPolicy says how long and how often to try again.
type RetryPolicy struct {
	// for is how long after the decision a delivery is still tried. Unset: 24h, or 15m if `fallbackRef` names a channel that
	// takes over then.
	// +optional
	For Duration `json:"for,omitempty"`
	// interval before the second attempt; it doubles with each further one, up to half an hour. Unset: 30s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) <= duration('1h')",message="must be at most 1h"
	Interval Duration `json:"interval,omitempty"`
}

// MailServer is a DNS name, an IPv4 address or an IPv6 address, without a port.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[^\\\\s\\\\x00-\\\\x20:/@,;]+$') || isIP(self) || self.matches('^\\\\[[0-9a-fA-F:.]+\\\\]$') && isIP(self.substring(1, self.size() - 1))",message="must be one DNS name or IP address, such as smtp.example.com, 192.0.2.25 or 2001:db8::25; the port has a field of its own"
type MailServer string

// MailTransport is how mail is handed to a server; e-mail and SMS channels share it.
//
// +kubebuilder:validation:XValidation:rule="!has(self.dns) || has(self.mxLookup) && self.mxLookup",message="`dns` needs `mxLookup: true`"
type MailTransport struct {
	// servers are tried in this order.
	// +required
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +listType=atomic
	Servers []MailServer `json:"servers"`
	// port of all servers. Unset: 25.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`
	// mxLookup: each server is a domain whose MX records are tried in ascending preference.
	// +optional
	MXLookup bool `json:"mxLookup,omitempty"`
	// dns says how MX records are looked up.
	// +optional
	DNS *DNSSettings `json:"dns,omitempty"`
	// tls says whether and how the connection is encrypted. Unset: Opportunistic.
	// +optional
	TLS *TLSSettings `json:"tls,omitempty"`
	// auth logs in to the server. Unset: no login.
	// +optional
	Auth *MailAuth `json:"auth,omitempty"`
	// timeout is the deadline of each step of the conversation: connecting, greeting, each command, the message. Unset: 30s.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) <= duration('10m')",message="must be at most 10m"
	Timeout Duration `json:"timeout,omitempty"`
}

// DNSSettings say how MX records are looked up.
type DNSSettings struct {
	// resolvers to ask, as address:port. Unset: the cluster's.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:items:Pattern=`^(\[[0-9a-fA-F:.]+\]|[^\s:\[\]]+):[0-9]{1,5}$`
	// +listType=atomic
	Resolvers []string `json:"resolvers,omitempty"`
	// dnssec: Advise (the default) says in the status why answers should be protected; Require accepts no others.
	// +optional
	DNSSEC DNSSECMode `json:"dnssec,omitempty"`
}

// DNSSECMode says what is asked of DNS answers.
//
// +kubebuilder:validation:Enum=Advise;Require
type DNSSECMode string

// DNSSECRequire accepts no answers but those that DNSSEC protects.
const DNSSECRequire DNSSECMode = "Require"

// TLSMode says whether a connection is encrypted.
//
// +kubebuilder:validation:Enum=None;Opportunistic;Required
type TLSMode string

const (
	// TLSNone never encrypts.
	TLSNone TLSMode = "None"
	// TLSOpportunistic encrypts where the server offers it, whatever its certificate, and is never a reason to fail
	// (RFC 7435).
	TLSOpportunistic TLSMode = "Opportunistic"
	// TLSRequired always encrypts and checks the server's certificate.
	TLSRequired TLSMode = "Required"
)

// TLSVersion is the oldest version of TLS that is accepted.
//
// +kubebuilder:validation:Enum=Any;TLS12;TLS13
type TLSVersion string

// TLSSettings say whether and how a connection is encrypted.
//
// +kubebuilder:validation:XValidation:rule="self.mode == 'Required' || !has(self.caRef)",message="`caRef` needs `mode: Required`, as no other mode checks the server's certificate"
// +kubebuilder:validation:XValidation:rule="self.mode != 'None' || !has(self.minVersion) && !has(self.clientCertificateRef) && !(has(self.implicit) && self.implicit)",message="`minVersion`, `clientCertificateRef` and `implicit` may not be set with `mode: None`"
type TLSSettings struct {
	// mode is None, Opportunistic (where the server offers it) or Required (the server's certificate is checked).
	// +required
	Mode TLSMode `json:"mode"`
	// minVersion is the oldest version accepted: Any, TLS12 or TLS13. Unset: TLS12.
	// +optional
	MinVersion TLSVersion `json:"minVersion,omitempty"`
	// implicit: TLS begins with the connection (RFC 8314), not by STARTTLS. Unset: on port 465.
	// +optional
	Implicit *bool `json:"implicit,omitempty"`
	// caRef names the trusted CA certificates, in PEM. Unset: the system's.
	// +optional
	CARef *KeyReference `json:"caRef,omitempty"`
	// clientCertificateRef names the Secret with the client's certificate: tls.crt and tls.key (and password, if the key is
	// encrypted), or keystore.p12 and password.
	// +optional
	ClientCertificateRef *SecretReference `json:"clientCertificateRef,omitempty"`
}

// AuthMechanism is a way to log in to a mail server.
//
// +kubebuilder:validation:Enum=Auto;Plain;Login;CRAM-MD5;SCRAM-SHA-256;XOAUTH2;NTLM
type AuthMechanism string

// AuthAuto takes the safest mechanism that both sides know.
const AuthAuto AuthMechanism = "Auto"

// MailAuth is a login to a mail server.
type MailAuth struct {
	// secretRef names the Secret with the keys username and password, as of type kubernetes.io/basic-auth. With mechanism
	// XOAUTH2 the key token holds the access token.
	// +required
	SecretRef SecretReference `json:"secretRef"`
	// mechanism to log in with. Unset: Auto, the safest that the server offers.
	// +optional
	Mechanism AuthMechanism `json:"mechanism,omitempty"`
	// allowUnencrypted lets the password go over a connection without TLS. Without it such a login is refused.
	// +optional
	AllowUnencrypted bool `json:"allowUnencrypted,omitempty"`
}

// EmailChannel holds the settings of an e-mail channel.
type EmailChannel struct {
	MailTransport `json:",inline"`

	// recipients of every notification, unless a condition's action names others.
	// +required
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=set
	Recipients []MailAddress `json:"recipients"`
	// sender is the From address, and the envelope's.
	// +required
	Sender MailAddress `json:"sender"`
	// subject with placeholders. Unset: "[%SEVERITY%] %EVENT% on %COMPUTER%".
	// +optional
	Subject Subject `json:"subject,omitempty"`
	// message with placeholders. Unset: a text that tells what happened, where, when and how often.
	// +optional
	Message Text `json:"message,omitempty"`
	// dkim signs each message (RFC 6376). Unset: no signature.
	// +optional
	DKIM *DKIMSettings `json:"dkim,omitempty"`
}

// DKIMSettings say how messages are signed.
type DKIMSettings struct {
	// domain that signs: the sender's or one above it, so that DMARC is satisfied.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)+$`
	Domain string `json:"domain"`
	// selector of the public key: it stands in DNS at selector._domainkey.domain.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?([.][A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`
	Selector string `json:"selector"`
	// secretRef names the Secret with the private key in PEM, RSA (2048 bits or more) or Ed25519, at the key tls.key.
	// +required
	SecretRef SecretReference `json:"secretRef"`
}

// SMSRecipient is a phone number in international form (+4915112345678) or an address that the gateway knows.
//
// +kubebuilder:validation:MinLength=3
// +kubebuilder:validation:MaxLength=320
// +kubebuilder:validation:XValidation:rule="self.matches('^[+][1-9][0-9]{4,14}$') || self.matches('^[^\\\\s<>@,;\\\\x00-\\\\x20]+@[^\\\\s<>@,;\\\\x00-\\\\x20]+$')",message="must be a phone number such as +4915112345678 or an address such as night-shift@sms.example.com"
type SMSRecipient string

// SMSChannel holds the settings of an SMS channel.
//
// +kubebuilder:validation:XValidation:rule="has(self.gatewayDomain) || has(self.gatewayAddress) || self.recipients.all(r, r.contains('@'))",message="`gatewayDomain` or `gatewayAddress` must be set when `recipients` holds a phone number"
// +kubebuilder:validation:XValidation:rule="!has(self.gatewayDomain) || !has(self.gatewayAddress)",message="`gatewayDomain` and `gatewayAddress` both say what becomes of a phone number; set one of them"
type SMSChannel struct {
	MailTransport `json:",inline"`

	// recipients are phone numbers, or addresses that the gateway knows.
	// +required
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=set
	Recipients []SMSRecipient `json:"recipients"`
	// gatewayDomain makes a phone number an address: +4915112345678 becomes 4915112345678@ this domain.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[^\s<>@,;\x00-\x20]+$`
	GatewayDomain string `json:"gatewayDomain,omitempty"`
	// gatewayAddress makes a phone number an address in another way: %NUMBER% stands for its digits, without the plus, and %% for
	// a percent sign, such as in "+%NUMBER%/TYPE=SMS@fax.example.com".
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=240
	// +kubebuilder:validation:XValidation:rule="self.matches('^([^%]|%%)*%NUMBER%([^%]|%%)*$')",message="must hold %NUMBER% once, as in sms+%NUMBER%@gw.example.com; a percent sign is written %%"
	// +kubebuilder:validation:XValidation:rule="self.matches('^[^\\\\s<>@,;\\\\x00-\\\\x20]+@[^\\\\s<>@,;\\\\x00-\\\\x20]+$')",message="must be one e-mail address when %NUMBER% is filled in, such as sms+%NUMBER%@gw.example.com"
	GatewayAddress string `json:"gatewayAddress,omitempty"`
	// sender is the From address, and the envelope's.
	// +required
	Sender MailAddress `json:"sender"`
	// subject with placeholders. Unset: none.
	// +optional
	Subject Subject `json:"subject,omitempty"`
	// message with placeholders. Unset: "%SEVERITY%: %EVENT% %COMPUTER% %RISE_TIME%".
	// +optional
	Message Text `json:"message,omitempty"`
	// maxSegments is the most segments that a text may fill: one takes 160 characters of the GSM alphabet or 70 others, each of
	// several 153 or 67. Longer texts are cut at a character. Unset: 3.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10
	MaxSegments *int32 `json:"maxSegments,omitempty"`
}

// ExecChannel runs a program for each notification, as a Job in the channel's namespace. Placeholders arrive as
// environment variables of the same names.
type ExecChannel struct {
	// timeout is the Job's active deadline. Unset: 10m.
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.matches('^([0-9]{1,6}[hms])+$') || duration(self) <= duration('24h')",message="must be at most 24h"
	Timeout Duration `json:"timeout,omitempty"`
	// retries is how often a program that failed runs again. Unset: 0.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	Retries *int32 `json:"retries,omitempty"`
	// keepFinished is how long a finished Job stays. Unset: 1h.
	// +optional
	KeepFinished Duration `json:"keepFinished,omitempty"`
	// template is the pod template of the Job; everything a Job's pod may have.
	// +required
	// +kubebuilder:pruning:PreserveUnknownFields
	// +kubebuilder:validation:Type=object
	Template runtime.RawExtension `json:"template"`
}

// NotificationChannel declares one way to tell somebody.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=ntfchan,categories=tocsin
// +kubebuilder:printcolumn:name="Type",type=string,JSONPath=`.spec.type`
// +kubebuilder:printcolumn:name="Default",type=boolean,JSONPath=`.spec.default`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`,priority=1
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:selectablefield:JSONPath=`.spec.type`
type NotificationChannel struct {
	metav1.TypeMeta `json:",inline"`
	// metadata of the object.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec is how to tell.
	// +required
	Spec NotificationChannelSpec `json:"spec"`
	// status is what became of it.
	// +optional
	// +kubebuilder:default:={"observedGeneration":-1}
	Status NotificationChannelStatus `json:"status,omitzero"`
}

// NotificationChannelList is a list of NotificationChannels.
//
// +kubebuilder:object:root=true
type NotificationChannelList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NotificationChannel `json:"items"`
}

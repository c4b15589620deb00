// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"maps"
	"slices"
)

// Reason is how an attempt ended, in one word. The set is closed: it labels metrics and stands in a Notification's status.
type Reason string

// How an attempt ends well, or with a verdict on the message.
const (
	// ReasonAccepted: the server took the message for all recipients.
	ReasonAccepted Reason = "Accepted"
	// ReasonPartlyRefused: the server took the message for some recipients and refused the others for good.
	ReasonPartlyRefused Reason = "PartlyRefused"
	// ReasonPartlyDeferred: the server took the message for some recipients; others may be tried again.
	ReasonPartlyDeferred Reason = "PartlyDeferred"
	// ReasonRefused: the server refused all recipients for good.
	ReasonRefused Reason = "Refused"
	// ReasonDeferred: the server took the message for nobody, but may do so later.
	ReasonDeferred Reason = "Deferred"
	// ReasonSenderRefused: the server refused the sender's address for good.
	ReasonSenderRefused Reason = "SenderRefused"
	// ReasonMessageRefused: the server refused the message itself for good.
	ReasonMessageRefused Reason = "MessageRefused"
	// ReasonInvalidMessage: the message cannot be sent by anybody; no server was asked.
	ReasonInvalidMessage Reason = "InvalidMessage"
	// ReasonUnknown: the whole message was handed over, but the answer got lost. It may or may not arrive.
	ReasonUnknown Reason = "Unknown"
)

// How an attempt ends before any server came to a verdict.
const (
	// ReasonServerNotFound: no address was found for the server's name.
	ReasonServerNotFound Reason = "ServerNotFound"
	// ReasonDomainNotFound: the domain whose mail servers were to be looked up does not exist.
	ReasonDomainNotFound Reason = "DomainNotFound"
	// ReasonNullMX: the domain says that it takes no mail at all (RFC 7505).
	ReasonNullMX Reason = "NullMX"
	// ReasonDNSSECBogus: an answer from DNS is forged or broken.
	ReasonDNSSECBogus Reason = "DNSSECBogus"
	// ReasonDNSSECMissing: an answer from DNS is not protected, though it must be.
	ReasonDNSSECMissing Reason = "DNSSECMissing"
	// ReasonConnectionRefused: nobody listens on that port.
	ReasonConnectionRefused Reason = "ConnectionRefused"
	// ReasonConnectionFailed: there was no way to the server, or the connection broke.
	ReasonConnectionFailed Reason = "ConnectionFailed"
	// ReasonTimeout: a step took too long.
	ReasonTimeout Reason = "Timeout"
	// ReasonServerUnavailable: the server said that it takes no mail, or none at present.
	ReasonServerUnavailable Reason = "ServerUnavailable"
	// ReasonTLSFailed: the connection could not be encrypted.
	ReasonTLSFailed Reason = "TLSFailed"
	// ReasonAuthenticationFailed: the server refused the login.
	ReasonAuthenticationFailed Reason = "AuthenticationFailed"
	// ReasonAuthenticationUnsupported: the server offers no way to log in that is known here.
	ReasonAuthenticationUnsupported Reason = "AuthenticationUnsupported"
	// ReasonPlainTextLoginRefused: the login would have sent the password over an open connection. It was not sent.
	ReasonPlainTextLoginRefused Reason = "PlainTextLoginRefused"
	// ReasonProtocolError: what the server said makes no sense in its protocol.
	ReasonProtocolError Reason = "ProtocolError"
	// ReasonNotConfigured: the channel, or a Secret it names, does not say how to send. No server was asked.
	ReasonNotConfigured Reason = "NotConfigured"
	// ReasonCancelled: the attempt was called off.
	ReasonCancelled Reason = "Cancelled"
)

// permanent holds, for every Reason there is, whether trying again is in vain. That is so only when a server said so, when
// there is nothing left to do, or when the message cannot be sent at all: everything else an administrator may mend.
var permanent = map[Reason]bool{
	ReasonAccepted:                  true,
	ReasonPartlyRefused:             true,
	ReasonPartlyDeferred:            false,
	ReasonRefused:                   true,
	ReasonDeferred:                  false,
	ReasonSenderRefused:             true,
	ReasonMessageRefused:            true,
	ReasonInvalidMessage:            true,
	ReasonUnknown:                   false,
	ReasonServerNotFound:            false,
	ReasonDomainNotFound:            false,
	ReasonNullMX:                    false,
	ReasonDNSSECBogus:               false,
	ReasonDNSSECMissing:             false,
	ReasonConnectionRefused:         false,
	ReasonConnectionFailed:          false,
	ReasonTimeout:                   false,
	ReasonServerUnavailable:         false,
	ReasonTLSFailed:                 false,
	ReasonAuthenticationFailed:      false,
	ReasonAuthenticationUnsupported: false,
	ReasonPlainTextLoginRefused:     false,
	ReasonProtocolError:             false,
	ReasonNotConfigured:             false,
	ReasonCancelled:                 false,
}

// Reasons returns all that there are, for metrics that are to exist from the start.
func Reasons() []Reason { return slices.Sorted(maps.Keys(permanent)) }

// Temporary says whether it makes sense to try again.
func (r Reason) Temporary() bool { return !permanent[r] }

// Result is how an attempt ended. What comes from a server is bounded and printable in all its fields.
type Result struct {
	// Reason is how it ended, in one word.
	Reason Reason
	// Message says more, for people; at most MaxMessage bytes.
	Message string
	// Server that was spoken to last, as host:port.
	Server string
	// TLS is the version that was used, such as "TLS 1.3"; "none" for an open connection, empty when there was none.
	TLS string
	// Verified is by whom the server's name was vouched for: VerifiedByCA, VerifiedByDANE, or nobody (empty).
	Verified string
	// QueueID is under which id the server took the message, if it told one; at most MaxQueueID bytes.
	QueueID string
	// Temporary is what Reason says about trying again.
	Temporary bool
	// Recipients tell what the server said for each; empty when no server was asked about them.
	Recipients []Recipient
}

// Who can vouch for a server.
const (
	VerifiedByCA   = "CA"
	VerifiedByDANE = "DANE"
)

// RecipientState is what a server said for one recipient.
type RecipientState string

const (
	// Accepted: the server took the message for the recipient.
	Accepted RecipientState = "Accepted"
	// Refused: the recipient was refused for good.
	Refused RecipientState = "Refused"
	// Deferred: the recipient may be tried again.
	Deferred RecipientState = "Deferred"
)

// Recipient is what was said for one recipient.
type Recipient struct {
	// Address as it stands in Message.To.
	Address string
	State   RecipientState
	// Code of the server's reply; 0 when the server did not speak of this recipient.
	Code int
	// EnhancedCode of the reply, such as 5.1.1 (RFC 3463).
	EnhancedCode string
	// Response is the text of the reply, or why the server was not asked; at most MaxResponse bytes.
	Response string
}

// SPDX-License-Identifier: Apache-2.0

package mx

import "fmt"

// Reason is why nothing can be told about a domain or a host, in one word. The set is closed.
type Reason string

const (
	// NotFound: the domain does not exist, has no server, or the host has no address.
	NotFound Reason = "NotFound"
	// NullMX: the domain says that it takes no mail (RFC 7505).
	NullMX Reason = "NullMX"
	// Bogus: a resolver refused the answer because its DNSSEC signatures are wrong. No other is asked.
	Bogus Reason = "Bogus"
	// NotAuthenticated: the answer is not protected by DNSSEC, which is required.
	NotAuthenticated Reason = "NotAuthenticated"
	// Failed: no resolver gave a usable answer.
	Failed Reason = "Failed"
	// NoResolver: there is no resolver to ask.
	NoResolver Reason = "NoResolver"
)

// Error is why nothing can be told about a domain or a host.
type Error struct {
	Reason Reason
	// Domain, or the host, that was asked about; empty where that was none.
	Domain string
	// Message says more, for people. What comes from a resolver is bounded and printable in it.
	Message string
}

// Error implements error.
func (e *Error) Error() string {
	if e.Domain == "" {
		return e.Message
	}
	return fmt.Sprintf("%s: %s", e.Domain, e.Message)
}

// Temporary says whether asking later may lead elsewhere: nothing was said for good. Forged and unsigned answers count as
// such, or whoever can forge answers could have mail refused for good (RFC 7672, 2.1).
func (e *Error) Temporary() bool {
	return e.Reason == Failed || e.Reason == Bogus || e.Reason == NotAuthenticated
}

// graver is the error to tell of two, of which the first may be nil: forged answers come before all else.
func graver(a, b *Error) *Error {
	if a == nil || a.Reason != Bogus && b.Reason == Bogus {
		return b
	}
	return a
}

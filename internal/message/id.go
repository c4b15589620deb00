// SPDX-License-Identifier: Apache-2.0

package message

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

const (
	// fallbackDomain can never be anybody's (RFC 6761).
	fallbackDomain = "tocsin.invalid"
	// maxUID is the length of a UUID in text.
	maxUID = 36
	// maxDomain and maxLabel are the limits of RFC 1035, 2.3.4.
	maxDomain = 253
	maxLabel  = 63
)

// ID is the Message-ID, without its angle brackets, of the notification with that UID going through that channel: the same
// at every attempt, so that a mail system can drop the twin. It is a valid id-left "@" id-right (RFC 5322, 3.6.4) of at
// most 320 characters whatever the input. The domain is that of the sender's address, bare or with a display name, if it
// is written in ASCII (an internationalised one as its A-label, RFC 5890), else tocsin.invalid.
func ID(uid, channel, sender string) string {
	left := uid
	if len(left) > maxUID || !isLabel(left) {
		left = digest(uid)[:32]
	}
	return left + "." + digest(channel)[:16] + "@" + domainOf(sender)
}

// ThreadID is the Message-ID of the root that all notifications of one condition and damper's key refer to when they go
// through that channel, so that mail programs show them as one conversation. No mail has it, and none need have: a reader
// may lack what a reference names (RFC 5322, 3.6.4), and programs group by the name. It can be computed by the first
// notification as by the hundredth, whereas the Message-ID of the first comes from its UID, which the others do not know.
func ThreadID(conditionUID, key, channel, sender string) string {
	return "thread-" + digest(conditionUID + "\x00" + key)[:32] + "." + digest(channel)[:16] + "@" + domainOf(sender)
}

// digest is the SHA-256 in hexadecimal. Half of it tells all notifications apart, a quarter the channels of one.
func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func domainOf(sender string) string {
	_, domain, _ := strings.Cut(addressOf(sender), "@")
	domain = strings.ToLower(domain)
	if len(domain) > maxDomain {
		return fallbackDomain
	}
	for label := range strings.SplitSeq(domain, ".") {
		if !isLabel(label) {
			return fallbackDomain
		}
	}
	return domain
}

// addressOf takes the address out of the angle brackets, if there are any.
func addressOf(sender string) string {
	sender = strings.TrimSpace(sender)
	if inside, ok := strings.CutSuffix(sender, ">"); ok {
		return inside[strings.LastIndex(inside, "<")+1:]
	}
	return sender
}

// isLabel reports whether s is letters, digits and inner hyphens, as in a label of a DNS name.
func isLabel(s string) bool {
	return s != "" && len(s) <= maxLabel && strings.Trim(s, "-") == s && !strings.ContainsFunc(s, notInLabel)
}

func notInLabel(r rune) bool {
	return r != '-' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
}

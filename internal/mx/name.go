// SPDX-License-Identifier: Apache-2.0

package mx

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// maxName is how long a name may be without its trailing dot (RFC 1035, 2.3.4), maxLabel each of its labels.
const (
	maxName  = 253
	maxLabel = 63
)

// idn is idna.Lookup that lets underscores pass and knows how long DNS lets a name be.
var idn = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.VerifyDNSLength(true))

// toASCII is a domain as DNS knows it: in A-labels, lower case, without a trailing dot.
func toASCII(domain string) (string, error) {
	name := strings.TrimSuffix(domain, ".")
	if strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) {
		var err error
		if name, err = idn.ToASCII(name); err != nil {
			return "", fmt.Errorf("not a domain name: %s", strings.TrimPrefix(err.Error(), "idna: "))
		}
	}
	name = strings.ToLower(name)
	if !isHostname(name) {
		return "", errors.New("not a domain name")
	}
	return name, nil
}

// fold is a name from a message as it is compared and kept.
func fold(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// isHostname says whether a folded name consists of letters, digits, hyphens and underscores, and is no IPv4 address.
func isHostname(name string) bool {
	if len(name) > maxName {
		return false
	}
	label := ""
	for label = range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return strings.Trim(label, "0123456789") != ""
}

// isMailHost says whether somebody else's MX record may name the host: this computer is none (RFC 6761, 6.3).
func isMailHost(name string) bool {
	top := name[strings.LastIndexByte(name, '.')+1:]
	return isHostname(name) && top != "localhost" && top != "localdomain"
}

// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"fmt"
	"regexp"
	"strings"
)

// Gateway is how a mail gateway wants phone numbers to be addressed. One of the fields is set.
type Gateway struct {
	// Domain takes the digits of a number before its @.
	Domain string
	// Pattern is an address in which %NUMBER% stands for the digits, and %% for a percent sign.
	Pattern string
}

// number is a phone number in international form (ITU-T E.164).
var number = regexp.MustCompile(`^[+]([1-9][0-9]{4,14})$`)

// Address is where mail to a recipient goes: an address is one already; a phone number becomes one.
func Address(recipient string, gateway Gateway) (string, error) {
	if strings.Contains(recipient, "@") {
		return recipient, nil
	}
	found := number.FindStringSubmatch(recipient)
	if found == nil {
		return "", fmt.Errorf("%q is neither a phone number such as +4915112345678 nor an address", recipient)
	}
	switch digits := found[1]; {
	case gateway.Pattern != "":
		return strings.NewReplacer("%%", "%", "%NUMBER%", digits).Replace(gateway.Pattern), nil
	case gateway.Domain != "":
		return digits + "@" + gateway.Domain, nil
	}
	return "", fmt.Errorf("%s is a phone number, and no gateway is named that knows it", recipient)
}

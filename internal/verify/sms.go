// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/sms"
)

// specimen is the longest number there is, to fill in for one.
const specimen = "+999999999999999"

func shortMessages(s *v1alpha1.SMSChannel) []finding {
	gateway := sms.Gateway{Domain: s.GatewayDomain, Pattern: s.GatewayAddress}
	return append(transport("spec.sms", &s.MailTransport),
		phones(s.Recipients, gateway),
		addressing(gateway),
		addresses("spec.sms.sender", []v1alpha1.MailAddress{s.Sender}),
		template("spec.sms.subject", s.Subject),
		template("spec.sms.message", s.Message),
	)
}

func phones(recipients []v1alpha1.SMSRecipient, gateway sms.Gateway) finding {
	for _, r := range recipients {
		address, err := sms.Address(string(r), gateway)
		if err != nil {
			return invalid("spec.sms.recipients", err)
		}
		if address == string(r) {
			if f := addresses("spec.sms.recipients", []v1alpha1.MailAddress{v1alpha1.MailAddress(r)}); f != (finding{}) {
				return f
			}
		}
	}
	return finding{}
}

// addressing refuses a gateway that makes no addresses of numbers.
func addressing(gateway sms.Gateway) finding {
	field := "spec.sms.gatewayDomain"
	if gateway.Pattern != "" {
		field = "spec.sms.gatewayAddress"
	}
	address, err := sms.Address(specimen, gateway)
	if err != nil { // there is no gateway
		return finding{}
	}
	return addresses(field, []v1alpha1.MailAddress{v1alpha1.MailAddress(address)})
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/sms"
)

// throughGateway sends a message for phone numbers to the addresses that the gateway has for them. What the server says of an
// address is said of each recipient behind it.
func throughGateway(ctx context.Context, sender notify.Sender, settings *v1alpha1.SMSChannel, m notify.Message) notify.Result {
	gateway := sms.Gateway{Domain: settings.GatewayDomain, Pattern: settings.GatewayAddress}
	behind := map[string][]string{}
	recipients := m.To
	m.To = nil
	for _, recipient := range recipients {
		address, err := sms.Address(recipient, gateway)
		if err != nil {
			return notConfigured(err)
		}
		if behind[address] == nil {
			m.To = append(m.To, address)
		}
		behind[address] = append(behind[address], recipient)
	}
	result := sender.Send(ctx, m)
	answers := result.Recipients
	result.Recipients = nil
	for _, answer := range answers {
		for _, recipient := range behind[answer.Address] {
			answer.Address = recipient
			result.Recipients = append(result.Recipients, answer)
		}
	}
	return result
}

// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"testing"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/verify"
)

// TestSMSChannel: what the schema takes and no short message could be sent with is refused, with its field.
func TestSMSChannel(t *testing.T) {
	t.Parallel()
	type settings = v1alpha1.SMSChannel
	ready := want{reason: v1alpha1.ReasonReady}
	invalid := func(field, text string) want { return want{v1alpha1.ReasonInvalid, "`spec.sms." + field + "`", text} }
	for name, tc := range map[string]struct {
		change func(*settings)
		want   want
	}{
		"a number and an address": {func(*settings) {}, ready},
		"an international domain": {func(s *settings) { s.GatewayDomain = "sms.bücher.example" }, ready},
		"addresses alone":         {func(s *settings) { s.Recipients, s.GatewayDomain = s.Recipients[1:], "" }, ready},
		"another form": {func(s *settings) {
			s.GatewayDomain, s.GatewayAddress = "", "+%NUMBER%/TYPE=SMS@fax.example.com"
		}, ready},
		"a number that is none": {func(s *settings) { s.Recipients[0] = "0151/12345" },
			invalid("recipients", `"0151/12345" is neither a phone number such as +4915112345678 nor an address`)},
		"a number without a gateway": {func(s *settings) { s.GatewayDomain = "" },
			invalid("recipients", "+4915112345678 is a phone number, and no gateway is named that knows it")},
		"an address that is none": {func(s *settings) { s.Recipients[1] = "a..b@sms.example.com" },
			invalid("recipients", `holds "a..b@sms.example.com", which is no e-mail address`)},
		"a domain that is none": {func(s *settings) { s.GatewayDomain = "sms..example.com" },
			invalid("gatewayDomain", `holds "999999999999999@sms..example.com", which is no e-mail address`)},
		"a pattern that makes no address": {func(s *settings) { s.GatewayDomain, s.GatewayAddress = "", "(%NUMBER%)@gw.example.com" },
			invalid("gatewayAddress", `holds "(999999999999999)@gw.example.com", which is no e-mail address`)},
		"a sender that is none": {func(s *settings) { s.Sender = "tocsin@" }, invalid("sender", `holds "tocsin@"`)},
		"a subject's placeholder": {func(s *settings) { s.Subject = "%FOO%" },
			invalid("subject", "unknown or unclosed placeholder %FOO% at character 1")},
		"a message's percent sign": {func(s *settings) { s.Message = "100%" },
			invalid("message", "unknown or unclosed placeholder % at character 4")},
		"a server that has no MX records": {func(s *settings) { s.MXLookup, s.Servers = true, []v1alpha1.MailServer{"192.0.2.25"} },
			invalid("servers", `holds "192.0.2.25", which is an address and has no MX records`)},
		"a login that could not be made": {func(s *settings) {
			s.TLS, s.Auth = &v1alpha1.TLSSettings{Mode: v1alpha1.TLSNone}, &v1alpha1.MailAuth{Mechanism: "Plain"}
		}, invalid("auth.mechanism", "Plain would show the login to whoever listens")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := settings{
				Recipients:    []v1alpha1.SMSRecipient{"+4915112345678", "night-shift@sms.example.com"},
				GatewayDomain: "sms.example.com", Sender: "tocsin@example.com",
				MailTransport: v1alpha1.MailTransport{Servers: []v1alpha1.MailServer{"smtp.example.com"}},
			}
			tc.change(&s)
			tc.want.check(t, verify.Channel(&v1alpha1.NotificationChannelSpec{Type: v1alpha1.ChannelSMS, SMS: &s}))
		})
	}
}

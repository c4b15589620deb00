// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
)

// gatewayStub refuses what begins with a 1 and takes the rest.
type gatewayStub struct{ to []string }

func (s *gatewayStub) Send(_ context.Context, m notify.Message) notify.Result {
	s.to = m.To
	result := notify.Result{Reason: notify.ReasonPartlyRefused}
	for _, address := range m.To {
		state := notify.Accepted
		if strings.HasPrefix(address, "1") {
			state = notify.Refused
		}
		result.Recipients = append(result.Recipients, notify.Recipient{Address: address, State: state})
	}
	return result
}

// TestAnswersAreOfTheNumbers: each number is sent to once, and each recipient gets to know what was said of its address.
func TestAnswersAreOfTheNumbers(t *testing.T) {
	t.Parallel()
	stub := &gatewayStub{}
	settings := &v1alpha1.SMSChannel{GatewayDomain: "sms.example.com"}
	to := []string{"+4915112345678", "+12025550123", "4915112345678@sms.example.com", "night@example.com"}
	result := throughGateway(t.Context(), stub, settings, notify.Message{To: to})
	if want := []string{"4915112345678@sms.example.com", "12025550123@sms.example.com", "night@example.com"}; !slices.Equal(stub.to, want) {
		t.Errorf("sent to %v, want %v", stub.to, want)
	}
	got := map[string]notify.RecipientState{}
	for _, r := range result.Recipients {
		got[r.Address] = r.State
	}
	for address, want := range map[string]notify.RecipientState{
		to[0]: notify.Accepted, to[1]: notify.Refused, to[2]: notify.Accepted, to[3]: notify.Accepted,
	} {
		if got[address] != want {
			t.Errorf("%s is %q, want %s", address, got[address], want)
		}
	}
	if len(result.Recipients) != len(to) || result.Reason != notify.ReasonPartlyRefused {
		t.Errorf("the result is %+v", result)
	}
}

// TestANumberNeedsAGateway: the channel may have lost it since the notification was decided; it may get another.
func TestANumberNeedsAGateway(t *testing.T) {
	t.Parallel()
	stub := &gatewayStub{}
	result := throughGateway(t.Context(), stub, &v1alpha1.SMSChannel{}, notify.Message{To: []string{"+4915112345678"}})
	if result.Reason != notify.ReasonNotConfigured || !result.Temporary || !strings.Contains(result.Message, "no gateway is named") {
		t.Errorf("the result is %+v", result)
	}
	if stub.to != nil {
		t.Errorf("sent to %v", stub.to)
	}
}

// SPDX-License-Identifier: Apache-2.0

package verify_test

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/verify"
)

// TestActionsOfChannels: the channels are looked up as a client does it, which answers that one was not found.
func TestActionsOfChannels(t *testing.T) {
	t.Parallel()
	gone := apierrors.NewNotFound(schema.GroupResource{Group: v1alpha1.Group, Resource: "notificationchannels"}, "x")
	find := func(name string) (*v1alpha1.NotificationChannel, error) {
		c := &v1alpha1.NotificationChannel{}
		switch name {
		case "mail":
			c.Spec.Type = v1alpha1.ChannelEmail
		case "sms":
			c.Spec.Type = v1alpha1.ChannelSMS
		case "unread":
			return c, errors.New("no route to host")
		default:
			return c, gone
		}
		return c, nil
	}
	action := func(channel string, own *v1alpha1.EmailOverride) v1alpha1.Action {
		return v1alpha1.Action{ChannelRef: v1alpha1.ChannelReference{Name: channel}, Email: own}
	}
	own := &v1alpha1.EmailOverride{Subject: "Worm"}
	for name, tc := range map[string]struct {
		actions []v1alpha1.Action
		want    *status.Verdict
		err     string
	}{
		"none":    {nil, nil, ""},
		"present": {[]v1alpha1.Action{action("mail", own), action("sms", nil)}, nil, ""},
		"absent": {[]v1alpha1.Action{action("mail", nil), action("nope", own)}, &status.Verdict{
			Reason: v1alpha1.ReasonChannelNotFound,
			Message: "`spec.actions[1].channelRef` names \"nope\", which does not exist in this namespace; " +
				"what is due waits for it",
		}, ""},
		"of another type": {[]v1alpha1.Action{action("sms", own)}, &status.Verdict{
			Stalled: true, Reason: v1alpha1.ReasonActionInvalid,
			Message: "`spec.actions[0].email` replaces settings of an e-mail channel, but \"sms\" is of type SMS",
		}, ""},
		"cannot be read": {[]v1alpha1.Action{action("unread", nil)}, nil, "getting channel unread: no route to host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := verify.Actions(tc.actions, find)
			switch {
			case tc.err != "":
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %v, want %s", err, tc.err)
				}
			case err != nil:
				t.Error(err)
			case (got == nil) != (tc.want == nil), got != nil && *got != *tc.want:
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

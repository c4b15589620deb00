// SPDX-License-Identifier: Apache-2.0

package verify

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
)

// Actions says which action names a channel that cannot be told through; nil if none does. Events are evaluated all the same,
// and what is due waits for the channel. find returns the channel of a name, as a client does: for none, that it was not found.
func Actions(actions []v1alpha1.Action, find func(name string) (*v1alpha1.NotificationChannel, error)) (*status.Verdict, error) {
	for i, action := range actions {
		name, field := action.ChannelRef.Name, fmt.Sprintf("spec.actions[%d]", i)
		channel, err := find(name)
		switch {
		case apierrors.IsNotFound(err):
			return &status.Verdict{Reason: v1alpha1.ReasonChannelNotFound, Message: fmt.Sprintf(
				"`%s.channelRef` names %q, which does not exist in this namespace; what is due waits for it", field, name)}, nil
		case err != nil:
			return nil, fmt.Errorf("getting channel %s: %w", name, err)
		case action.Email != nil && channel.Spec.Type != v1alpha1.ChannelEmail:
			return &status.Verdict{Stalled: true, Reason: v1alpha1.ReasonActionInvalid, Message: fmt.Sprintf(
				"`%s.email` replaces settings of an e-mail channel, but %q is of type %s", field, name, channel.Spec.Type)}, nil
		}
	}
	return nil, nil
}

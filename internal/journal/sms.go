// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/message"
	"github.com/tocsin-dev/tocsin/internal/sms"
)

// defaultSegments of an SMS channel that sets none.
const defaultSegments = 3

// deliverShort renders what goes through an SMS channel, cut to its length: the log holds what is sent. The recipients stand as
// the channel has them; the gateway's addresses are none of the log's matter.
func deliverShort(n *v1alpha1.Notification, name string, settings *v1alpha1.SMSChannel) v1alpha1.Delivery {
	d := v1alpha1.Delivery{Channel: name}
	for _, r := range settings.Recipients {
		d.Recipients = append(d.Recipients, string(r))
	}
	segments := defaultSegments
	if settings.MaxSegments != nil {
		segments = int(*settings.MaxSegments)
	}
	var text string
	d.Subject, text = message.Short(template(settings.Subject), template(settings.Message), Values(n), &n.Spec, limited(n, name))
	d.Message = sms.Cut(text, segments)
	return d
}

// limited is the channel whose limit a Digest tells of; the others are its fallbacks.
func limited(n *v1alpha1.Notification, channel string) string {
	if len(n.Spec.Deliveries) > 0 {
		return n.Spec.Deliveries[0].Channel
	}
	return channel
}

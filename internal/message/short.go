// SPDX-License-Identifier: Apache-2.0

package message

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
)

// DefaultShort is the message of an SMS channel that sets none. Short leaves out the colon and the spaces around what has no
// value, which a template cannot.
const DefaultShort = "%SEVERITY%: %EVENT% %COMPUTER% %RISE_TIME%"

// Short is Render for transports on which each character counts: the subject is empty unless there is a template for it, and
// what no template can leave out stands in a few words at the beginning, where it is not cut off. The text of a Digest, which
// tells of the limit of that channel, is not the template's; its subject is, as gateways may read it.
func Short(subject, message placeholder.Template, values placeholder.Values, spec *v1alpha1.NotificationSpec,
	channel string) (string, string) {
	line := Line(subject.RenderUpTo(values, maxRendered), MaxSubject)
	if spec != nil && spec.Digest != nil {
		return line, shortDigest(spec, channel)
	}
	body := joinFilled(" ", around("", severityOf(values), ":"), titleOf(values), values[placeholder.Computer],
		values[placeholder.RiseTime])
	if !message.IsEmpty() {
		body = message.RenderUpTo(values, maxRendered)
	}
	held := ""
	if !message.Uses(placeholder.Held) {
		held = shortHeld(spec)
	}
	opening := joinFilled(", ", shortOpening(spec), held)
	return line, around("", opening, ": ") + cutBytes(Block(body, MaxText), MaxText-len(opening)-len(": "))
}

// shortOpening is opening in a word or two.
func shortOpening(spec *v1alpha1.NotificationSpec) string {
	switch {
	case spec == nil:
		return ""
	case spec.Type == v1alpha1.NotificationTypeTest && spec.ChannelRef != nil:
		return "Test of " + Line(spec.ChannelRef.Name, maxValue)
	case spec.Type == v1alpha1.NotificationTypeTest:
		return "Test"
	case triggerOf(spec).Reason == v1alpha1.TriggerStillReached:
		return "Still"
	case triggerOf(spec).Reason == v1alpha1.TriggerCleared:
		return "Cleared"
	default:
		return ""
	}
}

func shortHeld(spec *v1alpha1.NotificationSpec) string {
	held := triggerOf(spec).Held
	if held <= 0 {
		return ""
	}
	return fmt.Sprintf("%d more held", held)
}

// shortDigest says how many of which condition were held back.
func shortDigest(spec *v1alpha1.NotificationSpec, channel string) string {
	d := digestOf(spec)
	var held []string
	for _, entry := range d.Conditions {
		held = append(held, fmt.Sprintf("%s %d", Line(entry.Condition, maxName), entry.Count))
	}
	since := ""
	if !d.Since.IsZero() {
		format := "15:04 UTC"
		if d.Until.Sub(d.Since.Time) >= 24*time.Hour {
			format = time.DateOnly + " " + format
		}
		since = " since " + d.Since.UTC().Format(format)
	}
	text := fmt.Sprintf("Tocsin: %s held back by the limit of %s%s", counted(d.Suppressed, "notification"),
		Line(cmp.Or(channel, "a channel"), maxName), since)
	return cutBytes(joinFilled(": ", text, strings.Join(held, ", ")), MaxText)
}

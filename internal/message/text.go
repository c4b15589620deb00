// SPDX-License-Identifier: Apache-2.0

package message

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
)

const (
	// DefaultSubject is the subject of a channel that sets none. Render leaves out what has no value, with its brackets
	// or its "on", which a template cannot.
	DefaultSubject = "[%SEVERITY%] %EVENT% on %COMPUTER%"

	// MaxSubject is the longest subject that Render returns, in characters (runes).
	MaxSubject = 255
	// MaxText is the longest text that Render returns, in bytes.
	MaxText = 16 << 10

	// maxRendered is how many bytes of a rendered template are looked at: far more than fit, far less than a template full
	// of %DESCR% could make.
	maxRendered = 4 * MaxText
)

// Render returns the subject, one clean line of at most MaxSubject characters, and the text, a clean block of at most
// MaxText bytes. An empty template stands for the default: DefaultSubject, DefaultText. The spec adds what no template can
// leave out: that this is a test, that the condition still holds or has cleared, and how many occurrences were held since the last
// notification, unless the message's template says that with %HELD%. No template is for a Digest.
func Render(subject, message placeholder.Template, values placeholder.Values, spec *v1alpha1.NotificationSpec) (string, string) {
	if spec != nil && spec.Digest != nil {
		return Digest(spec, values[placeholder.Namespace], digestChannel(spec))
	}
	line := defaultSubject(values)
	if !subject.IsEmpty() {
		line = subject.RenderUpTo(values, maxRendered)
	}
	body := DefaultText(values, spec)
	if !message.IsEmpty() {
		body = message.RenderUpTo(values, maxRendered)
	}
	if triggerOf(spec).Reason == v1alpha1.TriggerCleared {
		line = "Cleared: " + line
	}
	before, after := opening(spec), ""
	if !message.Uses(placeholder.Held) {
		after = heldNote(spec)
	}
	room := MaxText - len(before) - len(after) - 2*len(paragraph)
	body = cutBytes(Block(body, MaxText), room)
	return Line(line, MaxSubject), joinFilled(paragraph, before, body, after)
}

const paragraph = "\n\n"

// opening is the sentence that the text begins with, if any.
func opening(spec *v1alpha1.NotificationSpec) string {
	switch {
	case spec == nil:
		return ""
	case spec.Type == v1alpha1.NotificationTypeTest && spec.ChannelRef != nil:
		return fmt.Sprintf("This is a test of the channel %s. Nothing has happened; no action is needed.",
			Line(spec.ChannelRef.Name, maxValue))
	case spec.Type == v1alpha1.NotificationTypeTest:
		return "This is a test. Nothing has happened; no action is needed."
	case triggerOf(spec).Reason == v1alpha1.TriggerStillReached:
		return "The condition still holds: its threshold is still reached."
	case triggerOf(spec).Reason == v1alpha1.TriggerCleared:
		text := "The condition has cleared: nothing more has happened" + around(" for ", windowOf(spec), "") + "."
		if spec.Trigger.Event != nil {
			text += " What follows is the latest event."
		}
		return text
	default:
		return ""
	}
}

func windowOf(spec *v1alpha1.NotificationSpec) string {
	if spec.Condition == nil {
		return ""
	}
	return Line(tidyDuration(spec.Condition.Threshold.Window), maxValue)
}

// heldNote is the sentence that the text ends with, if any.
func heldNote(spec *v1alpha1.NotificationSpec) string {
	switch held := triggerOf(spec).Held; {
	case held <= 0:
		return ""
	case held == 1:
		return "1 further occurrence was held since the last notification."
	default:
		return fmt.Sprintf("%d further occurrences were held since the last notification.", held)
	}
}

func defaultSubject(values placeholder.Values) string {
	return joinFilled(" ", around("[", severityOf(values), "]"), headline(values))
}

// headline tells in a few words what happened and where.
func headline(values placeholder.Values) string {
	return titleOf(values) + around(" on ", values[placeholder.Computer], "")
}

// titleOf is the event; a notification without one is called by its type.
func titleOf(values placeholder.Values) string {
	return cmp.Or(values[placeholder.Event], values[placeholder.Type])
}

func severityOf(values placeholder.Values) string {
	return values[placeholder.Severity]
}

// DefaultText is the message of a channel that sets none. Code writes it, not a template, as it leaves out the lines for
// which there is no value. The description is indented, so that no line of it passes for one of Tocsin's.
func DefaultText(values placeholder.Values, spec *v1alpha1.NotificationSpec) string {
	var lines []string
	for _, f := range facts(values, spec) {
		lines = append(lines, f.Label+": "+f.Value)
	}
	if names, more := computerNames(spec); names != nil {
		lines = append(lines, "Computers: "+joinFilled(", ", strings.Join(names, ", "), more))
	}
	description := ""
	if text := values[placeholder.Description]; text != "" {
		description = "Description:\n  " + strings.ReplaceAll(text, "\n", "\n  ")
	}
	return joinFilled(paragraph,
		joinFilled(": ", severityOf(values), headline(values)),
		strings.Join(lines, "\n"),
		description,
		origin(values),
	)
}

// origin says which condition and which entry of the log the message comes from.
func origin(values placeholder.Values) string {
	name := joinFilled("/", values[placeholder.Namespace], values[placeholder.Notification])
	condition := ""
	if values[placeholder.Condition] != "" {
		condition = "Condition " + values[placeholder.Condition] + around(" (", values[placeholder.Type], ")")
	}
	return joinFilled(", ", condition, around("notification ", name, ""))
}

// around puts text between two others, unless it is empty.
func around(before, text, after string) string {
	if text == "" {
		return ""
	}
	return before + text + after
}

// joinFilled joins the texts that are not empty.
func joinFilled(separator string, texts ...string) string {
	filled := texts[:0:0]
	for _, text := range texts {
		if text != "" {
			filled = append(filled, text)
		}
	}
	return strings.Join(filled, separator)
}

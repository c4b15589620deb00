// SPDX-License-Identifier: Apache-2.0

package message

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

const (
	// maxHeldBack is how many conditions a digest lists: with names of the greatest length, as many as fit into MaxText.
	maxHeldBack = 40
	// maxName is the length of a Kubernetes name.
	maxName = 253
)

// Digest returns the subject and the text of a notification of type Digest: what the limit of that channel held back in
// that namespace. The channel's own templates are not for it.
func Digest(spec *v1alpha1.NotificationSpec, namespace, channel string) (string, string) {
	subject := joinFilled(" ", around("[", Line(severityWords(digestSeverity(spec)), maxValue), "]"),
		fmt.Sprintf("%s held back by the limit of %s", counted(digestOf(spec).Suppressed, "notification"),
			Line(cmp.Or(channel, "a channel"), maxName)))
	rows, more := heldBack(spec)
	hint := digestHint(spec, namespace)
	text := joinFilled(paragraph, digestSentence(spec, channel), joinFilled("\n", table(rows), more), hint.Label+"\n  "+hint.Value)
	return Line(subject, MaxSubject), cutBytes(text, MaxText)
}

func digestOf(spec *v1alpha1.NotificationSpec) *v1alpha1.Digest {
	if spec == nil || spec.Digest == nil {
		return &v1alpha1.Digest{}
	}
	return spec.Digest
}

// digestChannel is the channel whose limit was used up; its fallback may be what carries the digest.
func digestChannel(spec *v1alpha1.NotificationSpec) string {
	for _, d := range spec.Deliveries {
		if len(d.FallbackFor) == 0 {
			return d.Channel
		}
	}
	return ""
}

// digestSeverity is the highest among what was held back.
func digestSeverity(spec *v1alpha1.NotificationSpec) v1alpha1.Severity {
	highest := v1alpha1.Severity("")
	if spec != nil {
		highest = spec.Severity
	}
	for _, entry := range digestOf(spec).Conditions {
		if entry.Severity.Number() > highest.Number() {
			highest = entry.Severity
		}
	}
	return highest
}

// digestSentence says what happened. The interval is what the limit counts in, which need not have been used up from its
// beginning.
func digestSentence(spec *v1alpha1.NotificationSpec, channel string) string {
	d := digestOf(spec)
	interval := ""
	if length := d.Until.Sub(d.Since.Time); length > 0 {
		interval = " in " + string(v1alpha1.FormatDuration(length))
	}
	span := ""
	if since, until := readable(rfc3339(&d.Since)), readable(rfc3339(&d.Until)); since != "" && until != "" {
		span = " between " + strings.TrimSuffix(since, " UTC") + " and " + sinceDay(since, until)
	}
	were := "were"
	if d.Suppressed == 1 {
		were = "was"
	}
	return fmt.Sprintf("The limit of %s%s of %s was used up%s; %s %s held back.",
		counted(int64(d.Count), "notification"), interval, channelName(channel), span,
		counted(d.Suppressed, "notification"), were)
}

func channelName(channel string) string {
	return "the channel" + around(" ", Line(channel, maxName), "")
}

// heldRow is what was held back of one condition.
type heldRow struct {
	colours
	Severity, Condition, Count, First, Last string
}

// heldBack lists the conditions, and says what the list leaves out.
func heldBack(spec *v1alpha1.NotificationSpec) (rows []heldRow, more string) {
	d := digestOf(spec)
	listed, known := int64(0), int64(0)
	for i, entry := range d.Conditions {
		known += entry.Count
		if i >= maxHeldBack {
			continue
		}
		listed += entry.Count
		rows = append(rows, heldRow{
			colours:   coloursOf(strconv.Itoa(entry.Severity.Number())),
			Severity:  Line(severityWords(entry.Severity), maxValue),
			Condition: Line(entry.Condition, maxName),
			Count:     strconv.FormatInt(entry.Count, 10),
			First:     withoutZone(entry.FirstTime), Last: withoutZone(entry.LastTime),
		})
	}
	left, atLeast := int64(len(d.Conditions)-len(rows)), ""
	if d.Suppressed > known { // the object holds a hundred conditions at most
		left, atLeast = left+1, "at least "
	}
	if left == 0 {
		return rows, ""
	}
	return rows, fmt.Sprintf("and %s%s (%s)", atLeast, counted(left, "more condition"),
		counted(max(d.Suppressed, known)-listed, "notification"))
}

// Span is from the first to the last.
func (r heldRow) Span() string {
	if r.First == r.Last {
		return r.First + " UTC"
	}
	return r.First + " to " + sinceDay(r.First, r.Last) + " UTC"
}

func withoutZone(t metav1.Time) string {
	return strings.TrimSuffix(readable(rfc3339(&t)), " UTC")
}

// table writes the rows in columns that are as wide as what they hold.
func table(rows []heldRow) string {
	if len(rows) == 0 {
		return ""
	}
	lines := [][]string{{"Severity", "Condition", "Held back", "First (UTC)", "Last (UTC)"}}
	for _, r := range rows {
		lines = append(lines, []string{r.Severity, r.Condition, r.Count, r.First, r.Last})
	}
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	texts := make([]string, 0, len(lines))
	for _, line := range lines {
		text := ""
		for i, cell := range line {
			text += fmt.Sprintf("%-*s  ", widths[i], cell)
		}
		texts = append(texts, strings.TrimRight(text, " "))
	}
	return strings.Join(texts, "\n")
}

// digestHint is a command that can be pasted as it is, for the condition that comes first.
func digestHint(spec *v1alpha1.NotificationSpec, namespace string) fact {
	name, whose := "NAME", "those of the condition NAME"
	if conditions := digestOf(spec).Conditions; len(conditions) > 0 && isObjectName(conditions[0].Condition) {
		name = conditions[0].Condition
		whose = "those of " + name
	}
	if !isObjectName(namespace) {
		namespace = "NAMESPACE"
	}
	return fact{
		Label: "What was held back is in the log; to see " + whose + ":",
		Value: fmt.Sprintf("kubectl get notifications -n %s --field-selector spec.condition.name=%s", namespace, name),
	}
}

// isObjectName keeps out what a shell would not take as one plain word.
func isObjectName(s string) bool {
	return s != "" && len(s) <= maxName && s[0] != '-' && !strings.ContainsFunc(s, func(r rune) bool {
		return r != '.' && notInLabel(r)
	})
}

// counted is such as "1 notification" and "57 notifications".
func counted(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
	"github.com/tocsin-dev/tocsin/internal/status"
)

// story is a text for people in lines of a label and a value.
type story struct {
	screen *screen.Screen
	out    strings.Builder
}

// labelWidth is how wide labels are, in characters.
const labelWidth = 14

// say adds a line, unless there is no value. The value may hold any text.
func (s *story) say(indent int, label, value string, tone screen.Tone) {
	value = screen.Line(value)
	if value == "" {
		return
	}
	if label != "" {
		label += ":"
	}
	fmt.Fprintf(&s.out, "%s%-*s%s\n", strings.Repeat(" ", indent), labelWidth, label, s.screen.Paint(tone, value))
}

func (s *story) plain(indent int, label, value string) { s.say(indent, label, value, screen.Plain) }

// list adds items, in several lines where one is too short for them.
func (s *story) list(indent int, label string, items []string) {
	room := cmp.Or(s.screen.Width, screen.DefaultWidth) - indent - labelWidth
	for i, line := range screen.Wrap(items, room) {
		if i > 0 {
			label = ""
		}
		s.plain(indent, label, line)
	}
}

func (s *story) title(text string) {
	s.out.WriteString("\n" + s.screen.Paint(screen.Bold, screen.Line(text)) + "\n")
}

// text adds lines that are somebody else's, marked as such.
func (s *story) text(indent int, text string) {
	if text != "" {
		s.out.WriteString(screen.Block(text, strings.Repeat(" ", indent)+"| "))
	}
}

// tell writes all there is to know about a notification.
func tell(a *App, n *v1alpha1.Notification) error {
	s := &story{screen: a.Screen}
	s.head(n, a.Now())
	if n.Spec.Trigger != nil {
		s.trigger(n)
	}
	if n.Spec.Digest != nil {
		s.digest(n.Spec.Digest)
	}
	s.deliveries(n)
	_, err := fmt.Fprint(a.Out, s.out.String())
	return err
}

func (s *story) head(n *v1alpha1.Notification, now time.Time) {
	state := logfilter.State(n)
	s.plain(0, "Name", n.Name)
	s.plain(0, "Namespace", n.Namespace)
	s.plain(0, "Time", utc(logfilter.Time(n))+before(logfilter.Time(n), now))
	s.plain(0, "Type", n.Spec.Type)
	s.say(0, "Severity", string(n.Spec.Severity), severityTone(n.Spec.Severity))
	if c := n.Spec.Condition; c != nil {
		s.plain(0, "Condition", fmt.Sprintf("%s (generation %d): %s, damper %s",
			c.Name, c.Generation, threshold(c.Threshold), cmp.Or(c.Damper, "none")))
	}
	if n.Spec.ChannelRef != nil {
		s.plain(0, "Channel", n.Spec.ChannelRef.Name)
	}
	s.plain(0, "Creator", n.Spec.Creator)
	s.say(0, "State", string(state), stateTone(string(state)))
	s.plain(0, "", status.Message(n.Status.Conditions, v1alpha1.SucceededCondition))
	if k := n.Spec.Acknowledgement; k == nil {
		s.plain(0, "Acknowledged", "no")
	} else {
		s.plain(0, "Acknowledged", cmp.Or(noticed(n), "yes")+quiet(k))
		s.text(2, k.Comment)
	}
}

// noticed says who has acknowledged, and when, as far as that is known.
func noticed(n *v1alpha1.Notification) string {
	k := n.Spec.Acknowledgement
	who := around("by ", screen.Line(k.By), "")
	if at := cmp.Or(k.Time, n.Status.AcknowledgedTime); at != nil {
		who += around(" at ", utc(at.Time), "")
	}
	return strings.TrimSpace(who)
}

func quiet(k *v1alpha1.Acknowledgement) string {
	if k.QuietUntilCleared {
		return " (quiet until cleared)"
	}
	return ""
}

// acknowledged says in a line what stands in an acknowledgement: who set it, and when, and what was found or done.
func acknowledged(n *v1alpha1.Notification) string {
	k := n.Spec.Acknowledgement
	return strings.TrimPrefix(noticed(n)+around(": ", screen.Line(k.Comment), "")+quiet(k), ": ")
}

func (s *story) trigger(n *v1alpha1.Notification) {
	t := n.Spec.Trigger
	s.title("What happened")
	s.plain(2, "Reason", fmt.Sprintf("%s, notification %d of this condition%s", t.Reason, t.Sequence, of(t.Key)))
	s.plain(2, "How many", fmt.Sprintf("%s on %s", counted(t.Occurrences, "occurrence"), counted(int64(t.Computers), "computer")))
	s.plain(2, "When", span(t.FirstTime, t.LastTime))
	if t.Held > 0 {
		s.plain(2, "Held", counted(t.Held, "occurrence")+" since the last notification")
	}
	if t.LastFiredTime != nil {
		s.plain(2, "Last fired", utc(t.LastFiredTime.Time))
	}
	s.list(2, "Computers", t.ComputerNames)
	s.list(2, "Risks", t.Risks)
	if e := t.Event; e != nil {
		s.plain(2, "Event", fmt.Sprintf("%s: %s, %s", from(n.Namespace, e.Namespace, e.Name), e.Type, e.Severity))
		where := ""
		if e.Computer != nil {
			where = " on " + e.Computer.Name
		}
		s.text(4, e.Title+where+"\n"+e.Description)
	}
}

func (s *story) digest(d *v1alpha1.Digest) {
	s.title("What was held back")
	s.plain(2, "Limit", fmt.Sprintf("%d from %s to %s", d.Count, utc(d.Since.Time), utc(d.Until.Time)))
	s.plain(2, "Held back", counted(d.Suppressed, "notification"))
	for _, c := range d.Conditions {
		s.say(2, "Condition", fmt.Sprintf("%s: %d, %s, from %s to %s", c.Condition, c.Count, c.Severity,
			utc(c.FirstTime.Time), utc(c.LastTime.Time)), severityTone(c.Severity))
	}
}

func (s *story) deliveries(n *v1alpha1.Notification) {
	for _, d := range n.Spec.Deliveries {
		s.title("Delivery through " + d.Channel)
		s.list(2, "Fallback for", d.FallbackFor)
		became := deliveryOf(n, d.Channel)
		if became == nil {
			s.say(2, "State", string(v1alpha1.DeliveryPending), screen.Warn)
		} else {
			s.delivery(became)
		}
		if became == nil || len(became.Recipients) == 0 {
			s.list(2, "To", d.Recipients)
		}
		s.limit(d.Limit)
		s.plain(2, "Subject", d.Subject)
		s.text(2, d.Message)
	}
	for i := range n.Status.Deliveries { // of a Test, whose spec has none
		if d := &n.Status.Deliveries[i]; planned(n, d.Channel) == nil {
			s.title("Delivery through " + d.Channel)
			s.delivery(d)
		}
	}
}

func (s *story) delivery(d *v1alpha1.DeliveryStatus) {
	s.say(2, "State", string(d.State)+around(" (", d.Reason, ")"), stateTone(string(d.State)))
	s.plain(2, "", d.Message)
	if d.NextAttemptTime != nil {
		s.plain(2, "Next attempt", utc(d.NextAttemptTime.Time))
	}
	if x := d.Suppressed; x != nil {
		s.plain(2, "Held back", fmt.Sprintf("%s of the condition, from %s to %s", counted(x.Count, "notification"),
			utc(x.FirstTime.Time), utc(x.LastTime.Time)))
	}
	s.limit(d.Limit)
	s.plain(2, "Message-ID", d.MessageID)
	for _, r := range d.Recipients {
		tone := screen.Warn
		switch r.State {
		case v1alpha1.RecipientAccepted:
			tone = screen.Good
		case v1alpha1.RecipientRefused:
			tone = screen.Bad
		}
		s.say(2, "To", fmt.Sprintf("%s: %s%s", r.Address, r.State, reply(r)), tone)
	}
	if earlier := int(d.AttemptCount) - len(d.Attempts); earlier > 0 {
		s.plain(2, "Attempts", counted(int64(earlier), "earlier one"))
	}
	for _, attempt := range d.Attempts {
		s.plain(2, "Attempt "+strconv.Itoa(int(attempt.Number)), attemptLine(attempt))
		s.text(4, attempt.Output)
	}
}

func (s *story) limit(l *v1alpha1.LimitPlace) {
	if l == nil {
		return
	}
	place := "used up"
	if l.Number > 0 {
		place = fmt.Sprintf("number %d", l.Number)
	}
	s.plain(2, "Limit", fmt.Sprintf("%s of %d from %s to %s", place, l.Count, utc(l.Since.Time), utc(l.Until.Time)))
}

func reply(r v1alpha1.RecipientStatus) string {
	text := ""
	if r.Code != 0 {
		text = " " + strconv.Itoa(int(r.Code))
	}
	return text + around(" ", r.EnhancedCode, "") + around(" ", r.Response, "")
}

func attemptLine(at v1alpha1.Attempt) string {
	text := utc(at.StartTime.Time)
	switch {
	case at.EndTime == nil && at.Reason == "":
		text += ", not ended"
	case at.EndTime != nil && at.EndTime.After(at.StartTime.Time):
		text += ", took " + at.EndTime.Sub(at.StartTime.Time).String()
	}
	text += around(": ", at.Reason, "") + around(" by ", at.Server, "") + around(", Job ", at.Job, "")
	if at.ExitCode != nil {
		text += fmt.Sprintf(", exit code %d", *at.ExitCode)
	}
	encryption := at.TLS
	if at.TLS == "none" {
		encryption = "not encrypted"
	}
	text += around(", ", encryption, "") + around(", verified by ", at.Verified, "") + around(", queued as ", at.QueueID, "")
	return text + around("; ", at.Message, "")
}

func deliveryOf(n *v1alpha1.Notification, channel string) *v1alpha1.DeliveryStatus {
	for i := range n.Status.Deliveries {
		if n.Status.Deliveries[i].Channel == channel {
			return &n.Status.Deliveries[i]
		}
	}
	return nil
}

func planned(n *v1alpha1.Notification, channel string) *v1alpha1.Delivery {
	for i := range n.Spec.Deliveries {
		if n.Spec.Deliveries[i].Channel == channel {
			return &n.Spec.Deliveries[i]
		}
	}
	return nil
}

func threshold(t v1alpha1.EffectiveThreshold) string {
	return fmt.Sprintf("%d in %s, %s", t.Count, t.Window, t.Scope)
}

func span(first, last *metav1.Time) string {
	switch {
	case first == nil:
		return ""
	case last == nil, first.Equal(last):
		return utc(first.Time)
	default:
		return utc(first.Time) + " to " + utc(last.Time)
	}
}

func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// from is the name of an event, with its namespace if that is another than home.
func from(home, namespace, name string) string {
	if namespace == home {
		return name
	}
	return around("", namespace, "/") + name
}

func of(key string) string { return around(" for ", key, "") }

func around(before, text, after string) string {
	if text == "" {
		return ""
	}
	return before + text + after
}

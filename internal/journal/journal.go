// SPDX-License-Identifier: Apache-2.0

// Package journal writes decisions down: it makes the Notification object of a firing, with a name computed from what it
// is about, so that the same decision cannot be written twice.
package journal

import (
	"cmp"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/legible"
	"github.com/tocsin-dev/tocsin/internal/message"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// Labels of a Notification, for selectors. A condition or channel whose name is too long for a label has none.
const (
	LabelCondition = v1alpha1.Group + "/condition"
	// LabelDay is the day of the decision in UTC, such as 2026-11-22.
	LabelDay      = v1alpha1.Group + "/day"
	LabelSeverity = v1alpha1.Group + "/severity"
	LabelType     = v1alpha1.Group + "/type"
	// ChannelLabels is the prefix of the labels, without values, that name the channels.
	ChannelLabels = "channel." + v1alpha1.Group + "/"
)

// maxCreator is how long the name of a condition's creator gets, in characters.
const maxCreator = 256

// maxName keeps a Notification's name within what Kubernetes admits (253 characters).
const maxName = 200

// Name computes a Notification's name from the condition, the damper's key and the sequence number.
func Name(condition string, uid types.UID, key string, sequence int64) string {
	hash := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%d", uid, key, sequence))
	suffix := strings.ToLower(base32.StdEncoding.EncodeToString(hash[:])[:10])
	if len(condition) > maxName {
		condition = strings.TrimRight(condition[:maxName], ".-")
	}
	return condition + "-" + suffix
}

// Compose makes the Notification of a firing. The channels are those of the condition's namespace.
func Compose(f plan.Firing, channels []v1alpha1.NotificationChannel) *v1alpha1.Notification {
	n := Blank(f)
	condition := f.Rule.Condition
	n.Spec = v1alpha1.NotificationSpec{
		Type: string(condition.Spec.Type),
		Condition: &v1alpha1.ConditionSnapshot{
			Name: condition.Name, UID: condition.UID, Generation: condition.Generation,
			Threshold: f.Rule.Threshold, Damper: damperOf(f.Rule),
		},
		Creator:  creatorOf(condition),
		Severity: cmp.Or(v1alpha1.SeverityOf(f.Window.Severity), v1alpha1.SeverityInfo),
		Trigger:  triggerOf(f),
	}
	for _, action := range actions(condition, channels) {
		n.Spec.Deliveries = append(n.Spec.Deliveries, Deliver(n, action, Find(channels, action.ChannelRef.Name)))
	}
	standBy(n, channels)
	n.Labels = labels(n, f.Time)
	return n
}

// standBy adds the fallbacks of the channels, and theirs. Each channel is told through once.
func standBy(n *v1alpha1.Notification, channels []v1alpha1.NotificationChannel) {
	direct := len(n.Spec.Deliveries)
	for i := 0; i < len(n.Spec.Deliveries); i++ {
		name := n.Spec.Deliveries[i].Channel
		channel := Find(channels, name)
		if channel == nil || channel.Spec.FallbackRef == nil {
			continue
		}
		fallback := channel.Spec.FallbackRef.Name
		known := slices.IndexFunc(n.Spec.Deliveries, func(d v1alpha1.Delivery) bool { return d.Channel == fallback })
		switch {
		case known >= 0 && known < direct, known >= 0 && known <= i: // it is told anyhow, or comes back to where it began
		case known >= 0:
			n.Spec.Deliveries[known].FallbackFor = append(n.Spec.Deliveries[known].FallbackFor, name)
		case len(n.Spec.Deliveries) < maxMessages:
			action := v1alpha1.Action{ChannelRef: v1alpha1.ChannelReference{Name: fallback}}
			d := Deliver(n, action, Find(channels, fallback))
			d.FallbackFor = []string{name}
			n.Spec.Deliveries = append(n.Spec.Deliveries, d)
		}
	}
}

// Digest makes the Notification that tells what a channel's limit has held back, those who would have been told of that: if it
// is nobody in particular, the channel's own recipients.
func Digest(channel *v1alpha1.NotificationChannel, digest *v1alpha1.Digest, recipients []string,
	channels []v1alpha1.NotificationChannel) *v1alpha1.Notification {
	n := &v1alpha1.Notification{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: channel.Namespace,
			Name:      DigestName(channel, digest, 0),
		},
		Spec: v1alpha1.NotificationSpec{Type: v1alpha1.NotificationTypeDigest, Digest: digest},
	}
	for _, entry := range digest.Conditions {
		if entry.Severity.Number() > n.Spec.Severity.Number() {
			n.Spec.Severity = entry.Severity
		}
	}
	d := Deliver(n, v1alpha1.Action{ChannelRef: v1alpha1.ChannelReference{Name: channel.Name}}, channel)
	if len(recipients) > 0 {
		d.Recipients = recipients[:min(len(recipients), maxRecipients)]
	}
	n.Spec.Deliveries = []v1alpha1.Delivery{d}
	standBy(n, channels)
	n.Labels = labels(n, digest.Until.Time)
	return n
}

// DigestName computes a digest's name. Where a notification of another kind has it, which users can bring about, the next number
// gives another.
func DigestName(channel *v1alpha1.NotificationChannel, digest *v1alpha1.Digest, number int) string {
	key := ""
	if number > 0 {
		key = strconv.Itoa(number)
	}
	return Name(channel.Name+"-digest", channel.UID, key, digest.Since.Unix())
}

// Blank is the Notification of a firing without its content: namespace and name.
func Blank(f plan.Firing) *v1alpha1.Notification {
	condition := f.Rule.Condition
	return &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{
		Namespace: condition.Namespace,
		Name:      Name(condition.Name, condition.UID, f.Key, f.Sequence),
	}}
}

// Same says whether two Notifications of one name are the same decision. Digests of one channel and interval are, whatever
// they are called.
func Same(a, b *v1alpha1.Notification) bool {
	if s, t := a.Spec.Digest, b.Spec.Digest; s != nil && t != nil && len(a.Spec.Deliveries) > 0 && len(b.Spec.Deliveries) > 0 {
		return s.Since.Equal(&t.Since) && a.Spec.Deliveries[0].Channel == b.Spec.Deliveries[0].Channel
	}
	x, y := a.Spec.Trigger, b.Spec.Trigger
	return x != nil && y != nil && x.Reason == y.Reason && x.UpTo == y.UpTo && x.Time.Equal(&y.Time)
}

// actions are the condition's own, or one for each default channel.
func actions(condition *v1alpha1.NotificationCondition, channels []v1alpha1.NotificationChannel) []v1alpha1.Action {
	if len(condition.Spec.Actions) > 0 {
		return condition.Spec.Actions
	}
	var defaults []v1alpha1.Action
	for i := range channels {
		if channels[i].Spec.Default {
			defaults = append(defaults, v1alpha1.Action{ChannelRef: v1alpha1.ChannelReference{Name: channels[i].Name}})
		}
	}
	slices.SortFunc(defaults, func(a, b v1alpha1.Action) int {
		return strings.Compare(a.ChannelRef.Name, b.ChannelRef.Name)
	})
	return defaults[:min(len(defaults), maxDeliveries)]
}

const (
	// maxDeliveries is how many channels one Notification can go through.
	maxDeliveries = 16
	// maxMessages is how many there can be with their fallbacks.
	maxMessages = 20
	// maxRecipients is how many a message can have.
	maxRecipients = 100
)

// Find returns the channel of that name; nil if there is none.
func Find(channels []v1alpha1.NotificationChannel, name string) *v1alpha1.NotificationChannel {
	for i := range channels {
		if channels[i].Name == name {
			return &channels[i]
		}
	}
	return nil
}

// Deliver renders what goes through one channel: the action's settings, then the channel's, then the defaults. The channel
// is nil when it does not exist.
func Deliver(n *v1alpha1.Notification, action v1alpha1.Action, channel *v1alpha1.NotificationChannel) v1alpha1.Delivery {
	if channel != nil && channel.Spec.SMS != nil {
		return deliverShort(n, action.ChannelRef.Name, channel.Spec.SMS)
	}
	var settings v1alpha1.EmailOverride
	if channel != nil && channel.Spec.Email != nil {
		email := channel.Spec.Email
		settings = v1alpha1.EmailOverride{Recipients: email.Recipients, Subject: email.Subject, Message: email.Message}
	}
	if own := action.Email; own != nil {
		if len(own.Recipients) > 0 {
			settings.Recipients = own.Recipients
		}
		if own.Subject != "" {
			settings.Subject = own.Subject
		}
		if own.Message != "" {
			settings.Message = own.Message
		}
	}
	d := v1alpha1.Delivery{Channel: action.ChannelRef.Name}
	for _, r := range settings.Recipients {
		d.Recipients = append(d.Recipients, string(r))
	}
	if n.Spec.Digest != nil {
		d.Subject, d.Message = message.Digest(&n.Spec, n.Namespace, limited(n, d.Channel))
		return d
	}
	d.Subject, d.Message = message.Render(template(settings.Subject), template(settings.Message), Values(n), &n.Spec)
	return d
}

// Values are the values of the placeholders for a Notification.
func Values(n *v1alpha1.Notification) placeholder.Values {
	values := message.Values(n.Namespace, n.Name, &n.Spec)
	if !n.CreationTimestamp.IsZero() {
		message.FillTimes(values, n.CreationTimestamp.Time)
	}
	return values
}

// template parses what the schema has admitted; should it ever not parse, the default text is better than none.
func template[T v1alpha1.Subject | v1alpha1.Text](t T) placeholder.Template {
	parsed, err := placeholder.Parse(string(t))
	if err != nil {
		return placeholder.Template{}
	}
	return parsed
}

func triggerOf(f plan.Firing) *v1alpha1.Trigger {
	t := &v1alpha1.Trigger{
		Reason: f.Reason, Time: metav1.NewTime(f.Time), Key: f.Key, Sequence: f.Sequence,
		Occurrences:   f.Window.Occurrences,
		Computers:     int32(f.Window.Computers), //nolint:gosec // a window holds some ten thousand entries at most
		ComputerNames: f.Window.ComputerNames, Risks: f.Window.Risks,
		Held: f.Held, UpTo: plan.FormatPosition(f.UpTo),
	}
	if !f.LastFired.IsZero() {
		fired := metav1.NewTime(f.LastFired)
		t.LastFiredTime = &fired
	}
	if !f.Window.First.IsZero() {
		first, last := metav1.NewTime(f.Window.First), metav1.NewTime(f.Window.Last)
		t.FirstTime, t.LastTime = &first, &last
	}
	if f.Event != nil {
		t.Event = &v1alpha1.EventSnapshot{
			SecurityEventSpec: legible.Event(&f.Event.Spec),
			Namespace:         f.Event.Namespace, Name: f.Event.Name, UID: f.Event.UID,
		}
		if t.Event.Time == nil {
			t.Event.Time = f.Event.CreationTimestamp.DeepCopy()
		}
	}
	return t
}

func damperOf(rule *plan.Rule) string {
	if rule.Damper() == 0 {
		return ""
	}
	return string(v1alpha1.FormatDuration(rule.Damper()))
}

// creatorOf is who made the condition, as admission vouches for it; empty if nobody knows.
func creatorOf(condition *v1alpha1.NotificationCondition) string {
	creator := []rune(condition.Annotations[v1alpha1.CreatorAnnotation])
	return string(creator[:min(len(creator), maxCreator)])
}

func labels(n *v1alpha1.Notification, decided time.Time) map[string]string {
	l := map[string]string{
		LabelType: n.Spec.Type, LabelSeverity: string(n.Spec.Severity), LabelDay: decided.UTC().Format(time.DateOnly),
	}
	if c := n.Spec.Condition; c != nil && len(validation.IsValidLabelValue(c.Name)) == 0 {
		l[LabelCondition] = c.Name
	}
	for _, d := range n.Spec.Deliveries {
		if label := ChannelLabels + d.Channel; len(validation.IsQualifiedName(label)) == 0 {
			l[label] = ""
		}
	}
	return l
}

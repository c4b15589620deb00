// SPDX-License-Identifier: Apache-2.0

// Package logfilter says whether an entry of the log, or an event, meets a NotificationFilter, and which part of the filter
// the API server can be asked to apply. It is pure.
package logfilter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
)

// Filter is a NotificationFilter, ready to be asked often.
type Filter struct {
	spec v1alpha1.NotificationFilterSpec
	// since and until limit the time, each unless zero: from since on, and before until.
	since, until time.Time

	types, creators, conditions, computers, channels patterns
	text                                             string
}

// Compile prepares a filter that is used now. An error begins with the field that cannot be used, a colon and a space.
func Compile(spec *v1alpha1.NotificationFilterSpec, now time.Time) (*Filter, error) {
	f := &Filter{
		spec:       *spec.DeepCopy(),
		since:      timeOf(spec.Since),
		until:      timeOf(spec.Until),
		types:      compile(spec.Types, strings.ToLower),
		creators:   compile(spec.Creators, asIs),
		conditions: compile(spec.Conditions, strings.ToLower),
		computers:  compile(spec.Computers, strings.ToLower),
		channels:   compile(spec.Channels, strings.ToLower),
		text:       strings.ToLower(spec.Text),
	}
	if spec.Last != "" {
		if spec.Since != nil || spec.Until != nil {
			return nil, errors.New("spec.last: counts back from now: give either `last`, or `since` and `until`")
		}
		back, err := time.ParseDuration(string(spec.Last))
		if err != nil {
			return nil, fmt.Errorf("spec.last: %w", err)
		}
		f.since = now.Add(-back)
	}
	if !f.since.IsZero() && !f.until.IsZero() && !f.since.Before(f.until) {
		return nil, errors.New("spec.until: must be later than `since`")
	}
	return f, nil
}

// Match says whether an entry of the log meets the filter.
func (f *Filter) Match(n *v1alpha1.Notification) bool {
	acknowledged := n.Spec.Acknowledgement != nil
	return f.during(Time(n)) &&
		(f.spec.Acknowledged == nil || *f.spec.Acknowledged == acknowledged) &&
		f.types.match(n.Spec.Type) &&
		f.creators.match(n.Spec.Creator) &&
		f.conditions.match(condition(n)) &&
		oneOf(f.spec.Severities, n.Spec.Severity) &&
		f.computers.match(Computers(n)...) &&
		f.channels.match(Channels(n)...) &&
		oneOf(f.spec.States, State(n)) &&
		f.says(n)
}

// Time is when an entry of the log was decided; a Test and a Digest when they were created.
func Time(n *v1alpha1.Notification) time.Time {
	if n.Spec.Trigger != nil {
		return n.Spec.Trigger.Time.Time
	}
	return n.CreationTimestamp.Time
}

// State is how the deliveries went as a whole; Pending before there is anything to say.
func State(n *v1alpha1.Notification) v1alpha1.LogState {
	if reason := status.Reason(n.Status.Conditions, v1alpha1.SucceededCondition); reason != "" {
		return v1alpha1.LogState(reason)
	}
	return v1alpha1.ReasonPending
}

func (f *Filter) during(t time.Time) bool {
	return (f.since.IsZero() || !t.Before(f.since)) && (f.until.IsZero() || t.Before(f.until))
}

// says looks for the text, which is asked for last as it costs most.
func (f *Filter) says(n *v1alpha1.Notification) bool {
	return f.text == "" || f.within(Texts(n)...)
}

// Texts are what a text is looked for in, each once: the message is often the same for all channels.
func Texts(n *v1alpha1.Notification) []string {
	var list []string
	add := func(texts ...string) {
		for _, s := range texts {
			if s != "" && !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	for i := range n.Spec.Deliveries {
		add(n.Spec.Deliveries[i].Subject, n.Spec.Deliveries[i].Message)
	}
	if a := n.Spec.Acknowledgement; a != nil {
		add(a.Comment)
	}
	if t := n.Spec.Trigger; t != nil {
		add(t.Risks...)
		if t.Event != nil {
			add(textsOf(&t.Event.SecurityEventSpec)...)
		}
	}
	return list
}

func textsOf(e *v1alpha1.SecurityEventSpec) []string {
	list := []string{e.Title, e.Description, e.User, e.Server, e.Task}
	if e.Risk != nil {
		list = append(list, e.Risk.Name, e.Risk.Category)
	}
	if e.Application != nil {
		list = append(list, e.Application.Name, e.Application.Path)
	}
	return list
}

// tells says whether an event speaks of the text.
func (f *Filter) tells(e *v1alpha1.SecurityEventSpec) bool { return f.within(textsOf(e)...) }

func (f *Filter) within(texts ...string) bool {
	return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(strings.ToLower(s), f.text) })
}

func condition(n *v1alpha1.Notification) string {
	if n.Spec.Condition == nil {
		return ""
	}
	return n.Spec.Condition.Name
}

// Computers are the names that an entry of the log tells of.
func Computers(n *v1alpha1.Notification) []string {
	trigger := n.Spec.Trigger
	if trigger == nil {
		return nil
	}
	if trigger.Event == nil || trigger.Event.Computer == nil {
		return trigger.ComputerNames
	}
	return append(slices.Clip(trigger.ComputerNames), trigger.Event.Computer.Name)
}

// Channels are the names of those that an entry of the log goes through.
func Channels(n *v1alpha1.Notification) []string {
	var names []string
	if n.Spec.ChannelRef != nil {
		names = append(names, n.Spec.ChannelRef.Name)
	}
	for i := range n.Spec.Deliveries {
		names = append(names, n.Spec.Deliveries[i].Channel)
	}
	return names
}

func oneOf[S ~string](allowed []S, value S) bool {
	return len(allowed) == 0 || slices.Contains(allowed, value)
}

func timeOf(t *metav1.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.Time
}

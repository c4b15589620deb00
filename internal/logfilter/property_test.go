// SPDX-License-Identifier: Apache-2.0

package logfilter_test

import (
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

// model is a filter in a way that is slow and obvious.
func model(f *spec, n *v1alpha1.Notification) bool {
	when := n.CreationTimestamp.Time
	var condition string
	var computers, channels []string
	texts := []string{}
	if t := n.Spec.Trigger; t != nil {
		when = t.Time.Time
		computers = append(computers, t.ComputerNames...)
		texts = append(texts, t.Risks...)
		if t.Event != nil {
			texts = append(texts, t.Event.Title, t.Event.Description)
			if t.Event.Computer != nil {
				computers = append(computers, t.Event.Computer.Name)
			}
		}
	}
	if n.Spec.Condition != nil {
		condition = n.Spec.Condition.Name
	}
	if n.Spec.ChannelRef != nil {
		channels = append(channels, n.Spec.ChannelRef.Name)
	}
	for _, d := range n.Spec.Deliveries {
		channels = append(channels, d.Channel)
		texts = append(texts, d.Subject, d.Message)
	}
	if n.Spec.Acknowledgement != nil {
		texts = append(texts, n.Spec.Acknowledgement.Comment)
	}
	state := "Pending"
	for _, c := range n.Status.Conditions {
		if c.Type == "Succeeded" {
			state = c.Reason
		}
	}
	switch {
	case f.Since != nil && when.Before(f.Since.Time), f.Until != nil && !when.Before(f.Until.Time):
		return false
	case f.Acknowledged != nil && *f.Acknowledged != (n.Spec.Acknowledgement != nil):
		return false
	case len(f.Severities) > 0 && !slices.Contains(f.Severities, n.Spec.Severity):
		return false
	case len(f.States) > 0 && !slices.Contains(f.States, v1alpha1.LogState(state)):
		return false
	case f.Text != "" && !slices.ContainsFunc(texts, func(s string) bool {
		return strings.Contains(strings.ToLower(s), strings.ToLower(f.Text))
	}):
		return false
	}
	return anyOf(f.Types, "(?i)", n.Spec.Type) && anyOf(f.Creators, "", n.Spec.Creator) && anyOf(f.Conditions, "(?i)", condition) &&
		anyOf(f.Computers, "(?i)", computers...) && anyOf(f.Channels, "(?i)", channels...)
}

func anyOf(patterns []v1alpha1.Wildcard, flags string, values ...string) bool {
	if len(patterns) == 0 {
		return true
	}
	for _, p := range patterns {
		parts := strings.Split(string(p), "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		expression := regexp.MustCompile(flags + "^" + strings.Join(parts, ".*") + "$")
		for _, v := range values {
			if v != "" && expression.MatchString(v) {
				return true
			}
		}
	}
	return false
}

// dice draws from a few values, so that filters and entries meet often.
type dice struct{ *rand.Rand }

func pick[T any](d dice, values ...T) T { return values[d.IntN(len(values))] }

func (d dice) sometimes() bool { return d.IntN(3) == 0 }

func (d dice) wildcards(values ...v1alpha1.Wildcard) []v1alpha1.Wildcard {
	if !d.sometimes() {
		return nil
	}
	list := []v1alpha1.Wildcard{}
	for range 1 + d.IntN(3) {
		list = append(list, pick(d, values...))
	}
	return list
}

func (d dice) time() *metav1.Time { return at(time.Duration(d.IntN(10)) * time.Hour) }

var longName = strings.Repeat("a", 70)

func (d dice) filter() spec {
	f := spec{
		Types:      d.wildcards("RiskOutbreak", "riskoutbreak", "Test", "test", "Digest", "Risk*", "*", "Custom", "Unknown"),
		Creators:   d.wildcards("alice", "Alice", "a*", "bob"),
		Conditions: d.wildcards("outbreak", "OUTBREAK", "single", "*", "s*e", v1alpha1.Wildcard(longName), "with space"),
		Computers:  d.wildcards("ws-1", "WS-*", "*2", "ws-3"),
		Channels:   d.wildcards("soc", "duty", "*", "s*c*"),
	}
	if d.sometimes() {
		f.Since = d.time()
	}
	if d.sometimes() {
		f.Until = d.time()
	}
	if d.sometimes() {
		f.Acknowledged = pointer(d.sometimes())
	}
	for range d.IntN(3) {
		f.Severities = append(f.Severities, pick(d, v1alpha1.SeverityCritical, v1alpha1.SeverityWarning))
	}
	if d.sometimes() {
		f.States = append(f.States, pick[v1alpha1.LogState](d, "Failed", "Delivered", "Pending"))
	}
	if d.sometimes() {
		f.Text = pick(d, "worm", "Found", "mail", "ß")
	}
	return f
}

// entry is one as Tocsin writes it, with its labels, or a test as users do.
func (d dice) entry() *v1alpha1.Notification {
	n := &v1alpha1.Notification{}
	n.CreationTimestamp = *d.time()
	if d.sometimes() {
		n.Spec.Acknowledgement = &v1alpha1.Acknowledgement{Comment: pick(d, "found it", "ok")}
	}
	if d.sometimes() {
		n.Status.Conditions = []metav1.Condition{{Type: "Succeeded", Reason: pick(d, "Failed", "Delivered")}}
	}
	if d.sometimes() {
		n.Spec.Type, n.Spec.ChannelRef = "Test", &v1alpha1.ChannelReference{Name: pick(d, "soc", "duty")}
		return n
	}
	n.Spec.Type = pick(d, "RiskOutbreak", "Custom", "SingleRiskEvent")
	n.Spec.Creator = pick(d, "", "alice", "Alice", "bob")
	n.Spec.Severity = pick(d, v1alpha1.SeverityInfo, v1alpha1.SeverityWarning, v1alpha1.SeverityCritical)
	n.Spec.Condition = &v1alpha1.ConditionSnapshot{Name: pick(d, "outbreak", "single", "someone", longName)}
	n.Spec.Trigger = &v1alpha1.Trigger{Time: *d.time(), Risks: []string{pick(d, "Worm", "EICAR")}}
	for range d.IntN(3) {
		n.Spec.Trigger.ComputerNames = append(n.Spec.Trigger.ComputerNames, pick(d, "ws-1", "WS-2", "db"))
	}
	if d.sometimes() {
		n.Spec.Trigger.Event = &v1alpha1.EventSnapshot{SecurityEventSpec: v1alpha1.SecurityEventSpec{
			Title: pick(d, "Risk found", "GROSS"), Computer: &v1alpha1.Computer{Name: pick(d, "ws-1", "ws-3")},
		}}
	}
	for range d.IntN(3) {
		n.Spec.Deliveries = append(n.Spec.Deliveries, v1alpha1.Delivery{Channel: pick(d, "soc", "duty"), Subject: pick(d, "mail", "")})
	}
	n.Labels = map[string]string{journal.LabelType: n.Spec.Type, journal.LabelSeverity: string(n.Spec.Severity)}
	if len(validation.IsValidLabelValue(n.Spec.Condition.Name)) == 0 {
		n.Labels[journal.LabelCondition] = n.Spec.Condition.Name
	}
	return n
}

// selected says whether the API server would let an entry through.
func selected(s logfilter.Selectors, n *v1alpha1.Notification) bool {
	set := fields.Set{"spec.type": n.Spec.Type, "spec.severity": string(n.Spec.Severity), "spec.creator": n.Spec.Creator}
	if n.Spec.Condition != nil {
		set["spec.condition.name"] = n.Spec.Condition.Name
	}
	return (s.Fields == nil || s.Fields.Matches(set)) && (s.Labels == nil || s.Labels.Matches(labels.Set(n.Labels)))
}

func TestAFilterIsItsModelAndTheServerLeavesNothingOutThatItSelects(t *testing.T) {
	t.Parallel()
	d := dice{rand.New(rand.NewPCG(6, 1))}
	matched, spared := 0, 0
	for range 20_000 {
		s := d.filter()
		f, err := logfilter.Compile(&s, now)
		if err != nil {
			if s.Since == nil || s.Until == nil || s.Since.Before(s.Until) {
				t.Fatalf("refused for no reason: %v: %+v", err, s)
			}
			continue
		}
		n := d.entry()
		got := f.Match(n)
		if want := model(&s, n); got != want {
			t.Fatalf("got %t, want %t\nfilter %+v\nentry %+v", got, want, s, n.Spec)
		}
		let := selected(f.Selectors(), n)
		if got && !let {
			t.Fatalf("the server would leave out what matches\nfilter %+v\nselectors %+v\nentry %+v", s, f.Selectors(), n.Spec)
		}
		if got {
			matched++
		}
		if !let {
			spared++
		}
	}
	if matched < 500 || spared < 2000 {
		t.Errorf("the dice show too little: %d matched, %d left out by the server", matched, spared)
	}
}

func TestWhatTheServerSelectsBy(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		filter                 spec
		wantFields, wantLabels string
	}{
		"one of each": {spec{
			Types: []v1alpha1.Wildcard{"riskoutbreak"}, Conditions: []v1alpha1.Wildcard{"Outbreak"},
			Severities: []v1alpha1.Severity{"Critical"}, Creators: []v1alpha1.Wildcard{"alice"},
		}, "spec.type=RiskOutbreak,spec.condition.name=outbreak,spec.severity=Critical,spec.creator=alice", ""},
		"several": {spec{
			Types: []v1alpha1.Wildcard{"RiskOutbreak", "Digest"}, Conditions: []v1alpha1.Wildcard{"a", "b"},
			Severities: []v1alpha1.Severity{"Critical", "Warning"}, Creators: []v1alpha1.Wildcard{"alice", "bob"},
		}, "", "tocsin.dev/condition in (a,b),tocsin.dev/severity in (Critical,Warning),tocsin.dev/type in (Digest,RiskOutbreak)"},
		"tests have no labels":               {spec{Types: []v1alpha1.Wildcard{"RiskOutbreak", "Test"}}, "", ""},
		"wildcards":                          {spec{Types: []v1alpha1.Wildcard{"Risk*"}, Conditions: []v1alpha1.Wildcard{"a", "b*"}}, "", ""},
		"names that are too long for labels": {spec{Conditions: []v1alpha1.Wildcard{"a", v1alpha1.Wildcard(longName)}}, "", ""},
		"a type that is not known":           {spec{Types: []v1alpha1.Wildcard{"Tomorrow"}}, "", ""},
		"what only the log's content tells":  {spec{Text: "x", Computers: []v1alpha1.Wildcard{"ws"}, Last: "1h"}, "", ""},
	} {
		s := compile(t, tc.filter).Selectors()
		gotFields, gotLabels := "", ""
		if s.Fields != nil {
			gotFields = s.Fields.String()
		}
		if s.Labels != nil {
			gotLabels = s.Labels.String()
		}
		if gotFields != tc.wantFields || gotLabels != tc.wantLabels {
			t.Errorf("%s: got %q and %q", name, gotFields, gotLabels)
		}
	}
}

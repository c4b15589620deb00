// SPDX-License-Identifier: Apache-2.0

package logfilter_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func at(ago time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(-ago)} }

func pointer[T any](value T) *T { return &value }

type spec = v1alpha1.NotificationFilterSpec

// outbreak is an entry of the log, an hour old.
func outbreak() *v1alpha1.Notification {
	n := &v1alpha1.Notification{}
	n.Spec = v1alpha1.NotificationSpec{
		Type: "RiskOutbreak", Creator: "Alice@example.com", Severity: v1alpha1.SeverityCritical,
		Condition: &v1alpha1.ConditionSnapshot{Name: "outbreak"},
		Trigger: &v1alpha1.Trigger{
			Time: *at(time.Hour), ComputerNames: []string{"WS-0042"}, Risks: []string{"Worm.Example.A"},
			Event: &v1alpha1.EventSnapshot{SecurityEventSpec: v1alpha1.SecurityEventSpec{
				Title: "Malicious object", User: "mara", Computer: &v1alpha1.Computer{Name: "files-03"},
			}},
		},
		Deliveries: []v1alpha1.Delivery{{Channel: "soc-mail", Subject: "OUTBREAK!", Message: "five computers"}},
	}
	n.Status.Conditions = []metav1.Condition{{Type: v1alpha1.SucceededCondition, Reason: v1alpha1.ReasonFailed}}
	return n
}

func TestEachFieldSaysWhichEntriesMatch(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		filter spec
		want   bool
	}{
		"no fields":                         {spec{}, true},
		"since before it":                   {spec{Since: at(2 * time.Hour)}, true},
		"since just then":                   {spec{Since: at(time.Hour)}, true},
		"since after it":                    {spec{Since: at(time.Minute)}, false},
		"until after it":                    {spec{Until: at(time.Minute)}, true},
		"until just then":                   {spec{Until: at(time.Hour)}, false},
		"the last two hours":                {spec{Last: "2h"}, true},
		"the last half hour":                {spec{Last: "30m"}, false},
		"not acknowledged":                  {spec{Acknowledged: pointer(false)}, true},
		"acknowledged":                      {spec{Acknowledged: pointer(true)}, false},
		"type in other case":                {spec{Types: []v1alpha1.Wildcard{"riskoutbreak"}}, true},
		"type by wildcard":                  {spec{Types: []v1alpha1.Wildcard{"Test", "Risk*"}}, true},
		"other type":                        {spec{Types: []v1alpha1.Wildcard{"Test"}}, false},
		"creator":                           {spec{Creators: []v1alpha1.Wildcard{"Alice@*"}}, true},
		"creator in other case":             {spec{Creators: []v1alpha1.Wildcard{"alice@example.com"}}, false},
		"condition":                         {spec{Conditions: []v1alpha1.Wildcard{"*break"}}, true},
		"severity":                          {spec{Severities: []v1alpha1.Severity{"Critical"}}, true},
		"other severity":                    {spec{Severities: []v1alpha1.Severity{"Info", "Warning"}}, false},
		"computer of the window":            {spec{Computers: []v1alpha1.Wildcard{"ws-*"}}, true},
		"computer of the event":             {spec{Computers: []v1alpha1.Wildcard{"files-03"}}, true},
		"other computer":                    {spec{Computers: []v1alpha1.Wildcard{"files-0"}}, false},
		"channel":                           {spec{Channels: []v1alpha1.Wildcard{"soc-*"}}, true},
		"other channel":                     {spec{Channels: []v1alpha1.Wildcard{"duty"}}, false},
		"state":                             {spec{States: []v1alpha1.LogState{"Failed"}}, true},
		"other state":                       {spec{States: []v1alpha1.LogState{"Pending"}}, false},
		"text of a subject":                 {spec{Text: "outbreak!"}, true},
		"text of a message":                 {spec{Text: "Five"}, true},
		"text of the event":                 {spec{Text: "malicious"}, true},
		"text of a risk":                    {spec{Text: "worm."}, true},
		"text has no wildcards":             {spec{Text: "five*"}, false},
		"all fields hold":                   {spec{Last: "2h", Types: []v1alpha1.Wildcard{"*"}, Text: "five"}, true},
		"one of several fields does not":    {spec{Last: "2h", Types: []v1alpha1.Wildcard{"*"}, Text: "six"}, false},
		"an empty value matches no pattern": {spec{Creators: []v1alpha1.Wildcard{"*"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := compile(t, tc.filter).Match(outbreak()); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestAnEntryThatLacksTheValueDoesNotMatch(t *testing.T) {
	t.Parallel()
	try := &v1alpha1.Notification{Spec: v1alpha1.NotificationSpec{Type: "Test", ChannelRef: &v1alpha1.ChannelReference{Name: "soc-mail"}}}
	try.CreationTimestamp = *at(time.Minute)
	anything := []v1alpha1.Wildcard{"*"}
	for name, tc := range map[string]struct {
		filter spec
		want   bool
	}{
		"creators":                       {spec{Creators: anything}, false},
		"conditions":                     {spec{Conditions: anything}, false},
		"computers":                      {spec{Computers: anything}, false},
		"severities":                     {spec{Severities: []v1alpha1.Severity{"Info"}}, false},
		"the channel is that of a test":  {spec{Channels: []v1alpha1.Wildcard{"soc-mail"}}, true},
		"a test begins as it is created": {spec{Last: "2m"}, true},
		"nothing said yet is Pending":    {spec{States: []v1alpha1.LogState{"Pending"}}, true},
	} {
		if got := compile(t, tc.filter).Match(try); got != tc.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
}

func TestContradictionsAreRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		filter spec
		want   string
	}{
		"ends before it begins": {spec{Since: at(time.Hour), Until: at(2 * time.Hour)}, "spec.until: must be later"},
		"ends as it begins":     {spec{Since: at(time.Hour), Until: at(time.Hour)}, "spec.until: must be later"},
		"last and since":        {spec{Last: "1h", Since: at(time.Hour)}, "spec.last: counts back from now"},
		"last and until":        {spec{Last: "1h", Until: at(time.Hour)}, "spec.last: counts back from now"},
		"last is no duration":   {spec{Last: "yesterday"}, "spec.last: "},
	} {
		_, err := logfilter.Compile(&tc.filter, now)
		if err == nil || !strings.HasPrefix(err.Error(), tc.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestEventsAreAskedWhatTheyKnow(t *testing.T) {
	t.Parallel()
	e := &v1alpha1.SecurityEvent{Spec: v1alpha1.SecurityEventSpec{
		Type: "RiskDetected", Severity: v1alpha1.SeverityWarning, Title: "Risk found", Time: at(3 * time.Hour),
		Computer: &v1alpha1.Computer{Name: "ws-0042"}, Risk: &v1alpha1.Risk{Name: "Worm.Example.A"},
	}}
	e.CreationTimestamp = *at(time.Hour)
	for name, tc := range map[string]struct {
		filter spec
		want   bool
	}{
		"by when it happened, not when it was reported": {spec{Last: "2h"}, false},
		"when it happened":  {spec{Last: "4h"}, true},
		"type":              {spec{Types: []v1alpha1.Wildcard{"riskdetected"}}, true},
		"severity":          {spec{Severities: []v1alpha1.Severity{"Critical"}}, false},
		"computer":          {spec{Computers: []v1alpha1.Wildcard{"WS-*"}}, true},
		"text of the risk":  {spec{Text: "example.a"}, true},
		"text of the title": {spec{Text: "RISK F"}, true},
		"other text":        {spec{Text: "packet"}, false},
	} {
		if got := compile(t, tc.filter).MatchEvent(e); got != tc.want {
			t.Errorf("%s: got %t", name, got)
		}
	}
	err := compile(t, spec{Acknowledged: pointer(true), States: []v1alpha1.LogState{"Failed"}}).ForEvents()
	if err == nil || err.Error() != "events have no `acknowledged`, `states`: that is what the log knows" {
		t.Errorf("got %v", err)
	}
	if err := compile(t, spec{Last: "1h", Text: "x"}).ForEvents(); err != nil {
		t.Error(err)
	}
}

func TestAnEventIsNotLaterThanItsCreation(t *testing.T) {
	t.Parallel()
	created := *at(time.Hour)
	for name, tc := range map[string]struct{ time, last, want *metav1.Time }{
		"no time":                 {nil, nil, at(time.Hour)},
		"earlier":                 {at(3 * time.Hour), nil, at(3 * time.Hour)},
		"until later":             {at(3 * time.Hour), at(2 * time.Hour), at(2 * time.Hour)},
		"ahead":                   {at(0), nil, at(time.Hour)},
		"the last of it is ahead": {at(3 * time.Hour), at(0), at(time.Hour)},
	} {
		e := &v1alpha1.SecurityEvent{Spec: v1alpha1.SecurityEventSpec{Time: tc.time, LastTime: tc.last}}
		e.CreationTimestamp = created
		if got := logfilter.EventTime(e); !got.Equal(tc.want.Time) {
			t.Errorf("%s: got %s, want %s", name, got, tc.want)
		}
	}
}

func compile(t *testing.T, s spec) *logfilter.Filter {
	t.Helper()
	f, err := logfilter.Compile(&s, now)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

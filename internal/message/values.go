// SPDX-License-Identifier: Apache-2.0

// Package message makes the text of a notification out of its snapshot, whatever transport will carry it: the values of
// the placeholders, subject and text, the HTML page, and the Message-ID.
//
// All that an event says is hostile: it passes through Line or Block here, is never parsed again, and reaches HTML through
// html/template alone.
package message

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
)

// Lengths of values, in characters. Kaspersky Security Center allows 256 for COMPUTER, 50 for EVENT, 1000 for DESCR and
// 100 for TASK (its help, page 84509); the schema of SecurityEvent allows no more than these.
const (
	maxValue       = 256
	maxDescription = 4096
	maxPath        = 1024
	// maxRisks that %RISK% lists.
	maxRisks = 5
	// maxListed is how many risks and computers a trigger holds at most; with that many, there may be more.
	maxListed = 20
)

// Values are the values of all placeholders for the notification with that namespace, name and spec. Each is one clean
// line, save DESCR, which is a clean block. What the snapshot does not hold is empty. A Test has sample values.
//
// A spec does not hold its own creation time: FillTimes adds it to those of a Test.
func Values(namespace, name string, spec *v1alpha1.NotificationSpec) placeholder.Values {
	if spec == nil {
		spec = &v1alpha1.NotificationSpec{}
	}
	var values placeholder.Values
	if spec.Type == v1alpha1.NotificationTypeTest {
		values = testValues(spec)
	} else {
		values = snapshotValues(spec)
	}
	values[placeholder.Type] = spec.Type
	values[placeholder.Namespace] = namespace
	values[placeholder.Notification] = name
	for key, value := range values {
		switch key {
		case placeholder.Description:
			values[key] = Block(value, maxDescription)
		case placeholder.Risk: // a list of clean lines
		default:
			values[key] = Line(value, maxValue)
		}
	}
	return values
}

// FillTimes sets RISE_TIME, FIRST_TIME and LAST_TIME to the time where they are empty.
func FillTimes(values placeholder.Values, at time.Time) {
	for _, name := range []placeholder.Name{placeholder.RiseTime, placeholder.FirstTime, placeholder.LastTime} {
		if values[name] == "" {
			values[name] = at.UTC().Format(time.RFC3339)
		}
	}
}

func snapshotValues(spec *v1alpha1.NotificationSpec) placeholder.Values {
	trigger := triggerOf(spec)
	event := eventOf(spec)
	severity := cmp.Or(spec.Severity, event.Severity)
	first := cmp.Or(rfc3339(trigger.FirstTime), rfc3339(event.Time), rfc3339(&trigger.Time))
	last := cmp.Or(rfc3339(trigger.LastTime), rfc3339(event.LastTime), rfc3339(event.Time), rfc3339(&trigger.Time))
	values := placeholder.Values{
		placeholder.Severity:       severityWords(severity),
		placeholder.SeverityNumber: strconv.Itoa(severity.Number()),
		placeholder.Event:          event.Title,
		placeholder.Description:    event.Description,
		placeholder.RiseTime:       cmp.Or(rfc3339(event.Time), last),
		placeholder.Task:           event.Task,
		placeholder.Occurrences:    strconv.FormatInt(trigger.Occurrences, 10),
		placeholder.Computers:      strconv.FormatInt(int64(trigger.Computers), 10),
		placeholder.Risk:           riskNames(trigger, event.Risk),
		placeholder.FirstTime:      first,
		placeholder.LastTime:       last,
		placeholder.Held:           strconv.FormatInt(trigger.Held, 10),
	}
	if c := event.Computer; c != nil {
		values[placeholder.Computer] = c.Name
		values[placeholder.Domain] = c.Domain
		values[placeholder.HostIP] = c.IP
		values[placeholder.HostConnectionIP] = c.ConnectionIP
	}
	if p := event.Product; p != nil {
		values[placeholder.Product] = p.Name
		values[placeholder.ProductVersion] = p.Version
	}
	if n := event.Network; n != nil {
		values[placeholder.Action] = n.Action
	}
	if r := event.Risk; r != nil && r.Action != "" {
		values[placeholder.Action] = r.Action
	}
	if c := spec.Condition; c != nil {
		values[placeholder.Condition] = c.Name
		values[placeholder.Window] = tidyDuration(c.Threshold.Window)
	}
	return values
}

// testValues fill every placeholder that does not tell a time, so that a template can be tried. The addresses are those of
// RFC 5737.
func testValues(spec *v1alpha1.NotificationSpec) placeholder.Values {
	severity := cmp.Or(spec.Severity, v1alpha1.SeverityInfo)
	return placeholder.Values{
		placeholder.Severity:         severityWords(severity),
		placeholder.SeverityNumber:   strconv.Itoa(severity.Number()),
		placeholder.Computer:         "test-computer",
		placeholder.Domain:           "test-domain",
		placeholder.Event:            "Test notification",
		placeholder.Description:      "Sample description of a test: nothing has happened.",
		placeholder.Task:             "Test task",
		placeholder.Product:          "Test product",
		placeholder.ProductVersion:   "0.0",
		placeholder.HostIP:           "192.0.2.1",
		placeholder.HostConnectionIP: "192.0.2.2",
		placeholder.Condition:        "test-condition",
		placeholder.Occurrences:      "1",
		placeholder.Computers:        "1",
		placeholder.Risk:             "Test risk",
		placeholder.Action:           "Test action",
		placeholder.Window:           "1m",
		placeholder.Held:             "0",
	}
}

// triggerOf and eventOf spare their callers the question whether there is one.
func triggerOf(spec *v1alpha1.NotificationSpec) *v1alpha1.Trigger {
	if spec == nil || spec.Trigger == nil {
		return &v1alpha1.Trigger{}
	}
	return spec.Trigger
}

func eventOf(spec *v1alpha1.NotificationSpec) *v1alpha1.EventSnapshot {
	if trigger := triggerOf(spec); trigger.Event != nil {
		return trigger.Event
	}
	return &v1alpha1.EventSnapshot{}
}

// severityWords are Kaspersky Security Center's, which a person reads.
func severityWords(severity v1alpha1.Severity) string {
	if severity == v1alpha1.SeverityFunctionalFailure {
		return "Functional failure"
	}
	return string(severity)
}

func rfc3339(t *metav1.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// riskNames lists the trigger's risks if there are several, else names the event's.
func riskNames(trigger *v1alpha1.Trigger, risk *v1alpha1.Risk) string {
	if risk != nil && len(trigger.Risks) < 2 {
		return Line(risk.Name, maxValue)
	}
	names := cleanLines(trigger.Risks)
	if len(names) <= maxRisks {
		return strings.Join(names, ", ")
	}
	more := fmt.Sprintf(" and %d more", len(names)-maxRisks)
	if len(names) >= maxListed {
		more = fmt.Sprintf(" and at least %d more", len(names)-maxRisks)
	}
	return strings.Join(names[:maxRisks], ", ") + more
}

func cleanLines(texts []string) []string {
	lines := make([]string, 0, len(texts))
	for _, text := range texts {
		lines = append(lines, Line(text, maxValue))
	}
	return lines
}

// tidyDuration writes 60m as 1h, and 1h0m0s too. What is no duration stays.
func tidyDuration(d v1alpha1.Duration) string {
	length, err := d.Duration()
	if err != nil {
		return string(d)
	}
	return string(v1alpha1.FormatDuration(length))
}

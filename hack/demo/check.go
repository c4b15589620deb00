// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"time"
)

// sender of all mails.
const sender = "Tocsin <tocsin@example.com>"

// anyTime stands, in an expected text, for a time during the story.
const anyTime = "TIME"

// expectation is a mail that must arrive.
type expectation struct {
	condition string // empty for a test
	to        []string
	subject   string
	text      string
}

func (e expectation) String() string {
	if e.condition == "" {
		return "the test mail"
	}
	return "the mail of condition " + e.condition
}

// span is the time that the story took.
type span struct{ from, to time.Time }

// checkMails says how the mails differ from what is expected: nothing, if each expected mail is there, once, word for
// word, and no other.
func checkMails(expected []expectation, mails []mail, when span) []string {
	var problems []string
	if len(mails) != len(expected) {
		problems = append(problems, fmt.Sprintf("%d mails have arrived; it must be %d", len(mails), len(expected)))
	}
	paired := pair(expected, mails, when)
	for i, e := range expected {
		m, found := paired[i]
		if !found {
			problems = append(problems, fmt.Sprintf("%s has not arrived: %q to %s", e, e.subject, strings.Join(e.to, ", ")))
			continue
		}
		for _, difference := range differences(e, mails[m], when) {
			problems = append(problems, fmt.Sprintf("%s is wrong: %s", e, difference))
		}
	}
	for m := range mails {
		if !isPaired(paired, m) {
			problems = append(problems, fmt.Sprintf("there is a mail too many: %q to %s",
				mails[m].Subject, strings.Join(mails[m].to(), ", ")))
		}
	}
	return problems
}

// pair finds for each expectation, by its index, the index of the mail that differs least from it: those that do not
// differ first, those that differ in more than half of what is compared not at all.
func pair(expected []expectation, mails []mail, when span) map[int]int {
	paired := map[int]int{}
	for allowed := range 3 {
		for i, e := range expected {
			for m := range mails {
				_, found := paired[i]
				if !found && !isPaired(paired, m) && len(differences(e, mails[m], when)) <= allowed {
					paired[i] = m
				}
			}
		}
	}
	return paired
}

func isPaired(paired map[int]int, m int) bool {
	for _, other := range paired {
		if other == m {
			return true
		}
	}
	return false
}

// differences says in what a mail is not as expected: sender, recipients, subject, text, or the page made of the text.
func differences(e expectation, m mail, when span) []string {
	var found []string
	add := func(what, want, got string) {
		found = append(found, fmt.Sprintf("%s\n  expected: %s\n  there is: %s", what, indent(want), indent(got)))
	}
	if got := m.From.String(); got != sender {
		add("the sender", sender, got)
	}
	if got := m.to(); !slices.Equal(got, e.to) {
		add("the recipients", strings.Join(e.to, ", "), strings.Join(got, ", "))
	}
	if m.Subject != e.subject {
		add("the subject", e.subject, m.Subject)
	}
	if !matches(e.text, m.text(), when) {
		add("the text", e.text, m.text())
	}
	if missing := notShown(m); missing != "" {
		add("the HTML page", missing, m.HTML)
	}
	return found
}

func indent(text string) string {
	if strings.Contains(text, "\n") {
		return "\n    " + strings.ReplaceAll(text, "\n", "\n    ")
	}
	return text
}

// matches compares word for word, save for times, which must lie in the story.
func matches(want, got string, when span) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), anyTime, `(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)`)
	found := regexp.MustCompile("^" + pattern + "$").FindStringSubmatch(got)
	if found == nil {
		return false
	}
	for _, text := range found[1:] {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil || t.Before(when.from) || t.After(when.to) {
			return false
		}
	}
	return true
}

// notShown returns the first line of the mail that its HTML page does not show.
func notShown(m mail) string {
	page := html.UnescapeString(m.HTML)
	for _, line := range append([]string{m.Subject}, strings.Split(m.text(), "\n")...) {
		if !strings.Contains(page, line) {
			return line
		}
	}
	return ""
}

// What is read of Notifications and of a NotificationCondition.
type (
	notificationList struct{ Items []notification }
	notification     struct {
		Metadata struct{ Name string }
		Spec     struct {
			Condition struct{ Name string }
		}
		Status struct {
			Conditions []statusCondition
			Deliveries []delivery
		}
	}
	statusCondition struct{ Type, Status, Reason string }
	delivery        struct {
		MessageID string
		Attempts  []attempt
	}
	attempt struct{ TLS string }

	condition struct {
		Status struct{ Dampers []damper }
	}
	damper struct{ Held int }
)

// checkLog says how the log differs from what is expected: one entry for each mail, delivered by one encrypted attempt.
func checkLog(expected []expectation, log []notification, mails []mail) []string {
	var problems []string
	if len(log) != len(expected) {
		problems = append(problems, fmt.Sprintf("the log holds %d notifications; it must be %d", len(log), len(expected)))
	}
	for _, n := range log {
		if problem := checkEntry(expected, n, mails); problem != "" {
			problems = append(problems, fmt.Sprintf("notification %s %s", n.Metadata.Name, problem))
		}
	}
	return problems
}

func checkEntry(expected []expectation, n notification, mails []mail) string {
	e := slices.IndexFunc(expected, func(e expectation) bool { return e.condition == n.Spec.Condition.Name })
	if e < 0 {
		return fmt.Sprintf("is of condition %q, which must not fire", n.Spec.Condition.Name)
	}
	if reason := n.reason(); reason != "Delivered" {
		return "must be Delivered; it is " + reason
	}
	if len(n.Status.Deliveries) != 1 || len(n.Status.Deliveries[0].Attempts) != 1 {
		return "must have one delivery with one attempt"
	}
	delivery := n.Status.Deliveries[0]
	if tls := delivery.Attempts[0].TLS; !strings.HasPrefix(tls, "TLS ") {
		return fmt.Sprintf("must have been sent encrypted; it says %q", tls)
	}
	m := slices.IndexFunc(mails, func(m mail) bool { return m.MessageID == delivery.MessageID })
	if m < 0 || mails[m].Subject != expected[e].subject {
		return fmt.Sprintf("names Message-ID %s, which is not that of %s", delivery.MessageID, expected[e])
	}
	return ""
}

// reason says how far all its deliveries have got.
func (n notification) reason() string {
	for _, c := range n.Status.Conditions {
		if c.Type == "Succeeded" {
			return c.Reason
		}
	}
	return "unknown"
}

// checkHeld says whether the outbreak's damper holds another number than it must.
func checkHeld(outbreak condition) []string {
	if dampers := outbreak.Status.Dampers; len(dampers) != 1 || dampers[0].Held != held {
		return []string{fmt.Sprintf("condition outbreak must have one damper that holds %d; it has %+v", held, dampers)}
	}
	return nil
}

func problemsError(problems []string) error {
	switch len(problems) {
	case 0:
		return nil
	case 1:
		return errors.New(problems[0])
	default:
		return errors.New("not what it should be:\n- " + strings.Join(problems, "\n- "))
	}
}

// SPDX-License-Identifier: Apache-2.0

// Package placeholder knows the %NAME% placeholders of subjects and messages: which there are, where a text uses them
// wrongly, and how to put values in their place.
//
// The CEL rule on type Template in api/v1alpha1 refuses at admission what Parse refuses here, in the same words.
package placeholder

import "slices"

// Name of a placeholder, without its percent signs.
type Name string

// The placeholders of Kaspersky Security Center.
const (
	Severity         Name = "SEVERITY"
	Computer         Name = "COMPUTER"
	Domain           Name = "DOMAIN"
	Event            Name = "EVENT"
	Description      Name = "DESCR"
	RiseTime         Name = "RISE_TIME"
	Task             Name = "KLCSAK_EVENT_TASK_DISPLAY_NAME"
	SeverityNumber   Name = "KLCSAK_EVENT_SEVERITY_NUM"
	Product          Name = "KL_PRODUCT"
	ProductVersion   Name = "KL_VERSION"
	HostIP           Name = "HOST_IP"
	HostConnectionIP Name = "HOST_CONN_IP"
)

// Tocsin's own placeholders.
const (
	Condition    Name = "CONDITION"
	Type         Name = "TYPE"
	Occurrences  Name = "OCCURRENCES"
	Computers    Name = "COMPUTERS"
	Risk         Name = "RISK"
	Action       Name = "ACTION"
	Window       Name = "WINDOW"
	FirstTime    Name = "FIRST_TIME"
	LastTime     Name = "LAST_TIME"
	Held         Name = "HELD"
	Namespace    Name = "NAMESPACE"
	Notification Name = "NOTIFICATION"
)

// Placeholder is a name and what stands in its place.
type Placeholder struct {
	Name        Name
	Description string
}

var table = []Placeholder{
	{Severity, "Severity: Info, Warning, Functional failure or Critical; the highest among the events that counted."},
	{Computer, "Name of the computer of the latest event."},
	{Domain, "Domain of that computer."},
	{Event, "Title of the latest event."},
	{Description, "Description of the latest event; the one value that may have several lines."},
	{RiseTime, "When the latest event happened, or first happened, in UTC (RFC 3339)."},
	{Task, "Scan or other task that found the latest event."},
	{SeverityNumber, "Severity as a number: 1 (Info) to 4 (Critical), 0 if unknown."},
	{Product, "Name of the security product that saw the latest event."},
	{ProductVersion, "Version of that product."},
	{HostIP, "The computer's own IP address."},
	{HostConnectionIP, "IP address from which the computer reports."},
	{Condition, "Name of the NotificationCondition that fired."},
	{Type, "Type of that condition, such as RiskOutbreak; Test for a test."},
	{Occurrences, "Number of occurrences in the window."},
	{Computers, "Number of different computers in the window."},
	{Risk, "Name of the risk; a list separated by commas if there are several."},
	{Action, "Action taken against the risk, or by the firewall."},
	{Window, "Length of the condition's window, such as 1m or 1h."},
	{FirstTime, "When the first occurrence in the window happened, in UTC (RFC 3339)."},
	{LastTime, "When the last occurrence in the window happened, in UTC (RFC 3339)."},
	{Held, "Number of occurrences that the damper held since the last notification."},
	{Namespace, "Namespace of the notification."},
	{Notification, "Name of the notification, which is its entry in the log."},
}

// All placeholders, Kaspersky Security Center's first, in the order of the documentation.
func All() []Placeholder {
	return slices.Clone(table)
}

func known(name Name) bool {
	return slices.ContainsFunc(table, func(p Placeholder) bool { return p.Name == name })
}

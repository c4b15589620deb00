// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
)

// fact is one thing to know, in a line of the default text and a row of the HTML page.
type fact struct{ Label, Value string }

// facts are what is known, in the order in which somebody who must act asks for it.
func facts(values placeholder.Values, spec *v1alpha1.NotificationSpec) []fact {
	event := eventOf(spec)
	all := []fact{
		{"Where", where(values)},
		{"Namespace", foreign(event.Namespace, values[placeholder.Namespace])},
		{"When", when(values)},
		{"How many", howMany(values)},
		{"Risk", values[placeholder.Risk]},
		{"Action", values[placeholder.Action]},
		{"User", Line(event.User, maxValue)},
		{"Application", application(event.Application)},
		{"Connection", connection(event.Network)},
		{"Firewall rule", firewallRule(event.Network)},
		{"Object", involvedObject(event.InvolvedObject)},
		{"Found by", values[placeholder.Task]},
		{"Product", joinFilled(" ", values[placeholder.Product], values[placeholder.ProductVersion])},
	}
	known := all[:0]
	for _, f := range all {
		if f.Value != "" {
			known = append(known, f)
		}
	}
	return known
}

// foreign is the event's namespace where that is not the notification's own.
func foreign(event, own string) string {
	if event == own {
		return ""
	}
	return Line(event, maxValue)
}

func where(values placeholder.Values) string {
	computer, ip, from := values[placeholder.Computer], values[placeholder.HostIP], values[placeholder.HostConnectionIP]
	if from == ip {
		from = ""
	}
	details := joinFilled(", ", around("domain ", values[placeholder.Domain], ""), ip, around("reports from ", from, ""))
	text := details
	if computer != "" {
		text = computer + around(" (", details, ")")
	}
	if n := number(values[placeholder.Computers]); n > 1 && text != "" {
		text += fmt.Sprintf(", the latest of %d computers", n)
	}
	return text
}

// when is the time of the only occurrence, or the span of several.
func when(values placeholder.Values) string {
	first, last := readable(values[placeholder.FirstTime]), readable(values[placeholder.LastTime])
	if first == "" || first == last {
		return last
	}
	if last == "" {
		return first
	}
	return strings.TrimSuffix(first, " UTC") + " to " + sinceDay(first, last)
}

// readable writes an RFC 3339 time in UTC as people do; anything else stays.
func readable(value string) string {
	t, err := time.Parse(time.RFC3339, value)
	if err != nil {
		return value
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// sinceDay leaves out the day of last when first has said it.
func sinceDay(first, last string) string {
	if day, _, ok := strings.Cut(first, " "); ok {
		return strings.TrimPrefix(last, day+" ")
	}
	return last
}

func howMany(values placeholder.Values) string {
	occurrences, computers := number(values[placeholder.Occurrences]), number(values[placeholder.Computers])
	if occurrences < 1 {
		return ""
	}
	text := counted(occurrences, "occurrence")
	if computers > 1 {
		text += fmt.Sprintf(" on %d computers", computers)
	}
	return text + around(" within ", values[placeholder.Window], "")
}

// number of a value that Values wrote; 0 if there is none.
func number(value string) int64 {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func application(a *v1alpha1.Application) string {
	if a == nil {
		return ""
	}
	name, path := Line(a.Name, maxValue), Line(a.Path, maxPath)
	if name == "" {
		return path
	}
	return name + around(" (", path, ")")
}

// connection is such as "TCP inbound from 203.0.113.7:50123 to 10.0.0.42:3389". Outbound connections begin here, all
// others there.
func connection(n *v1alpha1.Network) string {
	if n == nil {
		return ""
	}
	direction := strings.ToLower(n.Direction)
	source, destination := n.Remote, n.Local
	if direction == "outbound" {
		source, destination = n.Local, n.Remote
	}
	return Line(joinFilled(" ", n.Protocol, direction,
		around("from ", endpoint(source), ""), around("to ", endpoint(destination), "")), 4*maxValue)
}

func endpoint(e *v1alpha1.Endpoint) string {
	if e == nil {
		return ""
	}
	address := e.IP
	switch {
	case e.Port != nil && e.IP != "":
		address = net.JoinHostPort(e.IP, strconv.Itoa(int(*e.Port)))
	case e.Port != nil:
		address = "port " + strconv.Itoa(int(*e.Port))
	}
	if e.Host == "" {
		return address
	}
	return e.Host + around(" (", address, ")")
}

func firewallRule(n *v1alpha1.Network) string {
	if n == nil || n.Rule == nil {
		return ""
	}
	return Line(n.Rule.Name, maxValue)
}

func involvedObject(o *v1alpha1.InvolvedObject) string {
	if o == nil {
		return ""
	}
	return Line(joinFilled(" ", o.Kind, joinFilled("/", o.Namespace, o.Name)), 2*maxValue)
}

// computerNames lists the computers, if there are several, and says how many more there are.
func computerNames(spec *v1alpha1.NotificationSpec) (names []string, more string) {
	trigger := triggerOf(spec)
	if trigger.Computers < 2 || len(trigger.ComputerNames) == 0 {
		return nil, ""
	}
	names = cleanLines(trigger.ComputerNames[:min(len(trigger.ComputerNames), maxListed)])
	if left := int(trigger.Computers) - len(names); left > 0 {
		more = fmt.Sprintf("and %d more", left)
	}
	return names, more
}

// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

func at(rfc3339 string) *metav1.Time {
	t, err := time.Parse(time.RFC3339, rfc3339)
	if err != nil {
		panic(err)
	}
	return &metav1.Time{Time: t}
}

// blocked is an event with something in most places. It has no description, no task and no product.
func blocked() *v1alpha1.SecurityEventSpec {
	port, count := int32(3389), int32(12)
	return &v1alpha1.SecurityEventSpec{
		Type: "TrafficLogged", Severity: v1alpha1.SeverityWarning, Title: "Inbound connection blocked",
		Time: at("2026-11-22T08:30:00+01:00"), LastTime: at("2026-11-22T08:45:30Z"), Count: &count,
		Computer:    &v1alpha1.Computer{Name: "WS-0042", Group: "Workstations/Berlin/Mitte"},
		Server:      "epm-01",
		User:        `CORP\jdoe`,
		Application: &v1alpha1.Application{Path: `C:\Windows\System32\svchost.exe`},
		Network: &v1alpha1.Network{
			Activity: v1alpha1.ActivityTraffic, Direction: "Inbound", Protocol: "TCP",
			Remote: &v1alpha1.Endpoint{IP: "203.0.113.7", Port: &port},
			Rule:   &v1alpha1.FirewallRule{Name: "Block RDP"},
		},
		Attributes: map[string]v1alpha1.AttributeValue{"zone": "dmz", "hops": "7", "note": ""},
	}
}

// values are expressions and whether they hold for blocked, or why that cannot be told.
var values = map[string]struct {
	text string
	want any
}{
	"the sample":           {`event.network.direction == "Inbound" && event.severity != "Info"`, true},
	"of several lines":     {"event.network.direction == 'Inbound' // a comment\n  && event.count > 100", false},
	"true, which is all":   {`true`, true},
	"a condition":          {`event.severity == "Critical" ? event.count > 1 : event.count > 10`, true},
	"one of several":       {`event.type in ["TrafficLogged", "PacketLogged"]`, true},
	"none of several":      {`!(event.severity in ["Info", "Critical"])`, true},
	"case matters":         {`event.computer.name == "ws-0042"`, false},
	"unless it is removed": {`event.computer.name.lowerAscii() == "ws-0042" && event.network.protocol.upperAscii() == "TCP"`, true},

	"docs: all but some":          {`has(event.computer) && !event.computer.name.lowerAscii().startsWith("test-")`, true},
	"docs: some ports, if any":    {`event.?network.?remote.?port.orValue(0) in [22, 3389]`, true},
	"docs: outside working hours": {`event.time.getHours("Europe/Berlin") < 7 || event.time.getHours("Europe/Berlin") > 18`, false},
	"docs: words in a text":       {`event.?description.orValue("").matches("(?i)(mimikatz|psexec|lsass)")`, false},
	"docs: any attribute":         {`event.attributes.exists(k, k.startsWith("ioc/") && event.attributes[k] != "")`, false},

	"startsWith":       {`event.computer.group.startsWith("Workstations/")`, true},
	"endsWith":         {`event.application.path.endsWith("\\svchost.exe")`, true},
	"a raw text":       {`event.application.path.endsWith(r"\svchost.exe")`, true},
	"contains":         {`event.title.contains("blocked")`, true},
	"matches a part":   {`event.title.matches("b[lo]+cked")`, true},
	"matches the case": {`event.title.matches("INBOUND")`, false},
	"matches any case": {`event.title.matches("(?i)^INBOUND .*ed$")`, true},
	"split":            {`"Berlin" in event.computer.group.split("/") && event.computer.group.split("/").slice(0, 2).size() == 2`, true},
	"first and last":   {`event.user.split("\\").first().orValue("") == "CORP" && event.user.split("\\").last().value() == "jdoe"`, true},
	"parts of a text":  {`event.title.substring(8).charAt(0) == "c" && event.title.substring(0, 2) == "In"`, true},
	"places in a text": {`event.title.indexOf("n") == 1 && event.title.lastIndexOf("n") == 17`, true},
	"replace and trim": {`event.title.replace("Inbound", " ").trim() == "connection blocked"`, true},
	"characters":       {`event.title.size() == 26 && size(event.attributes) == 3`, true},

	"numbers":                         {`event.network.remote.port in [22, 3389] && (event.count + 8) / 2 % 3 * 2 - 1 == 1`, true},
	"numbers with a fraction":         {`event.count > 11.5 && double(event.count) / 8.0 == 1.5`, true},
	"a text as a number":              {`int(event.attributes.hops) >= 7`, true},
	"a number as a text":              {`string(event.count) == "12"`, true},
	"times":                           {`event.time >= timestamp("2026-11-22T07:30:00Z") && event.time < event.lastTime`, true},
	"a time as a text, in UTC":        {`string(event.time) == "2026-11-22T07:30:00Z"`, true},
	"the time between":                {`event.lastTime - event.time > duration("1h15m")`, true},
	"hours and days are those of UTC": {`event.time.getHours() == 7 && event.time.getDayOfWeek() == 0`, true},
	"or of a zone by its name":        {`event.time.getHours("Asia/Kolkata") == 13 && event.time.getMinutes("Asia/Kolkata") == 0`, true},
	"or by its offset":                {`event.time.getHours("-08:00") == 23 && event.time.getDate("-08:00") == 21`, true},
	"all of a time": {`event.time.getFullYear() == 2026 && event.time.getMonth() == 10 && event.time.getDayOfMonth() == 21 &&
		event.time.getDayOfYear() == 325 && event.lastTime.getSeconds() == 30 && event.time.getMilliseconds() == 0`, true},

	"an attribute":                  {`event.attributes.zone == "dmz" && event.attributes["zone"] == "dmz"`, true},
	"an attribute is there":         {`"hops" in event.attributes && has(event.attributes.hops)`, true},
	"an attribute is there, empty":  {`event.attributes.note == ""`, true},
	"an attribute is not there":     {`"rack" in event.attributes || has(event.attributes.rack)`, false},
	"any attribute":                 {`event.attributes.exists(k, k.startsWith("z"))`, true},
	"one attribute":                 {`event.attributes.exists_one(k, event.attributes[k] == "7")`, true},
	"all attributes":                {`event.attributes.all(k, event.attributes[k] != "")`, false},
	"attributes come in order":      {`event.attributes.map(k, k)[0] == "hops" && event.attributes.filter(k, k > "i")[1] == "zone"`, true},
	"lists as sets":                 {`sets.intersects([event.user, event.server], ["epm-01"]) && sets.contains(["a", "b"], ["b"])`, true},
	"lists with the same":           {`sets.equivalent(event.attributes.map(k, k), ["zone", "note", "hops"])`, true},
	"words by number":               {`{"Info": 1, "Warning": 2, "FunctionalFailure": 3, "Critical": 4}[event.severity] >= 2`, true},
	"has, where there is something": {`has(event.computer) && has(event.network.remote.port)`, true},
	"has, where there is nothing":   {`has(event.risk) || has(event.description) || has(event.computer.domain)`, false},
	"what has() guards is not read": {`has(event.risk) && event.risk.name.contains("EICAR")`, false},

	"optional, where there is something": {`event.?network.?direction.orValue("") == "Inbound"`, true},
	"optional, where there is nothing":   {`event.?risk.?name.orValue("") == ""`, true},
	"optional all the way":               {`event.?network.remote.host.orValue("unknown") == "unknown"`, true},
	"an optional attribute":              {`event.attributes[?"rack"].orValue("none") == "none"`, true},
	"either optional":                    {`event.?task.or(event.?user).orValue("").endsWith("jdoe")`, true},
	"whether there is one":               {`event.?user.hasValue() && !event.?task.hasValue()`, true},
	"compared with an optional":          {`event.?user == optional.of("CORP\\jdoe") && event.?task == optional.none()`, true},

	"nothing there":            {`event.risk.name == "EICAR"`, "there is no `risk`; ask has() first, or read it with .? and orValue()"},
	"nothing there, but text":  {`event.description.size() == 0`, "there is no `description`; ask has() first, or read it with .? and orValue()"},
	"has() of what is missing": {`has(event.risk.name)`, "there is no `risk`; ask has() first, or read it with .? and orValue()"},
	"no such attribute":        {`event.attributes["rack"] == "7"`, "there is no `rack`; ask has() first, or read it with .? and orValue()"},
	"no number":                {`int(event.attributes.zone) > 1`, "type conversion error from 'string' to 'int'"},
	"no time":                  {`timestamp(event.title) > event.time`, "type conversion error from 'string' to 'timestamp'"},
	"division by zero":         {`event.count / (event.count - 12) > 1`, "division by zero"},
	"beyond the end":           {`event.title.charAt(99) == "x"`, "index out of range: 99"},
	"an error that does not matter": {
		`event.risk.name == "EICAR" || event.count == 12`, true,
	},
	"or does not matter, as it is false anyway": {
		`event.risk.name == "EICAR" && event.count == 13`, false,
	},
}

func TestHolds(t *testing.T) {
	t.Parallel()
	for name, tc := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x, err := Compile(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			holds, err := x.Holds(NewEvent(blocked()))
			got := any(holds)
			if err != nil {
				got = err.Error()
			}
			if got != tc.want {
				t.Errorf("%s\ngot  %v\nwant %v", tc.text, got, tc.want)
			}
		})
	}
}

// TestEveryFunctionIsTried, as the docs promise them.
func TestEveryFunctionIsTried(t *testing.T) {
	t.Parallel()
	var texts []string
	for _, v := range values {
		texts = append(texts, v.text)
	}
	tried := strings.Join(texts, "\n")
	for _, name := range functions {
		if !regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\(`).MatchString(tried) {
			t.Errorf("%s is in no expression above", name)
		}
	}
}

// TestUnsetFields: what is not set is absent, but for what the API says of it.
func TestUnsetFields(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`event.count == 1`:                                  true,
		`event.attributes.exists(k, true)`:                  false,
		`"x" in event.attributes`:                           false,
		`event.attributes.size() == 0`:                      true,
		`has(event.time) || has(event.computer)`:            false,
		`event.?network.rule.sendEmailAlert.orValue(false)`: false,
	} {
		check(t, text, &v1alpha1.SecurityEventSpec{Type: "RiskDetected", Severity: "Info", Title: "x"}, want)
	}
	check(t, `event.network.rule.sendEmailAlert`, blocked(), false)
	alert := blocked()
	alert.Network.Rule.SendEmailAlert = true
	check(t, `event.network.rule.sendEmailAlert`, alert, true)
}

func check(t *testing.T, text string, spec *v1alpha1.SecurityEventSpec, want bool) {
	t.Helper()
	x, err := Compile(text)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := x.Holds(NewEvent(spec)); err != nil || got != want {
		t.Errorf("%s: got %t, %v, want %t", text, got, err, want)
	}
}

// TestConvertedOnce: an event is converted when the first expression asks, and not again for the second.
func TestConvertedOnce(t *testing.T) {
	t.Parallel()
	x, err := Compile(`event.user == "root"`)
	if err != nil {
		t.Fatal(err)
	}
	spec := blocked()
	event := NewEvent(spec)
	for _, step := range []struct {
		user string
		want bool
	}{{"root", true}, {"nobody", true}} {
		spec.User = step.user
		if got, err := x.Holds(event); err != nil || got != step.want {
			t.Errorf("the user is %s: got %t, %v", step.user, got, err)
		}
	}
}

// TestTheSameEachTime: maps have no order in Go, but an event is always judged in the same way.
func TestTheSameEachTime(t *testing.T) {
	t.Parallel()
	spec := blocked()
	for i := range 60 {
		spec.Attributes[fmt.Sprint("n", i)] = "x"
	}
	for range 50 {
		check(t, `event.attributes.map(k, k)[0] == "hops" && event.attributes.filter(k, k.startsWith("n")).last().value() == "note"`, spec, true)
	}
}

func BenchmarkHolds(b *testing.B) {
	x, err := Compile(`event.network.direction == "Inbound" && event.severity != "Info"`)
	if err != nil {
		b.Fatal(err)
	}
	ask := func(b *testing.B, e *Event) {
		if holds, err := x.Holds(e); err != nil || !holds {
			b.Fatal(holds, err)
		}
	}
	spec := blocked()
	b.Run("first", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ask(b, NewEvent(spec))
		}
	})
	b.Run("again", func(b *testing.B) {
		b.ReportAllocs()
		event := NewEvent(spec)
		for b.Loop() {
			ask(b, event)
		}
	})
}

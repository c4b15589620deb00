// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-dev/tocsin/internal/message"
)

const (
	eventFields = "type, severity, title, description, time, lastTime, count, computer, server, product, task, user, risk, " +
		"application, network, involvedObject, attributes"
	levels     = "has more levels than the 250 allowed, of brackets within brackets or of calls and operators in a row"
	severities = `"Info", "Warning", "FunctionalFailure", "Critical"`
)

// TestRefused: what is wrong, where, and what would be right.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"a misspelt field": {`event.netwrk.action == "x"`, "line 1, column 6: there is no field `netwrk` in `event`, but " + eventFields},
		"a field of a field": {
			`event.network.dirction == "x"`,
			"line 1, column 14: there is no field `dirction` in `event.network`, but activity, direction, protocol, action, local, remote, signature, rule",
		},
		"a field on another line":     {"event.severity == 'Info' ||\n  event.titel == ''", "line 2, column 8: there is no field `titel` in `event`, but " + eventFields},
		"the first of two":            {`event.aa == event.bb`, "line 1, column 6: there is no field `aa` in `event`, but " + eventFields},
		"an optional field":           {`event.?risk.?nam.hasValue()`, "line 1, column 12: there is no field `nam` in `event.risk`, but name, category, action"},
		"has() of no field":           {`has(event.risks)`, "line 1, column 4: there is no field `risks` in `event`, but " + eventFields},
		"a field of what has none":    {`event.title.length > 3`, "line 1, column 12: a value of type string has no fields"},
		"a field of a loop's item":    {`[event.risk].exists(r, r.nam == "x")`, "line 1, column 25: there is no field `nam`"},
		"another variable":            {`spec.title == "x"`, "line 1, column 1: there is no `spec`; what is known is `event` and its fields"},
		"no quotes":                   {`event.severity == Info`, "line 1, column 19: there is no `Info`; what is known is `event` and its fields"},
		"no such function":            {`event.title.beginsWith("x")`, "line 1, column 23: there is no function `beginsWith`"},
		"beyond ASCII columns count":  {`"äöü" == event.titel`, "line 1, column 15: there is no field `titel` in `event`, but " + eventFields},
		"a text with a number":        {`event.severity == 3`, "line 1, column 16: `==` cannot be applied to (string, int): both sides must have the same type"},
		"a time with a text":          {`event.time > "2026-11-22"`, "line 1, column 12: `>` cannot be applied to (timestamp, string)"},
		"a text and a number":         {`event.title + 1 == "x"`, "line 1, column 13: `+` cannot be applied to (string, int)"},
		"an object and a text":        {`event.risk == "EICAR"`, "line 1, column 12: `==` cannot be applied to (object, string): both sides must have the same type"},
		"an optional and a text":      {`event.?user == "root"`, "line 1, column 13: `==` cannot be applied to (optional(string), string): both sides must have the same type"},
		"no truth value":              {`event.title && true`, "line 1, column 6: must be of type bool, but is of type string"},
		"not of a text":               {`!event.title`, "line 1, column 1: `!` cannot be applied to (string)"},
		"a function's argument":       {`event.title.contains(3)`, "line 1, column 21: `contains` cannot be applied to string.(int): right is string.contains(string)"},
		"in a text":                   {`event.severity in "Info"`, "line 1, column 16: `in` cannot be applied to (string, string): right is a value in a list, as in event.severity in [\"Warning\", \"Critical\"]"},
		"a list of texts and numbers": {`event.user in ["root", 3]`, "line 1, column 24: must be of type string, but is of type int"},
		"a field in brackets":         {`event["title"] == "x"`, "line 1, column 6: `[]` cannot be applied to (object, string): fields are read with a dot, attributes by their name"},

		"a single =":        {`event.title = "x"`, "line 1, column 13: `=` does not belong here; perhaps `==` is meant"},
		"and":               {`event.count > 1 AND true`, "line 1, column 17: `AND` does not belong here; perhaps `&&` is meant"},
		"too early an end":  {"event.title == \n", "line 2, column 1: the expression ends too early"},
		"nothing":           {" // nothing", "line 1, column 12: the expression ends too early"},
		"a bracket too few": {`(event.count > 1`, "line 1, column 17: `)` is missing at the end"},
		"a bracket too many": {
			`event.count > 1)`, "line 1, column 16: `)` does not belong here",
		},
		"a quote too few":    {`event.title == "x`, "line 1, column 16: the text that begins here does not end, or holds an unknown escape; \\ itself is written \\\\"},
		"an unknown escape":  {`event.title == "\w"`, "line 1, column 16: the text that begins here does not end, or holds an unknown escape; \\ itself is written \\\\"},
		"a stray character":  {`event.title == #`, "line 1, column 16: `#` does not belong here"},
		"a reserved word":    {`package == "x"`, "line 1, column 1: `package` is a reserved word"},
		"too large a number": {`event.count < 99999999999999999999`, "line 1, column 15: invalid int literal"},
		"has() of no field at all": {
			`has(event)`, "line 1, column 5: has() takes a field, as in has(event.network)",
		},
		"nested too deep":  {strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300), levels},
		"too long a chain": {strings.Repeat("1+", 1000) + "1 == event.count", levels},
		"no CEL at all":    {strings.Repeat("a b ", 500), "line 1, column 3: `b` does not belong here"},
		"too long":         {strings.Repeat(" ", 2044) + "true ", "has 2049 characters, more than the 2048 allowed"},

		"a text":           {`event.title`, "must be true or false, but gives a string"},
		"a number":         {`event.count`, "must be true or false, but gives an int"},
		"an object":        {`event`, "must be true or false, but gives an object"},
		"an optional bool": {`event.?network.rule.sendEmailAlert`, "must be true or false, but gives an optional(bool)"},

		"false":                                 {`false`, "can never be true"},
		"a constant comparison":                 {`1 > 2`, "can never be true"},
		"false, whatever else":                  {`event.severity == "Info" && 1 > 2`, "can never be true"},
		"in nothing":                            {`event.user in []`, "can never be true"},
		"a constant loop":                       {`[1, 2].exists(x, x > 2)`, "can never be true"},
		"no such severity":                      {`event.severity == "critical"`, "line 1, column 16: \"critical\" is none of " + severities},
		"no such severity, the other way round": {`"High" != event.severity`, "line 1, column 8: \"High\" is none of " + severities},
		"no such severity among others":         {`event.severity in ["Info", "Warn"]`, "line 1, column 16: \"Warn\" is none of " + severities},
		"no such activity": {
			`event.?network.?activity.orValue("") == "traffic"`,
			`line 1, column 38: "traffic" is none of "NetworkThreatProtection", "Packet", "Traffic"`,
		},
		"severities in order": {
			`event.severity >= "Warning"`,
			`line 1, column 16: words are compared letter by letter, which is not their order; write in ["Warning", "FunctionalFailure", "Critical"]`,
		},

		"no regular expression":         {`event.title.matches("(a")`, "line 1, column 20: no regular expression of RE2: missing closing ) at \"(a\""},
		"an event's regular expression": {`event.title.matches(event.attributes.pattern)`, "line 1, column 20: the pattern of `matches` must be written out"},
		"no time zone":                  {`event.time.getHours("Europe/Brlin") > 3`, `line 1, column 20: "Europe/Brlin" is no time zone; right is a name such as Europe/Berlin or an offset such as +01:00`},
		"a computer's own time zone":    {`event.time.getHours("Local") > 3`, `line 1, column 20: "Local" is no time zone; right is a name such as Europe/Berlin or an offset such as +01:00`},
		"an event's time zone":          {`event.time.getHours(event.attributes.zone) > 3`, "line 1, column 20: a time zone must be written out"},
		"no time":                       {`event.time > timestamp("yesterday")`, `line 1, column 23: "yesterday" is no time of RFC 3339, such as 2026-11-22T08:30:00Z`},
		"no duration":                   {`event.lastTime - event.time > duration("1 hour")`, `line 1, column 39: "1 hour" is no duration, such as 90s or 1h30m`},
		"no number":                     {`int("seven") == event.count`, `line 1, column 4: "seven" is no whole number`},

		"null":                            {`event.computer == null`, "line 1, column 19: nothing is ever null; what is not set is found with has(), as in !has(event.computer)"},
		"objects":                         {`event.network.local == event.network.remote`, "line 1, column 21: whole objects, lists and maps cannot be compared; compare what they hold"},
		"maps":                            {`event.attributes == {"a": "b"}`, "line 1, column 18: whole objects, lists and maps cannot be compared; compare what they hold"},
		"optional objects":                {`event.?risk == optional.none()`, "line 1, column 13: whole objects, lists and maps cannot be compared; compare what they hold"},
		"an object in a list":             {`event.risk in [event.risk]`, "line 1, column 12: objects, lists and maps cannot be looked for; look for what they hold"},
		"a loop over an object":           {`event.exists(k, true)`, "line 1, column 1: a value of type object cannot be looped over; a list can, and event.attributes"},
		"a loop over a text":              {`event.title.all(c, c != "")`, "line 1, column 6: a value of type string cannot be looped over; a list can, and event.attributes"},
		"a loop over a map without order": {`{"a": 1}.map(k, k)[0] == "a"`, "line 1, column 13: of maps, only event.attributes can be looped over"},
		"a loop without a name":           {`event.attributes.exists("k", true)`, "line 1, column 25: a name for each item is needed here, as in event.attributes.exists(k, k.startsWith(\"x\"))"},
		"a loop that hides the event":     {`["a"].exists(event, event == "a")`, "line 1, column 13: `event` is taken: another name is needed here"},
		"untyped":                         {`dyn(event).netwrk == 1`, "line 1, column 4: `dyn` is not available here"},
		"a function of unknown length":    {`["a", event.title].join() == "x"`, "line 1, column 24: `join` is not available here"},
		"an object made":                  {`google.protobuf.Duration{seconds: 1} > duration("1s")`, "line 1, column 33: objects cannot be made here"},
		"an event made":                   {`event{} == event`, "line 1, column 6: objects cannot be made here"},
		"its Go name":                     {`SecurityEventSpec{} == event`, "line 1, column 18: objects cannot be made here"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Compile(tc.text)
			if fmt.Sprint(err) != tc.want {
				t.Errorf("%s\ngot  %v\nwant %s", tc.text, err, tc.want)
			}
		})
	}
}

// TestCostly: what could take long is refused before the first event, and at once.
func TestCostly(t *testing.T) {
	t.Parallel()
	const costs, unknown = "costs up to ", "can cost any amount, "
	for name, tc := range map[string]struct{ text, want string }{
		"attributes by attributes by attributes": {
			`event.attributes.all(a, event.attributes.all(b, event.attributes.all(c, a + b != c)))`, costs,
		},
		"constant loops":                      {strings.Repeat("[1,2,3,4,5,6,7,8].all(x, ", 8) + "true" + strings.Repeat(")", 8), costs},
		"a regular expression of many states": {`event.description.matches("(?:a?b?c?d?e?f?g?h?){120}z")`, costs},
		"one within another":                  {`event.description.matches("((a{0,30}){30}|b)*c")`, costs},
		"one that would fill the memory":      {"event.type.matches('" + strings.Repeat(`(a?){1000}`, 190) + "')", costs},
		"a text replaced by itself":           {`event.description.replace("a", event.description) == ""`, costs},
		"a constant that grows":               {`"a"` + strings.Repeat(`.replace("a", "aaaaaaaaaaaaaaaaaaaa")`, 9) + ` == ""`, costs},
		"texts that double":                   {`[event.description]` + strings.Repeat(`.map(x, x + x)`, 30) + `.exists(x, x == "")`, costs},
		"pieces of a text":                    {`event.title.split("").exists(c, c.matches("[0-9]"))`, unknown},
		"lists in lists":                      {`[1]` + strings.Repeat(".map(x, [[[x]]])", 120) + ".size() == 1", "holds 601 lists"},
		"options in options":                  {strings.Repeat("optional.of(", 150) + "1" + strings.Repeat(")", 150) + ".hasValue()", "holds 150 lists"},
		"what copies itself":                  {`optional.of(1)` + strings.Repeat(`.optMap(a, a)`, 140) + `.hasValue()`, "line 1, column "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := Compile(tc.text); err == nil || !strings.HasPrefix(err.Error(), tc.want) {
				t.Errorf("%s\ngot  %v\nwant %s…", tc.text, err, tc.want)
			} else {
				readable(t, err)
			}
		})
	}
}

// TestAffordable: what people ask is not refused.
func TestAffordable(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`event.description.matches("(?i)(mimikatz|cobaltstrike|psexec|lsass|procdump|rubeus)")`,
		`event.description.lowerAscii().contains("powershell -enc")`,
		`event.attributes.exists(k, event.attributes[k].matches("(?i)powershell"))`,
		`event.attributes.exists(k, event.attributes[k].lowerAscii().contains("powershell"))`,
		`event.attributes.exists(k, k.startsWith("ioc/") && event.attributes[k] in ["a", "b", "c"])`,
		`event.?computer.?group.orValue("").lowerAscii().contains("berlin")`,
		`event.attributes[?"zone"].orValue("").matches("^dmz[0-9]+$")`,
		`event.time.getHours("Europe/Berlin") < 7 || event.time.getHours("Europe/Berlin") > 18`,
		`event.user in ["` + strings.Repeat(`root", "`, 200) + `admin"]`,
	} {
		if _, err := Compile(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestHostileEvent: what an event says appears in errors on one line, cut and without what could deceive.
func TestHostileEvent(t *testing.T) {
	t.Parallel()
	x, err := Compile(`event.attributes[event.description] == "x"`)
	if err != nil {
		t.Fatal(err)
	}
	_, err = x.Holds(NewEvent(hostile()))
	if err == nil {
		t.Fatal("no error")
	}
	readable(t, err)
	if want := "; ask has() first, or read it with .? and orValue()"; !strings.HasSuffix(err.Error(), want) {
		t.Errorf("%q does not end in %q", err, want)
	}
}

// TestWork: an evaluation that costs more than was estimated is cut short.
func TestWork(t *testing.T) {
	t.Parallel()
	x, err := Compile(`event.attributes.exists(a, event.attributes.exists(b, a + "x" == b))`)
	if err != nil {
		t.Fatal(err)
	}
	spec := hostile()
	for i := range 500 { // more than the API takes
		spec.Attributes[fmt.Sprintf("more-%d", i)] = ""
	}
	_, err = x.Holds(NewEvent(spec))
	if want := "takes more work than the 200000 allowed for this event"; fmt.Sprint(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// readable is an error on one line that neither deceives nor fills the status.
func readable(t *testing.T, err error) {
	t.Helper()
	if got, want := err.Error(), message.Line(err.Error(), 512); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

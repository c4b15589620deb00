// SPDX-License-Identifier: Apache-2.0

package message

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
)

// skeleton is the tags of a page, with all their attributes, and its text without them, also that which is not seen.
func skeleton(tb testing.TB, page string) (tags map[string]bool, text string) {
	tb.Helper()
	tags = map[string]bool{}
	var content strings.Builder
	decoder := xml.NewDecoder(strings.NewReader(page))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return tags, content.String()
		}
		if err != nil {
			tb.Fatalf("%v in\n%s", err, page)
		}
		switch token := token.(type) {
		case xml.StartElement:
			tags[fmt.Sprint(token.Name.Local, token.Attr)] = true
		case xml.CharData:
			content.Write(token)
		case xml.Comment:
			if comment := "<!--" + string(token) + "-->"; comment != beginOutlook && comment != endOutlook {
				tb.Fatalf("comment %s", comment)
			}
		case xml.ProcInst:
			tb.Fatalf("processing instruction %s", token.Target)
		case xml.Directive:
			if string(token) != "DOCTYPE html" {
				tb.Fatalf("directive %s", token)
			}
		}
	}
}

func page(tb testing.TB, spec *v1alpha1.NotificationSpec, subject, message string) string {
	tb.Helper()
	values := Values("security", "n-1", spec)
	line, text := Render(mustParse(tb, subject), mustParse(tb, message), values, spec)
	html, err := HTML(Page{Subject: line, Text: text, Values: values, Spec: spec})
	if err != nil {
		tb.Fatal(err)
	}
	return html
}

// innocentTags are the tags of pages that nobody has tampered with, in all colours.
func innocentTags(tb testing.TB) map[string]bool {
	tb.Helper()
	all := map[string]bool{}
	for _, severity := range []v1alpha1.Severity{
		v1alpha1.SeverityInfo, v1alpha1.SeverityWarning, v1alpha1.SeverityFunctionalFailure, v1alpha1.SeverityCritical, "New",
	} {
		many, cut := outbreak(), limited()
		many.Trigger.Computers, cut.Digest.Suppressed = 23, 99
		for _, spec := range []*v1alpha1.NotificationSpec{many, firewall(), test(), cut} {
			spec.Severity = severity
			for i := range digestOf(spec).Conditions {
				spec.Digest.Conditions[i].Severity = severity
			}
			tags, _ := skeleton(tb, page(tb, spec, "", "a\n\nb"))
			for tag := range tags {
				all[tag] = true
			}
			tags, _ = skeleton(tb, page(tb, spec, "", ""))
			for tag := range tags {
				all[tag] = true
			}
		}
	}
	return all
}

func checkNoNewTags(t *testing.T, innocent map[string]bool, html string) string {
	t.Helper()
	tags, text := skeleton(t, html)
	for tag := range tags {
		if !innocent[tag] {
			t.Errorf("new tag %s in\n%s", tag, html)
		}
	}
	return text
}

func TestHTMLHasNothingToLoadOrFollow(t *testing.T) {
	t.Parallel()
	for tag := range innocentTags(t) {
		for _, bad := range []string{"href", "src", "url(", "script", "link", "http", "class", " on"} {
			if strings.Contains(strings.ToLower(tag), bad) {
				t.Errorf("%q in tag %s", bad, tag)
			}
		}
	}
}

func TestHTMLShowsHostileTextAsText(t *testing.T) {
	t.Parallel()
	innocent := innocentTags(t)
	for _, message := range []string{"", "%EVENT%\n%DESCR%\n%COMPUTER%"} {
		text := checkNoNewTags(t, innocent, page(t, hostile(), "", message))
		for _, want := range []string{
			"<script>alert(1)</script> Bcc: x@y.example %COMPUTER% %%", "</td><img src=x onerror=alert(2)>",
			`"><a href="javascript:alert(3)">`, "{{.Secret}}", "<b>pc</b> &amp;", "and 3 more", "url(https://evil.example/p.png)",
		} {
			if !strings.Contains(text, want) {
				t.Errorf("message %q: the page does not show %q", message, want)
			}
		}
	}
}

func TestHTMLOfWhatNobodyRendered(t *testing.T) {
	t.Parallel()
	innocent := innocentTags(t)
	html, err := HTML(Page{})
	if err != nil {
		t.Fatal(err)
	}
	checkNoNewTags(t, innocent, html)

	html, err = HTML(Page{Subject: "a\r\n<b>\u202e", Text: "<i>\x00\n\n\n\nx", Spec: singleDetection()})
	if err != nil {
		t.Fatal(err)
	}
	text := checkNoNewTags(t, innocent, html)
	if !strings.Contains(text, "a <b>\ufffd") || !strings.Contains(text, "<i>\ufffd") {
		t.Errorf("subject or text are lost or not clean in\n%s", html)
	}
}

// TestHTMLShowsTheDefaultTextOnce guards what HTML promises of the default text; another text is shown as a whole.
func TestHTMLShowsTheDefaultTextOnce(t *testing.T) {
	t.Parallel()
	_, byDefault := skeleton(t, seen(t, page(t, outbreak(), "", "")))
	for _, once := range []string{"spreads through shared folders", "still holds", "12 further occurrences", "RiskOutbreak", "ws-0043"} {
		if n := strings.Count(byDefault, once); n != 1 {
			t.Errorf("%q is there %d times", once, n)
		}
	}
	_, custom := skeleton(t, seen(t, page(t, outbreak(), "", "My text about %RISK%.")))
	for _, want := range []string{
		"still holds", "My text about Worm.Win32.Example, EICAR-Test-File.", "12 further occurrences", "Virus outbreak", "ws-0043",
	} {
		if !strings.Contains(custom, want) {
			t.Errorf("%q is not there", want)
		}
	}
	if strings.Contains(custom, "spreads through") {
		t.Error("the description is there though the template does not ask for it")
	}
}

// seen is the page without its preheader.
func seen(tb testing.TB, page string) string {
	tb.Helper()
	before, rest, ok := strings.Cut(page, "<div dir=\"auto\" style=\"display: none;")
	_, after, ends := strings.Cut(rest, "</div>")
	if !ok || !ends {
		tb.Fatalf("no preheader in\n%s", page)
	}
	return before + after
}

// TestPreheader: what lists of mails show beside the subject is what the subject does not say.
func TestPreheader(t *testing.T) {
	t.Parallel()
	long := singleDetection()
	long.Trigger.Event.Description = strings.Repeat("\u202e<b>\r\n", 1000)
	for name, tc := range map[string]struct {
		spec          *v1alpha1.NotificationSpec
		message, want string
	}{
		"detection": {singleDetection(), "",
			`1 occurrence within 1m; EICAR-Test-File; Quarantined; Object C:\Temp\eicar.com detected: EICAR-Test-File`},
		"still reached": {outbreak(), "", "The condition still holds: its threshold is still reached. " +
			"17 occurrences on 5 computers within 1h; Worm.Win32.Example, EICAR-Test-File; Le…"},
		"test": {test(), "", "This is a test of the channel soc-mail. Nothing has happened; no action is needed. " +
			"1 occurrence within 1m; Test risk; Test action; Sample d…"},
		"text of the channel": {singleDetection(), "On %COMPUTER%:\n\n%RISK%", "On ws-0042: EICAR-Test-File"},
		"digest": {limited(), "", "The limit of 20 notifications in 1h of the channel soc-mail was used up " +
			"between 2026-11-22 08:30:00 and 09:30:00 UTC; 57 notifications were…"},
		"hostile": {long, "%DESCR%", strings.Repeat("\ufffd<b> ", 27) + "\ufffd<b>…"},
	} {
		values := Values("security", "n-1", tc.spec)
		subject, text := Render(placeholder.Template{}, mustParse(t, tc.message), values, tc.spec)
		view := viewOf(Page{Subject: subject, Text: text, Values: values, Spec: tc.spec})
		if view.Preheader != tc.want {
			t.Errorf("%s:\n got %q\nwant %q", name, view.Preheader, tc.want)
		}
	}
}

func TestHTMLListsTwentyComputers(t *testing.T) {
	t.Parallel()
	spec := outbreak()
	spec.Trigger.Computers = 1000
	spec.Trigger.ComputerNames = nil
	for i := range 25 {
		spec.Trigger.ComputerNames = append(spec.Trigger.ComputerNames, fmt.Sprintf("pc-%02d", i))
	}
	_, text := skeleton(t, page(t, spec, "", ""))
	if !strings.Contains(text, "pc-18pc-19\nand 980 more") || strings.Contains(text, "pc-20") {
		t.Errorf("not twenty computers in %s", text)
	}
}

func FuzzHTML(f *testing.F) {
	f.Add("<script>", "</td>", "a", "\u05d0\r\n%RISK%", "")
	f.Add("\x00\xff", "&lt;", "]]>", "<!--", "Critical")
	f.Add("{{.}}", "'\"`", "javascript:x", "\ufffe", "Warning\"><b>")
	innocent := innocentTags(f)
	f.Fuzz(func(t *testing.T, title, description, name, other, severity string) {
		const marker = "<mark/>"
		spec := hostile()
		spec.Severity = v1alpha1.Severity(severity)
		spec.Trigger.Risks = []string{other, name}
		spec.Trigger.ComputerNames = []string{name, other}
		spec.Condition.Name = other
		event := &spec.Trigger.Event.SecurityEventSpec
		event.Title, event.Description = marker+title, description+marker
		event.Computer = &v1alpha1.Computer{Name: name, IP: other, Domain: title}
		event.Task, event.User, event.Risk = title, other, &v1alpha1.Risk{Name: name, Action: other}
		event.Network.Rule.Name, event.Network.Remote.Host = other, title
		for _, message := range []string{"", "%DESCR% %EVENT% %COMPUTER%"} {
			text := checkNoNewTags(t, innocent, page(t, spec, "", message))
			if !strings.Contains(text, marker) {
				t.Errorf("the marker is not shown as text")
			}
		}
	})
}

func TestColoursHaveContrast(t *testing.T) {
	t.Parallel()
	for _, number := range []string{"0", "1", "2", "3", "4"} {
		c := coloursOf(number)
		if ratio := contrast(t, c.Bar, c.Ink); ratio < 4.5 {
			t.Errorf("severity %s: contrast %.1f", number, ratio)
		}
	}
}

// contrast is that of WCAG 2.2.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a), luminance(t, b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

func TestRowsWithoutValueAreLeftOut(t *testing.T) {
	t.Parallel()
	for _, f := range facts(placeholder.Values{}, nil) {
		t.Errorf("%s: %q", f.Label, f.Value)
	}
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	var red, green, blue uint8
	if _, err := fmt.Sscanf(colour, "#%02x%02x%02x", &red, &green, &blue); err != nil {
		t.Fatal(err)
	}
	linear := func(channel uint8) float64 {
		c := float64(channel) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(red) + 0.7152*linear(green) + 0.0722*linear(blue)
}

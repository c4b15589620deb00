// SPDX-License-Identifier: Apache-2.0

package message

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// The elements and attributes that a page may have. None of these elements loads, links or runs anything, and none of
// these attributes could.
var (
	allowedElements = []string{
		"html", "head", "meta", "title", "body", "table", "tbody", "tr", "td", "th", "h1", "div", "span", "bdi", "br",
	}
	allowedAttributes = []string{
		"lang", "dir", "style", "charset", "name", "content", "role", "align", "valign", "width", "cellspacing", "cellpadding",
		"border", "bgcolor", "scope", "colspan",
	}
)

// checkElements reads a page as browsers do, which mend what is broken, and returns the text that it holds. A comment may
// be the template's own alone, as Outlook reads some of them.
func checkElements(t *testing.T, page string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for node := range root.Descendants() {
		switch node.Type {
		case html.TextNode:
			text.WriteString(node.Data)
		case html.CommentNode:
			if comment := "<!--" + node.Data + "-->"; comment != beginOutlook && comment != endOutlook {
				t.Errorf("comment %s", comment)
			}
		case html.ElementNode:
			if !slices.Contains(allowedElements, node.Data) {
				t.Errorf("element %s", node.Data)
			}
			for _, a := range node.Attr {
				if !slices.Contains(allowedAttributes, a.Key) || strings.Contains(a.Val, "url(") || strings.Contains(a.Val, marker) {
					t.Errorf("attribute %s=%q of %s", a.Key, a.Val, node.Data)
				}
			}
		}
	}
	return text.String()
}

// marker stands in all that an event says, and in nothing that Tocsin says.
const marker = "zqmarker"

// attacks are what an event may say in any field.
var attacks = map[string]string{
	"markup":           "<b>" + marker + "</b></bdi></td></tr></table><img src=x onerror=alert(1)><script>" + marker + "</script>",
	"link":             `<a href="javascript:alert(1)">` + marker + `</a>`,
	"attribute":        `" onclick="alert(1)" style="x:url(https://evil.example/` + marker + `)`,
	"single quotes":    `' onmouseover='` + marker,
	"comment":          "<!--[if mso]><v:rect href=\"https://evil.example\"><![endif]-->--><!-- " + marker,
	"CDATA":            "]]><![CDATA[" + marker + "<?xml " + marker + "?>",
	"entities":         "&lt;script&gt;" + marker + "&#60;img&#62;&#x3c;i&#x3e;",
	"style":            "}</style><style>@import '//evil.example/" + marker + "'</style>",
	"javascript URL":   "javascript:alert('" + marker + "')",
	"URL":              "https://evil.example/?" + marker + "=1&b=2 mailto:x@y.example tel:+491234",
	"CRLF":             "a\r\nBcc: x@y.example\r\n\r\n<i>" + marker + "</i>",
	"NUL":              "\x00<\x00script\x00>" + marker,
	"control":          "\x1b]0;" + marker + "\x07\x1b[2J\x7f\u0085\u2028<i>",
	"right to left":    "\u202e" + marker + "\u2066 קורפ \u200f العربية\u2069<i>",
	"zero width":       "<\u200bscript\ufeff>" + marker + "\u2060",
	"emoji":            "\U0001F468\u200d\U0001F469\u26a0\ufe0f" + marker + "\U0001F1E9\U0001F1EA",
	"marks":            "z" + strings.Repeat("\u0301", 100) + marker,
	"template":         "{{.Secret}}{{template \"face\"}}%DESCR%" + marker,
	"no UTF-8":         "\xff\xfe\xc0\xbc" + marker,
	"UTF-7 and UTF-16": "+ADw-script+AD4-" + marker + "\ufeff<i>",
	"5000 characters":  marker + strings.Repeat("<\"'&>", 1000),
	"5000 emoji":       marker + strings.Repeat("\U0001F514", 5000),
	"5000 lines":       marker + strings.Repeat("\r\n<i>", 5000),
}

// saysEverywhere is a notification of an event in which each text says the same.
func saysEverywhere(text string) *v1alpha1.NotificationSpec {
	spec := firewall()
	event := &spec.Trigger.Event.SecurityEventSpec
	*event = v1alpha1.SecurityEventSpec{
		Type: v1alpha1.EventType(text), Severity: v1alpha1.Severity(text), Title: text, Description: text,
		Server: text, Task: text, User: text, Attributes: map[string]v1alpha1.AttributeValue{text: v1alpha1.AttributeValue(text)},
		Computer:    &v1alpha1.Computer{Name: text, IP: text, ConnectionIP: text, Domain: text, Group: text},
		Product:     &v1alpha1.Product{Vendor: text, Name: text, Version: text},
		Risk:        &v1alpha1.Risk{Name: text, Category: text, Action: text},
		Application: &v1alpha1.Application{Name: text, Path: text, SHA256: text},
		Network: &v1alpha1.Network{
			Activity: v1alpha1.NetworkActivity(text), Direction: text, Protocol: text, Action: text, Signature: text,
			Local: &v1alpha1.Endpoint{IP: text, Host: text, Port: pointer(int32(1))}, Remote: &v1alpha1.Endpoint{IP: text, Host: text},
			Rule: &v1alpha1.FirewallRule{Name: text},
		},
		InvolvedObject: &v1alpha1.InvolvedObject{APIVersion: text, Kind: text, Namespace: text, Name: text},
	}
	spec.Trigger.Event.Namespace, spec.Trigger.Event.Name = text, text
	spec.Trigger.Key, spec.Severity = text, v1alpha1.Severity(text)
	spec.Trigger.Computers = 40
	spec.Trigger.ComputerNames = []string{text, text, text}
	spec.Trigger.Risks = []string{text, text}
	return spec
}

// TestNoEventAddsToThePage in any field, be it shown or not, with the standard text as with that of a channel.
func TestNoEventAddsToThePage(t *testing.T) {
	t.Parallel()
	innocent := innocentTags(t)
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := saysEverywhere(attack)
			for _, message := range []string{"", "%EVENT% on %COMPUTER%: %RISK%\n\n%DESCR%"} {
				html := page(t, spec, "", message)
				checkNoNewTags(t, innocent, html)
				if text := checkElements(t, html); !strings.Contains(text, marker) {
					t.Errorf("what the event says is not shown in\n%s", html)
				}
			}
		})
	}
}

// TestNoEventAddsToTheText: the subject stays one line, and each line of the text that begins a section is Tocsin's.
func TestNoEventAddsToTheText(t *testing.T) {
	t.Parallel()
	want := textLabels(saysEverywhere("x"))
	for name, attack := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec := saysEverywhere(attack)
			subject, text := Render(mustParse(t, ""), mustParse(t, ""), Values("security", "n-1", spec), spec)
			checkClean(t, subject, false)
			checkClean(t, text, true)
			if len(text) > MaxText || len([]rune(subject)) > MaxSubject {
				t.Errorf("%d bytes of text, %d characters of subject", len(text), len([]rune(subject)))
			}
			if got := textLabels(spec); !slices.Equal(got, want) {
				t.Errorf("sections %q, want %q", got, want)
			}
		})
	}
}

// TestTheDescriptionStandsBelowTheFacts, in both forms: it may be thousands of lines long.
func TestTheDescriptionStandsBelowTheFacts(t *testing.T) {
	t.Parallel()
	spec := outbreak()
	spec.Trigger.Event.Description = marker + strings.Repeat("\n\nx", 1000)
	_, text := Render(mustParse(t, ""), mustParse(t, ""), Values("security", "n-1", spec), spec)
	for form, text := range map[string]string{"text": text, "HTML": checkElements(t, seen(t, page(t, spec, "", "")))} {
		if at := strings.Index(text, marker); at < strings.Index(text, "Product") || at < strings.Index(text, "ws-0042") {
			t.Errorf("%s: the description is at %d of\n%s", form, at, text[:500])
		}
	}
}

// textLabels are the beginnings of the lines of the standard text that are not indented, up to the first colon. The first
// line is the headline.
func textLabels(spec *v1alpha1.NotificationSpec) []string {
	var labels []string
	values := Values("security", "n-1", spec)
	_, rest, _ := strings.Cut(DefaultText(values, spec), "\n")
	for line := range strings.Lines(rest) {
		label, _, found := strings.Cut(line, ":")
		if found && !strings.HasPrefix(line, " ") {
			labels = append(labels, label)
		}
	}
	return labels
}

// TestThePageHasWhatIsAllowed: were the list longer than the page needs, it would allow what nobody has thought of.
func TestThePageHasWhatIsAllowed(t *testing.T) {
	t.Parallel()
	elements, attributes := map[string]bool{}, map[string]bool{}
	many, cut := outbreak(), limited()
	many.Trigger.Computers, cut.Digest.Suppressed = 23, 99
	for _, message := range []string{"", "a\n\nb"} {
		for _, spec := range []*v1alpha1.NotificationSpec{many, cut} {
			root, err := html.Parse(strings.NewReader(page(t, spec, "", message)))
			if err != nil {
				t.Fatal(err)
			}
			for node := range root.Descendants() {
				if node.Type == html.ElementNode {
					elements[node.Data] = true
					for _, a := range node.Attr {
						attributes[a.Key] = true
					}
				}
			}
		}
	}
	for what, list := range map[string][2][]string{
		"elements":   {slices.Sorted(maps.Keys(elements)), slices.Sorted(slices.Values(allowedElements))},
		"attributes": {slices.Sorted(maps.Keys(attributes)), slices.Sorted(slices.Values(allowedAttributes))},
	} {
		if fmt.Sprint(list[0]) != fmt.Sprint(list[1]) {
			t.Errorf("%s of the pages: %v, allowed are %v", what, list[0], list[1])
		}
	}
}

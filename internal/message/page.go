// SPDX-License-Identifier: Apache-2.0

package message

import (
	_ "embed"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
)

// Page is what an HTML page is made of.
type Page struct {
	// Subject and Text as Render returned them, perhaps long ago.
	Subject, Text string
	// Values as Values returned them.
	Values placeholder.Values
	// Spec of the notification.
	Spec *v1alpha1.NotificationSpec
}

// HTML returns the page as a complete HTML document without scripts, links or anything to load, fit for mail programs in
// light and dark, on narrow screens, and with Word's engine, which knows tables and little CSS. Where Text is the default
// one, the page shows the description alone, as its table tells the rest. A Digest has a table of the conditions instead.
func HTML(page Page) (string, error) {
	var out strings.Builder
	if err := pageTemplate.Execute(&out, viewOf(page)); err != nil {
		return "", err
	}
	return out.String(), nil
}

// The page is well-formed XML too, so that tests can prove by a strict parser that no event adds a tag.
//
//go:embed page.html.tmpl
var pageSource string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"beginOutlook": func() template.HTML { return beginOutlook },
	"endOutlook":   func() template.HTML { return endOutlook },
}).Parse(pageSource))

// Outlook on Windows knows no max-width: a table that it alone sees keeps the page from becoming as wide as the window.
// html/template drops comments, hence these constants.
const (
	beginOutlook = `<!--[if mso]><table role="presentation" align="center" width="640" cellspacing="0" cellpadding="0" ` +
		`border="0"><tr><td><![endif]-->`
	endOutlook = `<!--[if mso]></td></tr></table><![endif]-->`
)

// maxPreheader is about what mail programs show beside a subject, in characters.
const maxPreheader = 140

// view is what the page shows.
type view struct {
	colours
	Severity string
	Subject  string
	// Preheader is not seen on the page: it is what lists of mails show beside the subject.
	Preheader string
	// Notes are Tocsin's own words, Lines the channel's text or that of a digest. Description is the event's and stands below
	// the facts, so that it cannot push them out of sight.
	Notes, Description, Lines []string
	Facts                     []fact
	Computers                 [][]string
	MoreComputers             string
	HeldBack                  []heldRow
	MoreHeldBack              string
	Hint                      *fact
	Origin                    string
}

// colours of the severity bar, with a contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3).
type colours struct{ Bar, Ink string }

func viewOf(page Page) view {
	if page.Spec != nil && page.Spec.Digest != nil {
		return digestView(page)
	}
	v := view{
		colours:  coloursOf(page.Values[placeholder.SeverityNumber]),
		Severity: Line(severityOf(page.Values), maxValue),
		Subject:  Line(page.Subject, MaxSubject),
		Facts:    facts(page.Values, page.Spec),
		Origin:   origin(page.Values),
	}
	if title := titleOf(page.Values); title != "" {
		v.Facts = append([]fact{{"What", title}}, v.Facts...)
	}
	names, more := computerNames(page.Spec)
	v.Computers, v.MoreComputers = inPairs(names), more
	text := Block(page.Text, MaxText)
	if _, own := Render(placeholder.Template{}, placeholder.Template{}, page.Values, page.Spec); text == own {
		v.Notes = []string{opening(page.Spec), heldNote(page.Spec)}
		description := page.Values[placeholder.Description]
		v.Description = linesOf(description)
		text = joinFilled(" ", opening(page.Spec), joinFilled("; ",
			howMany(page.Values), page.Values[placeholder.Risk], page.Values[placeholder.Action], description))
	} else {
		v.Lines = linesOf(text)
	}
	v.Preheader = Line(text, maxPreheader)
	return v
}

func digestView(page Page) view {
	channel := digestChannel(page.Spec)
	severity := digestSeverity(page.Spec)
	sentence := digestSentence(page.Spec, channel)
	hint := digestHint(page.Spec, page.Values[placeholder.Namespace])
	v := view{
		colours:   coloursOf(strconv.Itoa(severity.Number())),
		Severity:  Line(severityWords(severity), maxValue),
		Subject:   Line(page.Subject, MaxSubject),
		Preheader: Line(sentence, maxPreheader),
		Lines:     []string{sentence},
		Hint:      &hint,
		Origin:    "Limit of " + channelName(channel) + around(", ", origin(page.Values), ""),
	}
	v.HeldBack, v.MoreHeldBack = heldBack(page.Spec)
	return v
}

func linesOf(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// inPairs makes rows of two, the last one filled up.
func inPairs(names []string) [][]string {
	var rows [][]string
	for pair := range slices.Chunk(names, 2) {
		if len(pair) < 2 {
			pair = []string{pair[0], ""}
		}
		rows = append(rows, pair)
	}
	return rows
}

func coloursOf(severityNumber string) colours {
	switch severityNumber {
	case "4":
		return colours{Bar: "#b3261e", Ink: "#ffffff"}
	case "3":
		return colours{Bar: "#a04a00", Ink: "#ffffff"}
	case "2":
		return colours{Bar: "#f2c14e", Ink: "#1f1f1f"}
	case "1":
		return colours{Bar: "#1f5fa8", Ink: "#ffffff"}
	default:
		return colours{Bar: "#5f6368", Ink: "#ffffff"}
	}
}

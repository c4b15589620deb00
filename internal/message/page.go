// SPDX-License-Identifier: Apache-2.0

package message

import (
	_ "embed"
	"html/template"
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
// light and dark. Where Text is the default one, the page shows the description alone, as its table tells the rest.
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

var pageTemplate = template.Must(template.New("page").Parse(pageSource))

// view is what the page shows.
type view struct {
	colours
	Severity  string
	Subject   string
	Notes     []string
	Lines     []string
	Facts     []fact
	Computers []string
	Origin    string
}

// colours of the severity bar, with a contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3).
type colours struct{ Bar, Ink string }

func viewOf(page Page) view {
	v := view{
		colours:   coloursOf(page.Values[placeholder.SeverityNumber]),
		Severity:  Line(severityOf(page.Values), maxValue),
		Subject:   Line(page.Subject, MaxSubject),
		Facts:     facts(page.Values, page.Spec),
		Computers: computerNames(page.Spec),
		Origin:    origin(page.Values),
	}
	if title := titleOf(page.Values); title != "" {
		v.Facts = append([]fact{{"What", title}}, v.Facts...)
	}
	text := Block(page.Text, MaxText)
	if _, own := Render(placeholder.Template{}, placeholder.Template{}, page.Values, page.Spec); text == own {
		v.Notes = []string{opening(page.Spec), heldNote(page.Spec)}
		text = page.Values[placeholder.Description]
	}
	if text != "" {
		v.Lines = strings.Split(text, "\n")
	}
	return v
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

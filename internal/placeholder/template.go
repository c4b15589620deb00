// SPDX-License-Identifier: Apache-2.0

package placeholder

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Values to put in the place of placeholders. A name without a value stands for the empty text.
type Values map[Name]string

// SyntaxError says which percent sign of a text begins neither %% nor a known placeholder.
type SyntaxError struct {
	// Token is what stands there: the percent sign, the letters, digits and underscores after it, and a closing one.
	Token string
	// Position of the percent sign, in characters (not bytes); the first is 1.
	Position int
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("unknown or unclosed placeholder %s at character %d; a percent sign is written %%%%",
		e.Token, e.Position)
}

// Template is a text with placeholders that was found valid. The zero value is the empty text.
type Template struct {
	parts []part
}

// part is literal text, or a placeholder if name is set.
type part struct {
	text string
	name Name
}

// Parse reads a text in which %NAME% is a placeholder and %% a percent sign. The error is a *SyntaxError.
func Parse(text string) (Template, error) {
	var parts []part
	rest := text
	for rest != "" {
		sign := strings.IndexByte(rest, '%')
		if sign < 0 {
			parts = append(parts, part{text: rest})
			break
		}
		if sign > 0 {
			parts = append(parts, part{text: rest[:sign]})
			rest = rest[sign:]
		}
		name, closed := strings.CutSuffix(token(rest)[1:], "%")
		switch {
		case closed && name == "":
			parts = append(parts, part{text: "%"})
		case closed && known(Name(name)):
			parts = append(parts, part{name: Name(name)})
		default:
			before := text[:len(text)-len(rest)]
			return Template{}, &SyntaxError{Token: token(rest), Position: utf8.RuneCountInString(before) + 1}
		}
		rest = rest[len(name)+2:]
	}
	return Template{parts: parts}, nil
}

// token returns what the percent sign at the start of text begins.
func token(text string) string {
	end := 1
	for end < len(text) && isNameByte(text[end]) {
		end++
	}
	if end < len(text) && text[end] == '%' {
		end++
	}
	return text[:end]
}

func isNameByte(b byte) bool {
	return b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b >= '0' && b <= '9' || b == '_'
}

// IsEmpty reports whether the template is the empty text.
func (t Template) IsEmpty() bool {
	return len(t.parts) == 0
}

// Uses reports whether the template contains the placeholder.
func (t Template) Uses(name Name) bool {
	for _, p := range t.parts {
		if p.name == name && name != "" {
			return true
		}
	}
	return false
}

// Render puts the values in the place of the placeholders, in one pass: a value that looks like a placeholder stays as it
// is. The values' lengths and the number of placeholders bound the result; RenderUpTo bounds it further.
func (t Template) Render(values Values) string {
	return t.RenderUpTo(values, -1)
}

// RenderUpTo is Render that stops as soon as the result has limit bytes or more: the value or text that reaches the limit
// is still whole, so that no character is cut. A negative limit is none.
func (t Template) RenderUpTo(values Values, limit int) string {
	var out strings.Builder
	for _, p := range t.parts {
		if limit >= 0 && out.Len() >= limit {
			break
		}
		if p.name != "" {
			out.WriteString(values[p.name])
		} else {
			out.WriteString(p.text)
		}
	}
	return out.String()
}

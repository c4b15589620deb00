// SPDX-License-Identifier: Apache-2.0

package message

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	ellipsis = "…"
	// maxMarks on one character: no writing system needs more, and piles of them cover the lines above and below.
	maxMarks = 8
	// maxSpaces side by side in a Block: enough to indent, too few to push text out of sight.
	maxSpaces = 16
	// tabWidth in spaces.
	tabWidth = 4
)

// Line makes one line of at most limit characters (runes) out of a text that nobody vouches for. Line breaks, tabs and all
// other kinds of space become single spaces. What could deceive a reader or a terminal is replaced by U+FFFD: control
// characters, line and paragraph separators, bidirectional controls, invisible characters, noncharacters and bytes that
// are no UTF-8. Marks that pile up on one character are dropped. What is too long ends in an ellipsis.
func Line(s string, limit int) string {
	c := cleaner{limit: limit}
	for _, r := range s {
		if r == '\n' || r == '\r' || r == '\t' || unicode.Is(unicode.Zs, r) {
			c.space = min(len(c.out), 1)
			c.marks = 0
			continue
		}
		if !c.add(r) {
			break
		}
	}
	return c.cut()
}

// Block is Line for a text of several lines: line breaks (LF, CRLF and CR) stay, as LF, with at most one empty line side
// by side; a tab becomes four spaces, and up to 16 spaces side by side stay, save at the end of a line. The limit counts
// line breaks too.
func Block(s string, limit int) string {
	c := cleaner{limit: limit}
	previous := rune(0)
	for _, r := range s {
		switch {
		case r == '\n' && previous == '\r':
		case r == '\n' || r == '\r':
			c.breaks = min(c.breaks+1, 2, 2*len(c.out))
			c.space, c.marks = 0, 0
		case r == '\t':
			c.space = min(c.space+tabWidth, maxSpaces)
			c.marks = 0
		case unicode.Is(unicode.Zs, r):
			c.space = min(c.space+1, maxSpaces)
			c.marks = 0
		default:
			if !c.add(r) {
				return c.cut()
			}
		}
		previous = r
	}
	return c.cut()
}

// cleaner collects characters. Space is owed until a visible character follows, so that none is left at the end.
type cleaner struct {
	out    []rune
	limit  int
	breaks int
	space  int
	marks  int
}

// add takes a character that is no space; false says that there is no need for more.
func (c *cleaner) add(r rune) bool {
	switch {
	case deceives(r):
		r = utf8.RuneError
		c.marks = 0
	case unicode.Is(unicode.M, r):
		c.marks++
		if c.marks > maxMarks {
			return true
		}
	default:
		c.marks = 0
	}
	for ; c.breaks > 0; c.breaks-- {
		c.out = append(c.out, '\n')
	}
	for ; c.space > 0; c.space-- {
		c.out = append(c.out, ' ')
	}
	c.out = append(c.out, r)
	return len(c.out) <= c.limit
}

// cut returns the text, shortened to its limit, never between a character and its marks.
func (c *cleaner) cut() string {
	if len(c.out) <= c.limit {
		return string(c.out)
	}
	if c.limit <= 0 {
		return ""
	}
	end := c.limit - 1
	for end > 0 && unicode.Is(unicode.M, c.out[end]) {
		end--
	}
	return strings.TrimRight(string(c.out[:end]), " \n") + ellipsis
}

// cutBytes shortens a clean text to at most limit bytes, as cut does by characters.
func cutBytes(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	end := limit - len(ellipsis)
	if end < 0 {
		return ""
	}
	for end > 0 && !startsCharacter(s[end:]) {
		end--
	}
	return strings.TrimRight(s[:end], " \n") + ellipsis
}

func startsCharacter(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return utf8.RuneStart(s[0]) && !unicode.Is(unicode.M, r)
}

// deceives reports whether a character is a control character, or is not seen but changes what is seen around it.
func deceives(r rune) bool {
	if r < utf8.RuneSelf {
		return r < ' ' || r == 0x7f
	}
	switch {
	case r == 0xfe0e || r == 0xfe0f:
		return false // text and colour form of a symbol: common, and nothing else can be hidden in two of them
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return false // format characters of Arabic and others that are seen
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp,
		unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Noncharacter_Code_Point)
}

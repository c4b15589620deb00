// SPDX-License-Identifier: Apache-2.0

// Package screen writes for people: tables, colours and charts, and nothing that a cluster's text could do to a terminal.
package screen

import (
	"io"
	"math"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/term"
	"golang.org/x/text/width"

	"github.com/tocsin-dev/tocsin/internal/message"
)

// DefaultWidth is how wide a chart gets where the output is no terminal, in characters.
const DefaultWidth = 80

// Screen is where a command writes what people read.
type Screen struct {
	io.Writer
	// Width of the terminal in characters; zero where the output is none, and lines may be as long as they are.
	Width int
	// Colour says that colours may be used.
	Colour bool
}

// New looks whether the output is a terminal, and whether that wants colours: https://no-color.org.
func New(out io.Writer, environment func(string) string) *Screen {
	s := &Screen{Writer: out}
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return s
	}
	s.Width = DefaultWidth
	if columns, _, err := term.GetSize(int(file.Fd())); err == nil && columns > 0 {
		s.Width = columns
	}
	s.Colour = environment("NO_COLOR") == "" && environment("TERM") != "dumb"
	return s
}

// Tone is what a colour says.
type Tone string

// The tones, as ANSI's select graphic rendition. Plain is none.
const (
	Plain Tone = ""
	Good  Tone = "32"
	Warn  Tone = "33"
	Bad   Tone = "31"
	Worst Tone = "1;31"
	Faint Tone = "2"
	Bold  Tone = "1"
)

// Paint colours a text that is clean already.
func (s *Screen) Paint(tone Tone, text string) string {
	if !s.Colour || tone == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(tone) + "m" + text + "\x1b[0m"
}

// whole is the limit of texts that are not cut.
const whole = math.MaxInt

// Line makes a text from the cluster fit to be a part of a line. It is not cut.
func Line(text string) string { return message.Line(text, whole) }

// Block makes a text from the cluster fit to be shown in lines, each of which begins with the prefix: none of them passes
// for a line of ours.
func Block(text, prefix string) string {
	var out strings.Builder
	for line := range strings.SplitSeq(message.Block(text, whole), "\n") {
		out.WriteString(strings.TrimRight(prefix+line, " ") + "\n")
	}
	return out.String()
}

// Wrap joins items with commas, in lines of at most so many columns. Only an item that is alone in its line may be longer.
func Wrap(items []string, columns int) []string {
	var lines []string
	for i, item := range items {
		item = Line(item)
		if i < len(items)-1 {
			item += ","
		}
		last := len(lines) - 1
		if last >= 0 && Columns(lines[last])+1+Columns(item) <= columns {
			lines[last] += " " + item
		} else {
			lines = append(lines, item)
		}
	}
	return lines
}

// Columns is how many columns of a terminal a clean text takes.
func Columns(text string) int {
	n := 0
	for _, r := range text {
		switch {
		case unicode.Is(unicode.M, r):
		case width.LookupRune(r).Kind() == width.EastAsianWide, width.LookupRune(r).Kind() == width.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}

// cut shortens a clean text to so many columns.
func cut(text string, columns int) string {
	if Columns(text) <= columns {
		return text
	}
	n := 0
	for i, r := range text {
		n += Columns(string(r))
		if n > columns-1 {
			return text[:i] + "…"
		}
	}
	return text
}

// Deceives says whether a character could do something to a terminal or to what a reader sees. Line breaks and tabs do not.
func Deceives(r rune) bool {
	switch {
	case r == '\n' || r == '\t' || r == utf8.RuneError || r >= ' ' && r < 0x7f:
		return false
	case r < ' ':
		return true
	default:
		return message.Line(string(r), 1) == string(utf8.RuneError)
	}
}

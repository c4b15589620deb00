// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	bold   = "1"
	red    = "1;31"
	green  = "1;32"
	yellow = "33"
	cyan   = "36"
)

// screen is what the reader sees.
type screen struct {
	out     io.Writer
	colours bool
	steps   int
}

// newScreen writes colours to a terminal only, and not where they are unwanted (no-color.org).
func newScreen(out *os.File) *screen {
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &screen{out: out, colours: terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// step begins the next numbered step.
func (s *screen) step(title string) {
	s.steps++
	s.title(fmt.Sprintf("%d. %s", s.steps, title))
}

func (s *screen) title(text string) {
	fmt.Fprintf(s.out, "\n%s\n", s.paint(bold, text))
}

func (s *screen) say(format string, args ...any) {
	s.quote(fmt.Sprintf(format, args...))
}

// command shows a command line as a reader could type it.
func (s *screen) command(line string) {
	s.quote(s.paint(cyan, "$ "+line))
}

// shell writes a command the way a shell reads it.
func shell(command ...string) string {
	words := make([]string, len(command))
	for i, word := range command {
		words[i] = word
		if strings.ContainsAny(word, " {}[]$;*") {
			words[i] = "'" + word + "'"
		}
	}
	return strings.Join(words, " ")
}

// quote shows text indented.
func (s *screen) quote(text string) {
	text = strings.TrimRight(text, "\n")
	if text == "" {
		return
	}
	fmt.Fprintf(s.out, "   %s\n", strings.ReplaceAll(text, "\n", "\n   "))
}

// heads shows to whom mails go and what they are about.
func (s *screen) heads(mails []mail) {
	for _, m := range mails {
		s.quote(s.paint(yellow, "| To:      "+strings.Join(m.to(), ", ")))
		s.quote(s.paint(yellow, "| Subject: "+m.Subject))
	}
}

// mail shows a whole mail.
func (s *screen) mail(m mail) {
	s.heads([]mail{m})
	s.quote(s.paint(yellow, "| From:    "+m.From.String()+"\n|"))
	s.quote(s.paint(yellow, "| "+strings.ReplaceAll(m.text(), "\n", "\n| ")))
	fmt.Fprintln(s.out)
}

func (s *screen) success(format string, args ...any) {
	fmt.Fprintf(s.out, "%s\n", s.paint(green, fmt.Sprintf(format, args...)))
}

func (s *screen) failure(err error) {
	fmt.Fprintf(s.out, "\n%s\n", s.paint(red, "FAILED: "+err.Error()))
}

func (s *screen) paint(colour, text string) string {
	if !s.colours {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

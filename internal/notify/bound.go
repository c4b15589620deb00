// SPDX-License-Identifier: Apache-2.0

package notify

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxMessage is the length of a Result's message in bytes, at most.
	MaxMessage = 1024
	// MaxResponse is the length of a Recipient's response in bytes, at most.
	MaxResponse = 512
	// MaxQueueID is the length of a Result's queue id in bytes, at most.
	MaxQueueID = 128

	ellipsis = "…"
)

// Bound makes text from outside fit for a status, a log and a terminal: at most limit bytes of printable UTF-8 on one
// line. Line breaks and tabs become spaces; bytes and characters that are not printable become U+FFFD.
func Bound(text string, limit int) string {
	text = strings.TrimSpace(strings.Map(printable, text))
	if len(text) <= limit {
		return text
	}
	end := limit - len(ellipsis)
	if end < 0 {
		return ""
	}
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}

func printable(r rune) rune {
	switch {
	case r == '\n' || r == '\r' || r == '\t':
		return ' '
	case unicode.IsPrint(r):
		return r
	default:
		return utf8.RuneError
	}
}

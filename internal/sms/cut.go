// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Cut makes a text that takes at most that many segments, one at least. What it leaves is the beginning of the text, which
// ends in "..." in the GSM alphabet and in "…" in UCS-2 if something is missing.
//
// Lines end with LF, tabs become spaces, and other control characters and bytes that are no UTF-8 become U+FFFD. If the text
// can be written in the GSM alphabet but for some typographic characters, those are replaced by their plain forms, U+FFFD by
// a question mark; else all stay. A text whose foreign character comes so late that it would be cut off anyway is cut as
// a GSM text.
//
// It cuts between characters as they are seen: not in a surrogate pair, not before a combining mark, a variation selector, a
// skin tone or a tag, not at a zero-width joiner, not in a flag of two letters, and not in a syllable of Hangul letters. Other
// rules of Unicode's text segmentation (UAX #29) are not followed. More than 16 code points are no character.
func Cut(text string, segments int) string {
	segments = max(segments, 1)
	text = clean(text)
	plain := typographic.Replace(text)
	if size, ok := gsm.measure(plain); ok && size.Segments <= segments {
		return plain
	}
	if size := Measure(text); size.Segments <= segments {
		return text
	}
	long, short := gsm.fill(plain, segments), ucs2.fill(text, segments)
	if utf8.RuneCountInString(plain[:long]) >= utf8.RuneCountInString(text[:short]) {
		return shown(plain[:long]) + gsm.cut
	}
	return shown(text[:short]) + ucs2.cut
}

func shown(text string) string { return strings.TrimRight(text, " \n") }

func clean(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case unicode.IsControl(r):
			return utf8.RuneError
		}
		return r
	}, lineEnds.Replace(text))
}

var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// typographic characters, and their plain forms in the GSM alphabet. The alphabet has no grave accent, either.
var typographic = strings.NewReplacer(
	"‘", "'", "’", "'", "‚", "'", "‛", "'", "‹", "'", "›", "'", "′", "'", "´", "'", "`", "'",
	"“", `"`, "”", `"`, "„", `"`, "‟", `"`, "«", `"`, "»", `"`, "″", `"`,
	"‐", "-", "‑", "-", "‒", "-", "–", "-", "—", "-", "―", "-", "−", "-",
	"\u00a0", " ", "\u2007", " ", "\u2009", " ", "\u202f", " ",
	"…", "...", "\ufffd", "?",
)

// maxCharacter is how many code points are one character at most; the longest emoji have ten.
const maxCharacter = 16

const joiner = '\u200d'

// character returns the length in bytes of the character that a text begins with.
func character(text string) int {
	var previous rune
	points, letters := 0, 0 // letters of flags
	for i, r := range text {
		within := isExtension(r) || previous == joiner || isFlagLetter(r) && isFlagLetter(previous) && letters == 1
		if i > 0 && !within || points == maxCharacter {
			return i
		}
		if isFlagLetter(r) {
			letters++
		}
		points++
		previous = r
	}
	return len(text)
}

// isExtension tells what belongs to the character before it.
func isExtension(r rune) bool {
	switch {
	case r < utf8.RuneSelf:
		return false
	case r == joiner, r >= 0x1160 && r <= 0x11ff: // vowels and final consonants of Hangul
		return true
	case r >= 0x1f3fb && r <= 0x1f3ff, r >= 0xe0020 && r <= 0xe007f: // skin tones; tags
		return true
	}
	return unicode.Is(unicode.M, r)
}

func isFlagLetter(r rune) bool { return r >= 0x1f1e6 && r <= 0x1f1ff }

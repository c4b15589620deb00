// SPDX-License-Identifier: Apache-2.0

// Package sms makes texts fit for short messages: it counts the segments that a text takes in the alphabet a network will
// choose for it, cuts what takes too many, and makes mail addresses out of phone numbers.
//
// A network writes a text in the GSM alphabet, at 160 characters a message, if it knows all of its characters there, and
// else in UCS-2, at 70. One foreign character costs more than half of the room.
package sms

// Size is what a text takes.
type Size struct {
	// Alphabet is GSM or UCS2.
	Alphabet Alphabet
	// Units are septets in GSM and UTF-16 code units in UCS2.
	Units int
	// Segments are the short messages that carry the text; the empty text takes one.
	Segments int
}

// Alphabet is how a network writes a text.
type Alphabet string

const (
	// GSM is the default alphabet with its extension table (3GPP TS 23.038, 6.2.1), in septets.
	GSM Alphabet = "GSM"
	// UCS2 is 16-bit Unicode; what lies beyond its first plane takes a surrogate pair.
	UCS2 Alphabet = "UCS-2"
)

// Measure counts the segments of a text as it stands. A character of two units is never divided between two segments.
func Measure(text string) Size {
	if size, ok := gsm.measure(text); ok {
		return size
	}
	size, _ := ucs2.measure(text)
	return size
}

const (
	// basic is the default alphabet, in its order, less the escape character, which is no character.
	basic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	// extension holds the characters that are written as the escape character and another one.
	extension = "\f^{}\\[~]|€"
)

// coding is an alphabet with what fits into a message: 140 bytes, of which 6 tell the segments of one text apart.
type coding struct {
	alphabet Alphabet
	// alone and part are the units of a text's only segment and of one of several.
	alone, part int
	// cut shows that something is missing.
	cut string
	// units of a character; 0 if the alphabet has none for it.
	units func(rune) int
}

var (
	gsm  = coding{alphabet: GSM, alone: 160, part: 153, cut: "...", units: septets}
	ucs2 = coding{alphabet: UCS2, alone: 70, part: 67, cut: "…", units: codeUnits}
)

// inSeptets holds what each character of the GSM alphabet takes.
var inSeptets = func() map[rune]int {
	table := map[rune]int{}
	for _, r := range basic {
		table[r] = 1
	}
	for _, r := range extension {
		table[r] = 2
	}
	return table
}()

func septets(r rune) int { return inSeptets[r] }

func codeUnits(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}

// measure is false for a text that the alphabet cannot write.
func (c *coding) measure(text string) (Size, bool) {
	size := Size{Alphabet: c.alphabet, Segments: 1}
	filled := 0
	for _, r := range text {
		n := c.units(r)
		if n == 0 {
			return Size{}, false
		}
		size.Units += n
		if filled += n; filled > c.part {
			size.Segments++
			filled = n
		}
	}
	if size.Units <= c.alone {
		size.Segments = 1
	}
	return size, true
}

// fill returns how much of a text goes into that many segments together with what shows that it was cut, in bytes. It ends
// before a character that the alphabet has not.
func (c *coding) fill(text string, segments int) int {
	room, left := c.part, segments-1 // in this segment, and segments after it
	if segments == 1 {
		room = c.alone
	}
	end := 0
	for end < len(text) {
		length := character(text[end:])
		for _, r := range text[end : end+length] {
			n := c.units(r)
			if n == 0 {
				return end
			}
			if n > room {
				room, left = c.part, left-1
			}
			room -= n
		}
		mark := len([]rune(c.cut)) // of one unit each
		if left < 0 || left*c.part+room < mark {
			return end
		}
		end += length
	}
	return end
}

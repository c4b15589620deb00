// SPDX-License-Identifier: Apache-2.0

// Package legible makes text from outside fit to be stored in an object that people read: kubectl cannot show an object as
// YAML, nor edit it, if any text in it holds a character that YAML has no room for.
package legible

import (
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// Text is the text with U+FFFD in place of what is no printable character of YAML 1.2.2, section 5.1. Those below U+0020 stay:
// JSON, as which the API server hands out objects, escapes them.
func Text(text string) string { return strings.Map(printable, text) }

func printable(r rune) rune {
	switch {
	case r < 0x7f, r == 0x85, r >= 0xa0 && r <= 0xfffd, r >= 0x10000:
		return r
	default:
		return utf8.RuneError
	}
}

// Event is a copy of what an event says, with all of its text made legible.
func Event(spec *v1alpha1.SecurityEventSpec) v1alpha1.SecurityEventSpec {
	var copied v1alpha1.SecurityEventSpec
	data, err := json.Marshal(spec)
	if err == nil {
		err = json.Unmarshal([]byte(Text(string(data))), &copied)
	}
	if err != nil { // it came as JSON
		return *spec.DeepCopy()
	}
	return copied
}

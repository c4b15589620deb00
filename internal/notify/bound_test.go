// SPDX-License-Identifier: Apache-2.0

package notify_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/tocsin-dev/tocsin/internal/notify"
)

func TestBound(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text  string
		limit int
		want  string
	}{
		"what fits stays as it is":               {"550 no such user", 16, "550 no such user"},
		"what does not fit is cut and says so":   {"550 no such user", 10, "550 no …"},
		"a character is never cut in two":        {"aäää", 5, "a…"},
		"no room for the ellipsis":               {"abcdef", 2, ""},
		"lines become one":                       {"first\r\nsecond\tthird\n", 100, "first  second third"},
		"bytes that are no UTF-8 are replaced":   {"caf\xe9", 100, "caf\uFFFD"},
		"NUL and escape sequences are replaced":  {"a\x00b\x1b[2J", 100, "a\uFFFDb\uFFFD[2J"},
		"text that runs backwards is replaced":   {"a\u202Eb", 100, "a\uFFFDb"},
		"replacement does not outgrow the limit": {strings.Repeat("\xff", 100), 32, strings.Repeat("\uFFFD", 9) + "…"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := notify.Bound(tc.text, tc.limit); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func FuzzBound(f *testing.F) {
	f.Add("550 5.1.1 no such user", 512)
	f.Add("\xff\x00\u202e…\r\n", 5)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		got := notify.Bound(text, limit)
		if len(got) > max(limit, 0) {
			t.Errorf("%d bytes, %d allowed", len(got), limit)
		}
		if !utf8.ValidString(got) {
			t.Errorf("not UTF-8: %q", got)
		}
		if strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("not printable: %q", got)
		}
		if again := notify.Bound(got, limit); again != got {
			t.Errorf("bounding again changes %q to %q", got, again)
		}
	})
}

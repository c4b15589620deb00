// SPDX-License-Identifier: Apache-2.0

package message

import (
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

const replaced = "\ufffd"

func TestLine(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		max  int
		want string
	}{
		"empty":                           {"", 10, ""},
		"plain":                           {"ws-0042 (Köln) 漢字 שלום", 40, "ws-0042 (Köln) 漢字 שלום"},
		"line breaks":                     {"a\r\nBcc: x@y\n\n\rb", 40, "a Bcc: x@y b"},
		"tabs and other spaces":           {" a\t\u00a0 \u3000b\u2003c ", 40, "a b c"},
		"only space":                      {" \n\t\u3000", 40, ""},
		"C0":                              {"\x00a\x1b[31m", 40, replaced + "a" + replaced + "[31m"},
		"DEL and C1":                      {"\x7f\u0085\u009b", 40, strings.Repeat(replaced, 3)},
		"line and paragraph separators":   {"a\u2028b\u2029c", 40, "a" + replaced + "b" + replaced + "c"},
		"bidirectional embeddings":        {"\u202a\u202b\u202c\u202d\u202e", 40, strings.Repeat(replaced, 5)},
		"bidirectional isolates":          {"\u2066\u2067\u2068\u2069", 40, strings.Repeat(replaced, 4)},
		"bidirectional marks":             {"\u200e\u200f\u061c", 40, strings.Repeat(replaced, 3)},
		"invisible":                       {"\u200b\u200c\u200d\u2060\ufeff\u00ad", 40, strings.Repeat(replaced, 6)},
		"invisible, less known":           {"\u180e\u115f\u3164\u034f\U000e0041\U000e0101", 40, strings.Repeat(replaced, 6)},
		"noncharacters":                   {"\ufffe\uffff\U0001fffe", 40, strings.Repeat(replaced, 3)},
		"no UTF-8":                        {"a\xff\xc3\xe2\x82b", 40, "a" + strings.Repeat(replaced, 4) + "b"},
		"overlong and surrogate":          {"\xc0\xaf\xed\xa0\x80", 40, strings.Repeat(replaced, 5)},
		"coloured symbol stays":           {"\u26a0\ufe0f", 40, "\u26a0\ufe0f"},
		"Arabic number sign stays":        {"\u0600\u0661", 40, "\u0600\u0661"},
		"pile of marks":                   {"z" + strings.Repeat("\u0301", 40) + "y", 40, "z" + strings.Repeat("\u0301", maxMarks) + "y"},
		"fits exactly":                    {"äöü", 3, "äöü"},
		"cut":                             {"äöüß", 3, "äö…"},
		"cut at a space":                  {"ab cd", 4, "ab…"},
		"space at the end does not count": {"abc   ", 3, "abc"},
		"never between letter and mark":   {"abe\u0301fg", 4, "ab…"},
		"marks alone":                     {"\u0301\u0301\u0301", 2, "…"},
		"room for the ellipsis alone":     {"abc", 1, "…"},
		"no room":                         {"abc", 0, ""},
		"negative room":                   {"abc", -1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Line(tc.text, tc.max); got != tc.want {
				t.Errorf("Line(%+q, %d)\n got %+q\nwant %+q", tc.text, tc.max, got, tc.want)
			}
		})
	}
}

func TestBlock(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		max  int
		want string
	}{
		"line breaks of all systems":  {"a\r\nb\nc\rd", 40, "a\nb\nc\nd"},
		"CR LF LF":                    {"a\r\n\nb", 40, "a\n\nb"},
		"many empty lines":            {"\n\n a\n\n\n\n\nb\n\n", 40, " a\n\nb"},
		"lines of spaces are empty":   {"a\n  \n\t\n \nb", 40, "a\n\nb"},
		"indent and columns":          {"- a\n  - b   c", 40, "- a\n  - b   c"},
		"tab":                         {"a\tb", 40, "a    b"},
		"spaces at the end of a line": {"a  \nb", 40, "a\nb"},
		"wall of spaces":              {"a" + strings.Repeat(" ", 4000) + "b", 40, "a" + strings.Repeat(" ", maxSpaces) + "b"},
		"separators are replaced":     {"\u2028\u2029\v\f\u0085", 40, strings.Repeat(replaced, 5)},
		"cut":                         {"ab\ncdef", 5, "ab\nc…"},
		"cut at a line break":         {"ab\n\ncdef", 5, "ab…"},
		"mark on a new line":          {"a\n\u0301b", 40, "a\n\u0301b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Block(tc.text, tc.max); got != tc.want {
				t.Errorf("Block(%+q, %d)\n got %+q\nwant %+q", tc.text, tc.max, got, tc.want)
			}
		})
	}
}

func TestCutBytes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		text string
		max  int
		want string
	}{
		{"äöü", 6, "äöü"}, {"äöüß", 7, "äö…"}, {"äöüß", 6, "ä…"}, {"abe\u0301fg", 6, "ab…"}, {"abe\u0301fg", 5, "ab…"},
		{"abcd", 3, "…"}, {"abcd", 2, ""}, {"ab \n cdefgh", 8, "ab…"},
	} {
		if got := cutBytes(tc.text, tc.max); got != tc.want {
			t.Errorf("cutBytes(%q, %d) = %q, want %q", tc.text, tc.max, got, tc.want)
		}
	}
}

// checkClean fails unless the text is valid and shows all that it holds. Of control characters a block may have LF.
func checkClean(t *testing.T, text string, block bool) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Fatalf("not UTF-8: %+q", text)
	}
	for _, r := range text {
		if r == '\n' && block {
			continue
		}
		if unicode.IsControl(r) ||
			unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control, unicode.Noncharacter_Code_Point) {
			t.Fatalf("%U in %+q", r, text)
		}
		if r != ' ' && unicode.IsSpace(r) || slices.Contains([]rune("\u200b\u200c\u200d\u2060\ufeff\u00ad"), r) {
			t.Fatalf("%U in %+q", r, text)
		}
	}
}

func addSeeds(f *testing.F) {
	f.Helper()
	for _, text := range []string{
		"", "plain", "a\r\nBcc: x@y", "\u202eabc\u2066", "\xff\xfe", "e\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301x",
		strings.Repeat("ab \t\n", 30), "\U0001F468\u200d\U0001F469\u26a0\ufe0f", "<b>&amp;\"'</b>",
	} {
		f.Add(text, 7)
		f.Add(text, 100)
	}
}

func FuzzLine(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit %= 5000
		got := Line(text, limit)
		checkClean(t, got, false)
		if n := utf8.RuneCountInString(got); n > max(limit, 0) {
			t.Errorf("%d characters, at most %d wanted", n, limit)
		}
		if strings.Contains(got, "  ") || strings.TrimSpace(got) != got {
			t.Errorf("needless spaces in %q", got)
		}
		if again := Line(got, limit); again != got {
			t.Errorf("once %+q, twice %+q", got, again)
		}
	})
}

func FuzzBlock(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		limit %= 5000
		got := Block(text, limit)
		checkClean(t, got, true)
		if n := utf8.RuneCountInString(got); n > max(limit, 0) {
			t.Errorf("%d characters, at most %d wanted", n, limit)
		}
		if strings.Contains(got, "\n\n\n") || strings.Contains(got, " \n") || strings.Contains(got, strings.Repeat(" ", maxSpaces+1)) {
			t.Errorf("needless space in %q", got)
		}
		if again := Block(got, limit); again != got {
			t.Errorf("once %+q, twice %+q", got, again)
		}
		short := cutBytes(got, 64)
		checkClean(t, short, true)
		if len(short) > 64 {
			t.Errorf("%d bytes, at most 64 wanted", len(short))
		}
	})
}

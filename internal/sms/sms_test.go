// SPDX-License-Identifier: Apache-2.0

package sms

import (
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	grin   = "😀"       // a surrogate pair
	family = "👨‍👩‍👧‍👦" // seven code points, eleven code units
	thumb  = "👍🏽"      // with a skin tone
	flag   = "🇩🇪"
)

// TestAlphabet: each character of the two tables once; 128 places less that of the escape character, and ten extensions less
// the carriage return 2, the control character and the second escape character, which are no characters.
func TestAlphabet(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		table       string
		count, size int
	}{"basic": {basic, 127, 1}, "extension": {extension, 10, 2}} {
		seen := map[rune]bool{}
		for _, r := range tc.table {
			if seen[r] {
				t.Errorf("%s: %q is there twice", name, r)
			}
			seen[r] = true
			if got := septets(r); got != tc.size {
				t.Errorf("%s: %q takes %d septets, want %d", name, r, got, tc.size)
			}
		}
		if len(seen) != tc.count {
			t.Errorf("%s: %d characters, want %d", name, len(seen), tc.count)
		}
	}
	for place, want := range map[int]rune{0x00: '@', 0x09: 'Ç', 0x10: 'Δ', 0x1b: 'Æ', 0x23: '¤', 0x3f: '¡', 0x7e: 'à'} {
		if got := []rune(basic)[place]; got != want { // from 0x1b on one place less
			t.Errorf("place %#x holds %q, want %q", place, got, want)
		}
	}
	for _, r := range "`çáêíőłǿŞЖ漢\u00a0…’\u2013\x00\x1b" + grin {
		if r != 'ø' && septets(r) != 0 {
			t.Errorf("%q is in the alphabet", r)
		}
	}
}

func TestMeasure(t *testing.T) {
	t.Parallel()
	n := strings.Repeat
	for name, tc := range map[string]struct {
		text string
		want Size
	}{
		"nothing":                       {"", Size{GSM, 0, 1}},
		"a word":                        {"Hello", Size{GSM, 5, 1}},
		"all that one takes":            {n("a", 160), Size{GSM, 160, 1}},
		"one more":                      {n("a", 161), Size{GSM, 161, 2}},
		"all that two take":             {n("a", 306), Size{GSM, 306, 2}},
		"one more than two take":        {n("a", 307), Size{GSM, 307, 3}},
		"all that ten take":             {n("a", 1530), Size{GSM, 1530, 10}},
		"accents that are in it":        {n("äöüÄÖÜßéèñ", 16), Size{GSM, 160, 1}},
		"Greek capitals, line breaks":   {n("ΔΦΓΛΩΠΨΣΘ\n", 16), Size{GSM, 160, 1}},
		"a euro takes two":              {n("€", 80), Size{GSM, 160, 1}},
		"one more euro":                 {n("€", 81), Size{GSM, 162, 2}},
		"brackets take two":             {n("[", 79) + "a", Size{GSM, 159, 1}},
		"a bracket is not divided":      {n("a", 152) + "[" + n("a", 152), Size{GSM, 306, 3}},
		"euros leave a septet free":     {n("€", 153), Size{GSM, 306, 3}},
		"one foreign character":         {n("a", 69) + "ç", Size{UCS2, 70, 1}},
		"one more of them":              {n("a", 70) + "ç", Size{UCS2, 71, 2}},
		"a grave accent is foreign":     {"`", Size{UCS2, 1, 1}},
		"all that two take in UCS-2":    {n("я", 134), Size{UCS2, 134, 2}},
		"one more than two take there":  {n("я", 135), Size{UCS2, 135, 3}},
		"emoji take two":                {n(grin, 35), Size{UCS2, 70, 1}},
		"one more of them takes a part": {n(grin, 36), Size{UCS2, 72, 2}},
		"pairs are not divided":         {n(grin, 67), Size{UCS2, 134, 3}},
		"a family":                      {family, Size{UCS2, 11, 1}},
		"bytes that are no text":        {"\xff\xfe", Size{UCS2, 2, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Measure(tc.text); got != tc.want {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	n := strings.Repeat
	for name, tc := range map[string]struct {
		text     string
		segments int
		want     string
	}{
		"nothing":                              {"", 1, ""},
		"it fits":                              {"Critical: worm on ws-1", 1, "Critical: worm on ws-1"},
		"it fits exactly":                      {n("a", 160), 1, n("a", 160)},
		"it does not":                          {n("a", 161), 1, n("a", 157) + "..."},
		"two segments":                         {n("a", 400), 2, n("a", 303) + "..."},
		"no number of segments is one":         {n("a", 161), 0, n("a", 157) + "..."},
		"a character of two septets":           {n("a", 156) + "€" + n("a", 9), 1, n("a", 156) + "..."},
		"such a one at a segment's end":        {n("a", 152) + n("€", 99), 2, n("a", 152) + n("€", 75) + "..."},
		"no space before the dots":             {n("a", 156) + " " + n("b", 9), 1, n("a", 156) + "..."},
		"Cyrillic":                             {n("я", 71), 1, n("я", 69) + "…"},
		"Cyrillic, two segments":               {n("я", 135), 2, n("я", 133) + "…"},
		"emoji":                                {n(grin, 5000), 1, n(grin, 34) + "…"},
		"emoji, ten segments":                  {n(grin, 5000), 10, n(grin, 330) + "…"},
		"not in a family":                      {n("a", 55) + family + family, 1, n("a", 55) + family + "…"},
		"not before a skin tone":               {n("я", 66) + thumb + "я", 1, n("я", 66) + "…"},
		"not in a flag":                        {n("a", 63) + flag + flag, 1, n("a", 63) + flag + "…"},
		"not before a mark":                    {n("я", 68) + "и\u0306и", 1, n("я", 68) + "…"},
		"not in a syllable":                    {n("я", 68) + "\u1112\u1161\u11ab", 1, n("я", 68) + "…"},
		"a heap of marks is no character":      {"x" + n("\u0301", 5000), 1, "x" + n("\u0301", 63) + "…"},
		"a curly quote does not halve it":      {"“" + n("a", 158) + "”", 1, `"` + n("a", 158) + `"`},
		"typographic characters, plain":        {"‘a’ – «b» — c… ´d` 1\u202f000 − 5′ 6″ x\u2011y", 1, `'a' - "b" - c... 'd' 1 000 - 5' 6" x-y`},
		"they stay where the text is UCS-2":    {"“я” – …", 1, "“я” – …"},
		"and where that is cut":                {"“" + n("я", 80), 1, "“" + n("я", 68) + "…"},
		"a foreign character that is cut off":  {n("a", 200) + grin, 1, n("a", 157) + "..."},
		"one that is not":                      {grin + n("a", 200), 1, grin + n("a", 67) + "…"},
		"one in the middle: what leaves more":  {n("a", 100) + grin + n("b", 100), 1, n("a", 100) + "..."},
		"one early: what leaves more":          {n("a", 40) + grin + n("b", 100), 1, n("a", 40) + grin + n("b", 27) + "…"},
		"line breaks":                          {"a\r\nb\rc\n\nd", 1, "a\nb\nc\n\nd"},
		"tabs and control characters":          {"a\tb\x00c\x1b[31md\x7fe", 1, "a b?c?[31md?e"},
		"what was replaced before":             {"a\ufffdb", 1, "a?b"},
		"control characters where it is UCS-2": {"я\x1b\xff", 1, "я\ufffd\ufffd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Cut(tc.text, tc.segments)
			if got != tc.want {
				t.Errorf("\n got %q (%d)\nwant %q (%d)", got, utf8.RuneCountInString(got), tc.want, utf8.RuneCountInString(tc.want))
			}
			if problem := unfit(tc.text, got, tc.segments); problem != "" {
				t.Error(problem)
			}
		})
	}
}

// unfit says what is wrong with a cut, whatever the text.
func unfit(text, got string, segments int) string {
	plain := typographic.Replace(clean(text))
	if size := Measure(got); size.Segments > max(segments, 1) {
		return "it takes more than it may"
	}
	switch {
	case !utf8.ValidString(got):
		return "a character is divided"
	case Cut(got, segments) != got:
		return "cut once more, it is another"
	case got == clean(text), got == plain:
		return ""
	}
	kept, shows := strings.CutSuffix(got, gsm.cut)
	if !shows {
		kept, shows = strings.CutSuffix(got, ucs2.cut)
	}
	if !shows {
		return "something is missing, which does not show"
	}
	if !strings.HasPrefix(plain, kept) && !strings.HasPrefix(clean(text), kept) {
		return "it is not how the text begins"
	}
	return ""
}

func FuzzCut(f *testing.F) {
	for _, text := range []string{"", "a", "€", "ç", grin, family, thumb, flag, "e\u0301", "“", "…", " \n", "\r", "\xff", "я "} {
		f.Add(text, "b", uint8(200), uint8(2))
		f.Add("b", text, uint8(80), uint8(1))
	}
	f.Fuzz(func(t *testing.T, a, b string, count, segments uint8) {
		text := strings.Repeat(a, int(count)) + b + strings.Repeat(a, int(count/2))
		limit := int(segments%10) + 1
		got := Cut(text, limit)
		if problem := unfit(text, got, limit); problem != "" {
			t.Errorf("%s:\n%q\n%q", problem, text, got)
		}
		if more := Cut(text, limit+1); utf8.RuneCountInString(more) < utf8.RuneCountInString(got)-len(gsm.cut) {
			t.Errorf("with more room less is left:\n%q\n%q", got, more)
		}
		// Counting is monotone: a longer text never takes less.
		last := Size{}
		for i := range text {
			if i > 500 {
				break
			}
			if size := Measure(text[:i]); size.Segments < last.Segments {
				t.Errorf("%d characters take %+v, one less takes %+v", i, size, last)
			} else {
				last = size
			}
		}
	})
}

func TestAddress(t *testing.T) {
	t.Parallel()
	domain := Gateway{Domain: "sms.example.com"}
	pattern := func(p string) Gateway { return Gateway{Pattern: p} }
	for name, tc := range map[string]struct {
		recipient string
		gateway   Gateway
		want      string
	}{
		"a domain":             {"+4915112345678", domain, "4915112345678@sms.example.com"},
		"a pattern":            {"+4915112345678", pattern("sms+%NUMBER%@gw.example.com"), "sms+4915112345678@gw.example.com"},
		"the plus and more":    {"+12025550123", pattern("+%NUMBER%/TYPE=SMS@fax.example.com"), "+12025550123/TYPE=SMS@fax.example.com"},
		"percent signs":        {"+12025550123", pattern("%%%NUMBER%%%@gw.example.com"), "%12025550123%@gw.example.com"},
		"the longest number":   {"+123456789012345", domain, "123456789012345@sms.example.com"},
		"an address":           {"night-shift@sms.example.com", domain, "night-shift@sms.example.com"},
		"an address, plus":     {"+night@sms.example.com", Gateway{}, "+night@sms.example.com"},
		"an address, unfilled": {"a%NUMBER%@b.example", pattern("%NUMBER%@gw.example.com"), "a%NUMBER%@b.example"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := Address(tc.recipient, tc.gateway); err != nil || got != tc.want {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
	for name, tc := range map[string]struct {
		recipient string
		gateway   Gateway
		want      string
	}{
		"no gateway":         {"+4915112345678", Gateway{}, "no gateway is named"},
		"no plus":            {"4915112345678", domain, "neither a phone number"},
		"a national number":  {"015112345678", domain, "neither a phone number"},
		"a leading zero":     {"+015112345678", domain, "neither a phone number"},
		"punctuation":        {"+49 151 12345678", domain, "neither a phone number"},
		"too long":           {"+1234567890123456", domain, "neither a phone number"},
		"too short":          {"+1234", domain, "neither a phone number"},
		"a second line":      {"+4915112345678\n", domain, "neither a phone number"},
		"digits of no ASCII": {"+٤٩١٥١١٢٣٤٥", domain, "neither a phone number"},
		"nothing":            {"", domain, "neither a phone number"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got, err := Address(tc.recipient, tc.gateway); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

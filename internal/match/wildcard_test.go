// SPDX-License-Identifier: Apache-2.0

package match

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// slowly is a wildcard as a regular expression: obviously right.
func slowly(pattern, value string) bool {
	parts := strings.Split(strings.ToLower(pattern), "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`(?s)\A` + strings.Join(parts, `.*`) + `\z`).MatchString(strings.ToLower(value))
}

func TestWildcard(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pattern, value string
		want           bool
	}{
		"the same":                                    {"ws-0042", "ws-0042", true},
		"another":                                     {"ws-0042", "ws-0043", false},
		"case does not matter, in the value":          {"ws-0042", "WS-0042", true},
		"case does not matter, in the pattern":        {"WS-0042", "ws-0042", true},
		"case does not matter beyond ASCII":           {"ÄPFEL", "äpfel", true},
		"a part is not enough":                        {"ws", "ws-0042", false},
		"a star at the end":                           {"ws-*", "ws-0042", true},
		"a star stands for no character too":          {"ws-*", "ws-", true},
		"a star at the end, another beginning":        {"ws-*", "srv-0042", false},
		"a star at the beginning":                     {"*-0042", "ws-0042", true},
		"a star at the beginning, another end":        {"*-0042", "ws-0043", false},
		"a star in the middle":                        {"ws-*-berlin", "ws-0042-berlin", true},
		"the parts may not overlap":                   {"ab*ba", "aba", false},
		"the parts may touch":                         {"ab*ba", "abba", true},
		"two stars":                                   {"*004*", "ws-0042", true},
		"two stars, in order only":                    {"*b*a*", "ab", false},
		"the first place that fits is as good as any": {"*aab*", "aaab", true},
		"the last part is looked for at the end":      {"*a*a", "aba", true},
		"the same part thrice needs it thrice":        {"*a*a*a*", "aba", false},
		"stars in a row are one":                      {"a***b", "ab", true},
		"a star alone is anything":                    {"*", "anything", true},
		"a slash is a character like any other":       {"Workstations/*", "Workstations/Berlin/Mitte", true},
		"a question mark is itself":                   {"ws-?", "ws-1", false},
		"a dot is itself":                             {"ws.1", "ws-1", false},
		"brackets and backslashes are themselves":     {`CORP\[a-z]*`, `corp\[a-z]doe`, true},
		"a line break is a character":                 {"a*b", "a\nb", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := compileWildcards([]string{tc.pattern}).match(texts(tc.value)...); got != tc.want {
				t.Errorf("%q matches %q: %t, want %t", tc.pattern, tc.value, got, tc.want)
			}
			if got := slowly(tc.pattern, tc.value); got != tc.want {
				t.Errorf("the slow matcher says %t", got)
			}
		})
	}
}

// TestWildcards: a list, asked about one value or several.
func TestWildcards(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		patterns, values []string
		want             bool
	}{
		"no list: anything":                           {nil, []string{"a"}, true},
		"no list: even nothing":                       {nil, []string{""}, true},
		"a list never matches an empty value":         {[]string{"*"}, []string{""}, false},
		"nor no value":                                {[]string{"*"}, nil, false},
		"any of the list":                             {[]string{"a", "b*"}, []string{"bc"}, true},
		"none of the list":                            {[]string{"a", "b*"}, []string{"c"}, false},
		"any of the values":                           {[]string{"a"}, []string{"x", "a"}, true},
		"an empty value beside another is left out":   {[]string{"a*"}, []string{"", "ab"}, true},
		"none of the values":                          {[]string{"a"}, []string{"x", "y"}, false},
		"an empty pattern is no wildcard for nothing": {[]string{""}, []string{""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := compileWildcards(tc.patterns).match(texts(tc.values...)...); got != tc.want {
				t.Errorf("%q matches %q: %t, want %t", tc.patterns, tc.values, got, tc.want)
			}
		})
	}
}

func FuzzWildcard(f *testing.F) {
	for _, seed := range [][2]string{
		{"*", ""}, {"a*", "A"}, {"*a*b*", "xaybz"}, {"ab*ba", "aba"}, {"**", "x"},
		{"İ*", "i̇x"}, {"K", "k"}, {`a.[*]\`, `A.[x]\`}, {"*\n", "\n\n"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, value string) {
		if !utf8.ValidString(pattern) || !utf8.ValidString(value) {
			t.Skip("the API holds UTF-8 only")
		}
		want := value != "" && slowly(pattern, value)
		if got := compileWildcards([]string{pattern}).match(texts(value)...); got != want {
			t.Errorf("%q matches %q: %t, want %t", pattern, value, got, want)
		}
	})
}

func texts(values ...string) []*text {
	list := make([]*text, 0, len(values))
	for _, value := range values {
		list = append(list, &text{value: value})
	}
	return list
}

// SPDX-License-Identifier: Apache-2.0

package wildcard_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/tocsin-dev/tocsin/internal/wildcard"
)

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, value string
		want           bool
	}{
		{"ws-1", "ws-1", true},
		{"ws-1", "WS-1", false},
		{"ws-1", "ws-10", false},
		{"", "", true},
		{"", "ws", false},
		{"*", "", true},
		{"*", "anything", true},
		{"ws-*", "ws-", true},
		{"ws-*", "aws-1", false},
		{"*.exe", "a.exe", true},
		{"*.exe", "a.exe.txt", false},
		{"a*a", "a", false}, // the two ends may not share a character
		{"a*a", "aa", true},
		{"a*b*c", "a-b-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"**", "x", true},
		{"a.c", "abc", false}, // nothing but the star is special
	} {
		if got := wildcard.Compile(tc.pattern).Matches(tc.value); got != tc.want {
			t.Errorf("%q matches %q: %t, want %t", tc.pattern, tc.value, got, tc.want)
		}
	}
}

// FuzzMatches compares with a regular expression that says the same.
func FuzzMatches(f *testing.F) {
	f.Add("a*b*c", "aXbYc")
	f.Add("*a*", "b")
	f.Fuzz(func(t *testing.T, pattern, value string) {
		if strings.Count(pattern, "*") > 16 {
			return // more are refused at apply
		}
		parts := strings.Split(pattern, "*")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		slow, err := regexp.Compile(`(?s)\A` + strings.Join(parts, ".*") + `\z`)
		if err != nil || strings.ToValidUTF8(value, "") != value {
			return // the API holds UTF-8 only
		}
		if got, want := wildcard.Compile(pattern).Matches(value), slow.MatchString(value); got != want {
			t.Errorf("%q matches %q: %t, want %t", pattern, value, got, want)
		}
	})
}

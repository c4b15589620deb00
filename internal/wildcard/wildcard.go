// SPDX-License-Identifier: Apache-2.0

// Package wildcard matches names against patterns in which a star stands for any characters, or none. It knows nothing of
// case: whoever compares without regard to it puts pattern and value in one.
package wildcard

import "strings"

// Pattern is a pattern split at its stars.
type Pattern []string

// Compile reads a pattern.
func Compile(pattern string) Pattern { return strings.Split(pattern, "*") }

// Matches takes time in proportion to the value's length, however many stars there are: it never goes back.
func (p Pattern) Matches(value string) bool {
	first, last := p[0], p[len(p)-1]
	if len(p) == 1 {
		return value == first
	}
	if len(value) < len(first)+len(last) || !strings.HasPrefix(value, first) || !strings.HasSuffix(value, last) {
		return false
	}
	rest := value[len(first) : len(value)-len(last)]
	for _, part := range p[1 : len(p)-1] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return true
}

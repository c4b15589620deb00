// SPDX-License-Identifier: Apache-2.0

package match

import "strings"

// wildcard is a pattern split at its stars, in lower case.
type wildcard []string

func compileWildcard(pattern string) wildcard {
	return strings.Split(strings.ToLower(pattern), "*")
}

// matches takes the value in lower case.
func (w wildcard) matches(value string) bool {
	first, last := w[0], w[len(w)-1]
	if len(w) == 1 {
		return value == first
	}
	if len(value) < len(first)+len(last) || !strings.HasPrefix(value, first) || !strings.HasSuffix(value, last) {
		return false
	}
	rest := value[len(first) : len(value)-len(last)]
	for _, part := range w[1 : len(w)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return true
}

// wildcards matches when one of its patterns does; without patterns, always.
type wildcards []wildcard

func compileWildcards[S ~string](patterns []S) wildcards {
	compiled := make(wildcards, 0, len(patterns))
	for _, p := range patterns {
		compiled = append(compiled, compileWildcard(string(p)))
	}
	return compiled
}

func (ws wildcards) match(values ...*text) bool {
	if len(ws) == 0 {
		return true
	}
	for _, value := range values {
		if value.value == "" {
			continue
		}
		lower := value.inLowerCase()
		for _, w := range ws {
			if w.matches(lower) {
				return true
			}
		}
	}
	return false
}

// text is a value that many wildcards may be asked about; it is put in lower case once, if any is.
type text struct{ value, lower string }

func (t *text) inLowerCase() string {
	if t.lower == "" {
		t.lower = strings.ToLower(t.value)
	}
	return t.lower
}

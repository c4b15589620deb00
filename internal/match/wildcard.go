// SPDX-License-Identifier: Apache-2.0

package match

import (
	"strings"

	"github.com/tocsin-dev/tocsin/internal/wildcard"
)

// wildcards are in lower case. They match when one of them does; without any, always.
type wildcards []wildcard.Pattern

func compileWildcards[S ~string](patterns []S) wildcards {
	compiled := make(wildcards, 0, len(patterns))
	for _, p := range patterns {
		compiled = append(compiled, wildcard.Compile(strings.ToLower(string(p))))
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
			if w.Matches(lower) {
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

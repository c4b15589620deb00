// SPDX-License-Identifier: Apache-2.0

package logfilter

import "github.com/tocsin-dev/tocsin/internal/wildcard"

// spelling says how values of a kind are compared.
type spelling func(string) string

// asIs keeps case: the cluster tells users apart by it.
func asIs(s string) string { return s }

// patterns matches when one of them does; without any, always. An empty value matches none.
type patterns struct {
	spelling spelling
	patterns []wildcard.Pattern
}

func compile[S ~string](list []S, as spelling) patterns {
	p := patterns{spelling: as}
	for _, pattern := range list {
		p.patterns = append(p.patterns, wildcard.Compile(as(string(pattern))))
	}
	return p
}

func (p patterns) match(values ...string) bool {
	if len(p.patterns) == 0 {
		return true
	}
	for _, value := range values {
		if value == "" {
			continue
		}
		value = p.spelling(value)
		for _, pattern := range p.patterns {
			if pattern.Matches(value) {
				return true
			}
		}
	}
	return false
}

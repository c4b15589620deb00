// SPDX-License-Identifier: Apache-2.0

package logfilter

import "strings"

// spelling says how values of a kind are compared.
type spelling func(string) string

// asIs keeps case: the cluster tells users apart by it.
func asIs(s string) string { return s }

// patterns matches when one of them does; without any, always. An empty value matches none.
type patterns struct {
	spelling spelling
	parts    [][]string
}

func compile[S ~string](list []S, as spelling) patterns {
	p := patterns{spelling: as}
	for _, pattern := range list {
		p.parts = append(p.parts, strings.Split(as(string(pattern)), "*"))
	}
	return p
}

func (p patterns) match(values ...string) bool {
	if len(p.parts) == 0 {
		return true
	}
	for _, value := range values {
		if value == "" {
			continue
		}
		value = p.spelling(value)
		for _, parts := range p.parts {
			if fits(parts, value) {
				return true
			}
		}
	}
	return false
}

// fits looks for the parts of a pattern between its stars, the first and the last at the ends, the others one after another.
func fits(parts []string, value string) bool {
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return value == first
	}
	if len(value) < len(first)+len(last) || !strings.HasPrefix(value, first) || !strings.HasSuffix(value, last) {
		return false
	}
	rest := value[len(first) : len(value)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, after, found := strings.Cut(rest, part)
		if !found {
			return false
		}
		rest = after
	}
	return true
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/client-go/util/jsonpath"
)

// sorting is the order that a user asks for, as kubectl has it.
type sorting struct {
	by   string
	path *jsonpath.JSONPath
}

func (s *sorting) addFlag(c *cobra.Command) {
	c.Flags().StringVar(&s.by, "sort-by", "", "If given, sort by the field that this JSONPath expression finds (.spec.severity)")
}

func (s *sorting) check() (err error) {
	if s.by != "" {
		s.path, err = relaxed("--sort-by", s.by)
	}
	return err
}

// key is what an object is sorted by: a number, a text or a truth; nil if it has no such field.
func (s *sorting) key(object any) (any, error) {
	if s.path == nil {
		return nil, nil //nolint:nilnil // no order, no key
	}
	content, err := plain(object)
	if err != nil {
		return nil, err
	}
	values, err := find(s.path, content)
	if err != nil || len(values) == 0 {
		return nil, err
	}
	switch v := values[0].(type) {
	case nil, int64, float64, string, bool:
		return v, nil
	default:
		return nil, fmt.Errorf("--sort-by: %s is neither a text nor a number", s.by)
	}
}

// sorted puts things in order, if one is asked for. What has no key comes first.
func sorted[T any](s *sorting, list []T, key func(T) any) error {
	if s.path == nil || len(list) == 0 {
		return nil
	}
	if !slices.ContainsFunc(list, func(one T) bool { return key(one) != nil }) {
		return fmt.Errorf("couldn't find any field with path %q in the list of objects", s.by)
	}
	slices.SortStableFunc(list, func(a, b T) int { return compare(key(a), key(b)) })
	return nil
}

// compare compares what key returns: first nothing, then truths, numbers and texts.
func compare(a, b any) int {
	if order := cmp.Compare(rank(a), rank(b)); order != 0 {
		return order
	}
	switch a := a.(type) {
	case string:
		return compareTexts(a, b.(string))
	case bool:
		return cmp.Compare(yesNo(a), yesNo(b.(bool)))
	case nil:
		return 0
	default:
		return cmp.Compare(number64(a), number64(b))
	}
}

func rank(key any) int {
	switch key.(type) {
	case nil:
		return 0
	case bool:
		return 1
	case string:
		return 3
	default:
		return 2
	}
}

func number64(key any) float64 {
	if n, ok := key.(int64); ok {
		return float64(n)
	}
	return key.(float64)
}

// compareTexts compares quantities by how much they are, and else numbers within texts by their value: ws-9 before ws-10.
func compareTexts(a, b string) int {
	left, err := resource.ParseQuantity(a)
	if err == nil {
		if right, err := resource.ParseQuantity(b); err == nil {
			return left.Cmp(right)
		}
	}
	for {
		textA, digitsA, restA := cutDigits(a)
		textB, digitsB, restB := cutDigits(b)
		if order := cmp.Or(cmp.Compare(textA, textB), compareDigits(digitsA, digitsB)); order != 0 || digitsA == "" {
			return order
		}
		a, b = restA, restB
	}
}

const digits = "0123456789"

// cutDigits returns what stands before the first number, the number, and what follows it.
func cutDigits(s string) (before, number, after string) {
	begin := strings.IndexAny(s, digits)
	if begin < 0 {
		return s, "", ""
	}
	rest := strings.TrimLeft(s[begin:], digits)
	return s[:begin], s[begin : len(s)-len(rest)], rest
}

func compareDigits(a, b string) int {
	shortA, shortB := strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(shortA), len(shortB)), cmp.Compare(shortA, shortB), cmp.Compare(len(a), len(b)))
}

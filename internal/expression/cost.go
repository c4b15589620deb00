// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"math"
	"regexp/syntax"
	"strings"

	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

// zoneCost is the cost of looking up a time zone, which reads a file.
const zoneCost = 500

// sizes tells CEL's estimate of cost how much the values of an event may hold, and what it does not know of functions.
type sizes struct{}

// EstimateSize implements checker.CostEstimator. Of variables of loops CEL itself knows more.
func (sizes) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	if path := node.Path(); len(path) > 0 && path[0] == variable {
		if s := event.at(path[1:]); s != nil {
			return upTo(s.size)
		}
		return nil
	}
	switch node.Expr().Kind() {
	case ast.SelectKind, ast.CallKind:
		return upTo(largest(node.Type()))
	default:
		return nil
	}
}

func upTo(size uint64) *checker.SizeEstimate {
	if size == 0 {
		return nil
	}
	return &checker.SizeEstimate{Max: size}
}

// attributeName is the schema of an attribute's name.
var attributeName = &schema{size: maxKey}

// at is the schema of what lies at a path, as CEL writes it; nil if nothing does.
func (s *schema) at(path []string) *schema {
	for _, step := range path {
		switch {
		case s == nil:
			return nil
		case step == "@keys":
			s = attributeName
		case s.item != nil:
			s = s.item
		default:
			s = s.fields[step]
		}
	}
	return s
}

// largest is the size of the largest value that an event may have of a type.
func largest(t *types.Type) uint64 {
	switch inner(t).Kind() {
	case types.StringKind, types.ListKind:
		return maxText
	case types.MapKind:
		return maxItems
	default:
		return 0
	}
}

// EstimateCallCost implements checker.CostEstimator.
func (sizes) EstimateCallCost(function, _ string, target *checker.AstNode, args []checker.AstNode) *checker.CallEstimate {
	if target != nil {
		args = append([]checker.AstNode{*target}, args...)
	}
	switch {
	case function == "matches":
		return matchCost(args[0], args[1])
	case strings.HasPrefix(function, "get") && len(args) == 2:
		return &checker.CallEstimate{CostEstimate: checker.FixedCostEstimate(zoneCost)}
	case function == "optional.of", function == "value", function == "or", function == "orValue":
		return &checker.CallEstimate{CostEstimate: checker.FixedCostEstimate(1), ResultSize: union(args)}
	}
	return nil
}

func union(nodes []checker.AstNode) *checker.SizeEstimate {
	size := checker.SizeEstimate{Min: math.MaxUint64}
	for _, n := range nodes {
		known := n.ComputedSize()
		if known == nil {
			return nil
		}
		size = size.Union(*known)
	}
	return &size
}

// matchCost goes by the states of the regular expression: Go's tries each of them at each character. CEL itself goes by
// the length of the pattern, but (a{500}){2} has a thousand states.
func matchCost(text, pattern checker.AstNode) *checker.CallEstimate {
	size := text.ComputedSize()
	literal, ok := textOf(pattern.Expr())
	if size == nil || !ok {
		return nil
	}
	parsed, err := syntax.Parse(literal, syntax.Perl)
	if err != nil {
		return nil
	}
	perCharacter := max(states(parsed)/2, float64(len(literal))*common.RegexStringLengthCostFactor)
	characters := size.Add(checker.FixedSizeEstimate(1)).MultiplyByCostFactor(common.StringTraversalCostFactor)
	return &checker.CallEstimate{CostEstimate: characters.MultiplyByCostFactor(math.Ceil(perCharacter))}
}

// states are about as many as the compiled expression has, without compiling it.
func states(re *syntax.Regexp) float64 {
	n := float64(max(1, len(re.Rune)))
	if re.Op == syntax.OpCharClass {
		n = 1
	}
	for _, sub := range re.Sub {
		n += states(sub)
	}
	if re.Op == syntax.OpRepeat {
		n *= float64(max(re.Min+1, re.Max))
	}
	return n
}

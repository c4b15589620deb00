// SPDX-License-Identifier: Apache-2.0

// Package expression compiles the expression of a filter, which is CEL over the spec of an event, and asks it about events.
// It is the one package that knows the CEL library.
package expression

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
)

const (
	// maxLength of an expression in characters, as the API has it.
	maxLength = 2048
	// maxCost of asking about the largest event that the API takes, as CEL estimates it beforehand: some ten milliseconds.
	maxCost = 100_000
	// maxNested is how many lists, maps and optional values an expression may hold: one within the other, CEL takes seconds
	// for two hundred to find out their types.
	maxNested = 64
	// maxWork is when an evaluation is cut short, in the same units: the estimate may be out by some per cent.
	maxWork = 2 * maxCost
)

// Expression can be asked again and again. It is not safe for concurrent use: CEL's library labels errors that it shares.
type Expression struct {
	program cel.Program
}

// Compile prepares an expression. The error is one line for the author of the expression.
func Compile(text string) (*Expression, error) {
	if n := utf8.RuneCountInString(text); n > maxLength {
		return nil, fmt.Errorf("has %d characters, more than the %d allowed", n, maxLength)
	}
	env := environment()
	parsed, issues := env.Parse(text)
	if issues.Err() != nil {
		return nil, complaint(issues.Errors(), nil)
	}
	if n := nested(parsed.NativeRep().Expr()); n > maxNested {
		return nil, fmt.Errorf("holds %d lists, maps and optional values, more than the %d allowed; map and filter hold two each",
			n, maxNested)
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, complaint(issues.Errors(), parsed.NativeRep())
	}
	if t := checked.OutputType(); !t.IsExactType(types.BoolType) {
		return nil, fmt.Errorf("must be true or false, but gives %s", spoken(t))
	}
	if err := obeys(checked.NativeRep()); err != nil {
		return nil, err
	}
	if err := affordable(env, checked); err != nil {
		return nil, err
	}
	if neverTrue(env, checked) {
		return nil, errors.New("can never be true")
	}
	program, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(maxWork))
	if err != nil {
		return nil, oneLine(err.Error())
	}
	return &Expression{program: program}, nil
}

// nested counts what can be nested, whether or not it is.
func nested(root ast.Expr) int {
	n := 0
	ast.PostOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		switch {
		case e.Kind() == ast.ListKind, e.Kind() == ast.MapKind,
			e.Kind() == ast.CallKind && strings.HasPrefix(e.AsCall().FunctionName(), "of"): // optional.of(…)
			n++
		}
	}))
	return n
}

func affordable(env *cel.Env, checked *cel.Ast) error {
	cost, err := env.EstimateCost(checked, sizes{})
	switch {
	case err != nil:
		return oneLine(err.Error())
	case cost.Max == math.MaxUint64:
		return errors.New("can cost any amount, as it looks into texts of unknown length, such as the pieces of `split`; " +
			"look into the whole text instead")
	case cost.Max > maxCost:
		return fmt.Errorf("costs up to %d, more than the %d allowed; loops within loops, `matches`, `replace` and `split` of "+
			"long texts cost most", cost.Max, maxCost)
	}
	return nil
}

// neverTrue says that the expression is false whatever the event, as far as that shows without one.
func neverTrue(env *cel.Env, checked *cel.Ast) bool {
	folding, err := cel.NewConstantFoldingOptimizer()
	if err != nil {
		return false
	}
	optimizer, err := cel.NewStaticOptimizer(folding)
	if err != nil {
		return false
	}
	folded, issues := optimizer.Optimize(env, checked)
	if issues.Err() != nil {
		return false
	}
	root := folded.NativeRep().Expr()
	return root.Kind() == ast.LiteralKind && root.AsLiteral() == types.False
}

// Holds says whether the expression is true of the event. The error says on one line why that cannot be told.
func (x *Expression) Holds(e *Event) (bool, error) {
	vars, err := e.activation()
	if err != nil {
		return false, err
	}
	out, _, err := x.program.Eval(vars)
	if err != nil {
		return false, failure(err)
	}
	return out == types.True, nil
}

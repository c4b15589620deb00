// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // an image of nothing but the manager has no time zones

	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"

	"github.com/tocsin-dev/tocsin/internal/message"
)

// obeys holds an expression to what types do not say. The error is about the first place that breaks a rule.
func obeys(a *ast.AST) error {
	var found []problem
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if text := broken(a, e); text != "" {
			found = append(found, problem{a.SourceInfo().GetStartLocation(e.ID()), text})
		}
	}))
	if len(found) == 0 {
		return nil
	}
	return slices.MinFunc(found, func(a, b problem) int { return byPlace(a.at, b.at) }).error()
}

// broken says which rule an expression breaks by itself; empty if none.
func broken(a *ast.AST, e ast.Expr) string {
	switch e.Kind() {
	case ast.ComprehensionKind:
		return brokenLoop(a, e.AsComprehension())
	case ast.LiteralKind:
		if e.AsLiteral() == types.NullValue {
			return "nothing is ever null; what is not set is found with has(), as in !has(event.computer)"
		}
		return ""
	case ast.CallKind:
		call := e.AsCall()
		operands := call.Args()
		if call.IsMemberFunction() {
			operands = append([]ast.Expr{call.Target()}, operands...)
		}
		return cmp.Or(brokenCall(call.FunctionName(), operands), brokenComparison(a, call.FunctionName(), operands))
	default:
		return ""
	}
}

func brokenCall(name string, operands []ast.Expr) string {
	switch name {
	case "matches":
		return brokenPattern(operands[1])
	case "int":
		return brokenConstant(operands[0], types.IntType, "whole number")
	case "double":
		return brokenConstant(operands[0], types.DoubleType, "number")
	case "duration":
		return brokenConstant(operands[0], types.DurationType, "duration, such as 90s or 1h30m")
	case "timestamp":
		return brokenConstant(operands[0], types.TimestampType, "time of RFC 3339, such as 2026-11-22T08:30:00Z")
	default:
		switch {
		case strings.HasPrefix(name, "get") && len(operands) > 1:
			return brokenZone(operands[1])
		case !slices.Contains(functions, name) && !slices.Contains(operators, name):
			return fmt.Sprintf("`%s` is not available here", name)
		}
		return ""
	}
}

// brokenLoop keeps loops away from maps that have no order: they could give another answer each time.
func brokenLoop(a *ast.AST, loop ast.ComprehensionExpr) string {
	if loop.IterVar() == variable {
		return fmt.Sprintf("`%s` is taken: another name is needed here", variable)
	}
	over := loop.IterRange()
	if a.GetType(over.ID()).Kind() == types.MapKind && !slices.Equal(pathOf(over), []string{"attributes"}) {
		return "of maps, only event.attributes can be looped over"
	}
	return ""
}

// brokenPattern keeps events from bringing their own regular expressions.
func brokenPattern(e ast.Expr) string {
	pattern, ok := textOf(e)
	if !ok {
		return "the pattern of `matches` must be written out"
	}
	var wrong *syntax.Error
	if _, err := syntax.Parse(pattern, syntax.Perl); errors.As(err, &wrong) {
		return fmt.Sprintf("no regular expression of RE2: %s at %s", wrong.Code, shown(wrong.Expr))
	}
	return ""
}

var offset = regexp.MustCompile(`^[+-]?(0[0-9]|1[0-4]):[0-5][0-9]$`)

// brokenZone keeps events from naming files of time zones.
func brokenZone(e ast.Expr) string {
	zone, ok := textOf(e)
	if !ok {
		return "a time zone must be written out"
	}
	if offset.MatchString(zone) {
		return ""
	}
	if _, err := time.LoadLocation(zone); err != nil || zone == "Local" {
		return shown(zone) + " is no time zone; right is a name such as Europe/Berlin or an offset such as +01:00"
	}
	return ""
}

func brokenConstant(e ast.Expr, to *types.Type, right string) string {
	text, ok := textOf(e)
	if !ok || !types.IsError(types.String(text).ConvertToType(to)) {
		return ""
	}
	return fmt.Sprintf("%s is no %s", shown(text), right)
}

// brokenComparison keeps to values whose comparison takes no time, and finds those that can only be a mistake.
func brokenComparison(a *ast.AST, name string, operands []ast.Expr) string {
	switch name {
	case "_==_", "_!=_":
		if isCompound(a.GetType(operands[0].ID())) && isCompound(a.GetType(operands[1].ID())) {
			return "whole objects, lists and maps cannot be compared; compare what they hold"
		}
	case "@in", "sets.contains", "sets.equivalent", "sets.intersects":
		if t := a.GetType(operands[1].ID()); t.Kind() == types.ListKind && isCompound(t.Parameters()[0]) {
			return "objects, lists and maps cannot be looked for; look for what they hold"
		}
	case "_<_", "_<=_", "_>_", "_>=_":
	default:
		return ""
	}
	return cmp.Or(brokenWords(name, operands[0], operands[1]), brokenWords(name, operands[1], operands[0]))
}

func isCompound(t *types.Type) bool {
	switch inner(t).Kind() {
	case types.ListKind, types.MapKind, types.StructKind:
		return true
	default:
		return false
	}
}

// inner is the type of what an optional value may hold, or the type itself.
func inner(t *types.Type) *types.Type {
	for t.TypeName() == types.OptionalType.TypeName() {
		t = t.Parameters()[0]
	}
	return t
}

// brokenWords finds severities and activities that there are not, and an order where there is none.
func brokenWords(name string, field, other ast.Expr) string {
	s := fieldOf(field)
	if s == nil || s.words == nil {
		return ""
	}
	others := []ast.Expr{other}
	switch {
	case strings.ContainsAny(name, "<>"):
		return fmt.Sprintf("words are compared letter by letter, which is not their order; write in [%s]", quoted(s.words[1:]))
	case other.Kind() == ast.ListKind:
		others = other.AsList().Elements()
	}
	for _, o := range others {
		if word, ok := textOf(o); ok && word != "" && !slices.Contains(s.words, word) {
			return fmt.Sprintf("%s is none of %s", shown(word), quoted(s.words))
		}
	}
	return ""
}

// shown is what an author wrote, as it can be repeated.
func shown(text string) string { return `"` + message.Line(text, maxShown) + `"` }

func quoted(list []string) string {
	return `"` + strings.Join(list, `", "`) + `"`
}

// textOf is a string that is written out.
func textOf(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}

// fieldOf is the field of the event that is read; nil if something else is.
func fieldOf(e ast.Expr) *schema {
	if e.Kind() == ast.CallKind && e.AsCall().FunctionName() == "orValue" {
		e = e.AsCall().Target()
	}
	path := pathOf(e)
	if path == nil {
		return nil
	}
	return event.at(path)
}

// pathOf is the path to the field of the event that is read, not nil for the event itself; nil if something else is.
func pathOf(e ast.Expr) []string {
	switch {
	case e.Kind() == ast.IdentKind && e.AsIdent() == variable:
		return []string{}
	case e.Kind() == ast.SelectKind:
		return under(e.AsSelect().Operand(), e.AsSelect().FieldName())
	case e.Kind() == ast.CallKind && e.AsCall().FunctionName() == "_?._":
		field, _ := textOf(e.AsCall().Args()[1])
		return under(e.AsCall().Args()[0], field)
	}
	return nil
}

func under(operand ast.Expr, field string) []string {
	path := pathOf(operand)
	if path == nil {
		return nil
	}
	return append(path, field)
}

// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/interpreter"

	"github.com/tocsin-dev/tocsin/internal/message"
)

const (
	// maxError is the length of an error in characters. It may hold what an event says.
	maxError = 512
	// maxShown is how much of a text an error repeats, in characters.
	maxShown = 64
)

// problem is what is wrong at a place.
type problem struct {
	at   common.Location
	text string
}

func (p problem) error() error {
	if p.at.Line() < 1 {
		return oneLine(p.text)
	}
	return oneLine(fmt.Sprintf("line %d, column %d: %s", p.at.Line(), p.at.Column()+1, p.text))
}

// byPlace puts what has no place last.
func byPlace(a, b common.Location) int {
	if a.Line() < 1 || b.Line() < 1 {
		return cmp.Compare(b.Line(), a.Line())
	}
	return cmp.Or(cmp.Compare(a.Line(), b.Line()), cmp.Compare(a.Column(), b.Column()))
}

func oneLine(text string) error { return errors.New(message.Line(text, maxError)) }

// complaint is the first of CEL's errors in the words of this house. The parsed expression is nil if it could not be parsed.
func complaint(found []*cel.Error, parsed *ast.AST) error {
	first := slices.MinFunc(found, func(a, b *cel.Error) int { return byPlace(a.Location, b.Location) })
	var at ast.Expr
	if parsed != nil {
		ast.PostOrderVisit(parsed.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
			if e.ID() == first.ExprID {
				at = e
			}
		}))
	}
	return problem{first.Location, reworded(first.Message, at)}.error()
}

// phrase is something that CEL says, and the same in other words: from the submatches and the place in question.
type phrase struct {
	theirs *regexp.Regexp
	ours   func(m []string, at ast.Expr) string
}

// as is a phrase whose words are a format for the submatches.
func as(theirs, ours string) phrase {
	return phrase{regexp.MustCompile(theirs), func(m []string, _ ast.Expr) string {
		values := make([]any, 0, len(m))
		for _, v := range m[1:] {
			values = append(values, message.Line(plain(v), maxShown))
		}
		return fmt.Sprintf(ours, values...)
	}}
}

const noObjects = "objects cannot be made here"

var phrases = []phrase{
	{regexp.MustCompile(`^undefined field '(.*)'$`), unknownField},
	{regexp.MustCompile(`^undeclared reference to '(.*)' \(in container ''\)$`), unknownName},
	{regexp.MustCompile(`^found no matching overload for '(.*)' applied to '(.*)'$`), misapplied},
	as(`^expected type '(.*)' but found '(.*)'$`, "must be of type %s, but is of type %s"),
	as(`^type '(.*)' does not support field selection$`, "a value of type %s has no fields"),
	as(`^expression of type '(.*)' cannot be range of a comprehension`,
		"a value of type %s cannot be looped over; a list can, and event.attributes"),
	as(`(?s)^Syntax error: token recognition error at: '["'].*$`,
		"the text that begins here does not end, or holds an unknown escape; \\ itself is written \\\\"),
	{regexp.MustCompile(`(?s)^Syntax error: token recognition error at: '(.*)'$`), misplaced},
	as(`^Syntax error: .*'<EOF>' expecting`, "the expression ends too early"),
	{regexp.MustCompile(`(?s)^Syntax error: (?:mismatched|extraneous) input '(.*)' expecting`), misplaced},
	{regexp.MustCompile(`(?s)^Syntax error: no viable alternative at input '(.*)'$`), misplaced},
	as(`^Syntax error: missing '(.*)' at '<EOF>'`, "`%s` is missing at the end"),
	as(`(?s)^Syntax error: missing '(.*)' at '(.*)'$`, "`%s` is missing before `%s`"),
	as(`^expression recursion limit exceeded|^max recursion depth exceeded`,
		"has more levels than the 250 allowed, of brackets within brackets or of calls and operators in a row"),
	as(`^reserved identifier: (.*)$`, "`%s` is a reserved word"),
	as(`^invalid argument to has\(\) macro$`, "has() takes a field, as in has(event.network)"),
	as(`^argument (?:must be a simple name|is not an identifier)$`,
		`a name for each item is needed here, as in event.attributes.exists(k, k.startsWith("x"))`),
	as(`^unexpected failed resolution of '.*'$|is not a (?:message )?type$`, noObjects),
}

func reworded(theirs string, at ast.Expr) string {
	for _, p := range phrases {
		if m := p.theirs.FindStringSubmatch(theirs); m != nil {
			return p.ours(m, at)
		}
	}
	return plain(theirs)
}

var (
	objectName   = regexp.MustCompile(`@\w+`)
	optionalType = regexp.MustCompile(`\boptional_type\b`)
)

// protobufNames are those of types that CEL itself calls otherwise.
var protobufNames = strings.NewReplacer("google.protobuf.Timestamp", "timestamp", "google.protobuf.Duration", "duration")

// plain names types as the docs do.
func plain(text string) string {
	return protobufNames.Replace(optionalType.ReplaceAllString(objectName.ReplaceAllString(text, "object"), "optional"))
}

func spoken(t *cel.Type) string {
	name := plain(cel.FormatCELType(t))
	if strings.ContainsRune("aeio", rune(name[0])) {
		return "an " + name
	}
	return "a " + name
}

func unknownField(m []string, at ast.Expr) string {
	text := fmt.Sprintf("there is no field `%s`", message.Line(m[1], maxShown))
	if at == nil {
		return text
	}
	path := pathOf(at)
	if len(path) == 0 {
		return text
	}
	path = path[:len(path)-1]
	object := event.at(path)
	if object == nil || object.fields == nil {
		return text
	}
	return fmt.Sprintf("%s in `%s`, but %s", text, strings.Join(append([]string{variable}, path...), "."),
		strings.Join(object.names, ", "))
}

func unknownName(m []string, at ast.Expr) string {
	name := message.Line(m[1], maxShown)
	switch {
	case at != nil && at.Kind() == ast.StructKind:
		return noObjects
	case at != nil && at.Kind() == ast.CallKind:
		return fmt.Sprintf("there is no function `%s`", name)
	}
	return fmt.Sprintf("there is no `%s`; what is known is `%s` and its fields", name, variable)
}

func misapplied(m []string, _ ast.Expr) string {
	name := strings.TrimPrefix(strings.ReplaceAll(m[1], "_", ""), "@")
	text := fmt.Sprintf("`%s` cannot be applied to %s", name, plain(m[2]))
	switch {
	case name == "==" || name == "!=":
		return text + ": both sides must have the same type"
	case name == "in":
		return text + `: right is a value in a list, as in event.severity in ["Warning", "Critical"]`
	case name == "[]":
		return text + ": fields are read with a dot, attributes by their name"
	case slices.Contains(functions, name):
		return text + ": right is " + signatures(name)
	}
	return text
}

// signatures are up to three ways to call a function.
func signatures(name string) string {
	var ways []string
	for _, o := range environment().Functions()[name].OverloadDecls() {
		var types []string
		for _, t := range o.ArgTypes() {
			types = append(types, plain(cel.FormatCELType(t)))
		}
		way := name
		if o.IsMemberFunction() {
			way, types = types[0]+"."+name, types[1:]
		}
		ways = append(ways, way+"("+strings.Join(types, ", ")+")")
	}
	return strings.Join(ways[:min(len(ways), 3)], " or ")
}

// instead is what people write, and what CEL has for it.
var instead = map[string]string{"=": "==", "and": "&&", "or": "||", "not": "!", "&": "&&", "|": "||", "<>": "!=", "like": "matches"}

func misplaced(m []string, _ ast.Expr) string {
	what := message.Line(m[1], maxShown)
	if right := instead[strings.ToLower(what)]; right != "" {
		return fmt.Sprintf("`%s` does not belong here; perhaps `%s` is meant", what, right)
	}
	return fmt.Sprintf("`%s` does not belong here", what)
}

var noSuchKey = regexp.MustCompile(`(?s)^no such key: (.*)$`)

// failure is an error of an evaluation, in the words of this house.
func failure(err error) error {
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) {
		return fmt.Errorf("takes more work than the %d allowed for this event", maxWork)
	}
	if m := noSuchKey.FindStringSubmatch(err.Error()); m != nil {
		return oneLine(fmt.Sprintf("there is no `%s`; ask has() first, or read it with .? and orValue()", message.Line(m[1], maxShown)))
	}
	return oneLine(protobufNames.Replace(err.Error()))
}

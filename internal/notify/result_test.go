// SPDX-License-Identifier: Apache-2.0

package notify_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"testing"

	"github.com/tocsin-dev/tocsin/internal/notify"
)

func TestAllReasonsThatAreDeclaredAreKnown(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "result.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var declared []notify.Reason
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 {
			return true
		}
		name, isNamed := spec.Type.(*ast.Ident)
		value, isLiteral := spec.Values[0].(*ast.BasicLit)
		if !isNamed || !isLiteral || name.Name != "Reason" {
			return true
		}
		text, err := strconv.Unquote(value.Value)
		if err != nil {
			t.Fatal(err)
		}
		declared = append(declared, notify.Reason(text))
		return true
	})
	slices.Sort(declared)
	if got := notify.Reasons(); !slices.Equal(got, declared) {
		t.Errorf("known: %v, declared: %v", got, declared)
	}
}

func TestOnlyVerdictsAreFinal(t *testing.T) {
	t.Parallel()
	final := []notify.Reason{
		notify.ReasonAccepted, notify.ReasonInvalidMessage, notify.ReasonMessageRefused, notify.ReasonPartlyRefused,
		notify.ReasonRefused, notify.ReasonSenderRefused,
	}
	for _, reason := range notify.Reasons() {
		if got, want := reason.Temporary(), !slices.Contains(final, reason); got != want {
			t.Errorf("%s: temporary is %t, want %t", reason, got, want)
		}
	}
}

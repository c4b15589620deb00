// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
)

// variable is the one name that an expression knows.
const variable = "event"

// functions that an expression may call. The libraries below have more: dyn and type undo the types by which mistakes are
// found; of join, flatten and format CEL does not know how long their results get; the others are of no use here.
var functions = []string{
	"charAt", "contains", "endsWith", "indexOf", "lastIndexOf", "lowerAscii", "matches", "replace", "size", "split",
	"startsWith", "substring", "trim", "upperAscii",
	"double", "duration", "int", "string", "timestamp",
	"getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours", "getMilliseconds", "getMinutes",
	"getMonth", "getSeconds",
	"hasValue", "optional.none", "optional.of", "or", "orValue", "value",
	"first", "last", "slice", "sets.contains", "sets.equivalent", "sets.intersects",
}

// operators as CEL names them, and what it makes of all and exists.
var operators = []string{
	"!_", "-_", "@in", "_!=_", "_%_", "_&&_", "_*_", "_+_", "_-_", "_/_", "_<=_", "_<_", "_==_", "_>=_", "_>_", "_?_:_",
	"_[_]", "_||_", "_?._", "_[?_]", "@not_strictly_false",
}

var environment = sync.OnceValue(func() *cel.Env {
	env, err := cel.NewEnv(
		cel.Variable(variable, event.celType),
		cel.OptionalTypes(), ext.Strings(), ext.Lists(), ext.Sets(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ASTValidators(cel.ValidateHomogeneousAggregateLiterals()),
		// Without optMap and optFlatMap: they copy what they are applied to, so that a hundred in a row have no end.
		cel.ClearMacros(), cel.Macros(cel.StandardMacros...),
		func(env *cel.Env) (*cel.Env, error) {
			return cel.CustomTypeProvider(provider{env.CELTypeProvider(), event.objects()})(env)
		},
	)
	if err != nil {
		panic(err)
	}
	return env
})

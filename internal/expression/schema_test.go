// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"encoding/json"
	"os"
	"reflect"
	"regexp/syntax"
	"slices"
	"testing"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/traits"
	"github.com/google/go-cmp/cmp"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// TestSchemaIsTheAPIs: what expressions know of an event is what the API server takes, and its sizes are no less.
func TestSchemaIsTheAPIs(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("../../config/crd/bases/tocsin.dev_securityevents.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd apiextensions.CustomResourceDefinition
	if err := yaml.UnmarshalStrict(file, &crd); err != nil {
		t.Fatal(err)
	}
	compare(t, variable, event, crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"])
}

func compare(t *testing.T, path string, s *schema, want apiextensions.JSONSchemaProps) {
	t.Helper()
	kind := map[types.Kind]string{
		types.StringKind: "string", types.IntKind: "integer", types.BoolKind: "boolean", types.TimestampKind: "string",
		types.MapKind: "object", types.StructKind: "object", types.ListKind: "array",
	}[s.celType.Kind()]
	if kind != want.Type || (s.celType == cel.TimestampType) != (want.Format == "date-time") {
		t.Errorf("%s is %s, but in the API %s %s", path, s.celType, want.Type, want.Format)
	}
	for _, limit := range []*int64{want.MaxLength, want.MaxItems, want.MaxProperties} {
		if limit != nil && uint64(*limit) > s.size {
			t.Errorf("%s may hold %d, not %d", path, *limit, s.size)
		}
	}
	var enum []string
	for _, value := range want.Enum {
		var word string
		if err := json.Unmarshal(value.Raw, &word); err != nil {
			t.Fatal(err)
		}
		enum = append(enum, word)
	}
	if !slices.Equal(s.words, enum) {
		t.Errorf("%s is one of %q, but in the API of %q", path, s.words, enum)
	}
	if got, want := sets.KeySet(s.fields), sets.KeySet(want.Properties); !got.Equal(want) {
		t.Errorf("%s has %q, but in the API %q", path, sets.List(got), sets.List(want))
	}
	for name, f := range s.fields {
		compare(t, path+"."+name, f, want.Properties[name])
	}
	if s.item != nil && want.AdditionalProperties != nil {
		compare(t, path+"[]", s.item, *want.AdditionalProperties.Schema)
	}
}

// TestFieldsOf: an event is for expressions what it is as JSON, whichever fields are set.
func TestFieldsOf(t *testing.T) {
	t.Parallel()
	full := &v1alpha1.SecurityEventSpec{}
	fill(reflect.ValueOf(full).Elem())
	full.Time, full.LastTime = at("2026-11-22T08:30:00Z"), at("2026-11-22T09:30:00Z")
	for name, spec := range map[string]*v1alpha1.SecurityEventSpec{"full": full, "some": blocked(), "hostile": hostile()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, err := json.Marshal(spec)
			if err != nil {
				t.Fatal(err)
			}
			var want map[string]any
			if err := json.Unmarshal(raw, &want); err != nil {
				t.Fatal(err)
			}
			if network, ok := want["network"].(map[string]any); ok {
				if rule, ok := network["rule"].(map[string]any); ok && rule["sendEmailAlert"] == nil {
					rule["sendEmailAlert"] = false
				}
			}
			if diff := cmp.Diff(any(want), asJSON(t, fieldsOf(spec))); diff != "" {
				t.Errorf("in JSON, and in expressions:\n%s", diff)
			}
		})
	}
}

// fill sets every field.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32:
		v.SetInt(7)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("k"), reflect.ValueOf("v").Convert(v.Type().Elem()))
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				fill(f)
			}
		}
	}
}

func asJSON(t *testing.T, fields map[string]any) any {
	t.Helper()
	attributes := map[string]any{}
	all := fields["attributes"].(ordered)
	for i := all.Iterator(); i.HasNext() == types.True; {
		name := i.Next()
		attributes[string(name.(types.String))] = all.Get(name)
	}
	fields["attributes"] = attributes
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	var plain any
	if err := json.Unmarshal(raw, &plain); err != nil {
		t.Fatal(err)
	}
	return plain
}

// TestLists: the API has none in an event yet.
func TestLists(t *testing.T) {
	t.Parallel()
	type future struct {
		Names []string `json:"names"`
	}
	s := schemaOf(reflect.TypeFor[future]())
	if got, want := s.fields["names"].celType.String(), "list(string)"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	got := s.value(reflect.ValueOf(future{Names: []string{"a", "b"}}))
	if diff := cmp.Diff(map[string]any{"names": []any{"a", "b"}}, got); diff != "" {
		t.Error(diff)
	}
}

// TestOrdered: a map in order is a map.
func TestOrdered(t *testing.T) {
	t.Parallel()
	var m traits.Mapper = inOrder(map[string]any{"b": "2", "a": "1"})
	if m.Type() != types.MapType || m.Size() != types.Int(2) || m.Get(types.String("b")) != types.String("2") {
		t.Errorf("got %v", m)
	}
	i := m.Iterator()
	if got := []any{i.Next(), i.Next()}; got[0] != types.String("a") || got[1] != types.String("b") {
		t.Errorf("got %v", got)
	}
}

// TestStates: the guess is no less than half of what Go's regexp compiles, and not far more.
func TestStates(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{
		"", "a", "(?i)powershell", `^[0-9]+\.(exe|dll|scr)$`, "a{1000}", "a{0,1000}", "(a{0,30}){30}", "((a?){10}){10}b", "(a|b|c)*d",
		"[a-zA-Z0-9]{3,}x", `\pL{20}`, "(?:a?b?c?d?){100}", "(x+x+)+y", "^(?:.*a){50}$",
	} {
		parsed, err := syntax.Parse(pattern, syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		guess := states(parsed)
		program, err := syntax.Compile(parsed.Simplify())
		if err != nil {
			t.Fatal(err)
		}
		if compiled := float64(len(program.Inst)); guess < compiled/2-2 || guess > compiled*2 {
			t.Errorf("%s has %.0f states, not %.0f", pattern, compiled, guess)
		}
	}
}

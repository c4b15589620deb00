// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"fmt"
	"maps"
	"reflect"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// The most that a value of an event holds: at least what the API allows in any field.
const (
	// maxText in characters is the longest field, the description.
	maxText = 4096
	// maxString in characters is the longest besides.
	maxString = 1024
	// maxKey in characters is the longest name of an attribute.
	maxKey   = 63
	maxItems = 64
)

// words are the values that a type of the API may have, where these are limited.
var words = map[reflect.Type][]string{
	reflect.TypeFor[v1alpha1.Severity](): {
		string(v1alpha1.SeverityInfo), string(v1alpha1.SeverityWarning), string(v1alpha1.SeverityFunctionalFailure),
		string(v1alpha1.SeverityCritical),
	},
	reflect.TypeFor[v1alpha1.NetworkActivity](): {
		string(v1alpha1.ActivityNetworkThreatProtection), string(v1alpha1.ActivityPacket), string(v1alpha1.ActivityTraffic),
	},
}

// event is the schema of the one variable.
var event = schemaOf(reflect.TypeFor[v1alpha1.SecurityEventSpec]())

// schema is a Go type of the API as CEL sees it.
type schema struct {
	celType *cel.Type
	// value converts; nil is nothing.
	value func(reflect.Value) any
	// size is the most that a value holds, in characters or entries; zero where that has no meaning.
	size uint64
	// words are the only values, if any.
	words []string
	// item of a map or list.
	item *schema
	// names of an object's fields, in the order of the API.
	names  []string
	fields map[string]*schema
}

func schemaOf(t reflect.Type) *schema {
	switch t.Kind() {
	case reflect.Pointer:
		return optional(*schemaOf(t.Elem()))
	case reflect.String:
		return &schema{celType: cel.StringType, size: maxString, words: words[t], value: func(v reflect.Value) any { return v.String() }}
	case reflect.Bool:
		return &schema{celType: cel.BoolType, value: func(v reflect.Value) any { return v.Bool() }}
	case reflect.Int, reflect.Int32, reflect.Int64:
		return &schema{celType: cel.IntType, value: func(v reflect.Value) any { return v.Int() }}
	case reflect.Slice:
		return listOf(schemaOf(t.Elem()))
	case reflect.Map:
		return mapOf(schemaOf(t.Elem()))
	case reflect.Struct:
		if t == reflect.TypeFor[metav1.Time]() {
			return &schema{celType: cel.TimestampType, value: func(v reflect.Value) any { return v.Interface().(metav1.Time).UTC() }}
		}
		return objectOf(t)
	default:
		panic(fmt.Sprintf("expressions cannot have a %s", t))
	}
}

func optional(s schema) *schema {
	value := s.value
	s.value = func(v reflect.Value) any {
		if v.IsNil() {
			return nil
		}
		return value(v.Elem())
	}
	return &s
}

func listOf(item *schema) *schema {
	return &schema{celType: cel.ListType(item.celType), size: maxItems, item: item, value: func(v reflect.Value) any {
		list := make([]any, v.Len())
		for i := range list {
			list[i] = item.value(v.Index(i))
		}
		return list
	}}
}

func mapOf(item *schema) *schema {
	return &schema{celType: cel.MapType(cel.StringType, item.celType), size: maxItems, item: item, value: func(v reflect.Value) any {
		entries := make(map[string]any, v.Len())
		for entry := v.MapRange(); entry.Next(); {
			entries[entry.Key().String()] = item.value(entry.Value())
		}
		return inOrder(entries)
	}}
}

// objectOf leaves out what is not set and empty strings, which mean the same.
func objectOf(t reflect.Type) *schema {
	// An expression cannot write a name with this sign, and so cannot make such an object.
	s := &schema{celType: cel.ObjectType("@" + t.Name()), fields: map[string]*schema{}}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		f := schemaOf(t.Field(i).Type)
		if name == "description" {
			f.size = maxText
		}
		s.names, s.fields[name] = append(s.names, name), f
	}
	s.value = func(v reflect.Value) any {
		object := make(map[string]any, len(s.names))
		for i, name := range s.names {
			if value := s.fields[name].value(v.Field(i)); value != nil && value != "" {
				object[name] = value
			}
		}
		return object
	}
	return s
}

// objects are the schema itself and those within it, by the names of their types.
func (s *schema) objects() map[string]*schema {
	found := map[string]*schema{}
	if s.fields != nil {
		found[s.celType.TypeName()] = s
	}
	for _, f := range s.fields {
		maps.Copy(found, f.objects())
	}
	return found
}

// provider knows the fields of objects. Nothing else has fields.
type provider struct {
	types.Provider
	objects map[string]*schema
}

// FindStructType implements types.Provider.
func (p provider) FindStructType(name string) (*types.Type, bool) {
	if o := p.objects[name]; o != nil {
		return types.NewTypeTypeWithParam(o.celType), true
	}
	return nil, false
}

// FindStructFieldNames implements types.Provider.
func (p provider) FindStructFieldNames(name string) ([]string, bool) {
	if o := p.objects[name]; o != nil {
		return o.names, true
	}
	return nil, false
}

// FindStructFieldType implements types.Provider.
func (p provider) FindStructFieldType(name, field string) (*types.FieldType, bool) {
	if o := p.objects[name]; o != nil && o.fields[field] != nil {
		return &types.FieldType{Type: o.fields[field].celType}, true
	}
	return nil, false
}

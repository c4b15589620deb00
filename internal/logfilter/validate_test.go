// SPDX-License-Identifier: Apache-2.0

package logfilter_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

// rules are those of the schema that are expressions. Validate, and Compile for the last two, do what they say; whoever
// changes one changes that.
var rules = []string{
	`self.matches('^[^*]*([*]+[^*]*){0,16}$')`,
	`self.matches('^([0-9]{1,6}[hms])+$') && duration(self) > duration('0s') && duration(self) <= duration('87600h')`,
	`self >= timestamp('1970-01-01T00:00:00Z') && self < timestamp('9999-01-01T00:00:00Z')`,
	`!has(self.since) || !has(self.until) || self.since < self.until`,
	`!has(self.last) || !has(self.since) && !has(self.until)`,
}

// property is the schema of a field. What it does not know, the test refuses.
type property struct {
	Type        string              `json:"type"`
	Description string              `json:"description"`
	Format      string              `json:"format"`
	Properties  map[string]property `json:"properties"`
	Items       *property           `json:"items"`
	Enum        []string            `json:"enum"`
	MinItems    int                 `json:"minItems"`
	MaxItems    int                 `json:"maxItems"`
	MinLength   int                 `json:"minLength"`
	MaxLength   int                 `json:"maxLength"`
	ListType    string              `json:"x-kubernetes-list-type"`
	Rules       []struct {
		Rule      string `json:"rule"`
		Message   string `json:"message"`
		FieldPath string `json:"fieldPath"`
	} `json:"x-kubernetes-validations"`
}

// filterSchema is that of a filter's spec in the CustomResourceDefinition.
func filterSchema(t *testing.T) property {
	t.Helper()
	data, err := os.ReadFile("../../config/crd/bases/tocsin.dev_notificationfilters.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema struct {
						Properties map[string]json.RawMessage `json:"properties"`
					} `json:"openAPIV3Schema"`
				} `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(data, &crd); err != nil {
		t.Fatal(err)
	}
	var spec property
	decoder := json.NewDecoder(strings.NewReader(string(crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"])))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&spec); err != nil {
		t.Fatalf("the schema limits what Validate does not know: %v", err)
	}
	return spec
}

// validate reads a filter as JSON, with one field, and says what is wrong with it.
func validate(t *testing.T, field string, value any) error {
	t.Helper()
	data, err := json.Marshal(map[string]any{field: value})
	if err != nil {
		t.Fatal(err)
	}
	var s spec
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return logfilter.Validate(&s)
}

func TestFiltersAreValidatedAsTheSchemaSays(t *testing.T) {
	t.Parallel()
	schema := filterSchema(t)
	knownRules(t, "spec", schema)
	for field, p := range schema.Properties {
		knownRules(t, field, p)
		check := func(what string, value any, allowed bool) {
			t.Helper()
			err := validate(t, field, value)
			if (err == nil) != allowed || err != nil && !strings.HasPrefix(err.Error(), "spec."+field) {
				t.Errorf("%s, %s: got %v", field, what, err)
			}
		}
		switch {
		case p.Type == "array":
			knownRules(t, field, *p.Items)
			if p.MinItems != 1 || p.ListType != "set" {
				t.Errorf("%s: the least is %d and the list a %s", field, p.MinItems, p.ListType)
			}
			values := distinct(p)
			check("as many as may be", values[:p.MaxItems], true)
			check("too many", values, false)
			check("none", []string{}, false)
			check("twice the same", []string{values[0], values[0]}, false)
			checkItems(p, check)
		case p.Format == "" && p.MaxLength > 0 && len(p.Rules) == 0:
			check("the longest", strings.Repeat("ä", p.MaxLength), true)
			check("too long", strings.Repeat("ä", p.MaxLength+1), false)
		case field == "last":
			check("the longest", strings.Repeat("0h", p.MaxLength/2-1)+"1h", true)
			check("too long", strings.Repeat("0h", p.MaxLength/2)+"1h", false)
		}
	}
}

// distinct returns one value more than a list may have.
func distinct(p property) []string {
	values := slices.Clone(p.Items.Enum)
	for i := len(values); i <= p.MaxItems; i++ {
		values = append(values, fmt.Sprint("value-", i))
	}
	return values
}

func checkItems(p property, check func(what string, value any, allowed bool)) {
	if len(p.Items.Enum) > 0 {
		for _, value := range p.Items.Enum {
			check(value, []string{value}, true)
		}
		check("none of them", []string{strings.ToLower(p.Items.Enum[0])}, false)
		return
	}
	check("an empty value", []string{""}, false)
	check("the longest value", []string{strings.Repeat("ä", p.Items.MaxLength)}, true)
	check("too long a value", []string{strings.Repeat("ä", p.Items.MaxLength+1)}, false)
	check("as many wildcards as may be", []string{strings.Repeat("a**", 16) + "a"}, true)
	check("too many wildcards", []string{strings.Repeat("*a", 17)}, false)
}

func knownRules(t *testing.T, field string, p property) {
	t.Helper()
	for _, r := range p.Rules {
		if !slices.Contains(rules, r.Rule) {
			t.Errorf("%s: Validate does not know the rule %s", field, r.Rule)
		}
	}
}

func TestTimesOfAFilterAreValidated(t *testing.T) {
	t.Parallel()
	for last, allowed := range map[string]bool{
		"1s": true, "1h30m": true, "87600h": true, "87600h1s": false, "0s": false, "-5h": false, "+5h": false, "5": false, "1.5h": false,
		"5ms": false, "1000000h": false, "yesterday": false,
	} {
		if err := logfilter.Validate(&spec{Last: v1alpha1.Age(last)}); (err == nil) != allowed {
			t.Errorf("last %s: got %v", last, err)
		}
	}
	for text, allowed := range map[string]bool{
		"1970-01-01T00:00:00Z": true, "1969-12-31T23:59:59Z": false, "9998-12-31T23:59:59Z": true, "9999-01-01T00:00:00Z": false,
		"1970-01-01T00:30:00+01:00": false,
	} {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		for field, s := range map[string]spec{"since": {Since: &metav1.Time{Time: at}}, "until": {Until: &metav1.Time{Time: at}}} {
			if err := logfilter.Validate(&s); (err == nil) != allowed || err != nil && !strings.HasPrefix(err.Error(), "spec."+field+": ") {
				t.Errorf("%s %s: got %v", field, text, err)
			}
		}
	}
}

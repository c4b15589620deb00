// SPDX-License-Identifier: Apache-2.0

package preset_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/preset"
)

func TestTheTableAndTheAPIKnowTheSameTypes(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../../api/v1alpha1/notificationcondition_types.go")
	if err != nil {
		t.Fatal(err)
	}
	enum := regexp.MustCompile(`Enum=(\S+)\ntype ConditionType string`).FindSubmatch(source)
	if enum == nil {
		t.Fatal("the enum of ConditionType was not found")
	}
	var types []string
	for _, p := range preset.All() {
		types = append(types, string(p.Type))
	}
	if got, want := strings.Join(types, ";"), string(enum[1]); got != want {
		t.Errorf("the table has %s\nthe API has %s", got, want)
	}
}

func TestEveryPresetIsComplete(t *testing.T) {
	t.Parallel()
	camelCase := regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
	for _, p := range preset.All() {
		if p.Summary == "" || p.Count < 1 || p.Window < time.Second || p.Scope == "" {
			t.Errorf("%s lacks something: %+v", p.Type, p)
		}
		if (len(p.EventTypes) == 0) != (p.Type == preset.Custom) {
			t.Errorf("%s has %d event types", p.Type, len(p.EventTypes))
		}
		for _, e := range p.EventTypes {
			if !camelCase.MatchString(string(e)) {
				t.Errorf("%s: the event type %q is not CamelCase", p.Type, e)
			}
		}
	}
}

func TestThresholdInEffect(t *testing.T) {
	t.Parallel()
	seven := int32(7)
	for name, tc := range map[string]struct {
		own  *v1alpha1.Threshold
		want v1alpha1.EffectiveThreshold
	}{
		"the preset's":       {nil, v1alpha1.EffectiveThreshold{Count: 5, Window: "1h", Scope: v1alpha1.ScopeDistinctComputers}},
		"a count of its own": {&v1alpha1.Threshold{Count: &seven}, v1alpha1.EffectiveThreshold{Count: 7, Window: "1h", Scope: v1alpha1.ScopeDistinctComputers}},
		"all of its own": {&v1alpha1.Threshold{Count: &seven, Window: "90s", Scope: v1alpha1.ScopeAnyComputer},
			v1alpha1.EffectiveThreshold{Count: 7, Window: "90s", Scope: v1alpha1.ScopeAnyComputer}},
	} {
		if got := preset.For("RiskOutbreak").Threshold(tc.own); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
	if got := preset.For("NobodyKnows").Type; got != preset.Custom {
		t.Errorf("an unknown type is treated as %s", got)
	}
}

// SPDX-License-Identifier: Apache-2.0

package preset_test

import (
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/preset"
)

// admitted are the condition types that the API server takes, as the marker in the API's source lists them: the CRD is
// generated from it.
func admitted(t *testing.T) []string {
	t.Helper()
	source, err := os.ReadFile("../../api/v1alpha1/notificationcondition_types.go")
	if err != nil {
		t.Fatal(err)
	}
	marker := regexp.MustCompile(`\+kubebuilder:validation:Enum=(\S+)\ntype ConditionType string`).FindSubmatch(source)
	if marker == nil {
		t.Fatal("type ConditionType has no Enum marker")
	}
	return strings.Split(string(marker[1]), ";")
}

// TestEveryTypeHasAPreset: whatever type the API server takes, the table knows, in the same order and no other.
func TestEveryTypeHasAPreset(t *testing.T) {
	t.Parallel()
	var known []string
	for _, p := range preset.All() {
		known = append(known, string(p.Type))
	}
	if want := admitted(t); !slices.Equal(known, want) {
		t.Errorf("the table has  %q\nthe API admits %q", known, want)
	}
}

var camel = regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,62}$`)

// TestTheTable: what holds for every row. A mistake in a name would make a condition that never fires.
func TestTheTable(t *testing.T) {
	t.Parallel()
	scopes := []v1alpha1.Scope{v1alpha1.ScopeAnyComputer, v1alpha1.ScopeSingleComputer, v1alpha1.ScopeDistinctComputers}
	for _, p := range preset.All() {
		t.Run(string(p.Type), func(t *testing.T) {
			t.Parallel()
			if !camel.MatchString(string(p.Type)) {
				t.Error("the type is not CamelCase")
			}
			if none := len(p.EventTypes) == 0; none != (p.Type == preset.Custom) {
				t.Errorf("event types %q: Custom has none, and only Custom", p.EventTypes)
			}
			if p.Count < 1 || p.Count > 10_000 || p.Window < time.Second || p.Window > 168*time.Hour {
				t.Errorf("no manifest could say %d in %s", p.Count, p.Window)
			}
			if !slices.Contains(scopes, p.Scope) {
				t.Errorf("scope %q", p.Scope)
			}
			if !strings.HasSuffix(p.Summary, ".") || strings.Contains(p.Summary, "|") {
				t.Errorf("the summary %q is no sentence for a table", p.Summary)
			}
			if got := preset.For(p.Type); got.Type != p.Type {
				t.Errorf("For returns %s", got.Type)
			}
		})
	}
}

// TestTheEventTypes: each is a CamelCase name that a SecurityEvent may have, and no preset lists one twice.
func TestTheEventTypes(t *testing.T) {
	t.Parallel()
	for _, p := range preset.All() {
		seen := map[string]bool{}
		for _, e := range p.EventTypes {
			if !camel.MatchString(string(e)) {
				t.Errorf("%s: event type %q is not CamelCase", p.Type, e)
			}
			if lower := strings.ToLower(string(e)); seen[lower] {
				t.Errorf("%s: event type %q is listed twice", p.Type, e)
			} else {
				seen[lower] = true
			}
		}
	}
}

// TestDefaults are those that the product which Tocsin replaces documents.
func TestDefaults(t *testing.T) {
	t.Parallel()
	if preset.DefaultDamper != time.Hour {
		t.Errorf("the damper Auto is %s; SEPM: not performed again for 60 minutes", preset.DefaultDamper)
	}
	for kind, want := range map[v1alpha1.ConditionType]v1alpha1.EffectiveThreshold{
		"SingleRiskEvent": {Count: 1, Window: "1m", Scope: v1alpha1.ScopeAnyComputer},
		// five computers within one hour
		"RiskOutbreak": {Count: 5, Window: "1h", Scope: v1alpha1.ScopeDistinctComputers},
		// fewer than a hundred computers: two events within one minute
		"ClientSecurityAlert": {Count: 2, Window: "1m", Scope: v1alpha1.ScopeAnyComputer},
		"Custom":              {Count: 1, Window: "1m", Scope: v1alpha1.ScopeAnyComputer},
		"FromTheFuture":       {Count: 1, Window: "1m", Scope: v1alpha1.ScopeAnyComputer},
	} {
		if got := preset.For(kind).Threshold(nil, 5000); got != want {
			t.Errorf("%s: %+v, want %+v", kind, got, want)
		}
	}
	if got := preset.For("FromTheFuture"); got.Type != preset.Custom || len(got.EventTypes) > 0 {
		t.Errorf("a type that this version does not know is %s", got.Type)
	}
}

// TestThreshold: what a condition says replaces the preset's, field by field.
func TestThreshold(t *testing.T) {
	t.Parallel()
	count := int32(14)
	for name, tc := range map[string]struct {
		own  *v1alpha1.Threshold
		want v1alpha1.EffectiveThreshold
	}{
		"nothing":  {nil, v1alpha1.EffectiveThreshold{Count: 5, Window: "1h", Scope: v1alpha1.ScopeDistinctComputers}},
		"no field": {&v1alpha1.Threshold{}, v1alpha1.EffectiveThreshold{Count: 5, Window: "1h", Scope: v1alpha1.ScopeDistinctComputers}},
		"the count": {
			&v1alpha1.Threshold{Count: &count},
			v1alpha1.EffectiveThreshold{Count: 14, Window: "1h", Scope: v1alpha1.ScopeDistinctComputers},
		},
		"the window": {
			&v1alpha1.Threshold{Window: "90s"},
			v1alpha1.EffectiveThreshold{Count: 5, Window: "90s", Scope: v1alpha1.ScopeDistinctComputers},
		},
		"the scope": {
			&v1alpha1.Threshold{Scope: v1alpha1.ScopeSingleComputer},
			v1alpha1.EffectiveThreshold{Count: 5, Window: "1h", Scope: v1alpha1.ScopeSingleComputer},
		},
	} {
		if got := preset.For("RiskOutbreak").Threshold(tc.own, 5000); got != tc.want {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

// TestAuto: by the number of computers, in the steps that the product which Tocsin replaces documents, and one beyond.
func TestAuto(t *testing.T) {
	t.Parallel()
	for computers, want := range map[int32]int32{
		0: 2, 1: 2, 99: 2, 100: 5, 101: 5, 999: 5, 1000: 5, 1001: 10, math.MaxInt32: 10,
	} {
		if got := preset.Auto(computers); got != want {
			t.Errorf("%d computers: %d, want %d", computers, got, want)
		}
		for _, p := range preset.All() {
			effective := p.Threshold(&v1alpha1.Threshold{Auto: true}, computers)
			if effective.Count != want || effective.Window != "1m" || effective.Scope != p.Scope {
				t.Errorf("%s, %d computers: %+v, want %d in 1m with the preset's scope", p.Type, computers, effective, want)
			}
			if effective.Computers == nil || *effective.Computers != computers {
				t.Errorf("%s: the threshold does not tell that it goes by %d computers", p.Type, computers)
			}
		}
	}
	own := preset.For("RiskOutbreak").Threshold(&v1alpha1.Threshold{Auto: true, Scope: v1alpha1.ScopeSingleComputer}, 100)
	if own.Scope != v1alpha1.ScopeSingleComputer {
		t.Errorf("the condition's own scope is not asked: %+v", own)
	}
}

// TestOncePerRisk: one type alone tells of each risk once.
func TestOncePerRisk(t *testing.T) {
	t.Parallel()
	for _, p := range preset.All() {
		if got := p.OncePerRisk(); got != (p.Type == "NewRiskDetected") {
			t.Errorf("%s: %t", p.Type, got)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package match_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/match"
	"github.com/tocsin-dev/tocsin/internal/preset"
)

func forTypes(types ...v1alpha1.Wildcard) *match.Filter {
	filter, err := match.Compile(&v1alpha1.NotificationConditionSpec{
		Type: "Custom", Filter: &v1alpha1.EventFilter{EventTypes: types},
	})
	if err != nil {
		panic(err)
	}
	return filter
}

func candidates(x *match.Index[string], namespace, eventType string) []string {
	var found []string
	x.Candidates(namespace, eventType, func(c string) { found = append(found, c) })
	slices.Sort(found)
	return found
}

// TestCandidates: an event costs what the conditions cost that could match it, and no other.
func TestCandidates(t *testing.T) {
	t.Parallel()
	x := match.NewIndex[string]()
	x.Put("risks", []string{"security"}, forTypes("RiskDetected"))
	x.Put("traffic", []string{"security"}, forTypes("TrafficLogged", "PacketLogged"))
	x.Put("logged", []string{"security"}, forTypes("*Logged"))
	x.Put("mixed", []string{"security"}, forTypes("RiskDetected", "Client*"))
	x.Put("all", []string{"security"}, forTypes())
	x.Put("outbreak", []string{"security"}, compiled(t, &v1alpha1.NotificationConditionSpec{Type: "RiskOutbreak"}))
	x.Put("theirs", []string{"other"}, forTypes("RiskDetected"))
	x.Put("theirs too", []string{"other"}, forTypes())
	x.Put("both", []string{"security", "other"}, forTypes("BackupFinished"))
	x.Put("all of both", []string{"third", "fourth"}, forTypes("*"))
	x.Put("twice", []string{"security"}, forTypes("SystemError", "systemerror"))
	for name, tc := range map[string]struct {
		namespace, eventType string
		want                 []string
	}{
		"those that name the type, those with wildcards, those that name none": {
			"security", "RiskDetected", []string{"all", "logged", "mixed", "outbreak", "risks"},
		},
		"one that names several types, by the second": {"security", "PacketLogged", []string{"all", "logged", "mixed", "traffic"}},
		"event types have no reliable case":           {"security", "PACKETLOGGED", []string{"all", "logged", "mixed", "traffic"}},
		"a type that nobody names":                    {"security", "Unheard", []string{"all", "logged", "mixed"}},
		"one that names the type twice is asked once": {"security", "SystemError", []string{"all", "logged", "mixed", "twice"}},
		"only those of the namespace":                 {"other", "RiskDetected", []string{"theirs", "theirs too"}},
		"one of several namespaces":                   {"security", "BackupFinished", []string{"all", "both", "logged", "mixed"}},
		"the other of them":                           {"other", "BackupFinished", []string{"both", "theirs too"}},
		"wildcards in several namespaces":             {"fourth", "BackupFinished", []string{"all of both"}},
		"a namespace without conditions":              {"empty", "RiskDetected", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := candidates(x, tc.namespace, tc.eventType); !slices.Equal(got, tc.want) {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// TestPutAgain: a condition that changed is found by what it asks for now, and by nothing else; one that is gone by nothing.
func TestPutAgain(t *testing.T) {
	t.Parallel()
	x := match.NewIndex[string]()
	steps := []struct {
		name               string
		do                 func()
		risk, logged, away []string
	}{
		{"exact", func() { x.Put("c", []string{"security"}, forTypes("RiskDetected")) }, []string{"c"}, nil, nil},
		{"put the same twice", func() { x.Put("c", []string{"security"}, forTypes("RiskDetected")) }, []string{"c"}, nil, nil},
		{"another type", func() { x.Put("c", []string{"security"}, forTypes("PacketLogged")) }, nil, []string{"c"}, nil},
		{"a wildcard", func() { x.Put("c", []string{"security"}, forTypes("*")) }, []string{"c"}, []string{"c"}, nil},
		{"beside another", func() { x.Put("d", []string{"security"}, forTypes("*")) }, []string{"c", "d"}, []string{"c", "d"}, nil},
		{"two namespaces", func() { x.Put("c", []string{"security", "away"}, forTypes("RiskDetected")) }, []string{"c", "d"}, []string{"d"}, []string{"c"}},
		{"another namespace", func() { x.Put("c", []string{"away"}, forTypes("*")) }, []string{"d"}, []string{"d"}, []string{"c"}},
		{"deleted", func() { x.Delete("c") }, []string{"d"}, []string{"d"}, nil},
		{"deleted twice", func() { x.Delete("c") }, []string{"d"}, []string{"d"}, nil},
		{"never put", func() { x.Delete("e") }, []string{"d"}, []string{"d"}, nil},
		{"all deleted", func() { x.Delete("d") }, nil, nil, nil},
		{"put once more", func() { x.Put("c", []string{"security"}, forTypes("RiskDetected")) }, []string{"c"}, nil, nil},
	}
	for _, s := range steps {
		s.do()
		for _, at := range []struct {
			namespace, eventType string
			want                 []string
		}{{"security", "RiskDetected", s.risk}, {"security", "PacketLogged", s.logged}, {"away", "RiskDetected", s.away}} {
			if got := candidates(x, at.namespace, at.eventType); !slices.Equal(got, at.want) {
				t.Errorf("%s: candidates for %s in %s: %q, want %q", s.name, at.eventType, at.namespace, got, at.want)
			}
		}
	}
}

// TestWhatMatchesIsACandidate: the index may ask too many conditions, but never too few, whatever was put and deleted.
func TestWhatMatchesIsACandidate(t *testing.T) {
	t.Parallel()
	kinds := []v1alpha1.EventType{"Unheard", "riskdetected", "RISKDETECTED"}
	presets := []v1alpha1.ConditionType{"FromTheFuture"}
	for _, p := range preset.All() {
		kinds, presets = append(kinds, p.EventTypes...), append(presets, p.Type)
	}
	matched := 0
	for seed := range uint64(200) {
		x, filters := someConditions(t, rand.New(rand.NewPCG(seed, 1)), presets)
		for _, kind := range kinds {
			found := candidates(x, "security", string(kind))
			if len(slices.Compact(slices.Clone(found))) != len(found) {
				t.Errorf("seed %d: one is asked twice about %s: %q", seed, kind, found)
			}
			for c, f := range filters {
				event := match.NewEvent(&v1alpha1.SecurityEventSpec{Type: kind, Risk: &v1alpha1.Risk{Name: "EICAR"}})
				if verdict, _ := f.Match(event); verdict != match.Matched {
					continue
				}
				if matched++; !slices.Contains(found, c) {
					t.Errorf("seed %d: %s matches %s but is not asked", seed, c, kind)
				}
			}
			if gone := slices.IndexFunc(found, func(c string) bool { return filters[c] == nil }); gone >= 0 {
				t.Errorf("seed %d: %s is deleted but asked", seed, found[gone])
			}
		}
	}
	if matched == 0 {
		t.Error("nothing ever matched: this proves nothing")
	}
}

// someConditions are put into an index, put again and deleted at random.
func someConditions(t *testing.T, r *rand.Rand, presets []v1alpha1.ConditionType) (*match.Index[string], map[string]*match.Filter) {
	t.Helper()
	wild := []v1alpha1.Wildcard{"*", "Risk*", "*Logged", "*e*", "riskDetected", "Unheard", "ClientAdded", "c*d"}
	x, filters := match.NewIndex[string](), map[string]*match.Filter{}
	for range 30 {
		spec := &v1alpha1.NotificationConditionSpec{Type: presets[r.IntN(len(presets))], Filter: &v1alpha1.EventFilter{}}
		for range r.IntN(3) {
			spec.Filter.EventTypes = append(spec.Filter.EventTypes, wild[r.IntN(len(wild))])
		}
		c := fmt.Sprint("c", r.IntN(12))
		if r.IntN(4) == 0 {
			x.Delete(c)
			delete(filters, c)
			continue
		}
		filters[c] = compiled(t, spec)
		x.Put(c, []string{"security"}, filters[c])
	}
	return x, filters
}

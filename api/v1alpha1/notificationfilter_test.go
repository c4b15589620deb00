// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

const filter = `
kind: NotificationFilter
spec:
  severities: [Critical]
`

func TestAFilterThatSelectsNothingIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		changes map[string]any
		wants   []string
	}{
		"until before since": {map[string]any{"spec.since": "2026-11-22T08:00:00Z", "spec.until": "2026-11-21T08:00:00Z"},
			[]string{"spec.until", "`until` must be later than `since`"}},
		"until as since": {map[string]any{"spec.since": "2026-11-22T08:00:00Z", "spec.until": "2026-11-22T08:00:00Z"},
			[]string{"`until` must be later than `since`"}},
		"last and since": {map[string]any{"spec.last": "24h", "spec.since": "2026-11-22T08:00:00Z"},
			[]string{"spec.last", "give either `last`, or `since` and `until`"}},
		"last and until": {map[string]any{"spec.last": "24h", "spec.until": "2026-11-22T08:00:00Z"},
			[]string{"spec.last", "give either `last`, or `since` and `until`"}},
		"last in words": {map[string]any{"spec.last": "yesterday"},
			[]string{"spec.last: Invalid value", "must be a duration above zero and at most 87600h", "24h, 720h"}},
		"last of nothing":   {map[string]any{"spec.last": "0s"}, []string{"spec.last", "above zero"}},
		"last of centuries": {map[string]any{"spec.last": "876000h"}, []string{"spec.last", "ten years"}},
		"a time that is none": {map[string]any{"spec.since": "22.11.2026"},
			[]string{"spec.since"}},
		"a time before time began": {map[string]any{"spec.since": "1066-10-14T08:00:00Z"},
			[]string{"spec.since", "must be a time of RFC 3339 such as 2026-11-22T08:30:00Z"}},
		"unknown severity": {map[string]any{"spec.severities": []any{"Fatal"}},
			[]string{`spec.severities[0]: Unsupported value: "Fatal"`, `"Info", "Warning", "FunctionalFailure", "Critical"`}},
		"unknown state": {map[string]any{"spec.states": []any{"Sent"}},
			[]string{`spec.states[0]: Unsupported value: "Sent"`, `"Delivered"`}},
		"an empty list": {map[string]any{"spec.conditions": []any{}},
			[]string{"spec.conditions", "at least 1 items"}},
		"an empty name": {map[string]any{"spec.channels": []any{""}},
			[]string{"spec.channels[0]", "at least 1 chars long"}},
		"the same twice": {map[string]any{"spec.types": []any{"Test", "Test"}},
			[]string{"spec.types[1]: Duplicate value"}},
		"too many stars": {map[string]any{"spec.computers": []any{strings.Repeat("*a", 17)}},
			[]string{"spec.computers[0]", "at most 16 wildcards"}},
		"a novel": {map[string]any{"spec.text": strings.Repeat("x", 257)},
			[]string{"spec.text: Too long: may not be more than 256"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := k8s.Client.Create(t.Context(), parse(t, filter, tc.changes), client.DryRunAll)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tc.wants {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is missing in: %v", want, err)
				}
			}
		})
	}
}

func TestAFilterThatCanSelectIsAccepted(t *testing.T) {
	for name, changes := range map[string]map[string]any{
		"nothing given selects everything": {"spec.severities": nil, "spec": map[string]any{}},
		"a range":                          {"spec.since": "2026-11-21T08:00:00Z", "spec.until": "2026-11-22T08:00:00+01:00"},
		"since alone":                      {"spec.since": "2026-11-21T08:00:00Z"},
		"ten years":                        {"spec.last": "87600h"},
		"what is not acknowledged":         {"spec.acknowledged": false},
		"all lists": {
			"spec.types": []any{"Risk*", "Test"}, "spec.creators": []any{"alice@example.com"}, "spec.conditions": []any{"*"},
			"spec.computers": []any{"ws-*"}, "spec.channels": []any{"soc-mail"}, "spec.states": []any{"Failed", "Pending"},
			"spec.text": "ticket 4711",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := k8s.Client.Create(t.Context(), parse(t, filter, changes), client.DryRunAll); err != nil {
				t.Error(err)
			}
		})
	}
}

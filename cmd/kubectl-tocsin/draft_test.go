// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// draftFile is a file with a condition.
func draftFile(t *testing.T, spec v1alpha1.NotificationConditionSpec) string {
	t.Helper()
	data, err := yaml.Marshal(&v1alpha1.NotificationCondition{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "NotificationCondition"},
		ObjectMeta: metav1.ObjectMeta{Name: "draft"}, Spec: spec,
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "draft.yaml")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestADraftIsJudgedAsByTheManager: what the manager would write into the status of a condition that is not ready, is said of
// a draft with the same spec.
func TestADraftIsJudgedAsByTheManager(t *testing.T) {
	t.Parallel()
	one := int32(1)
	for name, tc := range map[string]struct {
		spec v1alpha1.NotificationConditionSpec
		code int
	}{
		"suspended": {v1alpha1.NotificationConditionSpec{Type: "Custom", Suspend: true}, 0},
		"a channel is missing": {v1alpha1.NotificationConditionSpec{Type: "Custom", Actions: []v1alpha1.Action{
			{ChannelRef: v1alpha1.ChannelReference{Name: "mail"}}, {ChannelRef: v1alpha1.ChannelReference{Name: "gone"}}}}, 0},
		"mail's settings for a channel that runs a program": {v1alpha1.NotificationConditionSpec{Type: "Custom", Actions: []v1alpha1.Action{
			{ChannelRef: v1alpha1.ChannelReference{Name: "program"}, Email: &v1alpha1.EmailOverride{Subject: "x"}}}}, 0},
		"an expression that is none": {v1alpha1.NotificationConditionSpec{Type: "Custom",
			Filter: &v1alpha1.EventFilter{Expression: "event.nothing == 1"}}, 1},
		"more computers than can be": {v1alpha1.NotificationConditionSpec{Type: "RiskOutbreak",
			Filter: &v1alpha1.EventFilter{Computers: []v1alpha1.Wildcard{"ws-1"}}}, 1},
		"a window longer than events are kept": {v1alpha1.NotificationConditionSpec{Type: "Custom",
			Threshold: &v1alpha1.Threshold{Count: &one, Window: "72h"}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := k8s.Namespace(t)
			k8s.Create(t, channel(ns, 25), &v1alpha1.NotificationChannel{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "program"},
				Spec: v1alpha1.NotificationChannelSpec{Type: v1alpha1.ChannelExec, Exec: &v1alpha1.ExecChannel{Template: runtime.RawExtension{
					Raw: []byte(`{"spec": {"containers": [{"name": "tool", "image": "example.com/tool:1"}]}}`)}}}})
			k8s.Create(t, &v1alpha1.SecurityEvent{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "e"},
				Spec: v1alpha1.SecurityEventSpec{Type: "X", Severity: v1alpha1.SeverityInfo, Title: "t"}})
			c := &v1alpha1.NotificationCondition{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "draft"}, Spec: tc.spec}
			k8s.Create(t, c)
			var said string
			k8s.Until(t, c, func() error {
				ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ReadyCondition)
				if ready == nil || ready.Status != metav1.ConditionFalse {
					return errors.New("the manager has not found anything yet")
				}
				said = ready.Message
				return nil
			})
			for _, verb := range []string{"simulate", "preview"} {
				if r := run(t, ns, verb, "-f", draftFile(t, tc.spec)); r.code != tc.code || !strings.Contains(r.err, said) {
					t.Errorf("the manager: %s\n%s: %+v", said, verb, r)
				}
			}
		})
	}
}

// TestAutoGoesByTheComputersOfTheManager: both count computers alike, by the names in the events that are kept.
func TestAutoGoesByTheComputersOfTheManager(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	for _, computer := range []string{"ws-1", "WS-1", "ws-2", "ws-3"} {
		k8s.Create(t, &v1alpha1.SecurityEvent{ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "e-"},
			Spec: v1alpha1.SecurityEventSpec{Type: "X", Severity: v1alpha1.SeverityInfo, Title: "t", Computer: &v1alpha1.Computer{Name: computer}}})
	}
	spec := v1alpha1.NotificationConditionSpec{Type: "Custom", Threshold: &v1alpha1.Threshold{Auto: true}}
	r := run(t, ns, "simulate", "-f", draftFile(t, spec), "-o", "json")
	var simulated struct{ Threshold v1alpha1.EffectiveThreshold }
	if err := json.Unmarshal([]byte(r.out), &simulated); err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	c := &v1alpha1.NotificationCondition{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "draft"}, Spec: spec}
	k8s.Create(t, c)
	k8s.Until(t, c, func() error {
		if c.Status.Threshold == nil {
			return errors.New("not evaluated yet")
		}
		return nil
	})
	want, got := c.Status.Threshold, simulated.Threshold
	if got.Computers == nil || want.Computers == nil || *got.Computers != *want.Computers || *got.Computers != 3 || got.Count != want.Count {
		t.Errorf("simulated %+v, the manager's is %+v", got, want)
	}
}

// TestProposalsAreAccepted: the API server takes what --tune proposes, for conditions of each kind.
func TestProposalsAreAccepted(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	for _, kind := range []v1alpha1.EventType{"RiskDetected", "AuthenticationFailed", "RiskDetected", "VirusDefinitionsOutOfDate"} {
		k8s.Create(t, &v1alpha1.SecurityEvent{ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "e-"},
			Spec: v1alpha1.SecurityEventSpec{Type: kind, Severity: v1alpha1.SeverityCritical, Title: "t", Computer: &v1alpha1.Computer{Name: "ws-1"}}})
	}
	for _, kind := range []v1alpha1.ConditionType{"SingleRiskEvent", "RiskOutbreak", "AuthenticationFailure", "VirusDefinitionsOutOfDate", "Custom"} {
		auto := v1alpha1.NotificationConditionSpec{Type: kind, Threshold: &v1alpha1.Threshold{Auto: true},
			Damper: &v1alpha1.Damper{Per: v1alpha1.DamperPerComputer}}
		r := run(t, ns, "simulate", "-f", draftFile(t, auto), "--tune", "1", "-o", "json")
		var simulated struct {
			Proposals []struct {
				Threshold v1alpha1.Threshold
				Damper    v1alpha1.DamperPeriod
			}
		}
		if err := json.Unmarshal([]byte(r.out), &simulated); err != nil || len(simulated.Proposals) == 0 {
			t.Fatalf("%s: %v: %+v", kind, err, r)
		}
		for _, p := range simulated.Proposals {
			spec := v1alpha1.NotificationConditionSpec{Type: kind, Threshold: &p.Threshold,
				Damper: &v1alpha1.Damper{Period: p.Damper, Per: v1alpha1.DamperPerComputer}}
			c := &v1alpha1.NotificationCondition{ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "proposed-"}, Spec: spec}
			if err := k8s.Client.Create(t.Context(), c, client.DryRunAll); err != nil {
				t.Errorf("%s: %+v: %v", kind, p, err)
			}
		}
	}
}

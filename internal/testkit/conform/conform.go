// SPDX-License-Identifier: Apache-2.0

// Package conform checks that the status of an object is as kstatus, and so kubectl wait and GitOps tools, expect it.
package conform

import (
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// Subject is what is known of an object that was reconciled.
type Subject struct {
	Generation, ObservedGeneration int64
	Conditions                     []metav1.Condition
	// Verdict is the type of the status condition that sums up the object: Ready or Succeeded.
	Verdict string
}

// Check returns all that is wrong.
func Check(s Subject) []error {
	wrong := s.generations()
	verdict := meta.FindStatusCondition(s.Conditions, s.Verdict)
	if verdict == nil {
		return append(wrong, fmt.Errorf("status condition %s is missing", s.Verdict))
	}
	stalled := meta.FindStatusCondition(s.Conditions, v1alpha1.StalledCondition)
	reconciling := meta.FindStatusCondition(s.Conditions, v1alpha1.ReconcilingCondition)
	for _, c := range []*metav1.Condition{stalled, reconciling} {
		if c != nil && c.Status != metav1.ConditionTrue {
			wrong = append(wrong, fmt.Errorf("%s is present and not True", c.Type))
		}
	}
	if stalled != nil && reconciling != nil {
		wrong = append(wrong, errors.New("status conditions Stalled and Reconciling are both present"))
	}
	if verdict.Status == metav1.ConditionTrue && (stalled != nil || reconciling != nil) {
		wrong = append(wrong, fmt.Errorf("%s is True together with Stalled or Reconciling", s.Verdict))
	}
	return wrong
}

// generations returns what is wrong with what the parts of the status say they speak of.
func (s Subject) generations() []error {
	var wrong []error
	if s.ObservedGeneration > s.Generation {
		wrong = append(wrong, fmt.Errorf("observedGeneration %d is ahead of generation %d", s.ObservedGeneration, s.Generation))
	}
	for _, c := range s.Conditions {
		if c.ObservedGeneration > s.Generation {
			wrong = append(wrong, fmt.Errorf("%s speaks of generation %d, ahead of %d", c.Type, c.ObservedGeneration, s.Generation))
		}
		if c.Reason == "" || c.Message == "" {
			wrong = append(wrong, fmt.Errorf("%s lacks a reason or a message", c.Type))
		}
		if c.Status == metav1.ConditionTrue && c.Type == s.Verdict && c.ObservedGeneration != s.Generation {
			wrong = append(wrong, fmt.Errorf("%s is True for generation %d, not %d", c.Type, c.ObservedGeneration, s.Generation))
		}
	}
	return wrong
}

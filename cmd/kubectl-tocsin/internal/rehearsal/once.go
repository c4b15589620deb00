// SPDX-License-Identifier: Apache-2.0

package rehearsal

import (
	"errors"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
)

// Once is the decision of a draft about one event, as if that alone had brought the count to the threshold, whether it meets
// the filter or not.
func Once(draft *v1alpha1.NotificationCondition, event *v1alpha1.SecurityEvent) (plan.Firing, error) {
	rule, err := plan.Compile(draft, 0)
	if err != nil {
		return plan.Firing{}, err
	}
	one := int32(1)
	open := draft.DeepCopy()
	open.Spec = v1alpha1.NotificationConditionSpec{
		Type:      "Custom",
		Threshold: &v1alpha1.Threshold{Count: &one, Window: rule.Threshold.Window, Scope: rule.Threshold.Scope},
	}
	open.CreationTimestamp = event.CreationTimestamp
	opened, err := plan.Compile(open, 0)
	if err != nil {
		return plan.Firing{}, err
	}
	_, told := plan.NewWatch(opened).Observe(plan.NewEvent(event, 1))
	if len(told) != 1 {
		return plan.Firing{}, errors.New("the event alone does not make a condition fire: it is older than the window")
	}
	told[0].Rule = rule
	return told[0], nil
}

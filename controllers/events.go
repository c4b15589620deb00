// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"fmt"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// Reasons and actions of the Kubernetes Events about a condition, as `kubectl describe` shows them. Their notes hold
// numbers and names of Kubernetes objects, and nothing that a SecurityEvent says.
const (
	// reasonFired: a Notification was created.
	reasonFired = "Fired"
	// reasonExpressionFailed: events did not match because the filter's expression could not be evaluated.
	reasonExpressionFailed = "ExpressionFailed"

	actionNotify   = "Notify"
	actionEvaluate = "Evaluate"
)

// told is what happened, for the Event of a condition that fired.
func told(n *v1alpha1.Notification) string {
	t := n.Spec.Trigger
	text := fmt.Sprintf("%s: %s", n.Name, t.Reason)
	if t.Occurrences > 0 {
		text += fmt.Sprintf("; occurrences: %d, computers: %d, within %s", t.Occurrences, t.Computers,
			n.Spec.Condition.Threshold.Window)
	}
	if t.Held > 0 {
		text += fmt.Sprintf("; held since the last: %d", t.Held)
	}
	return text
}

// unevaluated is the Event's note about a filter's expression.
func unevaluated(e *v1alpha1.ExpressionErrors) string {
	return fmt.Sprintf("spec.filter.expression cannot be evaluated for some events, which therefore do not match; so far: %d; "+
		"status.expressionErrors tells why", e.Count)
}

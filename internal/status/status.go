// SPDX-License-Identifier: Apache-2.0

// Package status reads and writes Kubernetes status conditions (metav1.Condition), as kstatus understands them.
package status

import (
	"strings"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// maxMessage is how long a status condition's message gets, in bytes.
const maxMessage = 1024

// Set writes one status condition; its transition time moves only when its status changes.
func Set(conditions *[]metav1.Condition, generation int64, kind string, value metav1.ConditionStatus, reason, message string) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: kind, Status: value, Reason: reason, Message: Truncate(message, maxMessage), ObservedGeneration: generation,
	})
}

// Verdict is what a reconciler found out about an object.
type Verdict struct {
	// Ready says whether the object is in force.
	Ready bool
	// Stalled says that only a change of the object can make it ready.
	Stalled bool
	// Reason is one CamelCase word; Message a sentence for the user.
	Reason, Message string
}

// SetReady writes Ready, and Stalled or Reconciling where kstatus wants them: present only while true.
func SetReady(conditions *[]metav1.Condition, generation int64, v Verdict) {
	value := metav1.ConditionFalse
	if v.Ready {
		value = metav1.ConditionTrue
	}
	Set(conditions, generation, v1alpha1.ReadyCondition, value, v.Reason, v.Message)
	present(conditions, generation, v1alpha1.StalledCondition, !v.Ready && v.Stalled, v)
	present(conditions, generation, v1alpha1.ReconcilingCondition,
		!v.Ready && !v.Stalled && v.Reason != v1alpha1.ReasonSuspended, v)
}

func present(conditions *[]metav1.Condition, generation int64, kind string, is bool, v Verdict) {
	if !is {
		meta.RemoveStatusCondition(conditions, kind)
		return
	}
	Set(conditions, generation, kind, metav1.ConditionTrue, v.Reason, v.Message)
}

// IsTrue says whether a status condition is present and true.
func IsTrue(conditions []metav1.Condition, kind string) bool {
	return meta.IsStatusConditionTrue(conditions, kind)
}

// Reason returns a status condition's reason; empty when it is absent.
func Reason(conditions []metav1.Condition, kind string) string {
	if c := meta.FindStatusCondition(conditions, kind); c != nil {
		return c.Reason
	}
	return ""
}

// Message returns a status condition's message; empty when it is absent.
func Message(conditions []metav1.Condition, kind string) string {
	if c := meta.FindStatusCondition(conditions, kind); c != nil {
		return c.Message
	}
	return ""
}

// Truncate cuts a text to at most n bytes, at a character, and shows that it did.
func Truncate(text string, n int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if len(text) <= n {
		return text
	}
	const ellipsis = "…"
	n -= len(ellipsis)
	if n < 0 {
		return ""
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + ellipsis
}

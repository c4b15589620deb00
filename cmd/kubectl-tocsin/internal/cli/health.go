// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
	"github.com/tocsin-dev/tocsin/internal/status"
)

// health is whether a condition or channel is in force: the reason of Ready, once the manager has looked at this generation.
func health(conditions []metav1.Condition, generation, observed int64) screen.Cell {
	reason := cmp.Or(status.Reason(conditions, v1alpha1.ReadyCondition), "Unknown")
	if generation != observed {
		reason = "NotLookedAt"
	}
	return screen.Cell{Text: reason, Tone: stateTone(reason)}
}

// complaint is what is wrong with a condition or channel; nothing while it is in force. Advice counts, too.
func complaint(conditions []metav1.Condition, advice ...string) string {
	var texts []string
	if !status.IsTrue(conditions, v1alpha1.ReadyCondition) {
		texts = append(texts, status.Message(conditions, v1alpha1.ReadyCondition))
	}
	for _, kind := range advice {
		if status.IsTrue(conditions, kind) {
			texts = append(texts, status.Message(conditions, kind))
		}
	}
	return strings.Join(texts, "; ")
}

// before says how long ago something was, as kubectl does.
func before(t, now time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " (" + duration.HumanDuration(now.Sub(t)) + " ago)"
}

func age(t *metav1.Time, now time.Time) string {
	if t == nil {
		return ""
	}
	return duration.HumanDuration(now.Sub(t.Time))
}

// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// Whoever may report may not keep anybody from reading the log, or from editing a condition: kubectl shows no object in which
// there is a character that YAML has no room for.
func TestHostileNamesDoNotStopKubectl(t *testing.T) {
	ns := k8s.Namespace(t)
	known := condition(ns, "NewRiskDetected")
	known.Name = "new"
	perRisk, failing := condition(ns, "SingleRiskEvent"), condition(ns, "SingleRiskEvent")
	perRisk.Spec.Damper = &v1alpha1.Damper{Per: v1alpha1.DamperPerRisk}
	failing.Name, failing.Spec.Filter = "failing", &v1alpha1.EventFilter{Expression: "int(event.computer.name) > 0"}
	start(t)
	for _, c := range []*v1alpha1.NotificationCondition{known, perRisk, failing} {
		k8s.Create(t, c)
		awaitReady(t, c)
	}
	hostile := detection(ns, "ws\u009b31m\ufffe")
	hostile.Spec.Risk.Name, hostile.Spec.Title = "Worm\u0080\x7f", "\u009b"
	k8s.Create(t, hostile)
	for _, n := range awaitState(t, ns, 2, v1alpha1.ReasonLogged) {
		if e := n.Spec.Trigger.Event; e.Computer.Name != "ws\ufffd31m\ufffd" || e.Risk.Name != "Worm\ufffd\ufffd" {
			t.Errorf("the log says %q, %q", e.Computer.Name, e.Risk.Name)
		}
	}
	k8s.Until(t, known, func() error {
		if len(known.Status.KnownRisks) != 1 {
			return errors.New("no risk is known")
		}
		return nil
	})
	k8s.Until(t, failing, func() error {
		if failing.Status.ExpressionErrors == nil {
			return errors.New("the expression has not failed")
		}
		return nil
	})
	if out, err := kubectl(t, k8s, "", "", "get", "ntf,ntfcond", "-n", ns, "-o", "yaml"); err != nil || !strings.Contains(out, "ws\ufffd31m\ufffd") {
		t.Errorf("kubectl ends with %v: %s", err, out)
	}
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// A leader that has panicked must end, so that another one can lead; it may not hang with the lease in its hand.
func TestPanicEndsTheEvaluator(t *testing.T) {
	t.Parallel()
	rule, err := plan.Compile(&v1alpha1.NotificationCondition{Spec: v1alpha1.NotificationConditionSpec{Type: "Custom"}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	watching := fake.NewClientBuilder().WithScheme(cluster.Scheme()).Build()
	e := NewEvaluator(nil, watching, nil, clock.RealClock{}, logr.Discard()) // without a client, writing panics
	if err := e.events.Replace(nil, ""); err != nil {                        // in step with a cluster without events
		t.Fatal(err)
	}
	e.outbox = []*draft{{backlog: &backlog{}, firing: plan.Firing{Rule: rule}}}
	ended := make(chan any, 1)
	go func() {
		defer func() { ended <- recover() }()
		_ = e.Start(t.Context())
	}()
	select {
	case panicked := <-ended:
		if panicked == nil {
			t.Error("ended without the panic that was to be")
		}
	case <-time.After(cluster.Patience):
		t.Error("hangs after a panic")
	}
}

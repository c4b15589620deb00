// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// What came in while a Notification was written slowly counts when a damper ends meanwhile: it was created before that.
func TestATimerDoesNotOvertakeTheQueue(t *testing.T) {
	t.Parallel()
	t0 := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	clk := clocktesting.NewFakeClock(t0)
	var e *Evaluator
	add := func(ns string, at int, seconds time.Duration) {
		event := &v1alpha1.SecurityEvent{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: fmt.Sprint("event-", at), UID: types.UID(fmt.Sprint(at)),
				ResourceVersion: fmt.Sprint(at), CreationTimestamp: metav1.NewTime(t0.Add(seconds * time.Second))},
			Spec: v1alpha1.SecurityEventSpec{Type: "RiskDetected", Severity: v1alpha1.SeverityCritical, Title: "Risk"},
		}
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(event)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.events.Add(&unstructured.Unstructured{Object: content}); err != nil {
			t.Fatal(err)
		}
	}
	slow := fake.NewClientBuilder().WithScheme(cluster.Scheme()).WithInterceptorFuncs(interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
			if o.GetNamespace() == "slow" {
				add("fast", 3, 3) // is created and known three seconds before its damper is looked at
				clk.SetTime(t0.Add(6 * time.Second))
			}
			return c.Create(ctx, o, options...)
		},
	}).Build()
	e = NewEvaluator(slow, slow, events.NewFakeRecorder(10), clk, logr.Discard())
	if err := e.events.Replace(nil, "0"); err != nil {
		t.Fatal(err)
	}
	for _, ns := range []string{"fast", "slow"} {
		rule, err := plan.Compile(&v1alpha1.NotificationCondition{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "every", UID: types.UID(ns), CreationTimestamp: metav1.NewTime(t0)},
			Spec: v1alpha1.NotificationConditionSpec{Type: "Custom", Damper: &v1alpha1.Damper{Period: "4s"},
				Threshold: &v1alpha1.Threshold{Count: ptr.To[int32](1), Window: "10s"}},
		}, 0)
		if err != nil {
			t.Fatal(err)
		}
		e.replace(nil, &follower{
			key:   types.NamespacedName{Namespace: ns, Name: "every"},
			watch: plan.NewWatch(rule), active: true, namespaces: []string{ns}, backlog: &backlog{},
		})
	}
	add("fast", 1, 0)
	e.step(t.Context())
	clk.SetTime(t0.Add(2 * time.Second))
	add("slow", 2, 2)
	e.step(t.Context())
	e.step(t.Context())
	var list v1alpha1.NotificationList
	if err := slow.List(t.Context(), &list, client.InNamespace("fast")); err != nil {
		t.Fatal(err)
	}
	for _, n := range list.Items {
		x := n.Spec.Trigger
		t.Logf("#%d %s at %s, %d held, up to %s", x.Sequence, x.Reason, x.Time.UTC().Format(time.TimeOnly), x.Held, x.UpTo)
		if x.Sequence == 2 && (x.Held != 1 || x.UpTo != "3") {
			t.Errorf("the repetition has %d held up to %s, want the event that came in before the damper ended", x.Held, x.UpTo)
		}
	}
	if len(list.Items) != 2 {
		t.Errorf("%d notifications, want 2", len(list.Items))
	}
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/plan"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// What becomes of a notification that the API server does not take: one of a condition that is gone may not wait for ever, and
// of one whose answer got lost it is not known whether the log has it.
func TestNotificationThatIsNotTaken(t *testing.T) {
	t.Parallel()
	quota := apierrors.NewForbidden(schema.GroupResource{Resource: "notifications"}, "n", errors.New("exceeded quota"))
	for name, tc := range map[string]struct {
		answer   error
		followed bool
		settled  bool
		tried    bool
	}{
		"refused by a quota":                              {quota, true, false, false},
		"refused by a quota, and its condition is gone":   {quota, false, true, false},
		"the answer is lost":                              {context.DeadlineExceeded, true, false, true},
		"the answer is lost, and its condition is gone":   {context.DeadlineExceeded, false, false, true},
		"the API server is down for a moment":             {apierrors.NewServiceUnavailable("later"), true, false, true},
		"its namespace does not exist, nor its condition": {apierrors.NewNotFound(schema.GroupResource{}, "ns"), false, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fake.NewClientBuilder().WithScheme(cluster.Scheme()).WithInterceptorFuncs(interceptor.Funcs{
				Create: func(context.Context, client.WithWatch, client.Object, ...client.CreateOption) error { return tc.answer },
			}).Build()
			rule, err := plan.Compile(&v1alpha1.NotificationCondition{
				ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "every", UID: "1"},
				Spec:       v1alpha1.NotificationConditionSpec{Type: "Custom"},
			}, 0)
			if err != nil {
				t.Fatal(err)
			}
			e := NewEvaluator(c, c, nil, clock.RealClock{}, logr.Discard())
			key := types.NamespacedName{Namespace: "ns", Name: "every"}
			if tc.followed {
				e.watches[key] = &follower{key: key, watch: plan.NewWatch(rule), backlog: &backlog{}}
			}
			d := &draft{condition: key, backlog: &backlog{drafts: 1}, firing: plan.Firing{
				Rule: rule, Sequence: 1, Reason: v1alpha1.TriggerThresholdReached, Time: time.Now(),
			}}
			if settled := e.create(t.Context(), d); settled != tc.settled {
				t.Errorf("settled: %t, want %t", settled, tc.settled)
			}
			if d.tried != tc.tried {
				t.Errorf("it may be in the log: %t, want %t", d.tried, tc.tried)
			}
		})
	}
}

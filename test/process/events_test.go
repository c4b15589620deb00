// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"strconv"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	applyv1alpha1 "github.com/tocsin-dev/tocsin/api/v1alpha1/applyconfiguration/api/v1alpha1"
)

// An event is what was seen: nobody changes it, not even its labels, as its place in the order of events would change with
// them.
func TestEventsAreNotChanged(t *testing.T) {
	ns := k8s.Namespace(t)
	event := detection(ns, "ws-1")
	k8s.Create(t, event)
	attempts := 0
	for _, tc := range []struct {
		what   string
		change func()
	}{
		{"labels", func() { event.Labels = map[string]string{"attempt": strconv.Itoa(attempts)} }},
		{"annotations", func() { event.Annotations = map[string]string{"attempt": strconv.Itoa(attempts)} }},
		{"finalizers", func() { event.Finalizers = []string{"example.com/keep"} }},
		{"owners", func() {
			event.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "x"}}
		}},
	} {
		forbidden(t, tc.what, "may not be changed", func(ctx context.Context) error {
			if err := k8s.Client.Get(ctx, client.ObjectKeyFromObject(event), event); err != nil {
				return err
			}
			attempts++
			tc.change()
			return k8s.Client.Update(ctx, event)
		})
	}
	forbidden(t, "another owner of its fields", "may not be changed", func(ctx context.Context) error {
		applied := applyv1alpha1.SecurityEvent(event.Name, ns).WithSpec(applyv1alpha1.SecurityEventSpec().WithTitle(event.Spec.Title))
		return k8s.Client.Apply(ctx, applied, client.FieldOwner("somebody-"+strconv.Itoa(attempts)))
	})
	for name, set := range map[string]func(*v1alpha1.SecurityEvent){
		"finalizers": func(e *v1alpha1.SecurityEvent) { e.Finalizers = []string{"example.com/keep"} },
		"owners": func(e *v1alpha1.SecurityEvent) {
			e.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "x"}}
		},
	} {
		forbidden(t, "a new event with "+name, "may not be set", func(ctx context.Context) error {
			fresh := detection(ns, "ws-2")
			set(fresh)
			return k8s.Client.Create(ctx, fresh)
		})
	}
	k8s.Get(t, event)
	allowed(t, "an update that changes nothing", func(ctx context.Context) error { return k8s.Client.Update(ctx, event) })
	foreground := metav1.DeletePropagationForeground
	allowed(t, "deletion", func(ctx context.Context) error {
		return k8s.Client.Delete(ctx, event, &client.DeleteOptions{PropagationPolicy: &foreground})
	})
	k8s.Get(t, event)
	event.Finalizers = nil
	allowed(t, "what the garbage collector does", func(ctx context.Context) error { return k8s.Client.Update(ctx, event) })
}

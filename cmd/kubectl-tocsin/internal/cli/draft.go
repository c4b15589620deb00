// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/verify"
)

// usable refuses a draft that the manager would refuse.
func usable(draft client.Object) error {
	var v status.Verdict
	kind := "condition"
	switch o := draft.(type) {
	case *v1alpha1.NotificationCondition:
		v = verify.Condition(o, verify.Surroundings{OperatorNamespace: o.Namespace})
	case *v1alpha1.NotificationChannel:
		kind = "channel"
		v = verify.Channel(&o.Spec)
	default:
		return nil
	}
	if v.Ready || v.Reason == v1alpha1.ReasonSuspended {
		return nil
	}
	return fmt.Errorf("%s %s: %s", kind, draft.GetName(), v.Message)
}

// draftCondition reads the one condition of a file.
func (a *App) draftCondition(path string) (*v1alpha1.NotificationCondition, error) {
	objects, err := a.readFile(path)
	if err != nil {
		return nil, err
	}
	var draft *v1alpha1.NotificationCondition
	for _, o := range objects {
		condition, ok := o.(*v1alpha1.NotificationCondition)
		switch {
		case !ok:
		case draft != nil:
			return nil, fmt.Errorf("%s: holds several conditions; give one", path)
		default:
			draft = condition
		}
	}
	if draft == nil {
		return nil, fmt.Errorf("%s: holds no NotificationCondition", path)
	}
	return draft, usable(draft)
}

// accepted asks the API server whether it would take a draft, without storing it. Whoever may not create or update
// conditions may try one all the same, and is told that nobody has checked it.
func (a *App) accepted(ctx context.Context, c client.Client, draft *v1alpha1.NotificationCondition) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error { return dryRun(ctx, c, draft) })
	if apierrors.IsForbidden(err) {
		a.note("The draft was not checked by the API server: %s", err.Error())
		return nil
	}
	return err
}

func dryRun(ctx context.Context, c client.Client, draft *v1alpha1.NotificationCondition) error {
	would := &v1alpha1.NotificationCondition{ObjectMeta: metav1.ObjectMeta{Namespace: draft.Namespace, Name: draft.Name}}
	if draft.Name == "" {
		would.GenerateName = "draft-"
	} else if err := c.Get(ctx, client.ObjectKeyFromObject(would), would); client.IgnoreNotFound(err) != nil {
		return err
	}
	would.Spec = *draft.Spec.DeepCopy()
	if would.ResourceVersion == "" {
		return c.Create(ctx, would, client.DryRunAll)
	}
	return c.Update(ctx, would, client.DryRunAll)
}

// watched are the events of the namespaces that a draft would watch.
func watched(ctx context.Context, c client.Reader, draft *v1alpha1.NotificationCondition, chunk int64) ([]v1alpha1.SecurityEvent, error) {
	namespaces := []string{draft.Namespace}
	if draft.Spec.NamespaceSelector != nil {
		selector, err := metav1.LabelSelectorAsSelector(draft.Spec.NamespaceSelector)
		if err != nil {
			return nil, fmt.Errorf("spec.namespaceSelector: %w", err)
		}
		var selected corev1.NamespaceList
		if err := c.List(ctx, &selected, client.MatchingLabelsSelector{Selector: selector}); err != nil {
			return nil, err
		}
		for _, ns := range selected.Items {
			if ns.Name != draft.Namespace {
				namespaces = append(namespaces, ns.Name)
			}
		}
	}
	var events []v1alpha1.SecurityEvent
	for _, namespace := range namespaces {
		some, err := all[v1alpha1.SecurityEvent](ctx, c, &v1alpha1.SecurityEventList{}, query{namespace: namespace, chunk: chunk})
		if err != nil {
			return nil, err
		}
		events = append(events, some...)
	}
	return events, nil
}

// created is an event of a file as the API server would have it.
func created(e *v1alpha1.SecurityEvent, now time.Time) *v1alpha1.SecurityEvent {
	e = e.DeepCopy()
	if e.CreationTimestamp.IsZero() {
		e.CreationTimestamp = metav1.NewTime(now.Truncate(time.Second))
	}
	if e.Name == "" {
		e.Name = e.GenerateName + "preview"
	}
	return e
}

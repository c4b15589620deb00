// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/retention"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/verify"
)

// managerNamespace is where the manager runs, unless somebody says otherwise.
const managerNamespace = "tocsin-system"

// drafting is what a draft is checked against.
type drafting struct{ operator string }

func (d *drafting) addFlags(a *App, c *cobra.Command) {
	c.Flags().StringVar(&d.operator, "operator-namespace", managerNamespace,
		"Namespace of the manager, the only one in which a condition may watch other namespaces")
	a.complete(c, "operator-namespace", a.namespaces)
}

// usable refuses a draft that the manager would refuse, in its words, and says what else the manager would.
func (d *drafting) usable(a *App, draft client.Object) error {
	var v status.Verdict
	kind := "condition"
	switch o := draft.(type) {
	case *v1alpha1.NotificationCondition:
		v = d.condition(a, o)
	case *v1alpha1.NotificationChannel:
		kind = "channel"
		v = verify.Channel(&o.Spec)
	default:
		return nil
	}
	switch {
	case v.Ready:
		return nil
	case v.Reason == v1alpha1.ReasonSuspended:
		a.note("%s %s: %s; what follows is as if it were false", kind, draft.GetName(), v.Message)
		return nil
	default:
		return fmt.Errorf("%s %s: %s", kind, draft.GetName(), v.Message)
	}
}

func (d *drafting) condition(a *App, o *v1alpha1.NotificationCondition) status.Verdict {
	in := verify.Surroundings{OperatorNamespace: d.operator}
	v := verify.Condition(o, in)
	if o.Spec.NamespaceSelector != nil && o.Namespace != d.operator {
		v.Message += " (--operator-namespace tells where the manager runs)"
	}
	in.Kept = retention.DefaultEvents().Shortest
	if kept := verify.Condition(o, in); kept.Reason != v.Reason {
		a.note("condition %s: if the manager keeps events no longer than it does by default, it is not ready: %s", o.Name, kept.Message)
	}
	return v
}

// hindered says, in the manager's words, why a condition would not be ready although its events are evaluated.
func (a *App) hindered(draft *v1alpha1.NotificationCondition, find func(name string) (*v1alpha1.NotificationChannel, error)) {
	switch v, err := verify.Actions(draft.Spec.Actions, find); {
	case err != nil:
		a.note("condition %s: its channels were not looked at: %s", draft.Name, err.Error())
	case v != nil:
		a.note("condition %s: %s", draft.Name, v.Message)
	}
}

// inCluster finds channels in the namespace of a draft.
func inCluster(ctx context.Context, c client.Reader, namespace string) func(string) (*v1alpha1.NotificationChannel, error) {
	return func(name string) (*v1alpha1.NotificationChannel, error) {
		channel := &v1alpha1.NotificationChannel{}
		return channel, c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, channel)
	}
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
	return draft, nil
}

// accepted asks the API server whether it would take a draft, without storing it. Whoever may not create or update such
// objects may try one all the same, and is told that nobody has checked it; so is who tries one in a namespace that does
// not exist yet.
func (a *App) accepted(ctx context.Context, c client.Client, draft client.Object) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error { return dryRun(ctx, c, draft) })
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		a.note("The draft was not checked by the API server: %s", err.Error())
		return nil
	}
	return err
}

func dryRun(ctx context.Context, c client.Client, draft client.Object) error {
	var would client.Object
	var fill func()
	switch o := draft.(type) {
	case *v1alpha1.NotificationCondition:
		condition := &v1alpha1.NotificationCondition{}
		would, fill = condition, func() { condition.Spec = *o.Spec.DeepCopy() }
	case *v1alpha1.NotificationChannel:
		channel := &v1alpha1.NotificationChannel{}
		would, fill = channel, func() { channel.Spec = *o.Spec.DeepCopy() }
	default:
		return nil
	}
	would.SetNamespace(draft.GetNamespace())
	if would.SetName(draft.GetName()); draft.GetName() == "" {
		would.SetGenerateName("draft-")
	} else if err := c.Get(ctx, client.ObjectKeyFromObject(would), would); client.IgnoreNotFound(err) != nil {
		return err
	}
	fill()
	if would.GetResourceVersion() == "" {
		return c.Create(ctx, would, client.DryRunAll)
	}
	return c.Update(ctx, would, client.DryRunAll)
}

// watchedNamespaces are those whose events a draft would watch, its own first.
func watchedNamespaces(ctx context.Context, c client.Reader, draft *v1alpha1.NotificationCondition) ([]string, error) {
	namespaces := []string{draft.Namespace}
	if draft.Spec.NamespaceSelector == nil {
		return namespaces, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(draft.Spec.NamespaceSelector)
	if err != nil {
		return nil, fmt.Errorf("spec.namespaceSelector: %w", err)
	}
	var selected corev1.NamespaceList
	if err := c.List(ctx, &selected, client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return nil, needed(err, "to find those that `spec.namespaceSelector` selects takes the right to list namespaces")
	}
	for _, ns := range selected.Items {
		if ns.Name != draft.Namespace {
			namespaces = append(namespaces, ns.Name)
		}
	}
	return namespaces, nil
}

// watched are the events of the namespaces that a draft would watch. Reading them says how many there are by now.
func watched(ctx context.Context, c client.Reader, draft *v1alpha1.NotificationCondition, chunk int64,
	read func(events int)) ([]v1alpha1.SecurityEvent, error) {
	namespaces, err := watchedNamespaces(ctx, c, draft)
	if err != nil {
		return nil, err
	}
	var events []v1alpha1.SecurityEvent
	for _, namespace := range namespaces {
		if _, err := each(ctx, c, &v1alpha1.SecurityEventList{}, query{namespace: namespace, chunk: chunk},
			func(e *v1alpha1.SecurityEvent) error {
				events = append(events, *e)
				read(len(events))
				return nil
			}); err != nil {
			return nil, needed(err, "the condition watches the events of namespace "+namespace+
				", and to try it takes the right to list them")
		}
	}
	return events, nil
}

// needed adds to the API server's refusal what the right is needed for.
func needed(err error, what string) error {
	var status *apierrors.StatusError
	if !apierrors.IsForbidden(err) || !errors.As(err, &status) {
		return err
	}
	told := *status
	told.ErrStatus.Message += "; " + what
	return &told
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

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/match"
)

// pick returns the event to tell about: the given one, or the latest that meets the filter, or else the latest.
func (v *previewVerb) pick(ctx context.Context, a *App, c client.Reader, condition *v1alpha1.NotificationCondition,
	filter *match.Filter) (*v1alpha1.SecurityEvent, error) {
	switch {
	case v.event != "":
		return v.named(ctx, a, c, condition)
	case v.eventFile != "":
		return v.fromFile(a, condition)
	}
	events, err := watched(ctx, c, condition, defaultChunk, func(int) {})
	if err != nil {
		return nil, err
	}
	if event := latest(events, filter); event != nil {
		return event, nil
	}
	where := "namespace " + condition.Namespace
	if condition.Spec.NamespaceSelector != nil {
		where = "the namespaces that condition " + condition.Name + " watches"
	}
	return nil, fmt.Errorf("no events are kept in %s: give one with --event-file", where)
}

// named finds the event that is named: in the namespace given with it, or else in the first of those that the condition
// watches, its own before the others.
func (v *previewVerb) named(ctx context.Context, a *App, c client.Reader,
	condition *v1alpha1.NotificationCondition) (*v1alpha1.SecurityEvent, error) {
	event := &v1alpha1.SecurityEvent{}
	namespaces, err := watchedNamespaces(ctx, c, condition)
	if namespace, name, given := strings.Cut(v.event, "/"); given {
		switch {
		case err != nil:
			a.note("Whether condition %s watches namespace %s was not looked at: %s", condition.Name, namespace, explain(err))
		case !slices.Contains(namespaces, namespace):
			a.note("Condition %s does not watch the events of namespace %s", condition.Name, namespace)
		}
		return event, c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, event)
	}
	if own := c.Get(ctx, client.ObjectKey{Namespace: condition.Namespace, Name: v.event}, event); !apierrors.IsNotFound(own) {
		return event, own
	} else if err != nil {
		return nil, err
	} else if len(namespaces) == 1 {
		return nil, own
	}
	for _, namespace := range namespaces[1:] {
		err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: v.event}, event)
		if !apierrors.IsNotFound(err) {
			return event, err
		}
	}
	return nil, fmt.Errorf("there is no event %s in the namespaces that condition %s watches", v.event, condition.Name)
}

// fromFile reads an event. Where it names no namespace it is taken to be of the condition's.
func (v *previewVerb) fromFile(a *App, condition *v1alpha1.NotificationCondition) (*v1alpha1.SecurityEvent, error) {
	objects, err := a.read(v.eventFile)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		if event, ok := o.(*v1alpha1.SecurityEvent); ok {
			event.Namespace = cmp.Or(event.Namespace, condition.Namespace)
			return created(event, a.Now()), nil
		}
	}
	return nil, fmt.Errorf("%s: holds no SecurityEvent", v.eventFile)
}

// latest is the latest event that meets the filter, or else the latest of all.
func latest(events []v1alpha1.SecurityEvent, filter *match.Filter) *v1alpha1.SecurityEvent {
	var newest, fitting *v1alpha1.SecurityEvent
	for i := range events {
		e := &events[i]
		if newest == nil || createdOrder(e, newest) > 0 {
			newest = e
		}
		if verdict, _ := filter.Match(match.NewEvent(&e.Spec)); verdict == match.Matched &&
			(fitting == nil || createdOrder(e, fitting) > 0) {
			fitting = e
		}
	}
	return cmp.Or(fitting, newest)
}

// completeEvent completes names of events, and after the name of another namespace and a slash those that it has.
func (a *App) completeEvent(c *cobra.Command) {
	complete := func(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		namespace, _, other := strings.Cut(begun, "/")
		if other {
			return names(func(ctx context.Context) []string {
				var found []string
				for _, name := range a.list(ctx, &v1alpha1.SecurityEventList{}, client.InNamespace(namespace)) {
					found = append(found, namespace+"/"+name)
				}
				return found
			}).complete(c, nil, begun)
		}
		found, directive := a.named(&v1alpha1.SecurityEventList{}).complete(c, nil, begun)
		if len(found) > 0 {
			return found, directive
		}
		found, directive = names(a.namespaces).complete(c, nil, begun)
		for i := range found {
			found[i] += "/"
		}
		return found, directive | cobra.ShellCompDirectiveNoSpace
	}
	if err := c.RegisterFlagCompletionFunc("event", complete); err != nil {
		panic(err) // the flag does not exist: a mistake of this program
	}
}

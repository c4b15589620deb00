// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

// selecting are kubectl's selectors as flags. They hold beside what the verb selects itself.
type selecting struct{ label, field string }

func (s *selecting) addFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&s.label, "selector", "l", "", "Selector (label query) to filter on, supports '=', '==', '!=', 'in', 'notin' "+
		"(e.g. -l key1=value1,key2=value2,key3 in (value3))")
	flags.StringVar(&s.field, "field-selector", "", "Selector (field query) to filter on, supports '=', '==', and '!=' "+
		"(e.g. --field-selector key1=value1,key2=value2)")
	criteria(flags, "selector", "field-selector")
}

// and adds the selectors to those of a filter.
func (s *selecting) and(of logfilter.Selectors) (logfilter.Selectors, error) {
	if s.label != "" {
		given, err := labels.Parse(s.label)
		if err != nil {
			return of, fmt.Errorf("--selector: %w", err)
		}
		if given.Empty() {
			return of, fmt.Errorf("--selector: %q selects by nothing", s.label)
		}
		if of.Labels != nil {
			requirements, _ := of.Labels.Requirements()
			given = given.Add(requirements...)
		}
		of.Labels = given
	}
	if s.field != "" {
		given, err := fields.ParseSelector(s.field)
		if err != nil {
			return of, fmt.Errorf("--field-selector: %w", err)
		}
		if given.Empty() {
			return of, fmt.Errorf("--field-selector: %q selects by nothing", s.field)
		}
		if of.Fields != nil {
			given = fields.AndSelectors(of.Fields, given)
		}
		of.Fields = given
	}
	return of, nil
}

// selectable are the fields of a notification that the API server can select by.
func selectable(n *v1alpha1.Notification) fields.Set {
	condition, channel := "", ""
	if n.Spec.Condition != nil {
		condition = n.Spec.Condition.Name
	}
	if n.Spec.ChannelRef != nil {
		channel = n.Spec.ChannelRef.Name
	}
	return fields.Set{
		"metadata.name": n.Name, "metadata.namespace": n.Namespace,
		"spec.type": n.Spec.Type, "spec.channelRef.name": channel, "spec.condition.name": condition,
		"spec.severity": string(n.Spec.Severity), "spec.creator": n.Spec.Creator,
		"status.acknowledged": strconv.FormatBool(n.Status.Acknowledged),
	}
}

// sieve selects what is stored elsewhere as the API server would; nil if there is nothing to select by.
func (s *selecting) sieve() (func(*v1alpha1.Notification) bool, error) {
	given, err := s.and(logfilter.Selectors{})
	if err != nil {
		return nil, err
	}
	if given.Fields == nil {
		given.Fields = fields.Everything()
	}
	if given.Labels == nil {
		given.Labels = labels.Everything()
	}
	known := selectable(&v1alpha1.Notification{})
	for _, requirement := range given.Fields.Requirements() {
		if !known.Has(requirement.Field) {
			return nil, fmt.Errorf("--field-selector: field label not supported: %s", requirement.Field)
		}
	}
	if given.Fields.Empty() && given.Labels.Empty() {
		return nil, nil //nolint:nilnil // nothing to select by is no mistake
	}
	return func(n *v1alpha1.Notification) bool {
		return given.Labels.Matches(labels.Set(n.Labels)) && given.Fields.Matches(selectable(n))
	}, nil
}

// selected are the verbs that list objects: by selectors, in an order.
type selected struct {
	place
	output
	selecting
	sorting
}

func (s *selected) addFlags(a *App, c *cobra.Command) {
	s.place.addFlag(c)
	s.output.addFlags(a, c)
	s.selecting.addFlags(c.Flags())
	s.sorting.addFlag(c)
}

func (s *selected) check() error {
	if err := s.sorting.check(); err != nil {
		return err
	}
	return s.output.check()
}

// every returns the objects that are selected, in the order that is asked for.
func every[T any, P interface {
	*T
	client.Object
}](ctx context.Context, c client.Reader, list client.ObjectList, s *selected, namespace string) ([]T, error) {
	selectors, err := s.and(logfilter.Selectors{})
	if err != nil {
		return nil, err
	}
	items, err := all[T, P](ctx, c, list, query{namespace, selectors, defaultChunk})
	if err != nil {
		return nil, err
	}
	type keyed struct {
		item T
		key  any
	}
	in := make([]keyed, 0, len(items))
	for i := range items {
		key, err := s.key(P(&items[i]))
		if err != nil {
			return nil, err
		}
		in = append(in, keyed{items[i], key})
	}
	if err := sorted(&s.sorting, in, func(k keyed) any { return k.key }); err != nil {
		return nil, err
	}
	for i := range in {
		items[i] = in[i].item
	}
	return items, nil
}

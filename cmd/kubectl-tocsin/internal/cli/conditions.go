// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
)

type conditionsVerb struct{ selected }

func conditionsCommand(a *App) *cobra.Command {
	v := &conditionsVerb{}
	c := &cobra.Command{
		Use:               "conditions",
		Short:             "Show how the conditions are",
		Long:              "Show how the conditions are: whether each is in force, what it has seen and told, and what its dampers hold.",
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: nothing,
		RunE:              func(c *cobra.Command, _ []string) error { return v.run(c, a) },
	}
	v.addFlags(a, c)
	return c
}

func (v *conditionsVerb) run(c *cobra.Command, a *App) error {
	if err := v.check(); err != nil {
		return err
	}
	cluster, err := a.Connect()
	if err != nil {
		return err
	}
	namespace, err := v.in(a)
	if err != nil {
		return err
	}
	conditions, err := every[v1alpha1.NotificationCondition](c.Context(), cluster, &v1alpha1.NotificationConditionList{}, &v.selected,
		namespace)
	if err != nil {
		return err
	}
	if !v.table() {
		return v.list(a, objectsOf(conditions))
	}
	if len(conditions) == 0 {
		nowhere(a, "conditions", namespace)
		return nil
	}
	var rows [][]screen.Cell
	for i := range conditions {
		rows = append(rows, v.row(a, &conditions[i]))
	}
	header := []string{"NAME", "TYPE", "STATUS", "MATCHED", "FIRED", "LAST-FIRED", "HELD", "DAMPER-UNTIL"}
	if v.wide() {
		header = append(header, "THRESHOLD", "CHANNELS")
	}
	if v.all {
		header = append([]string{"NAMESPACE"}, header...)
	}
	return v.newTable(a, append(header, "MESSAGE")...).Write(rows...)
}

func (v *conditionsVerb) row(a *App, condition *v1alpha1.NotificationCondition) []screen.Cell {
	s := &condition.Status
	number := func(n int64) screen.Cell { return screen.Text(strconv.FormatInt(n, 10)) }
	until := ""
	if s.DamperUntil != nil && s.DamperUntil.After(a.Now()) {
		until = utc(s.DamperUntil.Time)
	}
	row := []screen.Cell{
		screen.Text(condition.Name), screen.Text(string(condition.Spec.Type)),
		health(s.Conditions, condition.Generation, s.ObservedGeneration),
		number(s.MatchedTotal), number(s.FiredTotal), screen.Text(age(s.LastFiredTime, a.Now())), number(s.Held),
		screen.Text(until),
	}
	if v.wide() {
		effective, channels := "", "(default)"
		if s.Threshold != nil {
			effective = threshold(*s.Threshold)
		}
		var names []string
		for _, action := range condition.Spec.Actions {
			names = append(names, action.ChannelRef.Name)
		}
		if names != nil {
			channels = joined(names)
		}
		row = append(row, screen.Text(effective), screen.Text(channels))
	}
	if v.all {
		row = append([]screen.Cell{screen.Text(condition.Namespace)}, row...)
	}
	return append(row, screen.Text(strings.TrimPrefix(complaint(s.Conditions)+around("; ", silence(s.Dampers), ""), "; ")))
}

// silence says since when nothing is told of a condition, or of some of the computers or risks that it tells apart.
func silence(dampers []v1alpha1.DamperStatus) string {
	var quiet []string
	for _, d := range dampers {
		if d.Quiet != nil && d.Quiet.EndedTime == nil {
			quiet = append(quiet, "quiet"+around(" for ", d.Key, "")+" since "+utc(d.Quiet.Since.Time))
		}
	}
	const most = 3
	if more := len(quiet) - most; more > 0 {
		quiet = append(quiet[:most], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(quiet, ", ")
}

// objectsOf are the objects of a list.
func objectsOf[T any, P interface {
	*T
	client.Object
}](items []T) []client.Object {
	objects := make([]client.Object, 0, len(items))
	for i := range items {
		objects = append(objects, P(&items[i]))
	}
	return objects
}

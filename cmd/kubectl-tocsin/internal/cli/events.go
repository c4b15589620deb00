// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/rehearsal"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

type eventsVerb struct{ reading }

func eventsCommand(a *App) *cobra.Command {
	v := &eventsVerb{}
	c := &cobra.Command{
		Use:   "events",
		Short: "Show the events that are kept, the newest last",
		Example: `  # What happened on the workstations in the last hour
  kubectl tocsin events --since 1h --computer 'ws-*'`,
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: nothing,
		RunE:              func(c *cobra.Command, _ []string) error { return v.run(c, a) },
	}
	v.addShared(c)
	a.completeShared(c)
	v.addReading(a, c)
	return c
}

func (v *eventsVerb) run(c *cobra.Command, a *App) error {
	if err := v.check(); err != nil {
		return err
	}
	cluster, err := a.Connect()
	if err != nil {
		return err
	}
	filter, err := v.compiled(c.Context(), a, cluster, c.Flags())
	if err != nil {
		return err
	}
	if err := filter.ForEvents(); err != nil {
		return err
	}
	namespace, err := v.in(a)
	if err != nil {
		return err
	}
	selectors, err := v.and(filter.EventSelectors())
	if err != nil {
		return err
	}
	found := entries{tail: v.tail}
	q := query{namespace, selectors, v.chunk}
	_, err = each(c.Context(), cluster, &v1alpha1.SecurityEventList{}, q, func(e *v1alpha1.SecurityEvent) error {
		if !filter.MatchEvent(e) {
			return nil
		}
		return v.keep(&found, e, logfilter.EventTime(e), func() []screen.Cell { return v.row(e) })
	})
	if err != nil {
		return err
	}
	return v.show(a, v.newTable(a, v.header()...), found.inOrder(), "events", namespace, false)
}

func (v *eventsVerb) header() []string {
	header := []string{"TIME", "SEVERITY", "TYPE", "COMPUTER", "RISK", "COUNT", "NAME"}
	if v.wide() {
		header = append(header, "DOMAIN", "GROUP", "USER", "PRODUCT", "TITLE")
	}
	if v.all {
		header = append([]string{"NAMESPACE"}, header...)
	}
	return header
}

func (v *eventsVerb) row(e *v1alpha1.SecurityEvent) []screen.Cell {
	var computer v1alpha1.Computer
	var risk v1alpha1.Risk
	var product v1alpha1.Product
	if e.Spec.Computer != nil {
		computer = *e.Spec.Computer
	}
	if e.Spec.Risk != nil {
		risk = *e.Spec.Risk
	}
	if e.Spec.Product != nil {
		product = *e.Spec.Product
	}
	row := []screen.Cell{
		screen.Text(utc(logfilter.EventTime(e))),
		{Text: string(e.Spec.Severity), Tone: severityTone(e.Spec.Severity)},
		screen.Text(string(e.Spec.Type)), screen.Text(computer.Name), screen.Text(risk.Name),
		screen.Text(strconv.FormatInt(rehearsal.Occurrences(e), 10)), screen.Text(e.Name),
	}
	if v.wide() {
		row = append(row, screen.Text(computer.Domain), screen.Text(computer.Group), screen.Text(e.Spec.User),
			screen.Text(product.Name), screen.Text(e.Spec.Title))
	}
	if v.all {
		row = append([]screen.Cell{screen.Text(e.Namespace)}, row...)
	}
	return row
}

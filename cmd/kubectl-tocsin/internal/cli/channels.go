// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

type channelsVerb struct {
	selected
	since string
}

func channelsCommand(a *App) *cobra.Command {
	v := &channelsVerb{}
	c := &cobra.Command{
		Use:               "channels",
		Short:             "Show how the channels are",
		Long:              "Show how the channels are: whether each can be used, and what became of what went through it lately.",
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: nothing,
		RunE:              func(c *cobra.Command, _ []string) error { return v.run(c, a) },
	}
	v.addFlags(a, c)
	c.Flags().StringVar(&v.since, "since", "24h", "How far back (24h, 7d) or since when (2026-11-22) to count deliveries")
	return c
}

// traffic is what became of what went through a channel.
type traffic struct{ delivered, failed, suppressed, waiting int64 }

func (v *channelsVerb) run(c *cobra.Command, a *App) error {
	if err := v.check(); err != nil {
		return err
	}
	since, err := moment(v.since, a.Now())
	if err != nil {
		return fmt.Errorf("--since: %w", err)
	}
	cluster, err := a.Connect()
	if err != nil {
		return err
	}
	namespace, err := v.in(a)
	if err != nil {
		return err
	}
	channels, err := every[v1alpha1.NotificationChannel](c.Context(), cluster, &v1alpha1.NotificationChannelList{}, &v.selected,
		namespace)
	switch {
	case err != nil:
		return err
	case !v.table():
		return v.list(a, objectsOf(channels))
	case len(channels) == 0:
		nowhere(a, "channels", namespace)
		return nil
	}
	through, err := count(c, cluster, namespace, since)
	if err != nil {
		return err
	}
	var rows [][]screen.Cell
	for i := range channels {
		rows = append(rows, v.row(&channels[i], through[client.ObjectKeyFromObject(&channels[i])]))
	}
	header := []string{"NAME", "TYPE", "DEFAULT", "STATUS", "DELIVERED", "FAILED", "SUPPRESSED", "WAITING"}
	if v.wide() {
		header = append(header, "LIMIT", "FALLBACK")
	}
	if v.all {
		header = append([]string{"NAMESPACE"}, header...)
	}
	return v.newTable(a, append(header, "MESSAGE")...).Write(rows...)
}

// count counts deliveries by channel.
func count(c *cobra.Command, cluster client.Reader, namespace string, since time.Time) (map[client.ObjectKey]traffic, error) {
	filter, err := logfilter.Compile(&v1alpha1.NotificationFilterSpec{Since: &metav1.Time{Time: since}}, since)
	if err != nil {
		return nil, err
	}
	through := map[client.ObjectKey]traffic{}
	_, err = each(c.Context(), cluster, &v1alpha1.NotificationList{}, query{namespace: namespace, chunk: defaultChunk},
		func(n *v1alpha1.Notification) error {
			if !filter.Match(n) {
				return nil
			}
			for _, d := range n.Status.Deliveries {
				key := client.ObjectKey{Namespace: n.Namespace, Name: d.Channel}
				t := through[key]
				t.add(d.State)
				through[key] = t
			}
			for _, d := range n.Spec.Deliveries {
				if key := (client.ObjectKey{Namespace: n.Namespace, Name: d.Channel}); deliveryOf(n, d.Channel) == nil {
					t := through[key]
					t.waiting++
					through[key] = t
				}
			}
			return nil
		})
	return through, err
}

func (t *traffic) add(state v1alpha1.DeliveryState) {
	switch state {
	case v1alpha1.DeliveryDelivered:
		t.delivered++
	case v1alpha1.DeliveryFailed, v1alpha1.DeliveryPartlyDelivered:
		t.failed++
	case v1alpha1.DeliverySuppressed:
		t.suppressed++
	case v1alpha1.DeliveryNotNeeded:
	default:
		t.waiting++
	}
}

func (v *channelsVerb) row(channel *v1alpha1.NotificationChannel, t traffic) []screen.Cell {
	number := func(n int64, tone screen.Tone) screen.Cell {
		if n == 0 {
			tone = screen.Plain
		}
		return screen.Cell{Text: strconv.FormatInt(n, 10), Tone: tone}
	}
	s := &channel.Status
	row := []screen.Cell{
		screen.Text(channel.Name), screen.Text(string(channel.Spec.Type)), screen.Text(yesNo(channel.Spec.Default)),
		health(s.Conditions, channel.Generation, s.ObservedGeneration),
		number(t.delivered, screen.Good), number(t.failed, screen.Bad), number(t.suppressed, screen.Warn),
		number(t.waiting, screen.Warn),
	}
	if v.wide() {
		limit, fallback := "", ""
		if l := channel.Spec.Limit; l != nil {
			limit = fmt.Sprintf("%d in %s", l.Count, l.Interval)
		}
		if channel.Spec.FallbackRef != nil {
			fallback = channel.Spec.FallbackRef.Name
		}
		row = append(row, screen.Text(limit), screen.Text(fallback))
	}
	if v.all {
		row = append([]screen.Cell{screen.Text(channel.Namespace)}, row...)
	}
	return append(row, screen.Text(complaint(s.Conditions, v1alpha1.CertificateExpiringCondition, v1alpha1.DNSSECAdvisedCondition,
		v1alpha1.FallbackNotReadyCondition)))
}

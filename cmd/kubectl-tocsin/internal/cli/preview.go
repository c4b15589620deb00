// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/rehearsal"
	"github.com/tocsin-dev/tocsin/internal/journal"
	"github.com/tocsin-dev/tocsin/internal/match"
)

type previewVerb struct {
	output
	drafting

	file, event, eventFile string
}

func previewCommand(a *App) *cobra.Command {
	v := &previewVerb{}
	c := &cobra.Command{
		Use:   "preview -f FILE",
		Short: "Show the message that a draft of a condition or channel would send",
		Long: "Show the message that a draft of a condition or channel would send for the latest event that meets its filter, " +
			"or for another one. Nothing is sent or stored. The API server is asked whether it would take the draft. " +
			"The event is taken to be the only one in its window.",
		Example: `  # A condition, for the latest event that it is about
  kubectl tocsin preview -f condition.yaml

  # A channel's templates, for an event from a file
  kubectl tocsin preview -f channel.yaml --event-file event.yaml

  # What would be sent now, for an event of another namespace that the condition watches
  kubectl tocsin conditions -o yaml | kubectl tocsin preview -f - --event branch-7/worm-0023`,
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: nothing,
		RunE:              func(c *cobra.Command, _ []string) error { return v.run(c, a) },
	}
	v.output.addFlags(a, c)
	v.drafting.addFlags(a, c)
	c.Flags().StringVarP(&v.file, "filename", "f", "", "File with the draft of a condition, a channel, or both; - for the standard input")
	c.Flags().StringVar(&v.event, "event", "", "Name of the event to tell about, or its namespace and name: NAMESPACE/NAME")
	c.Flags().StringVar(&v.eventFile, "event-file", "", "File with the event to tell about")
	a.completeEvent(c)
	return c
}

func (v *previewVerb) run(c *cobra.Command, a *App) error {
	if err := v.possible(c); err != nil {
		return err
	}
	drafts, err := v.drafts(a)
	if err != nil {
		return err
	}
	cluster, err := a.Connect()
	if err != nil {
		return err
	}
	if err := drafts.each(func(o client.Object) error { return a.accepted(c.Context(), cluster, o) }); err != nil {
		return err
	}
	channels, err := all[v1alpha1.NotificationChannel](c.Context(), cluster, &v1alpha1.NotificationChannelList{},
		query{namespace: drafts.conditions[0].Namespace, chunk: defaultChunk})
	if err != nil {
		return err
	}
	channels = replace(channels, drafts.channels)
	for _, condition := range drafts.conditions {
		a.hindered(condition, among(channels))
		n, err := v.compose(c.Context(), a, cluster, condition, channels)
		if err != nil {
			return err
		}
		if err := v.show(a, n); err != nil {
			return err
		}
	}
	return nil
}

// among finds channels in a list.
func among(channels []v1alpha1.NotificationChannel) func(name string) (*v1alpha1.NotificationChannel, error) {
	return func(name string) (*v1alpha1.NotificationChannel, error) {
		if channel := journal.Find(channels, name); channel != nil {
			return channel, nil
		}
		return nil, apierrors.NewNotFound(schema.GroupResource{Group: v1alpha1.Group, Resource: "notificationchannels"}, name)
	}
}

// possible refuses flags that cannot be used.
func (v *previewVerb) possible(c *cobra.Command) error {
	switch {
	case v.file == "":
		return &usageError{c, errors.New("must specify one of -f or --filename")}
	case v.event != "" && v.eventFile != "":
		return &usageError{c, errors.New("give either --event or --event-file")}
	default:
		return v.check()
	}
}

// drafts reads the file.
func (v *previewVerb) drafts(a *App) (*drafts, error) {
	objects, err := a.readFile(v.file)
	if err != nil {
		return nil, err
	}
	d, err := sortOut(objects)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.file, err)
	}
	return d, d.each(func(o client.Object) error { return v.usable(a, o) })
}

// drafts are what a file holds. Where that is channels alone, a condition stands in that tells of everything through them.
type drafts struct {
	given      []client.Object
	conditions []*v1alpha1.NotificationCondition
	channels   []v1alpha1.NotificationChannel
}

func (d *drafts) each(visit func(client.Object) error) error {
	for _, object := range d.given {
		if err := visit(object); err != nil {
			return err
		}
	}
	return nil
}

func sortOut(objects []client.Object) (*drafts, error) {
	d := &drafts{given: objects}
	for _, object := range objects {
		switch o := object.(type) {
		case *v1alpha1.NotificationCondition:
			d.conditions = append(d.conditions, o)
		case *v1alpha1.NotificationChannel:
			d.channels = append(d.channels, *o)
		}
	}
	if len(d.conditions) > 0 {
		return d, nil
	}
	if len(d.channels) == 0 {
		return nil, errors.New("holds neither a NotificationCondition nor a NotificationChannel")
	}
	standIn := &v1alpha1.NotificationCondition{ObjectMeta: metav1.ObjectMeta{Namespace: d.channels[0].Namespace, Name: "preview"}}
	standIn.Spec.Type = "Custom"
	for _, channel := range d.channels {
		standIn.Spec.Actions = append(standIn.Spec.Actions, v1alpha1.Action{ChannelRef: v1alpha1.ChannelReference{Name: channel.Name}})
	}
	d.conditions = append(d.conditions, standIn)
	return d, nil
}

// replace puts drafts in the place of channels of the same name, or beside them.
func replace(channels, drafts []v1alpha1.NotificationChannel) []v1alpha1.NotificationChannel {
	channels = slices.DeleteFunc(channels, func(c v1alpha1.NotificationChannel) bool {
		return slices.ContainsFunc(drafts, func(d v1alpha1.NotificationChannel) bool { return d.Name == c.Name })
	})
	return append(channels, drafts...)
}

// compose makes the Notification that the condition would write about the event.
func (v *previewVerb) compose(ctx context.Context, a *App, c client.Reader, condition *v1alpha1.NotificationCondition,
	channels []v1alpha1.NotificationChannel) (*v1alpha1.Notification, error) {
	filter, err := match.Compile(&condition.Spec)
	if err != nil {
		return nil, err
	}
	event, err := v.pick(ctx, a, c, condition, filter)
	if err != nil {
		return nil, err
	}
	if verdict, err := filter.Match(match.NewEvent(&event.Spec)); verdict != match.Matched {
		a.note("Event %s does not meet the filter of condition %s: %s%s", from(condition.Namespace, event.Namespace, event.Name),
			condition.Name, string(verdict), because(err))
	}
	firing, err := rehearsal.Once(condition, event)
	if err != nil {
		return nil, err
	}
	return journal.Compose(firing, channels), nil
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}

// show writes what would be told.
func (v *previewVerb) show(a *App, n *v1alpha1.Notification) error {
	if !v.table() {
		return v.one(a, n)
	}
	s := &story{screen: a.Screen}
	e := n.Spec.Trigger.Event
	s.plain(0, "Condition", n.Spec.Condition.Name+" ("+n.Spec.Type+")")
	s.plain(0, "Event", fmt.Sprintf("%s: %s, %s", from(n.Namespace, e.Namespace, e.Name), e.Type, e.Severity))
	if len(n.Spec.Deliveries) == 0 {
		s.plain(0, "Channels", "none: it would be kept in the log alone")
	}
	for _, d := range n.Spec.Deliveries {
		s.title("Through " + d.Channel)
		s.list(2, "Fallback for", d.FallbackFor)
		if len(d.Recipients) == 0 {
			s.plain(2, "To", "the channel's own, at the time of sending")
		}
		s.list(2, "To", d.Recipients)
		s.plain(2, "Subject", d.Subject)
		s.text(2, d.Message)
	}
	_, err := fmt.Fprint(a.Out, s.out.String())
	return err
}

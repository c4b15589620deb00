// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

type ackVerb struct {
	filterFlags
	selecting
	commentFlags
	output
	quiet  bool
	dryRun trial
	// rouses: a wish for quiet is taken back.
	rouses bool
	// by is the user's own name, for API servers that do not write it.
	by string
}

func ackCommand(a *App) *cobra.Command {
	v := &ackVerb{}
	c := &cobra.Command{
		Use:   "ack NAME... --comment TEXT",
		Short: "Acknowledge notifications: say that somebody has taken notice",
		Long: "Acknowledge notifications by name, or all that meet the filter and are not acknowledged yet. " +
			"An acknowledgement can be set once, and not be changed or taken back, save for its wish for quiet.",
		Example: `  kubectl tocsin ack outbreak-mnaaog7ng2 --comment 'cleaned, ticket 4711'

  # All that a condition has told since yesterday; --dry-run shows which these are
  kubectl tocsin ack --condition outbreak --since 24h --comment 'exercise' --dry-run

  # Hear of it again, although somebody asked for quiet
  kubectl tocsin ack outbreak-mnaaog7ng2 --quiet-until-cleared=false`,
		ValidArgsFunction: a.named(&v1alpha1.NotificationList{}).entries,
		RunE:              func(c *cobra.Command, names []string) error { return v.run(c, a, names) },
	}
	v.addLog(c)
	a.completeLog(c)
	v.selecting.addFlags(c.Flags())
	v.commentFlags.addFlags(c)
	v.addObjectFlags(a, c)
	v.dryRun.addFlag(a, c)
	c.Flags().BoolVar(&v.quiet, "quiet-until-cleared", false, "Hear no more until the threshold is no longer reached or "+
		"something more severe arrives: of the whole condition, or with damper.per of the same computer or risk; false takes that back")
	return c
}

func (v *ackVerb) run(c *cobra.Command, a *App, names []string) error {
	filtered := false
	for _, flag := range []string{"filter", "since", "until", "type", "severity", "computer", "text", "creator", "condition",
		"channel", "state", "acknowledged", "selector", "field-selector"} {
		filtered = filtered || c.Flags().Changed(flag)
	}
	if err := v.possible(c, a, names, filtered); err != nil {
		return err
	}
	for i, given := range names {
		name, err := entryName(given)
		if err != nil {
			return &usageError{c, err}
		}
		names[i] = name
	}
	return v.all(c, a, names, filtered)
}

// possible refuses what contradicts itself.
func (v *ackVerb) possible(c *cobra.Command, a *App, names []string, filtered bool) error {
	v.rouses = c.Flags().Changed("quiet-until-cleared") && !v.quiet
	comment := func() error {
		if v.rouses && len(names) > 0 && v.none() {
			return nil
		}
		return v.read(c, a)
	}
	for _, check := range []func() error{v.output.check, v.dryRun.check, comment} {
		if err := check(); err != nil {
			return err
		}
	}
	switch {
	case len(names) == 0 && !filtered:
		return &usageError{c, errors.New("name the notifications, or give a filter")}
	case len(names) > 0 && filtered:
		return &usageError{c, errors.New("give either names or a filter")}
	case v.acknowledged:
		return &usageError{c, errors.New("what is acknowledged cannot be acknowledged again")}
	}
	return nil
}

func (v *ackVerb) all(c *cobra.Command, a *App, names []string, filtered bool) error {
	cluster, err := a.Connect()
	if err != nil {
		return err
	}
	namespace, _, err := a.Namespace()
	if err != nil {
		return err
	}
	var list []*v1alpha1.Notification
	for _, name := range names {
		list = append(list, unread(namespace, name))
	}
	if filtered {
		if list, err = v.open(c, a, cluster, namespace); err != nil {
			return err
		}
	}
	var failed error
	for _, n := range list {
		if err := v.acknowledge(c.Context(), a, cluster, n); err != nil {
			if len(list) == 1 || c.Context().Err() != nil {
				return err
			}
			a.note("%s", explain(err))
			failed = &resultError{exitError, "not all could be acknowledged"}
		}
	}
	return failed
}

// unread is one of which no more is known than its name.
func unread(namespace, name string) *v1alpha1.Notification {
	return &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

// open returns those that meet the filter and are not acknowledged, the oldest first. Of each it returns what it takes to
// acknowledge it.
func (v *ackVerb) open(c *cobra.Command, a *App, cluster client.Reader, namespace string) ([]*v1alpha1.Notification, error) {
	spec, err := v.spec(c.Context(), a, cluster, c.Flags())
	if err != nil {
		return nil, err
	}
	if spec.Acknowledged != nil && *spec.Acknowledged {
		return nil, fmt.Errorf("filter %s: spec.acknowledged is true: what is acknowledged cannot be acknowledged again", v.name)
	}
	acknowledged := false
	spec.Acknowledged = &acknowledged
	filter, err := logfilter.Compile(spec, a.Now())
	if err != nil {
		return nil, err
	}
	selectors, err := v.and(filter.Selectors())
	if err != nil {
		return nil, err
	}
	found := entries{tail: -1}
	q := query{namespace, selectors, defaultChunk}
	if _, err := each(c.Context(), cluster, &v1alpha1.NotificationList{}, q, func(n *v1alpha1.Notification) error {
		if filter.Match(n) {
			one := unread(n.Namespace, n.Name)
			if v.dryRun != dryRunClient || v.table() { // else it is shown as it is read
				one.ResourceVersion = n.ResourceVersion
			}
			found.add(entry{at: logfilter.Time(n), turn: turnOf(n), name: n.Name, object: one})
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var list []*v1alpha1.Notification
	for _, e := range found.inOrder() {
		list = append(list, e.object.(*v1alpha1.Notification))
	}
	if len(list) == 0 {
		nowhere(a, "notifications that are not acknowledged", namespace)
	}
	return list, nil
}

// acknowledge sets the comment, unless there is one. It reads first what was not read.
func (v *ackVerb) acknowledge(ctx context.Context, a *App, c client.Client, n *v1alpha1.Notification) error {
	anew := unread(n.Namespace, n.Name)
	if n.ResourceVersion == "" {
		if err := c.Get(ctx, client.ObjectKeyFromObject(anew), n); err != nil {
			return err
		}
	}
	switch {
	case n.Spec.Acknowledgement != nil:
		return v.again(ctx, a, c, n)
	case v.none():
		return fmt.Errorf("%s is not acknowledged: there is no wish for quiet to take back", n.Name)
	}
	patch, err := v.patch(n)
	if err != nil {
		return err
	}
	err = v.send(ctx, c, n, patch)
	switch {
	case apierrors.IsConflict(err): // its status changed, or somebody was quicker
		return v.acknowledge(ctx, a, c, anew)
	case apierrors.IsForbidden(err) && v.by == "" && strings.Contains(err.Error(), "spec.acknowledgement.by"):
		if v.by, err = myself(ctx, c); err == nil {
			err = v.acknowledge(ctx, a, c, anew)
		}
		return err
	case err != nil:
		return err
	}
	return v.done(a, n, "acknowledged")
}

// again is what becomes of one that is acknowledged: its wish for quiet can be taken back.
func (v *ackVerb) again(ctx context.Context, a *App, c client.Client, n *v1alpha1.Notification) error {
	if !v.rouses || !n.Spec.Acknowledgement.QuietUntilCleared {
		return v.already(a, n)
	}
	if err := v.send(ctx, c, n, []byte(`{"spec": {"acknowledgement": {"quietUntilCleared": false}}}`)); err != nil {
		return err
	}
	return v.done(a, n, "no longer asks for quiet")
}

// send has the API server set the acknowledgement, as far as that is not only tried.
func (v *ackVerb) send(ctx context.Context, c client.Client, n *v1alpha1.Notification, patch []byte) error {
	var options []client.PatchOption
	switch v.dryRun {
	case dryRunClient:
		return json.Unmarshal(patch, n)
	case dryRunServer:
		options = append(options, client.DryRunAll)
	}
	return c.Patch(ctx, n, client.RawPatch(types.MergePatchType, patch), options...)
}

// done says what was done, and shows the object where a format is given.
func (v *ackVerb) done(a *App, n *v1alpha1.Notification, what string) error {
	if !v.table() {
		return v.one(a, n)
	}
	_, err := fmt.Fprintf(a.Out, "notification.tocsin.dev/%s %s%s\n", screen.Line(n.Name), what, v.dryRun.said())
	return err
}

// patch sets the acknowledgement. Whoever else sets it at the same time is found out by the resourceVersion, not overwritten.
func (v *ackVerb) patch(n *v1alpha1.Notification) ([]byte, error) {
	return json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": n.ResourceVersion},
		"spec": map[string]any{"acknowledgement": v1alpha1.Acknowledgement{
			Comment: v.comment, By: v.by, QuietUntilCleared: v.quiet,
		}},
	})
}

// longestUser is how much of a user's name is kept, in characters.
const longestUser = 256

// myself is who the API server takes the user for.
func myself(ctx context.Context, c client.Client) (string, error) {
	review := &authenticationv1.SelfSubjectReview{}
	if err := c.Create(ctx, review); err != nil {
		return "", fmt.Errorf("asking who you are, as this API server does not write who acknowledges: %w", err)
	}
	name := []rune(review.Status.UserInfo.Username)
	return string(name[:min(len(name), longestUser)]), nil
}

// already says who was quicker. What was asked for beyond that cannot be had any more.
func (v *ackVerb) already(a *App, n *v1alpha1.Notification) error {
	if v.quiet {
		return fmt.Errorf("%s was acknowledged already: %s; nothing was done, --quiet-until-cleared cannot be added; "+
			"acknowledge the next notification of the condition with it", n.Name, acknowledged(n))
	}
	if !v.table() {
		a.note("notification.tocsin.dev/%s was acknowledged already: %s", n.Name, acknowledged(n))
		return v.one(a, n)
	}
	_, err := fmt.Fprintf(a.Out, "notification.tocsin.dev/%s was acknowledged already: %s\n", screen.Line(n.Name), acknowledged(n))
	return err
}

// entryName is the name of a notification that is given as NAME, or as TYPE/NAME, as `log -o name` prints it.
func entryName(given string) (string, error) {
	kind, name, typed := strings.Cut(given, "/")
	if !typed {
		return given, nil
	}
	switch strings.TrimSuffix(kind, "."+v1alpha1.GroupVersion.Group) {
	case "notification", "notifications", "ntf":
		if name != "" && !strings.Contains(name, "/") {
			return name, nil
		}
	}
	return "", fmt.Errorf("%q is no name of a notification", given)
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"

	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

type showVerb struct {
	output
	archiveFlags
}

func showCommand(a *App) *cobra.Command {
	v := &showVerb{}
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "Tell the whole story of a notification",
		Long: "Tell the whole story of a notification: what triggered it, what became of each delivery with its attempts and " +
			"recipients, what limits held back, who has taken notice, and the text.",
		Args:              arguments(cobra.ExactArgs(1)),
		ValidArgsFunction: a.named(&v1alpha1.NotificationList{}).entry,
		RunE: func(c *cobra.Command, args []string) error {
			name, err := entryName(args[0])
			if err != nil {
				return &usageError{c, err}
			}
			return v.run(c, a, name)
		},
	}
	v.output.addFlags(a, c)
	v.archiveFlags.addFlags(a, c)
	return c
}

func (v *showVerb) run(c *cobra.Command, a *App, name string) error {
	if err := v.check(); err != nil {
		return err
	}
	n, err := v.find(c.Context(), a, name)
	if err != nil {
		return err
	}
	if !v.table() {
		return v.one(a, n)
	}
	return tell(a, n)
}

// find reads the notification from the cluster, or from the archive.
func (v *showVerb) find(ctx context.Context, a *App, name string) (*v1alpha1.Notification, error) {
	namespace, _, err := a.Namespace()
	if err != nil {
		return nil, err
	}
	if v.archive {
		reader, err := v.reader(a, namespace)
		if err != nil {
			return nil, err
		}
		return reader.get(ctx, name)
	}
	cluster, err := a.Connect()
	if err != nil {
		return nil, err
	}
	n := &v1alpha1.Notification{}
	return n, cluster.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, n)
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

const (
	// completionTimeout is how long a shell waits for names from the cluster.
	completionTimeout = 5 * time.Second
	// mostNames is how many of them a shell is given.
	mostNames = 500
)

// names finds what can stand where a name is to be completed.
type names func(ctx context.Context) []string

func (n names) complete(c *cobra.Command, given []string, begun string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(c.Context(), completionTimeout)
	defer cancel()
	taken := map[string]bool{}
	for _, name := range given {
		taken[name] = true
	}
	var fitting []string
	for _, name := range n(ctx) {
		if strings.HasPrefix(name, begun) && !taken[name] {
			fitting = append(fitting, name)
		}
	}
	return fitting, cobra.ShellCompDirectiveNoFileComp
}

// first completes the first argument alone.
func (n names) first(c *cobra.Command, given []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(given) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return n.complete(c, given, begun)
}

// nothing keeps a shell from completing names of files.
func nothing(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveNoFileComp
}

func (a *App) complete(c *cobra.Command, flag string, n names) {
	if err := c.RegisterFlagCompletionFunc(flag, func(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return n.complete(c, nil, begun)
	}); err != nil {
		panic(err) // the flag does not exist: a mistake of this program
	}
}

func words(of []string) names { return func(context.Context) []string { return of } }

// named lists the names of a kind in the namespace. Where that cannot be done there is nothing to complete.
func (a *App) named(list client.ObjectList) names {
	return func(ctx context.Context) []string {
		namespace, _, err := a.Namespace()
		if err != nil {
			return nil
		}
		return a.list(ctx, list.DeepCopyObject().(client.ObjectList), client.InNamespace(namespace))
	}
}

func (a *App) namespaces(ctx context.Context) []string { return a.list(ctx, &corev1.NamespaceList{}) }

func (a *App) list(ctx context.Context, list client.ObjectList, options ...client.ListOption) []string {
	c, err := a.Connect()
	if err != nil {
		return nil
	}
	if err := c.List(ctx, list, append(options, client.Limit(mostNames))...); err != nil {
		return nil
	}
	var found []string
	if err := meta.EachListItem(list, func(o runtime.Object) error {
		found = append(found, o.(client.Object).GetName())
		return nil
	}); err != nil {
		return nil
	}
	return found
}

// completeShared and completeLog complete the flags of filters.
func (a *App) completeShared(c *cobra.Command) {
	a.complete(c, "filter", a.named(&v1alpha1.NotificationFilterList{}))
	a.complete(c, "severity", words(severities))
}

func (a *App) completeLog(c *cobra.Command) {
	a.completeShared(c)
	a.complete(c, "condition", a.named(&v1alpha1.NotificationConditionList{}))
	a.complete(c, "channel", a.named(&v1alpha1.NotificationChannelList{}))
	a.complete(c, "state", words(states))
}

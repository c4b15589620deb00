// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/clientcmd/api"
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
	return n.after(c, "", given, begun)
}

// after completes what follows something that is there, with what is not taken yet.
func (n names) after(c *cobra.Command, there string, taken []string, begun string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(c.Context(), completionTimeout)
	defer cancel()
	var fitting []string
	for _, name := range n(ctx) {
		if strings.HasPrefix(name, begun) && !slices.Contains(taken, name) {
			fitting = append(fitting, there+name)
		}
	}
	return fitting, cobra.ShellCompDirectiveNoFileComp
}

// list completes the last of words with commas between them.
func (n names) list(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	there := begun[:strings.LastIndex(begun, ",")+1]
	return n.after(c, there, strings.Split(there, ","), begun[len(there):])
}

// entries completes names of notifications, also where they are given as TYPE/NAME.
func (n names) entries(c *cobra.Command, given []string, begun string) ([]string, cobra.ShellCompDirective) {
	there := begun[:strings.LastIndex(begun, "/")+1]
	if _, err := entryName(there + "x"); err != nil {
		return nothing(c, given, begun)
	}
	var taken []string
	for _, one := range given {
		if name, err := entryName(one); err == nil {
			taken = append(taken, name)
		}
	}
	return n.after(c, there, taken, begun[len(there):])
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

// entry completes the first argument alone.
func (n names) entry(c *cobra.Command, given []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(given) > 0 {
		return nothing(c, given, begun)
	}
	return n.entries(c, given, begun)
}

func (a *App) complete(c *cobra.Command, flag string, n names) {
	completeBy(c, flag, func(c *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return n.complete(c, nil, begun)
	})
}

func completeBy(c *cobra.Command, flag string, by cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, by); err != nil {
		panic(err) // the flag does not exist: a mistake of this program
	}
}

// completeConfig completes the flags that name something in the kubeconfig.
func (a *App) completeConfig(c *cobra.Command) {
	for flag, of := range map[string]func(*api.Config) []string{
		"context": func(k *api.Config) []string { return slices.Sorted(maps.Keys(k.Contexts)) },
		"cluster": func(k *api.Config) []string { return slices.Sorted(maps.Keys(k.Clusters)) },
		"user":    func(k *api.Config) []string { return slices.Sorted(maps.Keys(k.AuthInfos)) },
	} {
		a.complete(c, flag, func(context.Context) []string {
			config, err := a.config.ToRawKubeConfigLoader().RawConfig()
			if err != nil {
				return nil
			}
			return of(&config)
		})
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
	completeBy(c, "severity", words(severities).list)
}

func (a *App) completeLog(c *cobra.Command) {
	a.completeShared(c)
	completeBy(c, "condition", a.named(&v1alpha1.NotificationConditionList{}).list)
	completeBy(c, "channel", a.named(&v1alpha1.NotificationChannelList{}).list)
	completeBy(c, "state", words(states).list)
}

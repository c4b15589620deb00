// SPDX-License-Identifier: Apache-2.0

// Package cli holds the verbs of kubectl-tocsin, one in a file.
package cli

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
)

// App is what the verbs work with.
type App struct {
	genericiooptions.IOStreams
	Screen *screen.Screen
	// Connect makes a client; it is called when a verb needs one.
	Connect func() (client.WithWatch, error)
	// Server is how the API server is reached, for what is none of its kinds.
	Server func() (*rest.Config, error)
	// Namespace is that of the flags or of the kubeconfig's context. Enforced says that a flag named it.
	Namespace func() (name string, enforced bool, err error)
	Now       func() time.Time

	config *genericclioptions.ConfigFlags
}

// New makes the App of a program.
func New(streams genericiooptions.IOStreams) *App {
	a := &App{
		IOStreams: streams, Screen: screen.New(streams.Out, os.Getenv), Now: time.Now,
		config: genericclioptions.NewConfigFlags(true),
	}
	a.Connect, a.Server = a.connect, a.server
	a.Namespace = func() (string, bool, error) { return a.config.ToRawKubeConfigLoader().Namespace() }
	return a
}

// Scheme knows the kinds that the verbs read and write. It is made once.
var Scheme = sync.OnceValues(func() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
})

func (a *App) server() (*rest.Config, error) {
	config, err := a.config.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.QPS = -1 // it asks for one thing after the other, and the API server says when it is too much
	config.UserAgent = rest.DefaultKubernetesUserAgent()
	config.WarningHandler = rest.NewWarningWriter(clean{a.ErrOut}, rest.WarningWriterOptions{Deduplicate: true})
	return config, nil
}

func (a *App) connect() (client.WithWatch, error) {
	config, err := a.server()
	if err != nil {
		return nil, err
	}
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	return client.NewWithWatch(config, client.Options{Scheme: scheme})
}

// Root is the command with all verbs.
func Root(a *App) *cobra.Command {
	root := &cobra.Command{
		Use:           "kubectl-tocsin",
		Short:         "Read Tocsin's log, acknowledge, try channels, and rehearse conditions",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl tocsin"},
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.ErrOut)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return &usageError{c, err} })
	if a.config != nil {
		a.config.AddFlags(root.PersistentFlags())
		addVerbosity(root.PersistentFlags(), a.ErrOut)
		a.complete(root, "namespace", a.namespaces)
		a.completeConfig(root)
	}
	for _, verb := range []func(*App) *cobra.Command{
		logCommand, showCommand, ackCommand, eventsCommand, testCommand, conditionsCommand, channelsCommand,
		previewCommand, simulateCommand, versionCommand,
	} {
		root.AddCommand(verb(a))
	}
	return root
}

// Run runs a command line and returns the exit code.
func Run(ctx context.Context, a *App, args []string) int {
	root := Root(a)
	root.SetArgs(args)
	return a.report(root.ExecuteContext(ctx))
}

// exactly, atLeast and none are cobra's, with the usage in the error.
func arguments(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return &usageError{c, err}
		}
		return nil
	}
}

// place is where a verb looks: a namespace, or all of them.
type place struct{ all bool }

func (p *place) addFlag(c *cobra.Command) {
	c.Flags().BoolVarP(&p.all, "all-namespaces", "A", false, "Look in all namespaces")
}

// in is the namespace to list; empty for all.
func (p *place) in(a *App) (string, error) {
	if p.all {
		return "", nil
	}
	namespace, _, err := a.Namespace()
	return namespace, err
}

// note says something that is not the output itself.
func (a *App) note(format string, args ...any) {
	for i := range args {
		if text, ok := args[i].(string); ok {
			args[i] = screen.Line(text)
		}
	}
	fmt.Fprintf(a.ErrOut, format+"\n", args...)
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/discovery"

	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
)

type versionVerb struct {
	format string
	client bool
}

// versions are what JSON and YAML show, under the names that kubectl has for it.
type versions struct {
	Client build         `json:"clientVersion"`
	Server *version.Info `json:"serverVersion,omitempty"`
}

// build is how this program was made, as far as it knows.
type build struct {
	GitVersion   string `json:"gitVersion"`
	GitCommit    string `json:"gitCommit,omitempty"`
	GitTreeState string `json:"gitTreeState,omitempty"`
	GoVersion    string `json:"goVersion"`
	Compiler     string `json:"compiler"`
	Platform     string `json:"platform"`
}

func versionCommand(a *App) *cobra.Command {
	v := &versionVerb{}
	c := &cobra.Command{
		Use:   "version",
		Short: "Show the versions of the plugin and of the API server",
		Long: "Show the versions of the plugin and of the API server. That of Tocsin's manager is in the image of its Deployment, " +
			"which not everybody may read.",
		Args:              arguments(cobra.NoArgs),
		ValidArgsFunction: nothing,
		RunE:              func(c *cobra.Command, _ []string) error { return v.run(c.Context(), a) },
	}
	c.Flags().StringVarP(&v.format, "output", "o", "", "Format of the output; one of: json, yaml")
	c.Flags().BoolVar(&v.client, "client", false, "Show the version of the plugin alone, and ask no server")
	a.complete(c, "output", words([]string{formatJSON, formatYAML}))
	return c
}

// run shows what is known even when the server cannot be asked.
func (v *versionVerb) run(ctx context.Context, a *App) error {
	if v.format != formatTable && v.format != formatJSON && v.format != formatYAML {
		return fmt.Errorf("--output must be 'yaml' or 'json', not %q", v.format)
	}
	found := versions{Client: thisBuild()}
	var asking error
	if !v.client {
		found.Server, asking = serverVersion(ctx, a)
	}
	if v.format != formatTable {
		if err := write(a.Out, v.format, found); err != nil {
			return err
		}
		return asking
	}
	fmt.Fprintf(a.Out, "Client Version: %s\n", screen.Line(found.Client.GitVersion))
	if found.Server != nil {
		fmt.Fprintf(a.Out, "Server Version: %s\n", screen.Line(found.Server.GitVersion))
	}
	return asking
}

func serverVersion(ctx context.Context, a *App) (*version.Info, error) {
	config, err := a.Server()
	if err != nil {
		return nil, err
	}
	server, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	return server.ServerVersionWithContext(ctx)
}

func thisBuild() build {
	b := build{
		GitVersion: "(devel)", GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.GitVersion = cmp.Or(info.Main.Version, b.GitVersion)
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.GitCommit = setting.Value
		case "vcs.modified":
			b.GitTreeState = "clean"
			if setting.Value == "true" {
				b.GitTreeState = "dirty"
			}
		}
	}
	return b
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"
)

// trial says whether, and where, something is only tried, as kubectl has it.
type trial string

const (
	dryRunNone   trial = "none"
	dryRunServer trial = "server"
	dryRunClient trial = "client"
)

func (t *trial) addFlag(a *App, c *cobra.Command) {
	c.Flags().StringVar((*string)(t), "dry-run", string(dryRunNone), `Must be "none", "server", or "client". If server, or without `+
		"a value, ask the API server whether it would, and change nothing; if client, do not even send it")
	c.Flags().Lookup("dry-run").NoOptDefVal = string(dryRunServer)
	a.complete(c, "dry-run", words([]string{string(dryRunNone), string(dryRunServer), string(dryRunClient)}))
}

func (t *trial) check() error {
	if !slices.Contains([]trial{dryRunNone, dryRunServer, dryRunClient}, *t) {
		return fmt.Errorf(`invalid dry-run value (%v). Must be "none", "server", or "client"`, *t)
	}
	return nil
}

// said is what follows the report of something that was only tried.
func (t *trial) said() string {
	switch *t {
	case dryRunServer:
		return " (server dry run)"
	case dryRunClient:
		return " (dry run)"
	default:
		return ""
	}
}

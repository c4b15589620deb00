// SPDX-License-Identifier: Apache-2.0

// Devcluster runs a private Kubernetes control plane for development, built from Go modules. See README.md.
package main

import (
	"os"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr))
}

// SPDX-License-Identifier: Apache-2.0

// Command golangci-lint is golangci-lint with two more linters compiled in: kubeapilinter, which checks Kubernetes'
// API conventions, and logcheck, which checks logging calls.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/golangci/golangci-lint/v2/pkg/commands"
	"github.com/golangci/golangci-lint/v2/pkg/exitcodes"
	_ "sigs.k8s.io/kube-api-linter"             // registers kubeapilinter
	_ "sigs.k8s.io/logtools/logcheck/gclplugin" // registers logcheck
)

func main() {
	info := commands.BuildInfo{
		GoVersion: runtime.Version(),
		Version:   version(),
		Commit:    "hack/tools",
		Date:      "unknown",
	}
	if err := commands.Execute(info); err != nil {
		fmt.Fprintln(os.Stderr, "golangci-lint:", err)
		os.Exit(exitcodes.Failure)
	}
}

// version names golangci-lint and everything compiled in. The linter's cache is keyed by it, so that a newer plugin
// does not answer with an older one's findings.
func version() string {
	build, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var parts []string
	for _, dep := range build.Deps {
		switch dep.Path {
		case "github.com/golangci/golangci-lint/v2":
			parts = append([]string{strings.TrimPrefix(dep.Version, "v")}, parts...)
		case "sigs.k8s.io/kube-api-linter", "sigs.k8s.io/logtools":
			parts = append(parts, "with "+dep.Path+" "+dep.Version)
		}
	}
	return strings.Join(parts, " ")
}

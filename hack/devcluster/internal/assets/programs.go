// SPDX-License-Identifier: Apache-2.0

package assets

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// EnvtestVariable names the directory whose programs are used in place of built ones. envtest reads it too.
const EnvtestVariable = "KUBEBUILDER_ASSETS"

// Programs is where everything is that a control plane needs.
type Programs struct {
	Dir               string   // holds etcd, kube-apiserver and kubectl, and can serve as KUBEBUILDER_ASSETS
	ControllerManager string   // path of the program, which may be elsewhere
	Extra             []string // directories of what was asked for besides
}

// ControlPlane finds or builds the programs of a control plane, and those named in with.
func (c *Cache) ControlPlane(ctx context.Context, with ...string) (Programs, error) {
	var p Programs
	var err error
	if p.Dir, p.ControllerManager, err = c.controlPlane(ctx); err != nil {
		return Programs{}, err
	}
	p.Extra, err = c.Extra(ctx, with...)
	return p, err
}

// Dir finds or builds the named programs, by default those of a control plane, and returns the directory that holds
// them all.
func (c *Cache) Dir(ctx context.Context, names ...string) (string, error) {
	preset, err := given()
	if err != nil {
		return "", err
	}
	switch {
	case preset != "" && (len(names) == 0 || has(preset, names)):
		return preset, nil
	case len(names) == 0:
		names = ControlPlane
	}
	return c.Ensure(ctx, names...)
}

// Extra finds or builds further programs and returns the directories that hold them.
func (c *Cache) Extra(ctx context.Context, names ...string) ([]string, error) {
	var dirs []string
	for _, name := range names {
		dir, err := c.Ensure(ctx, name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, nil
}

func (c *Cache) controlPlane(ctx context.Context) (dir, controllerManager string, err error) {
	preset, err := given()
	if err != nil {
		return "", "", err
	}
	if preset == "" {
		dir, err := c.Ensure(ctx, ControlPlane...)
		return dir, filepath.Join(dir, ControllerManager), err
	}
	controllerManager = filepath.Join(preset, ControllerManager)
	if isProgram(controllerManager) {
		return preset, controllerManager, nil
	}
	built, err := c.Ensure(ctx, ControllerManager)
	if err != nil {
		return "", "", fmt.Errorf("%s has no %s, and building it failed: %w", EnvtestVariable, ControllerManager, err)
	}
	c.say("%s is not in %s: using the one in %s", ControllerManager, EnvtestVariable, built)
	return preset, filepath.Join(built, ControllerManager), nil
}

// given returns the directory in KUBEBUILDER_ASSETS, or "" if the variable is not set.
func given() (string, error) {
	value := os.Getenv(EnvtestVariable)
	if value == "" {
		return "", nil
	}
	dir, err := filepath.Abs(value)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", EnvtestVariable, err)
	}
	for _, name := range envtestPrograms {
		if !isProgram(filepath.Join(dir, name)) {
			return "", fmt.Errorf("%s is %s, where there is no %s: unset it to have the programs built",
				EnvtestVariable, value, name)
		}
	}
	return dir, nil
}

func has(dir string, names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return !isProgram(filepath.Join(dir, name)) })
}

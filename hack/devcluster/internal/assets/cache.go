// SPDX-License-Identifier: Apache-2.0

// Package assets finds the programs of a control plane, and builds from Go modules those that are missing.
package assets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/dirlock"
)

const sourcesInTree = "hack/devcluster/components"

// Cache keeps what was built, one directory per set of versions, outside the tree.
type Cache struct {
	root string // the cache
	tree string // the source tree
	say  func(format string, args ...any)
}

// NewCache returns the user's cache, which builds from the modules in the source tree and tells say how it goes.
func NewCache(tree string, say func(format string, args ...any)) (*Cache, error) {
	user, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("finding the user's cache directory: %w", err)
	}
	return &Cache{root: filepath.Join(user, "tocsin", "devcluster"), tree: tree, say: say}, nil
}

// Ensure makes sure that the cache has the named programs, and returns the one directory that holds them all.
func (c *Cache) Ensure(ctx context.Context, names ...string) (string, error) {
	wanted, err := findAll(names)
	if err != nil {
		return "", err
	}
	if c.tree == "" {
		return "", fmt.Errorf("building needs Tocsin's source tree, with %s: run devcluster inside it", sourcesInTree)
	}
	dir, err := c.dir(ctx, shelfOf(wanted[0]))
	if err != nil {
		return "", err
	}
	if len(missing(dir, wanted)) == 0 {
		return dir, nil
	}
	return dir, c.fill(ctx, dir, wanted)
}

// fill builds what dir lacks. Others who want the same wait for it and then find it built.
func (c *Cache) fill(ctx context.Context, dir string, wanted []component) error {
	release, err := dirlock.Take(ctx, dir, 0o755, func() { c.say("waiting for another devcluster, which is building") })
	if err != nil {
		return err
	}
	defer release()

	if err := sweep(dir); err != nil {
		return err
	}
	todo := missing(dir, wanted)
	for i, w := range todo {
		version, err := c.version(ctx, w)
		if err != nil {
			return err
		}
		b := build{component: w, version: version, source: c.source(w), dir: dir}
		report := func(state string) { c.say("%s %s: %s", w.name, version, state) }
		if err := b.run(ctx, fmt.Sprintf("(%d of %d)", i+1, len(todo)), report); err != nil {
			return err
		}
	}
	return nil
}

// sweep removes what killed builds have left behind.
func sweep(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, scratchPrefix+"*"))
	for _, scratch := range left {
		err = errors.Join(err, os.RemoveAll(scratch))
	}
	if err != nil {
		return fmt.Errorf("removing what a killed build has left behind: %w", err)
	}
	return nil
}

// dir names the directory of a shelf after the versions of all that stands on it.
func (c *Cache) dir(ctx context.Context, shelf []string) (string, error) {
	var parts []string
	for _, module := range shelf {
		i := slices.IndexFunc(components, func(k component) bool { return k.module == module })
		version, err := c.version(ctx, components[i])
		if err != nil {
			return "", err
		}
		parts = append(parts, module, version)
	}
	parts = append(parts, runtime.GOOS, runtime.GOARCH)
	return filepath.Join(c.root, strings.Join(parts, "-")), nil
}

// version reads the version of a component from the go.mod it is built with.
func (c *Cache) version(ctx context.Context, w component) (string, error) {
	file := filepath.Join(c.source(w), "go.mod")
	cmd := exec.CommandContext(ctx, "go", "mod", "edit", "-json", file)
	cmd.Env = goEnv()
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", file, withStderr(err))
	}
	var mod struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		return "", fmt.Errorf("reading %s: %w", file, err)
	}
	for _, r := range mod.Require {
		if r.Path == w.pkg || strings.HasPrefix(w.pkg, r.Path+"/") {
			return r.Version, nil
		}
	}
	return "", fmt.Errorf("%s requires no module that holds %s", file, w.pkg)
}

func (c *Cache) source(w component) string {
	return filepath.Join(c.tree, sourcesInTree, w.module)
}

func missing(dir string, wanted []component) []component {
	there := func(w component) bool { return isProgram(filepath.Join(dir, w.name)) }
	return slices.DeleteFunc(slices.Clone(wanted), there)
}

func isProgram(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// FindTree returns the root of the source tree that holds one of the places, or "".
func FindTree(places ...string) string {
	for _, place := range places {
		for dir := place; ; dir = filepath.Dir(dir) {
			if info, err := os.Stat(filepath.Join(dir, sourcesInTree)); err == nil && info.IsDir() {
				return dir
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return ""
}

func withStderr(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(exit.Stderr) > 0 {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
	}
	return err
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/controlplane"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/dirlock"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/supervisor"
)

func (a *app) up(ctx context.Context, args []string) error {
	f := newFlags("up")
	withNode := f.Bool("node", false, "")
	dir, err := a.parseDir(f, args)
	if err != nil {
		return err
	}
	release, state, err := a.claim(ctx, dir)
	if err != nil {
		return err
	}
	defer release()
	if state == nil {
		return a.start(ctx, dir, *withNode)
	}
	if _, hasNode := state.Node(); *withNode && !hasNode {
		return fmt.Errorf("the control plane that is running in %s has no node: end it first, with `down`", dir)
	}
	fmt.Fprintf(a.stdout, "A control plane is already running at %s.\n", state.Server)
	a.explain(dir, state)
	return nil
}

// claim takes the lock of dir and returns the state of the control plane that runs there, or nil if dir is free for
// a new one. It clears away one that is no longer whole.
func (a *app) claim(ctx context.Context, dir string) (release func(), state *controlplane.State, err error) {
	for {
		if release, err = a.lock(ctx, dir); err != nil {
			return nil, nil, err
		}
		if state, err = controlplane.ReadState(dir); err == nil && state == nil {
			err = checkEmpty(dir)
		}
		if err != nil {
			release()
			return nil, nil, err
		}
		if state == nil || state.Running() {
			return release, state, nil
		}
		fmt.Fprintf(a.stderr, "Clearing away what is left of a control plane in %s.\n", dir)
		if state.Failure != "" {
			fmt.Fprintf(a.stderr, "It failed: %s\n", state.Failure)
		}
		err := state.End(dir) // removes dir and thereby the lock
		release()
		if err != nil {
			return nil, nil, err
		}
	}
}

func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("looking into the control plane's directory: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s holds other files (%s): give a directory that is empty or does not exist",
			dir, entries[0].Name())
	}
	return nil
}

func (a *app) start(ctx context.Context, dir string, withNode bool) error {
	programs, run, err := a.programs(ctx, withNode)
	if err != nil {
		return errors.Join(err, controlplane.Remove(dir))
	}
	began := time.Now()
	plane, err := supervisor.Start(ctx, supervisor.Order{Dir: dir, Programs: run, Detached: true})
	switch {
	case ctx.Err() != nil:
		return errors.Join(err, controlplane.Remove(dir))
	case err != nil:
		return fmt.Errorf("%w\nThe logs are in %s", err, filepath.Join(dir, controlplane.Logs))
	}
	plane.Release()
	state, err := controlplane.ReadState(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "A control plane is running at %s (ready in %.1fs).\n",
		state.Server, time.Since(began).Seconds())
	a.explain(dir, state)
	fmt.Fprintf(a.stdout, "  export PATH=%s:$PATH  # kubectl\n", programs.Dir)
	return nil
}

func (a *app) explain(dir string, state *controlplane.State) {
	fmt.Fprintf(a.stdout, "Its logs are in %s.\n  export KUBECONFIG=%s\n",
		filepath.Join(dir, controlplane.Logs), filepath.Join(dir, controlplane.Kubeconfig))
	if _, hasNode := state.Node(); hasNode && (os.Getenv("HTTPS_PROXY") != "" || os.Getenv("https_proxy") != "") {
		fmt.Fprintf(a.stdout, "  export NO_PROXY=%s\n", os.Getenv("NO_PROXY"))
	}
}

func (a *app) down(ctx context.Context, args []string) error {
	dir, err := a.parseDir(newFlags("down"), args)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return a.nothingRuns(dir)
	}
	release, err := a.lock(ctx, dir)
	if err != nil {
		return err
	}
	defer release()
	state, err := controlplane.ReadState(dir)
	if err != nil {
		return err
	}
	if state == nil {
		return a.nothingRuns(dir)
	}
	if err := state.End(dir); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "The control plane in %s is gone.\n", dir)
	return nil
}

func (a *app) nothingRuns(dir string) error {
	_, err := fmt.Fprintf(a.stdout, "No control plane is running in %s.\n", dir)
	return err
}

// parseDir parses the arguments of a command that has flags only, among them --dir.
func (a *app) parseDir(f flags, args []string) (string, error) {
	dir := a.dir(f)
	if err := f.parse(args); err != nil {
		return "", err
	}
	if f.NArg() > 0 {
		return "", misused("%s: unexpected argument %q", f.Name(), f.Arg(0))
	}
	return absolute(f, *dir)
}

// dir defines --dir, by default .cluster in the source tree.
func (a *app) dir(f flags) *string {
	return f.String("dir", filepath.Join(a.tree, ".cluster"), "")
}

func absolute(f flags, dir string) (string, error) {
	if dir == "" {
		return "", misused("%s: --dir must not be empty", f.Name())
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", dir, err)
	}
	return abs, nil
}

func (a *app) lock(ctx context.Context, dir string) (release func(), err error) {
	return dirlock.Take(ctx, dir, 0o700, func() {
		fmt.Fprintf(a.stderr, "waiting for another devcluster, which is busy in %s\n", dir)
	})
}

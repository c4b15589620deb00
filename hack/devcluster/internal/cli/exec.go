// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/assets"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/controlplane"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/process"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/supervisor"
)

func (a *app) exec(ctx context.Context, args []string) (int, error) {
	var with []string
	f := newFlags("exec")
	f.with(&with)
	withNode := f.Bool("node", false, "")
	if err := f.parse(args); err != nil {
		return 0, err
	}
	if f.NArg() == 0 {
		return 0, misused("exec: the command to run is missing")
	}
	programs, run, err := a.programs(ctx, *withNode, with...)
	if err != nil {
		return 0, err
	}
	if err := export(programs); err != nil {
		return 0, err
	}
	path, err := exec.LookPath(f.Arg(0))
	if err != nil {
		return 0, fmt.Errorf("looking for the command: %w", err)
	}
	dir, err := os.MkdirTemp("", "tocsin-devcluster-")
	if err != nil {
		return 0, fmt.Errorf("creating a temporary directory: %w", err)
	}
	plane, err := supervisor.Start(ctx, supervisor.Order{Dir: dir, Programs: run})
	if err != nil {
		return 0, errors.Join(err, controlplane.Remove(dir))
	}
	defer func() {
		if err := plane.Close(); err != nil {
			a.warn(err)
		}
	}()
	cmd := exec.Command(path, f.Args()[1:]...)
	cmd.Args[0] = f.Arg(0)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(dir, controlplane.Kubeconfig))
	return a.runIn(ctx, plane, cmd)
}

// export has the commands that we run find the programs.
func export(programs assets.Programs) error {
	dirs := append([]string{programs.Dir}, programs.Extra...)
	path := strings.Join(append(dirs, os.Getenv("PATH")), string(os.PathListSeparator))
	return errors.Join(os.Setenv("PATH", path), os.Setenv(assets.EnvtestVariable, programs.Dir))
}

// runIn runs a command while the control plane is up, and returns its exit code.
func (a *app) runIn(ctx context.Context, plane *supervisor.Supervised, cmd *exec.Cmd) (int, error) {
	// From here on signals are for the command to answer.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	// At a terminal the command has to stay in the foreground with us, to read what is typed. Elsewhere it gets a
	// process group, and the supervisor ends all of that should we be killed.
	ownGroup := !process.OwnsTerminal()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: ownGroup}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	open, err := startAtGate(cmd, syscall.SIGTERM)
	if err != nil {
		return 0, err
	}
	if ownGroup {
		err = plane.EndGroupWithUs(cmd.Process.Pid)
	}
	if err := errors.Join(err, open()); err != nil {
		a.warn(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case sig := <-signals:
			forward(cmd, ownGroup, sig.(syscall.Signal))
		case err := <-plane.Failed():
			a.warn(fmt.Errorf("the control plane has failed: %w", err))
		case err := <-done:
			return exitCode(err)
		}
	}
}

// forward passes on a signal. An interrupt typed at a terminal has reached a command that shares our group already;
// twice would be once more than meant, and many programs give up cleaning up at the second. That the command may have
// ended in the meantime does not matter.
func forward(cmd *exec.Cmd, ownGroup bool, sig syscall.Signal) {
	switch {
	case ownGroup:
		_ = syscall.Kill(-cmd.Process.Pid, sig)
	case sig != syscall.SIGINT:
		_ = cmd.Process.Signal(sig)
	}
}

func exitCode(err error) (int, error) {
	exit, failed := errors.AsType[*exec.ExitError](err)
	if err != nil && !failed {
		return 0, fmt.Errorf("running the command: %w", err)
	}
	if !failed {
		return 0, nil
	}
	if status := exit.Sys().(syscall.WaitStatus); status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}

func (a *app) warn(err error) {
	fmt.Fprintf(a.stderr, "devcluster: %s\n", err)
}

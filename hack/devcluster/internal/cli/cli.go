// SPDX-License-Identifier: Apache-2.0

// Package cli is devcluster's command line.
package cli

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/assets"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/node"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/supervisor"
)

// Exit codes of devcluster itself; exec passes on the code of its command.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitInterrupted = 128 + int(syscall.SIGINT)
)

//go:embed help.txt
var help string

// usageError is a mistake in the arguments.
type usageError struct{ error }

func misused(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

type app struct {
	stdout, stderr io.Writer
	tree           string // the source tree, "" if there is none
	cache          *assets.Cache
}

// Main runs one command and returns the exit code.
func Main(args []string, stdout, stderr io.Writer) int {
	code, err := run(args, stdout, stderr)
	var usage usageError
	switch {
	case err == nil:
		return code
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, help)
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "devcluster: %s\nSee devcluster --help.\n", err)
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "devcluster: interrupted")
		return exitInterrupted
	default:
		fmt.Fprintf(stderr, "devcluster: %s\n", err)
		return exitFailure
	}
}

func run(args []string, stdout, stderr io.Writer) (int, error) {
	if len(args) == 0 {
		return 0, misused("a command is missing")
	}
	command, args := args[0], args[1:]
	if command == gate && len(args) > 1 {
		return 0, passGate(args[0], args[1:]) // with signals as they come: they are for what it becomes
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	switch command {
	case "help", "-h", "-help", "--help":
		return 0, flag.ErrHelp
	case supervisor.Command:
		return 0, supervisor.Supervise(ctx)
	case node.InitCommand:
		return 0, node.Init(ctx, args)
	case node.PauseCommand:
		node.Pause(ctx)
		return 0, nil
	}
	a, err := newApp(stdout, stderr)
	if err != nil {
		return 0, err
	}
	return a.run(ctx, command, args)
}

func (a *app) run(ctx context.Context, command string, args []string) (int, error) {
	switch command {
	case "assets":
		return 0, a.assets(ctx, args)
	case "up":
		return 0, a.up(ctx, args)
	case "down":
		return 0, a.down(ctx, args)
	case "exec":
		return a.exec(ctx, args)
	case "image":
		return 0, a.image(args)
	case "load":
		return 0, a.load(ctx, args)
	default:
		return 0, misused("unknown command %q", command)
	}
}

func newApp(stdout, stderr io.Writer) (*app, error) {
	wd, err := os.Getwd()
	if err != nil {
		return nil, fmt.Errorf("finding the working directory: %w", err)
	}
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	tree := assets.FindTree(wd, filepath.Dir(program))
	cache, err := assets.NewCache(tree, func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) })
	if err != nil {
		return nil, err
	}
	return &app{stdout: stdout, stderr: stderr, tree: tree, cache: cache}, nil
}

// flags is the set of flags of one command. A mistake is reported like every other one.
type flags struct {
	*flag.FlagSet
}

func newFlags(command string) flags {
	f := flags{flag.NewFlagSet(command, flag.ContinueOnError)}
	f.SetOutput(io.Discard)
	return f
}

// with defines --with, which may be repeated.
func (f flags) with(names *[]string) {
	f.Func("with", "", func(name string) error {
		if known := assets.Names(); !slices.Contains(known, name) {
			return fmt.Errorf("known are %s", strings.Join(known, ", "))
		}
		*names = append(*names, name)
		return nil
	})
}

func (f flags) parse(args []string) error {
	err := f.Parse(args)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return err
	}
	return misused("%s: %w", f.Name(), err)
}

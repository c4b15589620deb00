// SPDX-License-Identifier: Apache-2.0

// Demo plays a story of security events through Tocsin, with a real API server and a real mail server, and checks what
// arrives. `make demo` runs it; see README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

const usage = `demo plays a story of security events through Tocsin and checks the mails that arrive.

Usage, at the top of the source tree:
  devcluster exec --with mailpit -- demo [--manager FILE]

It wants a private cluster, named by KUBECONFIG, and kubectl and mailpit on the PATH. With KEEP=1 in the environment all
goes on running after the story until Ctrl-C.

Exit codes: 0 all arrived as it should, 1 something did not, 2 wrong arguments, 130 interrupted.

Flags:
`

const (
	exitFailed      = 1
	exitMisused     = 2
	exitInterrupted = 130
)

var errInterrupted = errors.New("interrupted")

// Linux takes the thread that starts a process for its parent, and the main thread is the one that never ends.
func init() { runtime.LockOSThread() }

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout *os.File, stderr io.Writer) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	manager := flags.String("manager", "bin/manager", "Tocsin's manager")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return exitMisused
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "demo: unexpected argument %q; see --help\n", flags.Arg(0))
		return exitMisused
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	endOnSignal(cancel)
	return perform(ctx, cancel, *manager, newScreen(stdout))
}

// perform plays the story, says how it went, and leaves nothing behind.
func perform(ctx context.Context, cancel context.CancelCauseFunc, manager string, out *screen) int {
	d, err := newDemo(manager, out, cancel)
	if err != nil {
		out.failure(err)
		return exitFailed
	}
	defer d.cleanUp()
	err = d.play(ctx)
	if interrupted(ctx) {
		out.say("Interrupted.")
		return exitInterrupted
	}
	if err != nil {
		d.explain(ctx)
		out.failure(err)
	}
	if kept() && d.manager != nil && ctx.Err() == nil {
		d.keep(ctx)
		if !interrupted(ctx) {
			err = context.Cause(ctx)
			out.failure(err)
		}
	}
	if err != nil {
		return exitFailed
	}
	return 0
}

// endOnSignal has every later signal wait for the cleaning up.
func endOnSignal(cancel context.CancelCauseFunc) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	go func() {
		<-signals
		cancel(errInterrupted)
	}()
}

func interrupted(ctx context.Context) bool {
	return errors.Is(context.Cause(ctx), errInterrupted)
}

func kept() bool {
	keep := os.Getenv("KEEP")
	return keep != "" && keep != "0"
}

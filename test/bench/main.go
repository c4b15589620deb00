// SPDX-License-Identifier: Apache-2.0

// Bench measures what events and notifications cost, and prints tables. `make bench` runs it; see docs/performance.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/go-logr/logr"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
)

const usage = `bench measures what events and notifications cost, and prints tables.

Usage, at the top of the source tree:
  devcluster exec -- bench [flags] [table ...]

The tables are engine, windows, creates, latency and kept; without any, all. All but engine and windows want a private
cluster without Tocsin, named by KUBECONFIG, and kubectl on the PATH.

Exit codes: 0 all was measured, whatever came of it; 1 something could not be; 2 wrong arguments.

Flags:
`

const (
	exitFailed  = 1
	exitMisused = 2
)

func main() {
	ctrllog.SetLogger(logr.Discard()) // the client has nothing to say that its errors do not
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	b := &bench{size: full, progress: stderr}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		say(stderr, usage)
		flags.PrintDefaults()
	}
	flags.StringVar(&b.managerFile, "manager", "bin/manager", "Tocsin's manager")
	flags.BoolFunc("quick", "take seconds instead of minutes: the numbers then say only that all of it works", func(string) error {
		b.size = quick
		return nil
	})
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return exitMisused
	}
	chosen, err := choose(flags.Args())
	if err != nil {
		say(stderr, "bench: %s; see --help\n", err)
		return exitMisused
	}
	err = b.print(ctx, chosen, stdout)
	if err = errors.Join(err, b.cleanUp()); err != nil {
		say(stderr, "bench: %s\n", err)
		return exitFailed
	}
	return 0
}

// bench is one run.
type bench struct {
	size        size
	managerFile string
	progress    io.Writer
	cluster     *cluster
}

// measurements are all tables, in the order in which they are printed.
var measurements = []struct {
	name    string
	measure func(*bench, context.Context) (table, error)
}{
	{"engine", (*bench).engine},
	{"windows", (*bench).windows},
	{"creates", (*bench).creates},
	{"latency", (*bench).latency},
	{"kept", (*bench).kept},
}

func choose(names []string) (map[string]bool, error) {
	chosen, all := map[string]bool{}, []string{}
	for _, m := range measurements {
		all = append(all, m.name)
		chosen[m.name] = len(names) == 0 || slices.Contains(names, m.name)
	}
	for _, name := range names {
		if !slices.Contains(all, name) {
			return nil, fmt.Errorf("there is no table %q; there are %s", name, strings.Join(all, ", "))
		}
	}
	return chosen, nil
}

// print measures what was chosen, and prints each table as soon as it is done.
func (b *bench) print(ctx context.Context, chosen map[string]bool, out io.Writer) error {
	if _, err := fmt.Fprintf(out, "Measured on %s.\n", machine()); err != nil {
		return err
	}
	for _, m := range measurements {
		if !chosen[m.name] {
			continue
		}
		t, err := m.measure(b, ctx)
		if err != nil {
			return fmt.Errorf("measuring %s: %w", m.name, err)
		}
		if _, err := io.WriteString(out, "\n"+t.String()); err != nil {
			return err
		}
	}
	return nil
}

// note tells whoever waits what is being done.
func (b *bench) note(format string, args ...any) {
	say(b.progress, "... "+format+"\n", args...)
}

// say writes what nobody needs: that it cannot be written is no reason to end.
func say(out io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }

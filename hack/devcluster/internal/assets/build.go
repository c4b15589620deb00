// SPDX-License-Identifier: Apache-2.0

package assets

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/process"
)

const (
	progressInterval = 5 * time.Second
	outputLimit      = 16 << 10 // bytes of a failed build's output that are shown
	scratchPrefix    = ".build-"
)

type build struct {
	component
	version string
	source  string // folder of the go.mod
	dir     string // where the program goes
}

// run builds the program beside its place and then moves it there, so that nobody ever sees half a program.
func (b build) run(ctx context.Context, turn string, report func(state string)) error {
	scratch, err := os.MkdirTemp(b.dir, scratchPrefix)
	if err != nil {
		return fmt.Errorf("creating a directory to build in: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }() // or the next build will
	unfinished := filepath.Join(scratch, b.name)

	start := time.Now()
	elapsed := func() time.Duration { return time.Since(start).Round(time.Second) }
	report("building " + turn + "; the first time takes minutes")
	done := make(chan error, 1)
	go func() { done <- b.compile(ctx, unfinished) }()
	tick := time.NewTicker(progressInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			report(fmt.Sprintf("building %s, %s", turn, elapsed()))
		case err := <-done:
			if err != nil {
				return err
			}
			if err := os.Rename(unfinished, filepath.Join(b.dir, b.name)); err != nil {
				return fmt.Errorf("putting %s into the cache: %w", b.name, err)
			}
			report(fmt.Sprintf("built in %s", elapsed()))
			return nil
		}
	}
}

func (b build) compile(ctx context.Context, output string) error {
	flags := []string{"-s", "-w"}
	if b.stamp != nil {
		flags = append(flags, b.stamp(b.version, time.Now())...)
	}
	args := []string{"build", "-trimpath", "-ldflags=" + strings.Join(flags, " "), "-o", output, b.pkg}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = b.source
	// An interrupted go build leaves its compilers running and its work directory where it is.
	cmd.Env = append(goEnv(), "GOTMPDIR="+filepath.Dir(output))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out

	err := process.Start(cmd, syscall.SIGKILL)
	if err == nil {
		err = cmd.Wait()
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("building %s %s: %w", b.name, b.version, ctx.Err())
	case err != nil:
		return fmt.Errorf("building %s %s in %s: %w\n%s\n%s",
			b.name, b.version, b.source, err, indent(tail(out.Bytes(), outputLimit)), advice)
	}
	return nil
}

const advice = "It needs Go, the Go module proxy, about 4 GiB of memory and 5 GiB of disk. " +
	"Run the same command again when this is put right: what was built so far is kept"

// goEnv keeps settings that the caller has for another build away from this one.
func goEnv() []string {
	return append(os.Environ(),
		"CGO_ENABLED=0", "GO111MODULE=on", "GOFLAGS=-mod=readonly", "GOWORK=off",
		"GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
}

func tail(b []byte, limit int) []byte {
	if len(b) <= limit {
		return b
	}
	b = b[len(b)-limit:]
	return b[bytes.IndexByte(b, '\n')+1:]
}

func indent(b []byte) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(string(b)), "\n", "\n  ")
}

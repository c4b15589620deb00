// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestProcessThatEndsByItselfEndsTheStory(t *testing.T) {
	t.Parallel()
	ctx, fail := context.WithCancelCause(t.Context())
	defer fail(nil)
	p, err := start("the helper", filepath.Join(t.TempDir(), "log"), fail, "sh", "-c", "echo I am lost; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	defer p.end()
	select {
	case <-ctx.Done():
	case <-time.After(patience):
		t.Fatal("nobody was told")
	}
	for _, want := range []string{"the helper has ended", "exit status 3", "I am lost"} {
		if cause := context.Cause(ctx).Error(); !strings.Contains(cause, want) {
			t.Errorf("the cause is %q, want one with %q", cause, want)
		}
	}
}

func TestProcessThatIsEnded(t *testing.T) {
	t.Parallel()
	ctx, fail := context.WithCancelCause(t.Context())
	defer fail(nil)
	p, err := start("the helper", filepath.Join(t.TempDir(), "log"), fail, "sleep", "1000")
	if err != nil {
		t.Fatal(err)
	}
	p.end()
	if err := syscall.Kill(p.cmd.Process.Pid, 0); err == nil {
		t.Error("it still runs")
	}
	if ctx.Err() != nil {
		t.Errorf("the story was ended: %v", context.Cause(ctx))
	}
	p.end() // once more does no harm
}

func TestUntilSaysWhatWasThereWhenTheStoryEnds(t *testing.T) {
	t.Parallel()
	ctx, fail := context.WithCancelCause(t.Context())
	asked := 0
	err := until(ctx, "the moon", func(context.Context) error {
		if asked++; asked == 2 {
			fail(errInterrupted)
		}
		return context.DeadlineExceeded
	})
	if !errors.Is(err, errInterrupted) {
		t.Errorf("got %v, want the cause", err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package dirlock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestOneAtATime(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	release := take(t, dir)

	waiting, second := make(chan struct{}), make(chan func())
	go func() {
		release, err := Take(context.Background(), dir, 0o700, func() { close(waiting) })
		if err != nil {
			t.Error(err)
			release = func() {}
		}
		second <- release
	}()
	<-waiting
	select {
	case <-second:
		t.Error("both have the lock")
	default:
	}
	release()
	(<-second)()
}

func TestHolderMayRemoveTheDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new")
	release := take(t, dir)

	waiting, second := make(chan struct{}), make(chan error)
	go func() {
		release, err := Take(context.Background(), dir, 0o700, func() { close(waiting) })
		if err == nil {
			defer release()
			_, err = os.Stat(dir)
		}
		second <- err
	}()
	<-waiting
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	release()
	if err := <-second; err != nil {
		t.Errorf("the second has a lock but no directory: %v", err)
	}
}

func TestWaitingCanBeCancelled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	defer take(t, dir)()

	ctx, cancel := context.WithCancel(context.Background())
	_, err := Take(ctx, dir, 0o700, cancel)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it to be cancelled", err)
	}
}

func take(t *testing.T, dir string) (release func()) {
	t.Helper()
	release, err := Take(context.Background(), dir, 0o700, func() { t.Error("had to wait for nobody") })
	if err != nil {
		t.Fatal(err)
	}
	return release
}

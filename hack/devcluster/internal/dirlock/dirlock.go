// SPDX-License-Identifier: Apache-2.0

// Package dirlock lets one process at a time work in a directory.
package dirlock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// Take creates dir if need be and takes its lock, which the kernel gives back however this process ends. It calls
// waiting once if somebody else has the lock. Whoever holds it may remove the directory.
func Take(ctx context.Context, dir string, perm fs.FileMode, waiting func()) (release func(), err error) {
	for {
		if err := os.MkdirAll(dir, perm); err != nil {
			return nil, fmt.Errorf("creating a directory: %w", err)
		}
		f, err := os.Open(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed by the one who held the lock
		}
		if err != nil {
			return nil, fmt.Errorf("locking a directory: %w", err)
		}
		if err := lock(ctx, f, waiting); err != nil {
			return nil, fmt.Errorf("locking %s: %w", dir, err)
		}
		if isAt(f, dir) {
			return func() { _ = f.Close() }, nil
		}
		_ = f.Close()
	}
}

// lock takes f's lock, or closes f.
func lock(ctx context.Context, f *os.File, waiting func()) error {
	fd := int(f.Fd())
	err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
	if !errors.Is(err, syscall.EWOULDBLOCK) {
		if err != nil {
			_ = f.Close()
		}
		return err
	}
	waiting()
	got := make(chan error, 1)
	go func() { got <- flock(fd) }()
	select {
	case err := <-got:
		if err != nil {
			_ = f.Close()
		}
		return err
	case <-ctx.Done():
		// The waiting system call cannot be cancelled. Should it succeed after all, the lock goes with the file.
		go func() { _, _ = <-got, f.Close() }()
		return ctx.Err()
	}
}

func flock(fd int) error {
	for {
		if err := syscall.Flock(fd, syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// isAt says whether path still leads to f: while we waited, the holder of the lock may have removed it.
func isAt(f *os.File, path string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(open, there)
}

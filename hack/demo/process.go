// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// grace is how long a program may take to end when asked to.
	grace     = 10 * time.Second
	tailLines = 25
)

// process is a program in the background.
type process struct {
	name  string
	cmd   *exec.Cmd
	done  chan struct{}
	asked atomic.Bool // to end
}

// start starts a program in the background. Should it end before it is asked to, fail is told.
func start(name, log string, fail context.CancelCauseFunc, program string, args ...string) (*process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, fmt.Errorf("creating the log of %s: %w", name, err)
	}
	defer out.Close()
	p := &process{name: name, cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = ours()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // ProcessState tells
		close(p.done)
		if !p.asked.Load() {
			fail(fmt.Errorf("%s has ended by itself (%s); the end of its log:\n%s", name, p.cmd.ProcessState, tail(log)))
		}
	}()
	return p, nil
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// end asks the program to end, forces it to after a while, and returns when it is gone.
func (p *process) end() {
	p.asked.Store(true)
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
	select {
	case <-p.done:
		return
	case <-time.After(grace):
	}
	_ = p.cmd.Process.Kill()
	<-p.done
}

// ours makes a child that hears of Ctrl-C from us alone, and that ends with us even if we are killed (on Linux).
func ours() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true}
	endWithUs(attr)
	return attr
}

// tail returns the last lines of a log.
func tail(log string) string {
	text, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

// freePort finds a port that nobody listens at, below those that systems hand out by themselves, so that nobody is given
// it before it is used.
func freePort() (int, error) {
	const lowest, tries = 20000, 100
	var err error
	for range tries {
		port := lowest + rand.IntN(10000)
		var listener net.Listener
		if listener, err = net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("looking for a free port: %w", err)
}

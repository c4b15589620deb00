// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const tailLines = 15

// Child is a program that runs in the background, writes to a log file, and is killed if this process dies.
type Child struct {
	Name string
	ID   ID // empty if the program had already ended when its identity was asked for

	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when the program has ended
}

// Launch starts cmd with its output going to the file named log.
func Launch(name string, cmd *exec.Cmd, log string) (*Child, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := Start(cmd, syscall.SIGKILL); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	c := &Child{Name: name, cmd: cmd, log: log, done: make(chan struct{})}
	c.ID, _ = Identify(cmd.Process.Pid)
	go func() {
		_ = cmd.Wait() // how it went is in cmd.ProcessState
		close(c.done)
	}()
	return c, nil
}

// Failure says how the program ended and what it said last. It waits for the end.
func (c *Child) Failure() error {
	<-c.done
	return fmt.Errorf("%s ended: %s; the end of its log:\n%s", c.Name, c.cmd.ProcessState, c.Tail())
}

// Tail returns the last lines that the program has written, indented.
func (c *Child) Tail() string {
	return Tail(c.log)
}

// End asks the program to end, forces it to after grace, and returns when it is gone; it may be gone already.
func (c *Child) End(grace time.Duration) {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
		return
	case <-time.After(grace):
	}
	_ = c.cmd.Process.Kill()
	<-c.done
}

// Tail returns the last lines of a log, indented, for an error message.
func Tail(log string) string {
	data, err := os.ReadFile(log)
	if err != nil {
		return "  " + err.Error()
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		text = "(empty)"
	}
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	return "  " + strings.Join(lines, "\n  ")
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/process"
)

// gate is the argument that makes this program wait for a word and then become another program. So there is time to
// tell others of a command before it can start processes of its own.
const gate = "gate"

const gateFD = 3

// startAtGate starts this program in the place of cmd, which it becomes when open is called. If this process ends
// before, the command never runs; if it ends later, the command gets the signal.
func startAtGate(cmd *exec.Cmd, atOurDeath syscall.Signal) (open func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	theirs, ours, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a gate: %w", err)
	}
	defer theirs.Close()
	cmd.Args = append([]string{self, gate, cmd.Path}, cmd.Args...)
	cmd.Path = self
	cmd.ExtraFiles = []*os.File{theirs}
	if err := process.Start(cmd, atOurDeath); err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("starting the command: %w", err)
	}
	return func() error {
		defer ours.Close()
		if _, err := ours.Write([]byte{1}); err != nil {
			return fmt.Errorf("starting the command: %w", err)
		}
		return nil
	}, nil
}

// passGate waits for the word and becomes the program path, with all its arguments.
func passGate(path string, args []string) error {
	syscall.CloseOnExec(gateFD)
	if _, err := io.ReadFull(os.NewFile(gateFD, gate), make([]byte, 1)); err != nil {
		return fmt.Errorf("waiting at the gate (%s is for devcluster's own use): %w", gate, err)
	}
	return fmt.Errorf("running %s: %w", path, syscall.Exec(path, args, os.Environ()))
}

// SPDX-License-Identifier: Apache-2.0

// Package process starts, identifies and ends processes such that none is left behind and no other one is hit.
package process

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// pollInterval is how often to look whether a process that is no child of ours is gone: nothing tells.
const pollInterval = 10 * time.Millisecond

// ID identifies a process for good. The number alone does not: the system uses it again.
type ID struct {
	PID     int    `json:"pid"`
	Started string `json:"started"` // when, in the system's own terms
}

// Identify returns the identity of the running process with the given number.
func Identify(pid int) (ID, error) {
	started, err := startOf(pid)
	if err != nil {
		return ID{}, fmt.Errorf("identifying process %d: %w", pid, err)
	}
	return ID{PID: pid, Started: started}, nil
}

// Alive says whether the process runs. One that has ended and waits for its parent to notice does not.
func (id ID) Alive() bool {
	started, err := startOf(id.PID)
	return err == nil && started == id.Started
}

// Signal sends a signal to the process if it is alive.
func (id ID) Signal(sig syscall.Signal) {
	p, err := os.FindProcess(id.PID)
	if err != nil {
		return
	}
	defer func() { _ = p.Release() }()
	// Where the system has handles for processes, p is one by now, so that what is checked here is what gets the signal.
	if id.Alive() {
		_ = p.Signal(sig) // it may end right now
	}
}

// End asks the process to end, forces it to after grace, and returns when it is gone.
func (id ID) End(grace time.Duration) {
	id.Signal(syscall.SIGTERM)
	if !id.goneWithin(grace) {
		id.Signal(syscall.SIGKILL)
		id.goneWithin(grace)
	}
}

func (id ID) goneWithin(limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for id.Alive() {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pollInterval)
	}
	return true
}

// SPDX-License-Identifier: Apache-2.0

package process

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// starter runs functions on a thread that lives as long as this process.
var starter = sync.OnceValue(func() chan<- func() {
	jobs := make(chan func())
	go func() {
		runtime.LockOSThread()
		for job := range jobs {
			job()
		}
	}()
	return jobs
})

// Start starts cmd; should this process die, killed for example, the child gets the signal (on Linux).
func Start(cmd *exec.Cmd, atOurDeath syscall.Signal) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	setDeathSignal(cmd.SysProcAttr, atOurDeath)
	// To Linux the parent is the thread that starts the child, and Go ends idle threads.
	started := make(chan error)
	starter() <- func() { started <- cmd.Start() }
	return <-started
}

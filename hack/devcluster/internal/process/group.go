// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"syscall"
	"time"
)

// EndGroup asks all processes of a group to end and forces those that have not after grace.
func EndGroup(group int, grace time.Duration) {
	_ = syscall.Kill(-group, syscall.SIGTERM)
	deadline := time.Now().Add(grace)
	for !errors.Is(syscall.Kill(-group, 0), syscall.ESRCH) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(-group, syscall.SIGKILL)
			return
		}
		time.Sleep(pollInterval)
	}
}

// SPDX-License-Identifier: Apache-2.0

//go:build unix && !linux

package process

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

func startOf(pid int) (string, error) {
	out, err := exec.Command("ps", "-o", "state=,lstart=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return "", err
	}
	state, started, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if strings.HasPrefix(state, "Z") {
		return "", errors.New("it has ended")
	}
	return strings.TrimSpace(started), nil
}

// OwnsTerminal says whether this process reads from a terminal, which then sends the signals of its keys to the
// whole process group.
func OwnsTerminal() bool {
	info, err := os.Stdin.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// setDeathSignal does nothing: only Linux tells the children that their parent died.
func setDeathSignal(*syscall.SysProcAttr, syscall.Signal) {}

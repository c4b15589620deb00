// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"os/exec"
	"testing"
)

// A terminal interrupts both devcluster and the command. The command must not hear of it twice.
func TestInterruptFromATerminalReachesTheCommandOnce(t *testing.T) {
	t.Parallel()
	script, err := exec.LookPath("script")
	if err != nil {
		t.Skip("needs script(1), which runs a program in a terminal: ", err)
	}
	d := newDevcluster(t)
	// exec: a shell that waits would die of the interrupt itself, and its code would hide that of the command.
	s := d.launchProgram(script, "-q", "-e", "-c", "exec "+program+` exec -- sh -c '
		trap "n=\$((n + 1))" INT
		n=0
		echo started
		while [ $n = 0 ]; do sleep 0.05; done
		kubectl get namespaces >/dev/null && exit $((40 + n))'`, "/dev/null")
	await(t, "the command to start", func() bool { return s.lines() > 0 || s.ended() })
	if _, err := io.WriteString(s.stdin, "\x03"); err != nil {
		t.Fatal(err)
	}
	if code := s.wait(); code != 41 {
		t.Errorf("interrupted %d times, want once; output:\n%s", code-40, &s.stdout)
	}
	d.checkNothingLeft()
}

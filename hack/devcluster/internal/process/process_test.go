// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const grace = 5 * time.Second

func TestAliveUntilEnded(t *testing.T) {
	t.Parallel()
	child := launch(t, "sleep", "1000")
	if !child.ID.Alive() {
		t.Fatal("a running process is said to be dead")
	}
	child.ID.End(grace)
	<-child.done
	if child.ID.Alive() {
		t.Error("an ended process is said to be alive")
	}
}

func TestAliveIsFalseForProcessThatWaitsForItsParent(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	id, err := Identify(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	id.End(grace) // returns although nobody has waited for the process yet
	if id.Alive() {
		t.Error("alive")
	}
	if err := syscall.Kill(id.PID, 0); err != nil {
		t.Errorf("the test proves nothing: process %d is gone altogether", id.PID)
	}
}

func TestEndLeavesAnotherProcessWithTheSameNumberAlone(t *testing.T) {
	t.Parallel()
	child := launch(t, "sleep", "1000")
	earlier := ID{PID: child.ID.PID, Started: "before"}
	if earlier.Alive() {
		t.Error("a process that is no more is said to be alive because its number is in use")
	}
	earlier.End(grace)
	if !child.ID.Alive() {
		t.Error("the wrong process was ended")
	}
}

func TestEndOfNobody(t *testing.T) {
	t.Parallel()
	ID{}.End(grace) // process 0 would be our own process group
}

func TestEndForcesTheStubborn(t *testing.T) {
	t.Parallel()
	ends := map[string]func(*Child){
		"by identity": func(c *Child) { c.ID.End(time.Millisecond) },
		"as a child":  func(c *Child) { c.End(time.Millisecond) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			child := launch(t, "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done")
			await(t, "the trap", func() bool { return strings.Contains(child.Tail(), "ready") })
			end(child)
			<-child.done
		})
	}
}

func TestEndGroupEndsGrandchildren(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "trapped")
	script := `sh -c 'trap "" TERM; touch "$0"; while :; do sleep 1; done' "$0" & wait`
	cmd := exec.Command("sh", "-c", script, file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := Start(cmd, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "the grandchild", func() bool { _, err := os.Stat(file); return err == nil })
	EndGroup(cmd.Process.Pid, 200*time.Millisecond)
	_ = cmd.Wait() // killed, as it should be
	await(t, "the end of the group", func() bool {
		return errors.Is(syscall.Kill(-cmd.Process.Pid, 0), syscall.ESRCH)
	})
}

func TestFailureShowsTheLastLines(t *testing.T) {
	t.Parallel()
	child := launch(t, "sh", "-c", "for i in $(seq 100); do echo line $i; done; echo cannot go on >&2; exit 3")
	got := child.Failure().Error()
	for _, want := range []string{"sh ended: exit status 3", "  line 100\n", "  cannot go on"} {
		if !strings.Contains(got, want) {
			t.Errorf("failure is\n%s\nwithout %q", got, want)
		}
	}
	if strings.Contains(got, "line 80\n") {
		t.Errorf("failure is too long:\n%s", got)
	}
}

func launch(t *testing.T, args ...string) *Child {
	t.Helper()
	child, err := Launch(args[0], exec.Command(args[0], args[1:]...), filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.End(0) })
	return child
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(pollInterval) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

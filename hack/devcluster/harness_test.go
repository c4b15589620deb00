// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/controlplane"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/process"
)

// patience is what a busy machine may need for what usually takes seconds.
const patience = 3 * time.Minute

// devcluster runs the program, with a directory for temporary files of its own.
type devcluster struct {
	t   *testing.T
	tmp string
	env []string
}

func newDevcluster(t *testing.T) *devcluster {
	tmp := t.TempDir()
	return &devcluster{t: t, tmp: tmp, env: append(os.Environ(), "TMPDIR="+tmp)}
}

func (d *devcluster) run(args ...string) (code int, stdout, stderr string) {
	d.t.Helper()
	s := d.launch(args...)
	code = s.wait()
	return code, s.stdout.String(), s.stderr.String()
}

func (d *devcluster) succeed(args ...string) (stdout string) {
	d.t.Helper()
	code, stdout, stderr := d.run(args...)
	if code != 0 {
		d.t.Fatalf("%q: exit code %d, stdout:\n%s\nstderr:\n%s", args, code, stdout, stderr)
	}
	return stdout
}

// start runs a shell script in a control plane and returns when the script has printed a line: $KUBECONFIG, and the
// numbers of processes that are to go with the rest.
func (d *devcluster) start(script string) *session {
	d.t.Helper()
	return d.startWith(nil, script)
}

// startWith is start with flags for exec.
func (d *devcluster) startWith(flags []string, script string) *session {
	d.t.Helper()
	s := d.launch(slices.Concat([]string{"exec"}, flags, []string{"--", "sh", "-c", script})...)
	await(d.t, "the command to start", func() bool { return s.lines() > 0 || s.ended() })
	words := strings.Fields(s.stdout.String())
	if len(words) == 0 {
		d.t.Fatalf("the command did not start; stderr:\n%s", &s.stderr)
	}
	s.expectToGo(readState(d.t, filepath.Dir(words[0])))
	for _, word := range words[1:] {
		pid, err := strconv.Atoi(word)
		if err != nil {
			d.t.Fatal(err)
		}
		id, err := process.Identify(pid)
		if err != nil {
			d.t.Fatal(err)
		}
		s.processes = append(s.processes, id)
	}
	return s
}

func (d *devcluster) launch(args ...string) *session {
	d.t.Helper()
	return d.launchProgram(program, args...)
}

func (d *devcluster) launchProgram(name string, args ...string) *session {
	d.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = d.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // no terminal, whoever runs the tests
	s := &session{t: d.t, cmd: cmd, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &s.stdout, &s.stderr
	var err error
	if s.stdin, err = cmd.StdinPipe(); err != nil {
		d.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	go func() {
		_ = cmd.Wait() // its code is in cmd.ProcessState
		close(s.done)
	}()
	d.t.Cleanup(func() {
		s.signal(syscall.SIGTERM)
		s.wait()
	})
	return s
}

func (d *devcluster) checkNothingLeft() {
	d.t.Helper()
	await(d.t, "the temporary files to go", func() bool {
		left, err := os.ReadDir(d.tmp)
		return err == nil && len(left) == 0
	})
}

// session is one run of the program.
type session struct {
	t              *testing.T
	cmd            *exec.Cmd
	stdin          io.WriteCloser
	stdout, stderr output
	done           chan struct{}

	supervisor process.ID
	processes  []process.ID // all that must be gone in the end
}

func (s *session) expectToGo(state *controlplane.State) {
	s.supervisor = state.Supervisor
	s.processes = append(s.processes, state.Supervisor)
	for _, id := range state.Processes {
		s.processes = append(s.processes, id)
	}
}

func (s *session) signal(sig syscall.Signal) {
	_ = s.cmd.Process.Signal(sig) // it may have ended
}

func (s *session) closeStdin() {
	s.t.Helper()
	if err := s.stdin.Close(); err != nil {
		s.t.Error(err)
	}
}

func (s *session) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// lines is how many lines the command has written so far.
func (s *session) lines() int {
	return strings.Count(s.stdout.String(), "\n")
}

func (s *session) wait() (code int) {
	s.t.Helper()
	select {
	case <-s.done:
	case <-time.After(patience):
		s.t.Fatalf("%q does not end; stderr:\n%s", s.cmd.Args[1:], &s.stderr)
	}
	return s.cmd.ProcessState.ExitCode()
}

func (s *session) checkAllGone() {
	s.t.Helper()
	for _, id := range s.processes {
		await(s.t, "process "+strconv.Itoa(id.PID)+" to go", func() bool { return !id.Alive() })
	}
}

// output can be read while it grows.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func readState(t *testing.T, dir string) *controlplane.State {
	t.Helper()
	state, err := controlplane.ReadState(dir)
	if err != nil || state == nil {
		t.Fatalf("state of %s: %v, %v", dir, state, err)
	}
	return state
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

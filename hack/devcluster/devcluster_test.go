// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/controlplane"
)

// program is the built devcluster. The tests run it as users do; they build a control plane if the cache has none.
var program string

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		fmt.Println("skipped: these tests start control planes")
		return
	}
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "devcluster-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program = filepath.Join(dir, "devcluster")
	for _, args := range [][]string{{"go", "build", "-o", program, "."}, {program, "assets"}} {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0") // as `make` builds it
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", strings.Join(args, " "), err)
			return 1
		}
	}
	return m.Run()
}

func TestAssetsPrintsNothingButTheDirectory(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	out := d.succeed("assets")
	dir := strings.TrimSuffix(out, "\n")
	for _, name := range []string{"etcd", "kube-apiserver", "kubectl", "kube-controller-manager"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Errorf("assets printed %q, but %v", out, err)
		}
	}
}

func TestExecGivesTheCommandAControlPlane(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	out := d.succeed("exec", "--", "sh", "-ec", `
		test "$(command -v kubectl)" = "$KUBEBUILDER_ASSETS/kubectl"
		kubectl config current-context
		kubectl get namespace default -o name
		kubectl get serviceaccount default -o name
		kubectl auth whoami -o 'jsonpath={.status.userInfo.username}{"\n"}'
		kubectl version -o json`)
	head, versions, _ := strings.Cut(out, "{")
	if want := "tocsin-dev\nnamespace/default\nserviceaccount/default\ntocsin-dev-admin\n"; head != want {
		t.Errorf("got\n%s\nwant\n%s", head, want)
	}
	var v struct {
		ClientVersion, ServerVersion struct{ GitVersion, Major, Minor string }
	}
	if err := json.Unmarshal([]byte("{"+versions), &v); err != nil {
		t.Fatal(err)
	}
	// The directory is named after the versions that were asked for.
	if want := "kubernetes-" + v.ClientVersion.GitVersion + "-"; !strings.Contains(d.succeed("assets"), want) {
		t.Errorf("kubectl is %s", v.ClientVersion.GitVersion)
	}
	if v.ServerVersion != v.ClientVersion || v.ServerVersion.Major != "1" {
		t.Errorf("the server is %+v, kubectl is %+v", v.ServerVersion, v.ClientVersion)
	}
	d.checkNothingLeft()
}

func TestControllersWork(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	d.succeed("exec", "--", "sh", "-ec", `
		kubectl create namespace trial
		kubectl wait --for=create serviceaccount/default -n trial --timeout=60s
		kubectl create job hello -n trial --image=none
		kubectl wait --for=create pod -l job-name=hello -n trial --timeout=60s
		kubectl delete job hello -n trial
		kubectl wait --for=delete pod -l job-name=hello -n trial --timeout=60s
		kubectl delete namespace trial --timeout=60s`)
}

func TestExecPassesOnTheExitCode(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{"exit 7": 7, "kill -9 $$": 128 + 9} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			d := newDevcluster(t)
			code, _, stderr := d.run("exec", "--", "sh", "-c", script)
			if code != want || stderr != "" {
				t.Errorf("exit code %d, want %d, stderr:\n%s", code, want, stderr)
			}
			d.checkNothingLeft()
		})
	}
}

func TestExecForwardsSignals(t *testing.T) {
	t.Parallel()
	for name, sig := range map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDevcluster(t)
			s := d.start(`trap "kubectl get namespaces >/dev/null && exit 9" ` + name + `
				echo $KUBECONFIG
				while :; do sleep 0.05; done`)
			s.signal(sig)
			if code := s.wait(); code != 9 {
				t.Errorf("exit code %d, want that of the command, whose control plane is up to its end", code)
			}
			s.checkAllGone()
			d.checkNothingLeft()
		})
	}
}

func TestKilledExecLeavesNothing(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	s := d.start("sleep 1000 & echo $KUBECONFIG $$ $!; wait")
	s.signal(syscall.SIGKILL)
	s.wait()
	s.checkAllGone()
	d.checkNothingLeft()
}

func TestKilledSupervisorLeavesNothing(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	s := d.start("echo $KUBECONFIG; read line; exit 4")
	s.supervisor.Signal(syscall.SIGKILL)
	s.checkAllGone()
	await(t, "the user to be told", func() bool {
		return strings.Contains(s.stderr.String(), "the control plane has failed")
	})
	s.closeStdin()
	if code := s.wait(); code != 4 {
		t.Errorf("exit code %d, want that of the command; stderr:\n%s", code, &s.stderr)
	}
	d.checkNothingLeft()
}

func TestExecInterruptedWhileItStarts(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	s := d.launch("exec", "--", "true")
	var state *controlplane.State
	await(t, "the API server's start", func() bool {
		dirs, _ := filepath.Glob(filepath.Join(d.tmp, "*"))
		if len(dirs) == 0 {
			return false
		}
		state, _ = controlplane.ReadState(dirs[0])
		return state != nil && len(state.Processes) == 2
	})
	s.expectToGo(state)
	s.signal(syscall.SIGINT)
	if code := s.wait(); code != 130 || !strings.Contains(s.stderr.String(), "interrupted") {
		t.Errorf("exit code %d, stderr:\n%s", code, &s.stderr)
	}
	s.checkAllGone()
	d.checkNothingLeft()
}

func TestExecShowsWhyTheControlPlaneDoesNotStart(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	assets := strings.TrimSpace(d.succeed("assets"))
	broken := t.TempDir()
	for _, name := range []string{"etcd", "kubectl", "kube-controller-manager"} {
		if err := os.Symlink(filepath.Join(assets, name), filepath.Join(broken, name)); err != nil {
			t.Fatal(err)
		}
	}
	script := "#!/bin/sh\necho no such luck\nexit 3\n"
	if err := os.WriteFile(filepath.Join(broken, "kube-apiserver"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	d.env = append(d.env, "KUBEBUILDER_ASSETS="+broken)
	code, _, stderr := d.run("exec", "--", "true")
	if code != 1 || !strings.Contains(stderr, "kube-apiserver ended: exit status 3") || !strings.Contains(stderr, "no such luck") {
		t.Errorf("exit code %d, stderr:\n%s", code, stderr)
	}
	d.checkNothingLeft()
}

func TestUpAndDown(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30)) // longer than the name of a socket may be
	t.Cleanup(func() { d.run("down", "--dir", dir) })

	first := d.succeed("up", "--dir", dir)
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if !strings.Contains(first, "export KUBECONFIG="+kubeconfig) {
		t.Errorf("up does not say how to go on:\n%s", first)
	}
	if info, err := os.Stat(kubeconfig); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kubeconfig: %v (%v)", info.Mode(), err)
	}
	before := readState(t, dir)
	if second := d.succeed("up", "--dir", dir); !strings.Contains(second, "already running at "+before.Server) {
		t.Errorf("the second up says:\n%s", second)
	}
	if d.succeed("down", "--dir", dir); before.Supervisor.Alive() || before.Processes["etcd"].Alive() {
		t.Error("processes run on after down")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there after down: %v", err)
	}
	if again := d.succeed("down", "--dir", dir); !strings.Contains(again, "No control plane is running") {
		t.Errorf("the second down says:\n%s", again)
	}
}

func TestUpAndDownAfterAFailure(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	dir := filepath.Join(t.TempDir(), "cluster")
	t.Cleanup(func() { d.run("down", "--dir", dir) })

	d.succeed("up", "--dir", dir)
	before := readState(t, dir)
	before.Processes["kube-apiserver"].Signal(syscall.SIGKILL)
	await(t, "the supervisor to give up", func() bool { return !before.Supervisor.Alive() })
	code, _, stderr := d.run("up", "--dir", dir)
	if code != 0 || !strings.Contains(stderr, "It failed: kube-apiserver ended: signal: killed") {
		t.Errorf("up: exit code %d, stderr:\n%s", code, stderr)
	}
	now := readState(t, dir)
	now.Supervisor.Signal(syscall.SIGKILL)
	d.succeed("down", "--dir", dir)
	for name, id := range now.Processes {
		if id.Alive() {
			t.Errorf("%s runs on after down", name)
		}
	}
}

func TestRemovedDirectoryEndsTheControlPlane(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	dir := filepath.Join(t.TempDir(), "cluster")
	t.Cleanup(func() { d.run("down", "--dir", dir) })
	d.succeed("up", "--dir", dir)
	state := readState(t, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	await(t, "the control plane to end", func() bool {
		return !state.Supervisor.Alive() && !state.Processes["etcd"].Alive()
	})
}

func TestTwoUpsAtTheSameTime(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	dir := filepath.Join(t.TempDir(), "cluster")
	t.Cleanup(func() { d.run("down", "--dir", dir) })
	first, second := d.launch("up", "--dir", dir), d.launch("up", "--dir", dir)
	if a, b := first.wait(), second.wait(); a != 0 || b != 0 {
		t.Errorf("exit codes %d and %d, stderr:\n%s%s", a, b, &first.stderr, &second.stderr)
	}
	if both := first.stdout.String() + second.stdout.String(); strings.Count(both, "already running") != 1 {
		t.Errorf("both together said:\n%s", both)
	}
}

// SPDX-License-Identifier: Apache-2.0

//go:build node

package main

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/controlplane"
)

// What runs on a node here is devcluster itself, which says its help and ends.
const job = `
	%PROGRAM% image --name trial:dev --output "$DIR/trial.tar" --entrypoint /devcluster --user 65534:65534 /devcluster=%PROGRAM%
	%PROGRAM% load --dir "$DIR" "$DIR/trial.tar"
	rm "$DIR/trial.tar"
	kubectl create job trial --image=trial:dev -- /devcluster help
	kubectl wait --for=condition=complete job/trial --timeout=120s
	kubectl logs job/trial`

func script(text string) string {
	return "set -e\nDIR=$(dirname \"$KUBECONFIG\")\n" + strings.ReplaceAll(text, "%PROGRAM%", program)
}

// pod leaves a pod running.
const pod = `
	kubectl wait --for=create serviceaccount/default --timeout=60s >&2
	kubectl run stay --image=localhost/tocsin-pause:dev --image-pull-policy=Never >&2
	kubectl wait --for=condition=ready pod/stay --timeout=120s >&2
	echo "$KUBECONFIG"
	`

func TestNodeRunsJobs(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	out := d.succeed("exec", "--node", "--", "sh", "-c", script(job))
	if !strings.Contains(out, "devcluster runs a private Kubernetes control plane") {
		t.Errorf("the log of the pod is not there:\n%s", out)
	}
	d.checkNothingLeft()
}

func TestNodeLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		script string
		end    func(*session)
	}{
		"when its command ends":         {"read line; exit 0", (*session).closeStdin},
		"when exec is killed":           {"sleep 1000", func(s *session) { s.signal(syscall.SIGKILL) }},
		"when exec is interrupted":      {"sleep 1000", func(s *session) { s.signal(syscall.SIGINT) }},
		"when the supervisor is killed": {"read line", func(s *session) { s.supervisor.Signal(syscall.SIGKILL); s.closeStdin() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDevcluster(t)
			s := d.startWith([]string{"--node"}, script(pod+tc.script))
			state := readState(t, filepath.Dir(strings.Fields(s.stdout.String())[0]))
			tc.end(s)
			s.wait()
			s.checkAllGone()
			d.checkNothingLeft()
			checkMachine(t, d.tmp, state)
		})
	}
}

func TestNodeStaysUntilDown(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	dir := filepath.Join(t.TempDir(), strings.Repeat("long", 30)) // longer than the name of a socket may be
	t.Cleanup(func() { d.run("down", "--dir", dir) })
	d.succeed("up", "--node", "--dir", dir)
	state := readState(t, dir)
	if len(state.Cgroups) == 0 {
		t.Error("the node's cgroups are not on record")
	}
	if second := d.succeed("up", "--node", "--dir", dir); !strings.Contains(second, "already running at "+state.Server) {
		t.Errorf("the second up says:\n%s", second)
	}
	state.Supervisor.Signal(syscall.SIGKILL)
	d.succeed("down", "--dir", dir)
	checkMachine(t, dir, state)
}

func TestTwoNodesAtTheSameTime(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	first, second := d.startWith([]string{"--node"}, "echo $KUBECONFIG; read line"), newDevcluster(t)
	second.succeed("exec", "--node", "--", "kubectl", "get", "node", "node")
	first.closeStdin()
	first.wait()
	d.checkNothingLeft()
}

func TestNodeTellsWhyItEnded(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	s := d.startWith([]string{"--node"}, "echo $KUBECONFIG; read line")
	state := readState(t, filepath.Dir(strings.Fields(s.stdout.String())[0]))
	pid, _ := state.Node()
	if err := syscall.Kill(childOf(t, pid, "kubelet"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "the user to be told", func() bool { return strings.Contains(s.stderr.String(), "kubelet ended: signal: killed") })
	s.closeStdin()
	s.wait()
	d.checkNothingLeft()
	checkMachine(t, d.tmp, state)
}

func TestUpSaysThatANodeIsMissing(t *testing.T) {
	t.Parallel()
	d := newDevcluster(t)
	dir := filepath.Join(t.TempDir(), "cluster")
	t.Cleanup(func() { d.run("down", "--dir", dir) })
	d.succeed("up", "--dir", dir)
	if code, _, stderr := d.run("up", "--node", "--dir", dir); code != 1 || !strings.Contains(stderr, "has no node") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	if code, _, stderr := d.run("load", "--dir", dir, "image.tar"); code != 1 || !strings.Contains(stderr, "has no node") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

// childOf finds the child of a process that runs a program.
func childOf(t *testing.T, parent int, name string) int {
	t.Helper()
	children, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(parent), "task", strconv.Itoa(parent), "children"))
	if err != nil {
		t.Fatal(err)
	}
	for _, child := range strings.Fields(string(children)) {
		command, err := os.ReadFile(filepath.Join("/proc", child, "comm"))
		if err == nil && strings.TrimSpace(string(command)) == name {
			pid, err := strconv.Atoi(child)
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("%d has no child %s", parent, name)
	return 0
}

// checkMachine looks for what only the kernel could have taken away. Cgroups cannot be removed while a process is in them.
func checkMachine(t *testing.T, dir string, state *controlplane.State) {
	t.Helper()
	for _, cgroup := range state.Cgroups {
		if _, err := os.Stat(cgroup); !os.IsNotExist(err) {
			t.Errorf("the cgroup %s is still there (%v)", cgroup, err)
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(mounts), dir) {
		t.Errorf("something is mounted in %s:\n%s", dir, mounts)
	}
	host, _, err := net.SplitHostPort(strings.TrimPrefix(state.Server, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the network to go", func() bool {
		addresses, err := net.InterfaceAddrs()
		for _, a := range addresses {
			if network, ok := a.(*net.IPNet); ok && network.Contains(net.ParseIP(host)) {
				return false
			}
		}
		return err == nil
	})
}

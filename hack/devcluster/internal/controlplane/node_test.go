// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/node"
)

func TestNodeIsReadyWhenPodsCanRun(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"status": {"conditions": [{"type": "Ready", "status": "True"}]}}`:                                             "",
		`{"status": {"conditions": [{"type": "Ready", "status": "False", "message": "no network"}]}}`:                   "no network",
		`{"status": {"conditions": [{"type": "MemoryPressure", "status": "False"}]}}`:                                   "not said",
		`{"spec": {"taints": [{"key": "not-ready"}]}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}`: "taint not-ready",
		`{`: "reading the node's state",
	} {
		err := nodeReady([]byte(answer))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", answer, err, want)
		}
	}
}

func TestWithANodeTheAPIServerIsWherePodsLookForIt(t *testing.T) {
	t.Parallel()
	args := apiServerArgs(onNode(node.Network{Namespace: "/proc/7/ns/net"}))
	for _, want := range []string{
		"--bind-address=198.18.0.1", "--secure-port=443", "--service-cluster-ip-range=198.18.0.0/26",
		"--kubelet-certificate-authority=" + caCert,
	} {
		if !slices.Contains(args, want) {
			t.Errorf("there is no %s in %v", want, args)
		}
	}
}

func TestWithANodeEverybodyHasCredentials(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Prepare(dir); err != nil {
		t.Fatal(err)
	}
	c, err := issueCredentials(dir, onNode(node.Network{Namespace: "/proc/7/ns/net"}))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.kubelet.Key) == 0 || len(c.scheduler.Key) == 0 {
		t.Error("kubelet or the scheduler has no key")
	}
	for _, file := range []string{kubeletServerCert, kubeletServerKey, kubeletClientCA, kubeletClientCert, kubeletClientKey} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v (%v)", file, info, err)
		}
	}
}

func TestClearRemovesCgroups(t *testing.T) {
	t.Parallel()
	dir, cgroup := t.TempDir(), filepath.Join(t.TempDir(), "cgroup")
	if err := Prepare(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(cgroup, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := (&State{Cgroups: []string{cgroup}}).write(dir); err != nil {
		t.Fatal(err)
	}
	if err := Clear(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(cgroup); !os.IsNotExist(err) {
		t.Errorf("the cgroup is still there (%v)", err)
	}
}

// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHierarchies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		tree  map[string]string // files and directories of the mount
		text  string            // of /proc/self/cgroup
		wants string            // mount, place, kind and options of each
	}{
		"version 2": {
			map[string]string{"cgroup.controllers": "cpu memory\n"}, "0::/user.slice/session-1.scope\n", ". '' cgroup2 ''",
		},
		"version 1": {
			map[string]string{"memory/jobs/7/": "", "cpu,cpuacct/": ""}, "5:memory:/jobs/7\n4:cpu,cpuacct:/\n",
			"memory '/jobs/7' cgroup 'memory'; cpu,cpuacct '/' cgroup 'cpu,cpuacct'",
		},
		"version 1, named": {
			map[string]string{"systemd/": ""}, "1:name=systemd:/\n", "systemd '/' cgroup 'none,name=systemd'",
		},
		"version 1, with an empty version 2 beside it": {
			map[string]string{"pids/": "", "unified/cgroup.controllers": ""}, "8:pids:/\n0::/\n",
			"pids '/' cgroup 'pids'; unified '/' cgroup2 ''",
		},
		"version 1, not mounted": {map[string]string{"pids/": ""}, "8:pids:/\n7:rdma:/\n0::/\n", "pids '/' cgroup 'pids'"},
	} {
		mount := t.TempDir()
		for file, content := range tc.tree {
			plant(t, mount, file, content)
		}
		var got []string
		for _, h := range hierarchies(mount, tc.text) {
			place, err := filepath.Rel(mount, h.mount)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%s '%s' %s '%s'", place, h.own, h.kind, h.options))
		}
		if text := strings.Join(got, "; "); text != tc.wants {
			t.Errorf("%s: got %s, want %s", name, text, tc.wants)
		}
	}
}

func TestNewCPUSetGetsItsParentsCPUs(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	plant(t, parent, "cpuset.cpus", "0-1\n")
	plant(t, parent, "cpuset.mems", "0\n")
	child := filepath.Join(parent, "child")
	if err := makeCgroups([]string{child}); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"cpuset.cpus": "0-1\n", "cpuset.mems": "0\n"} {
		if got, err := os.ReadFile(filepath.Join(child, file)); err != nil || string(got) != want {
			t.Errorf("%s: %q (%v), want %q", file, got, err, want)
		}
	}
}

func TestRemoveCgroups(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plant(t, dir, "top/pods/one/", "")
	plant(t, dir, "top/pods/two/", "")
	top := filepath.Join(dir, "top")
	for range 2 { // the second time there is nothing to remove
		if err := RemoveCgroups([]string{top}); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(top); !os.IsNotExist(err) {
		t.Errorf("it is still there (%v)", err)
	}
}

func TestNetworkHasRoomForEverybody(t *testing.T) {
	t.Parallel()
	for _, i := range []int{0, networks - 1} {
		n := Network{number: i}
		all := netip.MustParsePrefix(addressRange)
		services, pods := netip.MustParsePrefix(n.Services()), netip.MustParsePrefix(n.pods())
		node, host := netip.MustParseAddr(n.Address()), netip.MustParseAddr(n.host())
		if services.Masked().Addr().Next() != node {
			t.Errorf("%d: the API server's service would not be at %s", i, node)
		}
		if services.Overlaps(pods) || services.Contains(host) || pods.Contains(node) || pods.Contains(host) {
			t.Errorf("%d: services %s, pods %s, node %s and this machine %s overlap", i, services, pods, node, host)
		}
		if !all.Contains(node) || !all.Contains(pods.Addr()) {
			t.Errorf("%d: %s and %s are not in %s", i, node, pods, all)
		}
		if len(n.link()) > 15 {
			t.Errorf("%d: the kernel allows no name as long as %s", i, n.link())
		}
	}
}

func TestConfigIsWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := writeConfig(dir, Network{number: 7}); err != nil {
		t.Fatal(err)
	}
	text := func(name string) string {
		t.Helper()
		data, err := os.ReadFile(filepath.Join(dir, Dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for name, want := range map[string]string{
		containerdConfig: fmt.Sprintf("conf_dir = %q", filepath.Join(dir, Dir, "net.d")),
		kubeletConfig:    `address: "198.18.7.1"`,
		networkConfig:    `"subnet":"198.18.7.128/25"`,
	} {
		if got := text(name); !strings.Contains(got, want) || strings.Contains(got, "%!") {
			t.Errorf("%s lacks %s:\n%s", name, want, got)
		}
	}
	if !json.Valid([]byte(text(networkConfig))) {
		t.Errorf("%s is no JSON", networkConfig)
	}
}

func TestProxiesAreBypassedOnce(t *testing.T) {
	for before, want := range map[string]string{"": addressRange, "example.com": "example.com," + addressRange} {
		t.Setenv("NO_PROXY", before)
		t.Setenv("no_proxy", before)
		for range 2 {
			if err := BypassProxies(); err != nil {
				t.Fatal(err)
			}
		}
		if got := os.Getenv("NO_PROXY"); got != want || os.Getenv("no_proxy") != want {
			t.Errorf("%q became %q, want %q", before, got, want)
		}
	}
}

// plant makes a file, or a directory if its name ends with a slash.
func plant(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, "/") {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

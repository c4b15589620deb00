// SPDX-License-Identifier: Apache-2.0

package node

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// settings of the whole machine's kernel that kubelet wants to change unless it finds them as it likes them.
var settings = map[string]string{
	"kernel/keys/root_maxbytes": "25000000",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
}

type mounting struct {
	source, target, kind string
	flags                uintptr
	data                 string
}

// mount gives the node files of its own in the places where containerd, kubelet and the CNI plugins write. Other
// processes of this machine see none of it.
func (o order) mount() error {
	dir, err := os.Open(o.Dir)
	if err != nil {
		return fmt.Errorf("opening the control plane's directory: %w", err)
	}
	defer dir.Close()
	const upper, work = "/run/upper", "/run/work"
	for _, m := range []mounting{
		{target: "/", flags: syscall.MS_REC | syscall.MS_PRIVATE},
		{"proc", "/proc", "proc", 0, ""},
		{"node", "/run", "tmpfs", 0, "mode=755"},
		{"node", "/var/log", "tmpfs", 0, "mode=755"},
		{upper, upper, "", 0, ""},
		{work, work, "", 0, ""},
		{"node", "/var/lib", "overlay", 0, "lowerdir=/var/lib,upperdir=" + upper + ",workdir=" + work},
		// The directory itself may be in one of those.
		{fmt.Sprintf("/proc/self/fd/%d", dir.Fd()), o.Dir, "", syscall.MS_BIND, ""},
		{o.path(Dir, "containerd"), containerdRoot, "", syscall.MS_BIND, ""},
		{o.path(Dir, "kubelet"), kubeletRoot, "", syscall.MS_BIND, ""},
		{o.path(logsDir, "pods"), podLogs, "", syscall.MS_BIND, ""},
	} {
		if err := m.do(); err != nil {
			return fmt.Errorf("mounting %s: %w", m.target, err)
		}
	}
	if err := mountCgroups(); err != nil {
		return err
	}
	return pretend(settings)
}

// mountCgroups shows the node its own cgroups at the places of the machine's.
func mountCgroups() error {
	all, err := ourHierarchies()
	if err != nil {
		return err
	}
	for _, h := range all {
		err := syscall.Unmount(h.mount, syscall.MNT_DETACH)
		if err == nil {
			err = syscall.Mount("node", h.mount, h.kind, 0, h.options)
		}
		if err != nil {
			return fmt.Errorf("mounting the cgroups at %s: %w", h.mount, err)
		}
		if h.mount != cgroupMount {
			continue
		}
		// In cgroup v2 processes may be in leaves only, and the top is none once there are pods.
		leaf := filepath.Join(h.mount, "node")
		if err := os.Mkdir(leaf, 0o755); err != nil {
			return fmt.Errorf("making a cgroup: %w", err)
		}
		if err := join(leaf); err != nil {
			return err
		}
	}
	return nil
}

// do makes the directories that are wanted, and mounts unless no kind is given.
func (m mounting) do() error {
	if m.flags == syscall.MS_BIND && filepath.Dir(m.source) != "/proc/self/fd" {
		if err := os.MkdirAll(m.source, 0o700); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return err
	}
	if m.kind == "" && m.flags == 0 {
		return nil
	}
	return syscall.Mount(m.source, m.target, m.kind, m.flags, m.data)
}

// pretend shows the node settings of the kernel that it wants, in place of those that are.
func pretend(settings map[string]string) error {
	for name, value := range settings {
		file := filepath.Join("/run/settings", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("pretending %s: %w", name, err)
		}
		if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
			return fmt.Errorf("pretending %s: %w", name, err)
		}
		if err := syscall.Mount(file, filepath.Join("/proc/sys", name), "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("pretending %s: %w", name, err)
		}
	}
	return nil
}

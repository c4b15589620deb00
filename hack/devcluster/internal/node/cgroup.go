// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	cgroupMount = "/sys/fs/cgroup"

	deathTimeout = 10 * time.Second
	deathPoll    = 20 * time.Millisecond
)

// hierarchy is a tree of cgroups. There is one, or with cgroup v1 one for each of several sets of controllers.
type hierarchy struct {
	mount   string
	own     string // our place in it
	kind    string // of file system
	options string // to mount it with
}

// hierarchies reads what /proc/self/cgroup says.
func hierarchies(mount, text string) []hierarchy {
	if unified(mount) {
		return []hierarchy{{mount: mount, kind: "cgroup2"}}
	}
	var found []hierarchy
	for line := range strings.Lines(text) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, own, _ := strings.Cut(rest, ":")
		h := hierarchy{mount: filepath.Join(mount, controllers), own: own, kind: "cgroup", options: controllers}
		if name, ok := strings.CutPrefix(controllers, "name="); ok {
			h.mount, h.options = filepath.Join(mount, name), "none,"+controllers
		}
		if controllers == "" {
			h = hierarchy{mount: filepath.Join(mount, "unified"), own: own, kind: "cgroup2"}
		}
		if isDir(filepath.Join(h.mount, own)) {
			found = append(found, h)
		}
	}
	return found
}

func ourHierarchies() ([]hierarchy, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("finding our cgroup: %w", err)
	}
	return hierarchies(cgroupMount, string(text)), nil
}

// Cgroups names the cgroups that a node of ours will have. With cgroup v1 they are below our own, so that limits set for
// us hold for the pods. With cgroup v2 it is at the top, as only there may a cgroup that holds processes have others
// below it.
func Cgroups() ([]string, error) {
	all, err := ourHierarchies()
	if err != nil {
		return nil, err
	}
	dirs := make([]string, len(all))
	for i, h := range all {
		dirs[i] = filepath.Join(h.mount, h.own, fmt.Sprintf("tocsin-node-%d", os.Getpid()))
	}
	return dirs, nil
}

func makeCgroups(dirs []string) error {
	for _, dir := range dirs {
		if unified(filepath.Dir(dir)) {
			enableControllers(filepath.Dir(dir))
		}
		if err := os.Mkdir(dir, 0o755); err != nil {
			return fmt.Errorf("making a cgroup: %w", err)
		}
		if err := inheritCPUs(dir); err != nil {
			return err
		}
	}
	return nil
}

// enableControllers does what container runtimes do at the top of cgroup v2. Those that are not there, or used in
// another way, pods have to do without.
func enableControllers(dir string) {
	for _, controller := range []string{"cpu", "cpuset", "io", "memory", "pids"} {
		_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
	}
}

// inheritCPUs does what the kernel does not: in cgroup v1 a new cpuset is empty, and no process may be in it.
func inheritCPUs(dir string) error {
	if filepath.Base(filepath.Dir(dir)) == "unified" || unified(filepath.Dir(dir)) {
		return nil
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		set, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, file), set, 0o644)
		}
		if err != nil {
			return fmt.Errorf("setting up a cgroup: %w", err)
		}
	}
	return nil
}

// join moves this process, and those that it starts from now on.
func join(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0o644); err != nil {
		return fmt.Errorf("joining a cgroup: %w", err)
	}
	return nil
}

// RemoveCgroups removes cgroups, and waits a while for those that are still in there to die.
func RemoveCgroups(dirs []string) error {
	deadline := time.Now().Add(deathTimeout)
	for _, dir := range dirs {
		err := removeTree(dir)
		for errors.Is(err, syscall.EBUSY) && time.Now().Before(deadline) {
			time.Sleep(deathPoll)
			err = removeTree(dir)
		}
		if err != nil {
			return fmt.Errorf("removing a cgroup: %w", err)
		}
	}
	return nil
}

// removeTree removes directories. The files in them are the kernel's, and go with them.
func removeTree(dir string) error {
	var below []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			below = append(below, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, d := range slices.Backward(below) {
		if err := os.Remove(d); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// unified says whether a directory is in the one hierarchy of cgroup v2, and not in one without controllers beside those
// of v1.
func unified(dir string) bool {
	controllers, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	return err == nil && len(controllers) > 1
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

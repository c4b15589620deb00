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
)

// processes is the leaf of our cgroup that kubelet and containerd are in: beside pods, as cgroup v2 allows processes in
// leaves only.
const processes = "node"

// cgroups names the directories of a new cgroup, one for each hierarchy. With cgroup v1 it is below our own, so that
// limits set for us hold for the pods. With cgroup v2 it is at the top, as only there may a cgroup that holds processes
// have others beside it.
func cgroups(mount, own, name string) []string {
	if _, err := os.Stat(filepath.Join(mount, "cgroup.controllers")); err == nil {
		return []string{filepath.Join(mount, name)}
	}
	var dirs []string
	for line := range strings.Lines(own) {
		_, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		controllers, path, _ := strings.Cut(rest, ":")
		hierarchy := strings.TrimPrefix(controllers, "name=")
		if controllers == "" {
			hierarchy = "unified"
		}
		if parent := filepath.Join(mount, hierarchy, path); isDir(parent) {
			dirs = append(dirs, filepath.Join(parent, name))
		}
	}
	return dirs
}

// makeCgroups makes the directories and the leaf in each.
func makeCgroups(dirs []string) error {
	for _, dir := range dirs {
		for _, d := range []string{dir, filepath.Join(dir, processes)} {
			if err := os.Mkdir(d, 0o755); err != nil {
				return fmt.Errorf("making a cgroup: %w", err)
			}
			if err := inheritCPUs(d); err != nil {
				return err
			}
		}
	}
	return nil
}

// inheritCPUs does what the kernel does not: in cgroup v1 a new cpuset is empty, and no process may be in it.
func inheritCPUs(dir string) error {
	if filepath.Base(filepath.Dir(dir)) == "unified" {
		return nil
	}
	for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
		set, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
		if errors.Is(err, fs.ErrNotExist) || len(strings.TrimSpace(string(set))) == 0 {
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

// joinCgroups moves this process, and those that it starts from now on.
func joinCgroups(dirs []string) error {
	for _, dir := range dirs {
		if err := os.WriteFile(filepath.Join(dir, processes, "cgroup.procs"), []byte("0"), 0o644); err != nil {
			return fmt.Errorf("joining a cgroup: %w", err)
		}
	}
	return nil
}

// RemoveCgroups removes what nobody is in any more. Of what is not there nothing remains to be done.
func RemoveCgroups(dirs []string) error {
	for _, dir := range dirs {
		var below []string
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				below = append(below, path)
			}
			return err
		})
		for _, d := range slices.Backward(below) {
			err = errors.Join(err, os.Remove(d))
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing a cgroup: %w", err)
		}
	}
	return nil
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/node"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/process"
)

// What a control plane keeps in its directory.
const (
	Kubeconfig = "kubeconfig"
	Logs       = "logs"
	keys       = "pki"
	etcdData   = "etcd"
	stateFile  = "state.json"
)

// State is what others need to know of a control plane: enough to use it, and to end it if nobody else does.
type State struct {
	Supervisor process.ID            `json:"supervisor"`
	Processes  map[string]process.ID `json:"processes"`
	Server     string                `json:"server,omitempty"`
	Ready      bool                  `json:"ready"`
	Failure    string                `json:"failure,omitempty"` // why it ended although nobody asked it to
	Cgroups    []string              `json:"cgroups,omitempty"` // directories of the node's
}

// ReadState returns the state written in dir, or nil if there is none.
func ReadState(dir string) (*State, error) {
	data, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the control plane's state: %w", err)
	}
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(dir, stateFile), err)
	}
	return &s, nil
}

// write replaces the state in dir in one step: it is read while it changes.
func (s *State) write(dir string) error {
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the control plane's state: %w", err)
	}
	file := filepath.Join(dir, stateFile)
	if err := os.WriteFile(file+".new", data, 0o600); err != nil {
		return fmt.Errorf("writing the control plane's state: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("writing the control plane's state: %w", err)
	}
	return nil
}

// Running says whether all of it runs.
func (s *State) Running() bool {
	for _, id := range s.Processes {
		if !id.Alive() {
			return false
		}
	}
	return s.Ready && s.Supervisor.Alive()
}

// Node is the number of the node's first process, if there is a node.
func (s *State) Node() (pid int, ok bool) {
	id, ok := s.Processes[node.Name]
	return id.PID, ok
}

// Prepare makes dir ready to hold a control plane. From then on the files in it are ours to remove.
func Prepare(dir string) error {
	if err := (&State{}).write(dir); err != nil {
		return err
	}
	for _, name := range []string{Logs, keys, etcdData, node.Dir} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			return fmt.Errorf("creating the control plane's directory: %w", err)
		}
	}
	return nil
}

// End stops whatever of the control plane in dir still runs, and removes its files.
func (s *State) End(dir string) error {
	s.Supervisor.End(supervisorGrace)
	for _, id := range s.Processes {
		id.End(stopGrace)
	}
	return Remove(dir)
}

// Clear ends and removes what is left of a control plane in dir, whatever has become of its supervisor.
func Clear(dir string) error {
	s, err := ReadState(dir)
	if err != nil || s == nil {
		return errors.Join(err, Remove(dir))
	}
	return s.End(dir)
}

// Remove deletes a control plane's files from dir, and dir if nothing else is in it. None of its processes runs any more.
func Remove(dir string) error {
	if s, err := ReadState(dir); err == nil && s != nil {
		if err := node.RemoveCgroups(s.Cgroups); err != nil {
			return err
		}
	}
	// The state goes last: as long as it is there, the others are known to be ours.
	names := []string{Kubeconfig, Logs, keys, etcdData, node.Dir, etcdClients, etcdPeers, stateFile + ".new", stateFile}
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("removing the control plane's files: %w", err)
		}
	}
	err := os.Remove(dir)
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTEMPTY) {
		return nil
	}
	return fmt.Errorf("removing the control plane's directory: %w", err)
}

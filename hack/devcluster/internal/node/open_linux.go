// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/image"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/process"
)

// Node is a node whose first process is a child of this one. With it everything on the node ends; pods are not asked to.
type Node struct {
	*process.Child
	Network Network

	dir     string
	cgroups []string
	orders  io.WriteCloser
}

// Open makes the machine inside this machine, in which nothing runs yet. dir is the control plane's.
func Open(dir string, cgroups []string) (*Node, error) {
	if err := makeCgroups(cgroups); err != nil {
		return nil, errors.Join(err, RemoveCgroups(cgroups))
	}
	n := &Node{dir: dir, cgroups: cgroups}
	if err := n.open(); err != nil {
		if n.Child != nil {
			n.Child.End(0)
		}
		n.Close()
		return nil, err
	}
	return n, nil
}

func (n *Node) open() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	if err := n.writePause(self); err != nil {
		return err
	}
	cmd := exec.Command(self, append([]string{InitCommand}, n.cgroups...)...)
	cmd.Dir = n.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Setsid:     true,
	}
	if n.orders, err = cmd.StdinPipe(); err != nil {
		return fmt.Errorf("connecting to the node: %w", err)
	}
	if n.Child, err = process.Launch(Name, cmd, filepath.Join(n.dir, logsDir, "node.log")); err != nil {
		return err
	}
	n.Network, err = connect(cmd.Process.Pid)
	return err
}

// Start has the node start containerd and kubelet, whose kubeconfig and certificates are there by now.
func (n *Node) Start(kubelet string) error {
	if err := writeConfig(n.dir, n.Network); err != nil {
		return err
	}
	o := order{Dir: n.dir, Address: n.Network.Address(), Kubelet: kubelet}
	if err := json.NewEncoder(n.orders).Encode(o); err != nil {
		return fmt.Errorf("instructing the node: %w", err)
	}
	return nil
}

// Close removes what is left of a node that has ended. The cable goes last of all: without it the API server would wait
// in vain for clients on this machine to hang up.
func (n *Node) Close() {
	if n.Network.Namespace != "" {
		_ = n.Network.disconnect() // the kernel will
	}
	_ = RemoveCgroups(n.cgroups) // whoever removes the control plane's files will try again
}

// writePause makes an image of this program, for the pods' sandboxes.
func (n *Node) writePause(self string) error {
	dir := filepath.Join(n.dir, Dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("creating the node's directory: %w", err)
	}
	file, err := os.Create(filepath.Join(dir, pauseArchive))
	if err != nil {
		return fmt.Errorf("writing the sandboxes' image: %w", err)
	}
	defer file.Close()
	i := image.Image{
		Name: sandboxImage, Entrypoint: []string{"/pause", PauseCommand}, User: "65535:65535",
		Files: []image.File{{Path: "/pause", Source: self}},
	}
	return i.Write(file)
}

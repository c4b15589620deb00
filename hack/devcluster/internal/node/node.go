// SPDX-License-Identifier: Apache-2.0

// Package node runs a Kubernetes node beside a control plane: kubelet and containerd, on which pods run.
//
// They live in a machine inside this machine: a first process with process numbers, mounts and a network of its own.
// When it ends, however it ends, the kernel ends every process in there, unmounts what was mounted and removes the
// network. What is left then are empty cgroups, which are on record before they are made.
package node

import (
	"os"
	"strings"
)

// Name is the node's name in Kubernetes.
const Name = "node"

// InitCommand is the argument that makes this program the first process of a node; PauseCommand makes it the process
// that holds a pod's network while the pod's containers come and go.
const (
	InitCommand  = "node-init"
	PauseCommand = "pause"
)

// Paths in the node.
const (
	containerdSocket = "/run/containerd/containerd.sock"
	containerdRoot   = "/var/lib/containerd"
	kubeletRoot      = "/var/lib/kubelet"
	podLogs          = "/var/log/pods"
	addressesInUse   = "/run/cni" // of pods
)

// Where the node's files are in the control plane's directory.
const (
	Dir     = "node"
	logsDir = "logs"
)

// order tells the first process what to run.
type order struct {
	Dir     string `json:"dir"` // of the control plane
	Address string `json:"address"`
	Kubelet string `json:"kubelet"`
}

// BypassProxies has programs that we start reach the node directly, also where proxies are set for everything else.
func BypassProxies() error {
	for _, variable := range []string{"NO_PROXY", "no_proxy"} {
		value := os.Getenv(variable)
		if strings.Contains(value, addressRange) {
			continue
		}
		if err := os.Setenv(variable, strings.TrimPrefix(value+","+addressRange, ",")); err != nil {
			return err
		}
	}
	return nil
}

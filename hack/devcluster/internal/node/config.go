// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// sandboxImage is this very program, which can do what the process of a sandbox has to do: nothing.
const sandboxImage = "localhost/tocsin-pause:dev"

// Files in Dir.
const (
	containerdConfig = "containerd.toml"
	kubeletConfig    = "kubelet.yaml"
	networkConfig    = "net.d/pods.conflist"
	pauseArchive     = "pause.tar"

	// Kubeconfig is kubelet's; ServerCert and ServerKey are what it serves logs with, ClientCA vouches for who asks.
	Kubeconfig = "kubelet.kubeconfig"
	ServerCert = "kubelet.crt"
	ServerKey  = "kubelet.key"
	ClientCA   = "ca.crt"
)

// containerdTemplate wants Dir. Layers are copied (native), which works on every file system; pods may not be favoured
// over other processes where memory is short, as that is not always ours to decide (restrict_oom_score_adj).
const containerdTemplate = `version = 2
disabled_plugins = ["io.containerd.internal.v1.restart"]
[plugins."io.containerd.internal.v1.opt"]
  path = "` + containerdRoot + `/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + sandboxImage + `"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = %q
`

// kubeletTemplate wants the node's address and Dir (thrice). Resources are neither reserved nor enforced: the node
// shares them with whatever else this machine does. Images are never deleted: there is nowhere to get them again.
const kubeletTemplate = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %q
containerRuntimeEndpoint: unix://` + containerdSocket + `
authentication:
  anonymous: {enabled: false}
  webhook: {enabled: true}
  x509: {clientCAFile: %[2]q}
authorization: {mode: Webhook}
tlsCertFile: %[3]q
tlsPrivateKeyFile: %[4]q
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
localStorageCapacityIsolation: false
failSwapOn: false
makeIPTablesUtilChains: false
oomScoreAdj: 0
volumePluginDir: ` + kubeletRoot + `/volumeplugins
evictionHard: {memory.available: 50Mi}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
`

func writeConfig(dir string, network Network) error {
	dir = filepath.Join(dir, Dir)
	pods, err := podNetwork(network)
	if err != nil {
		return err
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, content := range map[string]string{
		containerdConfig: fmt.Sprintf(containerdTemplate, pluginDir(), filepath.Dir(in(networkConfig))),
		kubeletConfig:    fmt.Sprintf(kubeletTemplate, network.Address(), in(ClientCA), in(ServerCert), in(ServerKey)),
		networkConfig:    pods,
	} {
		if err := os.MkdirAll(filepath.Dir(in(name)), 0o700); err != nil {
			return fmt.Errorf("creating a directory for the node's settings: %w", err)
		}
		if err := os.WriteFile(in(name), []byte(content), 0o600); err != nil {
			return fmt.Errorf("writing the node's settings: %w", err)
		}
	}
	return nil
}

// podNetwork puts pods at a bridge. They need no translation of addresses, as they go nowhere.
func podNetwork(network Network) (string, error) {
	type object = map[string]any
	text, err := json.Marshal(object{
		"cniVersion": "0.4.0", "name": "pods",
		"plugins": []object{{
			"type": "bridge", "bridge": "pods", "isGateway": true, "hairpinMode": true,
			"ipam": object{
				"type": "host-local", "dataDir": addressesInUse,
				"ranges": [][]object{{{"subnet": network.pods()}}},
				"routes": []object{{"dst": "0.0.0.0/0"}},
			},
		}},
	})
	if err != nil {
		return "", fmt.Errorf("encoding the pods' network: %w", err)
	}
	return string(text), nil
}

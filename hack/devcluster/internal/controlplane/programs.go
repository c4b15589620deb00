// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/node"
)

const (
	loopback     = "127.0.0.1"
	serviceRange = "10.96.0.0/16"
	serviceIP    = "10.96.0.1" // of the service "kubernetes", the first of the range

	// Sockets, so that nobody else gets at the data. Their names are relative to the control plane's directory, in
	// which all programs run: the system allows a socket's name about 100 characters.
	etcdClients = "etcd.sock"
	etcdPeers   = "etcd-peer.sock"

	// etcd insists on telling others a host and a port. There are no others.
	etcdAdvertised = "http://" + loopback + ":0"
)

// Programs are the paths of what a control plane runs.
type Programs struct {
	Etcd              string `json:"etcd"`
	APIServer         string `json:"apiServer"`
	ControllerManager string `json:"controllerManager"`

	// With a node; empty without.
	Scheduler string `json:"scheduler,omitempty"`
	Kubelet   string `json:"kubelet,omitempty"`
}

// site is where the API server is to be found.
type site struct {
	host      string
	port      int    // 0: any that is free
	services  string // the range of services' addresses, of which serviceIP is the first
	serviceIP string
	namespace string // of the network, a path; "" for ours
}

// here is the site of a control plane without a node: nobody else has to reach it.
var here = site{host: loopback, services: serviceRange, serviceIP: serviceIP}

// onNode is the site of one whose node and pods have to reach it, under the address that every pod is given for it.
func onNode(network node.Network) site {
	return site{
		host: network.Address(), port: 443, services: network.Services(), serviceIP: network.Address(),
		namespace: network.Namespace,
	}
}

func etcdArgs() []string {
	return []string{
		"--name=tocsin-dev",
		"--data-dir=" + etcdData,
		"--listen-client-urls=unix://" + etcdClients,
		"--advertise-client-urls=" + etcdAdvertised,
		"--listen-peer-urls=unix://" + etcdPeers,
		"--initial-advertise-peer-urls=" + etcdAdvertised,
		"--initial-cluster=tocsin-dev=" + etcdAdvertised,
		"--unsafe-no-fsync", // the data is thrown away with the control plane
		"--log-level=warn",
	}
}

func apiServerArgs(at site) []string {
	args := []string{
		"--bind-address=" + at.host,
		fmt.Sprintf("--secure-port=%d", at.port),
		"--advertise-address=" + at.host,
		"--endpoint-reconciler-type=none", // a loopback address is not allowed as an endpoint
		"--etcd-servers=unix://" + etcdClients,
		"--service-cluster-ip-range=" + at.services,
		"--authorization-mode=Node,RBAC",
		"--client-ca-file=" + caCert,
		"--tls-cert-file=" + serverCert,
		"--tls-private-key-file=" + serverKey,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + tokenPublicKey,
		"--service-account-signing-key-file=" + tokenPrivateKey,
	}
	if at.namespace == "" {
		return args
	}
	return append(args, // it asks kubelet for the logs of pods
		"--kubelet-preferred-address-types=InternalIP",
		"--kubelet-certificate-authority="+caCert,
		"--kubelet-client-certificate="+kubeletClientCert,
		"--kubelet-client-key="+kubeletClientKey,
	)
}

func schedulerArgs() []string {
	return []string{"--kubeconfig=" + schedulerIdentity, "--secure-port=0", "--leader-elect=false"}
}

func controllerManagerArgs() []string {
	return []string{
		"--kubeconfig=" + controllersIdentity,
		"--secure-port=0",
		"--leader-elect=false",
		"--kube-api-qps=1000", // the default of 20 makes the start take seconds longer
		"--kube-api-burst=1000",
		"--use-service-account-credentials",
		"--service-account-private-key-file=" + tokenPrivateKey,
		"--root-ca-file=" + caCert,
		"--cluster-signing-cert-file=" + caCert,
		"--cluster-signing-key-file=" + caKey,
	}
}

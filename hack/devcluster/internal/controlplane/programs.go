// SPDX-License-Identifier: Apache-2.0

package controlplane

import "fmt"

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

func apiServerArgs(port int) []string {
	return []string{
		"--bind-address=" + loopback,
		fmt.Sprintf("--secure-port=%d", port),
		"--advertise-address=" + loopback,
		"--endpoint-reconciler-type=none", // a loopback address is not allowed as an endpoint
		"--etcd-servers=unix://" + etcdClients,
		"--service-cluster-ip-range=" + serviceRange,
		"--authorization-mode=Node,RBAC",
		"--client-ca-file=" + caCert,
		"--tls-cert-file=" + serverCert,
		"--tls-private-key-file=" + serverKey,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + tokenPublicKey,
		"--service-account-signing-key-file=" + tokenPrivateKey,
	}
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

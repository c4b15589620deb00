// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/node"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/pki"
)

// Certificates outlive any development cluster.
const certificateLifetime = 365 * 24 * time.Hour

// Files in pki/.
const (
	caCert              = "pki/ca.crt"
	caKey               = "pki/ca.key"
	serverCert          = "pki/kube-apiserver.crt"
	serverKey           = "pki/kube-apiserver.key"
	tokenPrivateKey     = "pki/service-account.key"
	tokenPublicKey      = "pki/service-account.pub"
	controllersIdentity = "pki/kube-controller-manager.kubeconfig"

	// With a node.
	schedulerIdentity = "pki/kube-scheduler.kubeconfig"
	kubeletClientCert = "pki/kube-apiserver-kubelet.crt"
	kubeletClientKey  = "pki/kube-apiserver-kubelet.key"
	kubeletIdentity   = node.Dir + "/" + node.Kubeconfig
	kubeletServerCert = node.Dir + "/" + node.ServerCert
	kubeletServerKey  = node.Dir + "/" + node.ServerKey
	kubeletClientCA   = node.Dir + "/" + node.ClientCA
)

// credentials are those that end up in kubeconfigs, which need the server's address.
type credentials struct {
	authority   []byte // certificate
	admin       pki.Pair
	controllers pki.Pair
	scheduler   pki.Pair // with a node
	kubelet     pki.Pair // with a node
}

// issueCredentials makes an authority with all that it has to vouch for, and writes down what the programs read.
func issueCredentials(dir string, at site) (*credentials, error) {
	ca, err := pki.NewAuthority("tocsin-dev-ca", time.Now(), certificateLifetime)
	if err != nil {
		return nil, err
	}
	server, err := ca.Server("kube-apiserver", at.host, "localhost", at.serviceIP,
		"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
	if err != nil {
		return nil, err
	}
	admin, err := ca.Client("tocsin-dev-admin", "system:masters")
	if err != nil {
		return nil, err
	}
	controllers, err := ca.Client("system:kube-controller-manager")
	if err != nil {
		return nil, err
	}
	tokenPrivate, tokenPublic, err := pki.NewSigningKey()
	if err != nil {
		return nil, err
	}
	err = writeKeys(dir, map[string][]byte{
		caCert: ca.Cert, caKey: ca.Key,
		serverCert: server.Cert, serverKey: server.Key,
		tokenPrivateKey: tokenPrivate, tokenPublicKey: tokenPublic,
	})
	if err != nil {
		return nil, err
	}
	c := &credentials{authority: ca.Cert, admin: admin, controllers: controllers}
	if at.namespace == "" {
		return c, nil
	}
	return c, c.issueNode(dir, ca, at)
}

// issueNode adds what a node, and those who deal with it, need.
func (c *credentials) issueNode(dir string, ca *pki.Authority, at site) error {
	var err error
	if c.scheduler, err = ca.Client("system:kube-scheduler"); err != nil {
		return err
	}
	if c.kubelet, err = ca.Client("system:node:"+node.Name, "system:nodes"); err != nil {
		return err
	}
	server, err := ca.Server("kubelet", at.host, node.Name)
	if err != nil {
		return err
	}
	client, err := ca.Client("kube-apiserver", "system:masters")
	if err != nil {
		return err
	}
	return writeKeys(dir, map[string][]byte{
		kubeletServerCert: server.Cert, kubeletServerKey: server.Key, kubeletClientCA: ca.Cert,
		kubeletClientCert: client.Cert, kubeletClientKey: client.Key,
	})
}

func writeKeys(dir string, files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return fmt.Errorf("writing keys: %w", err)
		}
	}
	return nil
}

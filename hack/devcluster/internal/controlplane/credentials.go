// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

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
)

// credentials are those that end up in kubeconfigs, which need the server's address.
type credentials struct {
	authority   []byte // certificate
	admin       pki.Pair
	controllers pki.Pair
}

// issueCredentials makes an authority with all that it has to vouch for, and writes down what the programs read.
func issueCredentials(dir string) (*credentials, error) {
	ca, err := pki.NewAuthority("tocsin-dev-ca", time.Now(), certificateLifetime)
	if err != nil {
		return nil, err
	}
	server, err := ca.Server("kube-apiserver", loopback, "localhost", serviceIP,
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
	for name, content := range map[string][]byte{
		caCert: ca.Cert, caKey: ca.Key,
		serverCert: server.Cert, serverKey: server.Key,
		tokenPrivateKey: tokenPrivate, tokenPublicKey: tokenPublic,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, fmt.Errorf("writing keys: %w", err)
		}
	}
	return &credentials{authority: ca.Cert, admin: admin, controllers: controllers}, nil
}

// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"encoding/base64"
	"fmt"
	"os"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/pki"
)

const kubeconfigTemplate = `apiVersion: v1
kind: Config
current-context: tocsin-dev
clusters:
- name: tocsin-dev
  cluster:
    server: %s
    certificate-authority-data: %s
contexts:
- name: tocsin-dev
  context:
    cluster: tocsin-dev
    namespace: default
    user: %[3]s
users:
- name: %[3]s
  user:
    client-certificate-data: %[4]s
    client-key-data: %[5]s
`

func writeKubeconfig(path, server string, authority []byte, user string, identity pki.Pair) error {
	encode := base64.StdEncoding.EncodeToString
	content := fmt.Sprintf(kubeconfigTemplate,
		server, encode(authority), user, encode(identity.Cert), encode(identity.Key))
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		return fmt.Errorf("writing a kubeconfig: %w", err)
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// user is somebody with a kubeconfig of his own.
type user struct{ kubeconfig string }

// user makes somebody who has no rights. The namespace is the one of his kubeconfig.
func (s *site) user(t *testing.T, name string) *user {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: s.named(name)}
	request := &authenticationv1.TokenRequest{}
	k8s.Create(t, account)
	if err := k8s.Client.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	server := &clientcmdapi.Cluster{
		Server: k8s.Config.Host, CertificateAuthorityData: k8s.Config.CAData, CertificateAuthority: k8s.Config.CAFile,
	}
	u := &user{filepath.Join(t.TempDir(), "kubeconfig")}
	if err := clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"here": server},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {Token: request.Status.Token}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: "here", AuthInfo: name, Namespace: s.namespace}},
		CurrentContext: name,
	}, u.kubeconfig); err != nil {
		t.Fatal(err)
	}
	return u
}

// tocsin runs kubectl with the plugin of bin/. What it says went wrong is in the error.
func (u *user) tocsin(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "kubectl", append([]string{"tocsin"}, args...)...)
	var out, wrong strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &wrong
	path := filepath.Join(cluster.Root(), "bin") + string(os.PathListSeparator) + os.Getenv("PATH")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+u.kubeconfig, "PATH="+path)
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%w: %s", err, cmp.Or(strings.TrimSpace(wrong.String()), "nothing is said"))
	}
	return out.String(), nil
}

// bind gives an account of the namespace a role in it.
func (s *site) bind(t *testing.T, role, account string) {
	t.Helper()
	s.kubectl(t, fmt.Sprintf("create rolebinding %[1]s-%[2]s --clusterrole=%[1]s --serviceaccount=%[3]s:%[2]s",
		role, account, s.namespace))
}

// kubectl runs a line of kubectl as the administrator, in the namespace.
func (s *site) kubectl(t *testing.T, line string) {
	t.Helper()
	if err := command("kubectl", append(strings.Fields(line), "-n", s.namespace)...); err != nil {
		t.Fatal(err)
	}
}

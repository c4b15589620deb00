// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
	"github.com/tocsin-dev/tocsin/internal/testkit/postgres"
)

// database is a PostgreSQL on this machine, that pods reach at an address that they have in common with it.
type database struct {
	*postgres.Server
	host, port string
	authority  *fakesmtp.CA
}

const password = "e2e-hunter2"

func newDatabase(t *testing.T) *database {
	t.Helper()
	host := addressForPods(t)
	d := &database{Server: postgres.New(t), host: host, authority: fakesmtp.NewCA("e2e")}
	d.encrypt(t)
	if err := d.Admin(t.Context(), "postgres", "CREATE ROLE manager LOGIN PASSWORD '"+password+"'",
		"CREATE DATABASE tocsin OWNER manager ENCODING 'UTF8' TEMPLATE template0"); err != nil {
		t.Fatal(err)
	}
	_, location := d.Database(t)
	server, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	door, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = door.Close() })
	go forward(door, server.Host)
	_, d.port, _ = net.SplitHostPort(door.Addr().String())
	return d
}

// access is what the component archive-postgres is told.
func (d *database) access() []client.Object {
	return []client.Object{
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "tocsin-archive"},
			StringData: map[string]string{
				"PGHOST": d.host, "PGPORT": d.port, "PGDATABASE": "tocsin", "PGUSER": "manager", "PGPASSWORD": password,
				"PGSSLMODE": "verify-full", "PGSSLROOTCERT": "/etc/tocsin/archive/ca.crt",
			},
		},
		&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: home, Name: "tocsin-archive-ca"},
			Data:       map[string]string{"ca.crt": inPEM("CERTIFICATE", d.authority.Certificate().Raw)},
		},
	}
}

// encrypt gives the server a certificate for its address.
func (d *database) encrypt(t *testing.T) {
	t.Helper()
	certificate := d.authority.Issue(fakesmtp.Always, d.host)
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, "server.crt", inPEM("CERTIFICATE", certificate.Certificate[0]))
	d.write(t, "server.key", inPEM("PRIVATE KEY", key))
	if err := d.Admin(t.Context(), "postgres", "ALTER SYSTEM SET ssl_cert_file = '"+filepath.Join(d.Dir, "server.crt")+"'",
		"ALTER SYSTEM SET ssl_key_file = '"+filepath.Join(d.Dir, "server.key")+"'", "ALTER SYSTEM SET ssl = on",
		"SELECT pg_reload_conf()"); err != nil {
		t.Fatal(err)
	}
}

// write writes a file of the server's, whose folder tells who that is.
func (d *database) write(t *testing.T, name, content string) {
	t.Helper()
	folder, err := os.Stat(d.Dir)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(d.Dir, name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	owner := folder.Sys().(*syscall.Stat_t)
	if err := os.Chown(file, int(owner.Uid), int(owner.Gid)); err != nil {
		t.Fatal(err)
	}
}

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// forward passes on what comes, until the door is closed.
func forward(door net.Listener, to string) {
	for {
		from, err := door.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close()
			server, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			defer server.Close()
			go func() {
				_, _ = io.Copy(server, from)
				_ = server.Close()
			}()
			_, _ = io.Copy(from, server)
		}()
	}
}

// addressForPods is this machine's address in the network of a node.
func addressForPods(t *testing.T) string {
	t.Helper()
	ours, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	nodes := &corev1.NodeList{}
	if err := k8s.Client.List(t.Context(), nodes); err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes.Items {
		for _, theirs := range node.Status.Addresses {
			for _, our := range ours {
				if network, ok := our.(*net.IPNet); ok && network.Contains(net.ParseIP(theirs.Address)) {
					return network.IP.String()
				}
			}
		}
	}
	t.Skip("no node of the cluster is in a network with this machine, where the database is to run")
	return ""
}

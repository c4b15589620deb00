// SPDX-License-Identifier: Apache-2.0

// Package cluster gives tests a real API server with Tocsin's kinds, and what tests do with it again and again.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kuberuntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// Patience is how long a test waits for what must happen. Nothing is ever expected to take that long.
const Patience = 60 * time.Second

// Cluster is a real API server.
type Cluster struct {
	Config     *rest.Config
	Client     client.WithWatch
	Kubeconfig []byte

	environment *envtest.Environment
}

// EmulatedVersion is the variable that makes the API servers of tests behave like those of an older Kubernetes, 1.34 say. They
// then have none of the kinds and take none of the expressions that are newer.
const EmulatedVersion = "EMULATED_VERSION"

// Root is the top folder of the project.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..", "..")
}

// Scheme knows Tocsin's kinds and those of Kubernetes.
func Scheme() *kuberuntime.Scheme {
	scheme := kuberuntime.NewScheme()
	for _, add := range []func(*kuberuntime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			panic(err)
		}
	}
	return scheme
}

// Start starts etcd and kube-apiserver from KUBEBUILDER_ASSETS and declares the kinds.
func Start() (*Cluster, error) { return start(filepath.Join(Root(), "config", "crd", "bases")) }

// StartBare is Start for a cluster that does not know the kinds.
func StartBare() (*Cluster, error) { return start() }

func start(crds ...string) (*Cluster, error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return nil, errors.New("KUBEBUILDER_ASSETS is not set: it is the directory that holds etcd and kube-apiserver. " +
			"`make test` sets it; by hand: export KUBEBUILDER_ASSETS=$(go run -C hack/devcluster . assets)")
	}
	environment := &envtest.Environment{
		CRDDirectoryPaths:     crds,
		ErrorIfCRDPathMissing: true,
	}
	if version := os.Getenv(EmulatedVersion); version != "" {
		environment.ControlPlane.GetAPIServer().Configure().Set("emulated-version", version)
	}
	config, err := environment.Start()
	if err != nil {
		return nil, fmt.Errorf("starting the control plane: %w", err)
	}
	config.QPS, config.Burst = 500, 1000
	c, err := client.NewWithWatch(config, client.Options{Scheme: Scheme()})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making a client: %w", err), environment.Stop())
	}
	return &Cluster{Config: config, Client: c, Kubeconfig: environment.KubeConfig, environment: environment}, nil
}

// Stop stops it.
func (c *Cluster) Stop() error { return c.environment.Stop() }

// Main runs a package's tests with one API server; start gets it before the first test.
func Main(m *testing.M, start func(*Cluster) (stop func(), err error)) int {
	c, err := Start()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := c.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stopping the control plane:", err)
		}
	}()
	stop, err := start(c)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer stop()
	return m.Run()
}

// Namespace makes a namespace for one test.
func (c *Cluster) Namespace(t testing.TB) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	c.Create(t, ns)
	return ns.Name
}

// Create creates objects.
func (c *Cluster) Create(t testing.TB, objects ...client.Object) {
	t.Helper()
	for _, o := range objects {
		if err := c.Client.Create(t.Context(), o); err != nil {
			t.Fatalf("creating %T %s: %v", o, o.GetName(), err)
		}
	}
}

// Get reads an object anew.
func (c *Cluster) Get(t testing.TB, o client.Object) {
	t.Helper()
	if err := c.Client.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		t.Fatalf("getting %T %s: %v", o, o.GetName(), err)
	}
}

// Change changes an object, whatever it has become meanwhile.
func (c *Cluster) Change(t testing.TB, o client.Object, change func()) {
	t.Helper()
	Eventually(t, "changing "+o.GetName(), func(ctx context.Context) error {
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		change()
		return c.Client.Update(ctx, o)
	})
}

// Until reads an object anew until the check finds nothing wrong with it.
func (c *Cluster) Until(t testing.TB, o client.Object, check func() error) {
	t.Helper()
	Eventually(t, fmt.Sprintf("%T %s", o, o.GetName()), func(ctx context.Context) error {
		if err := c.Client.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		return check()
	})
}

// Notifications lists a namespace's notifications.
func (c *Cluster) Notifications(t testing.TB, namespace string) []v1alpha1.Notification {
	t.Helper()
	var list v1alpha1.NotificationList
	if err := c.Client.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
		t.Fatalf("listing notifications: %v", err)
	}
	return list.Items
}

// Eventually waits until the check finds nothing wrong.
func Eventually(t testing.TB, what string, check func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, Patience, true, func(ctx context.Context) (bool, error) {
		last = check(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("%s: %v", what, last)
	}
}

// Manifests reads the documents of a YAML text that are not empty.
func Manifests(text string) []string {
	var documents []string
	for document := range strings.SplitSeq("\n"+text, "\n---") {
		body := strings.TrimSpace(document)
		for line := range strings.Lines(body) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				documents = append(documents, body)
				break
			}
		}
	}
	return documents
}

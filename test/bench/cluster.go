// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

const (
	// namespace is where all of the measuring happens.
	namespace = "bench"
	operator  = "tocsin-system"
	// patience is how long to wait while nothing happens, on a machine that has other things to do.
	patience = 2 * time.Minute
	// poll is how often to look whether something has happened.
	poll = 20 * time.Millisecond
)

// cluster is the private cluster with Tocsin's kinds, roles and policies, as config/default installs them.
type cluster struct {
	client client.WithWatch
	config *rest.Config
	// dir is where everything is written.
	dir string
	// managerConfig is the manager's kubeconfig.
	managerConfig string
	// reporter is the token of those who create events.
	reporter string
	mail     *mailServer
	// manager is the one that runs, or nil.
	manager *manager
}

// connect prepares the cluster, once.
func (b *bench) connect(ctx context.Context) (*cluster, error) {
	if b.cluster != nil {
		return b.cluster, nil
	}
	b.note("installing Tocsin in the cluster")
	config, err := privateConfig()
	if err != nil {
		return nil, err
	}
	c := &cluster{config: config}
	b.cluster = c
	if c.dir, err = os.MkdirTemp("", "tocsin-bench-"); err != nil {
		return nil, fmt.Errorf("creating a temporary directory: %w", err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	if c.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	if c.mail, err = startMailServer(); err != nil {
		return nil, err
	}
	if err := c.install(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

// privateConfig refuses a cluster that may be somebody's: it is filled with events.
func privateConfig() (*rest.Config, error) {
	file := os.Getenv("KUBECONFIG")
	if file == "" {
		return nil, errors.New("KUBECONFIG names no private cluster: run `make bench`, which starts one")
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	address, err := url.Parse(config.Host)
	if err != nil || address.Hostname() != "localhost" && !net.ParseIP(address.Hostname()).IsLoopback() {
		return nil, fmt.Errorf("the cluster at %s is not on this machine: run `make bench`, which starts one", config.Host)
	}
	config.QPS = -1 // no limit
	return config, nil
}

// install applies config/default, as a user does, and prepares those who act: the manager and the reporters.
func (c *cluster) install(ctx context.Context) error {
	err := c.client.Get(ctx, client.ObjectKey{Name: operator}, &corev1.Namespace{})
	if !apierrors.IsNotFound(err) {
		return errors.Join(errors.New("the cluster has Tocsin already, or does not say: run `make bench`, which starts one"), err)
	}
	for _, args := range [][]string{
		{"apply", "-k", "config/default"},
		{"wait", "crd", "--all", "--for=condition=Established", "--timeout=" + patience.String()},
	} {
		kubectl := exec.CommandContext(ctx, "kubectl", args...)
		kubectl.Env = append(os.Environ(), "KUBECACHEDIR="+c.dir)
		if out, err := kubectl.CombinedOutput(); err != nil {
			return fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "reporter"}},
		&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "reporter"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "tocsin-reporter"},
			Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: "reporter"}},
		},
		c.mail.channel(),
	} {
		if err := c.create(ctx, object); err != nil {
			return err
		}
	}
	if c.reporter, err = c.token(ctx, namespace, "reporter"); err != nil {
		return err
	}
	token, err := c.token(ctx, operator, "tocsin-manager")
	if err != nil {
		return err
	}
	c.managerConfig = filepath.Join(c.dir, "manager")
	return c.writeKubeconfig(c.managerConfig, token)
}

// create creates an object, once the API server knows its kind.
func (c *cluster) create(ctx context.Context, object client.Object) error {
	return until(ctx, fmt.Sprintf("creating %T %s", object, object.GetName()), func(ctx context.Context) error {
		return c.client.Create(ctx, object)
	})
}

// token is what a service account's pods would be given.
func (c *cluster) token(ctx context.Context, namespace, name string) (string, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: ptr.To(int64((6 * time.Hour).Seconds()))},
	}
	if err := c.client.SubResource("token").Create(ctx, account, request); err != nil {
		return "", fmt.Errorf("asking for the token of %s: %w", name, err)
	}
	return request.Status.Token, nil
}

func (c *cluster) writeKubeconfig(file, token string) error {
	config, err := clientcmd.LoadFromFile(os.Getenv("KUBECONFIG"))
	if err != nil {
		return fmt.Errorf("reading the kubeconfig: %w", err)
	}
	for name := range config.AuthInfos {
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token}
	}
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		return fmt.Errorf("writing the kubeconfig of the manager: %w", err)
	}
	return nil
}

// conditions puts these in place of those that there are.
func (c *cluster) conditions(ctx context.Context, conditions ...*v1alpha1.NotificationCondition) error {
	if err := c.client.DeleteAllOf(ctx, &v1alpha1.NotificationCondition{}, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("deleting the conditions: %w", err)
	}
	for _, condition := range conditions {
		condition.Namespace = namespace
		if err := c.create(ctx, condition); err != nil {
			return err
		}
	}
	return nil
}

// clearEvents deletes all events, so that every round begins with none. When they are many, one request is not enough.
func (c *cluster) clearEvents(ctx context.Context) error {
	return until(ctx, "deleting the events", func(ctx context.Context) error {
		err := c.client.DeleteAllOf(ctx, &v1alpha1.SecurityEvent{}, client.InNamespace(namespace))
		if err == nil {
			return nil
		}
		var left v1alpha1.SecurityEventList
		if listErr := c.client.List(ctx, &left, client.InNamespace(namespace), client.Limit(1)); listErr != nil {
			return errors.Join(err, listErr)
		}
		return fmt.Errorf("%d are left after one more: %w", ptr.Deref(left.RemainingItemCount, 0), err)
	})
}

// clear deletes all events, conditions and notifications.
func (c *cluster) clear(ctx context.Context) error {
	if err := errors.Join(c.clearEvents(ctx), c.conditions(ctx)); err != nil {
		return err
	}
	if err := c.client.DeleteAllOf(ctx, &v1alpha1.Notification{}, client.InNamespace(namespace)); err != nil {
		return fmt.Errorf("deleting the notifications: %w", err)
	}
	return nil
}

// cleanUp ends what runs and removes what was written. The cluster ends with whoever started it.
func (b *bench) cleanUp() error {
	c := b.cluster
	if c == nil {
		return nil
	}
	if c.manager != nil {
		c.manager.end()
	}
	if c.mail != nil {
		c.mail.end()
	}
	return os.RemoveAll(c.dir)
}

// until asks again and again until there is no error left, or the error has been the same for a while.
func until(ctx context.Context, what string, ask func(context.Context) error) error {
	deadline, last := time.Now().Add(patience), ""
	for {
		err := ask(ctx)
		if err != nil && err.Error() != last {
			deadline, last = time.Now().Add(patience), err.Error()
		}
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, errEnded):
			return err
		case time.Now().After(deadline):
			return fmt.Errorf("waited %s for %s: %w", patience, what, err)
		}
		_ = pause(ctx, poll) // whether it was cut short shows above
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

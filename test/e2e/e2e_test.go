// SPDX-License-Identifier: Apache-2.0

//go:build e2e

// Package e2e_test runs the product as users do: its image in pods on a real node, installed with config/default.
//
// `make e2e` gives it a cluster of its own, or takes the one in KUBECONFIG; see hack/devcluster/README.md.
package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// The namespace that config/default installs into.
const home = "tocsin-system"

// cases is all that is tried. They share the managers, and each has a namespace and a mail server of its own. They run
// one after the other, as one of them kills the managers.
var cases = []struct {
	name string
	run  func(*testing.T, *site)
}{
	{"a Job runs a script that starts another script, and its output can be read", jobsRun},
	{"events come in and mail goes out", eventsBecomeMail},
	{"managers that are killed come back, and nothing is lost", killedManagersLoseNothing},
	{"programs run as Jobs, and what becomes of them is recorded", programsRun},
	{"what Pod Security forbids does not run, and it is told", programsAreRestricted},
	{"the managers were not refused anything", managersMayDoTheirWork}, // it reads the log of what came before
	{"an archive in a file on a volume", archiveInAFile},               // from here on each case replaces the managers
	{"an archive in a database", archiveInADatabase},
}

var (
	k8s  *cluster.Cluster
	core kubernetes.Interface
)

func TestMain(m *testing.M) {
	code, err := main(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func main(m *testing.M) (code int, err error) {
	if err := connect(); err != nil {
		return 0, err
	}
	if err := checkFree(context.Background()); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, uninstall()) }()
	if err := install(); err != nil {
		show()
		return 0, err
	}
	if code = m.Run(); code != 0 {
		show()
	}
	return code, nil
}

func TestTocsin(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, newSite(t)) })
	}
}

func connect() error {
	file := os.Getenv("KUBECONFIG")
	if file == "" {
		return errors.New("KUBECONFIG is not set: it names the cluster to try Tocsin in. `make e2e` starts one")
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	config.QPS, config.Burst = 100, 200
	c, err := client.NewWithWatch(config, client.Options{Scheme: cluster.Scheme()})
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	k8s = &cluster.Cluster{Config: config, Client: c}
	core, err = kubernetes.NewForConfig(config)
	return err
}

// checkFree spares a cluster in which Tocsin is installed: it would be removed with all of its objects in the end.
func checkFree(ctx context.Context) error {
	err := k8s.Client.Get(ctx, client.ObjectKey{Name: home}, &corev1.Namespace{})
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("looking for Tocsin: %w", err)
	default:
		return fmt.Errorf("the cluster has a namespace %s already: take another one, or remove it with `make undeploy`", home)
	}
}

// install does what a user does.
func install() error {
	if err := command("make", "deploy", "IMG="+imageOfManager()); err != nil {
		return err
	}
	return rolledOut()
}

func rolledOut() error {
	return command("kubectl", "rollout", "status", "-n", home, "deployment/tocsin-manager", "--timeout=2m")
}

// uninstall does so, too. What reading the archive needs is not all in Tocsin's namespace.
func uninstall() error {
	const reading = "config/components/archive-reading/reading.yaml"
	return errors.Join(command("kubectl", "delete", "--ignore-not-found", "-f", reading), command("make", "undeploy"))
}

// show tells what there is to see when something went wrong.
func show() {
	for _, args := range []string{
		"get pods -A -o wide",
		"describe pods -n " + home,
		"logs -n " + home + " -l app.kubernetes.io/component=manager --tail=40 --prefix",
		"get events -A --sort-by=.lastTimestamp",
	} {
		fmt.Fprintln(os.Stderr, "\n$ kubectl", args)
		if err := command("kubectl", strings.Fields(args)...); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
}

func command(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir = cluster.Root()
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return nil
}

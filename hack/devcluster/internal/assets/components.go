// SPDX-License-Identifier: Apache-2.0

package assets

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The programs that can be built. Their versions are in the go.mod of their module under components/.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Kubectl           = "kubectl"
	Scheduler         = "kube-scheduler"
	Kubelet           = "kubelet"
	Mailpit           = "mailpit"
)

// ControlPlane is what a control plane is run with, in the order in which it is built.
var ControlPlane = []string{Etcd, APIServer, Kubectl, ControllerManager}

// envtestPrograms must be in any directory that is to serve as KUBEBUILDER_ASSETS.
var envtestPrograms = []string{Etcd, APIServer, Kubectl}

type component struct {
	name   string
	module string                                         // folder under components/
	pkg    string                                         // main package
	stamp  func(version string, built time.Time) []string // linker flags that tell the program its version
}

var components = []component{
	{name: Etcd, module: "etcd", pkg: "go.etcd.io/etcd/server/v3"},
	kubernetes(APIServer),
	kubernetes(Kubectl),
	kubernetes(ControllerManager),
	kubernetes(Scheduler),
	kubernetes(Kubelet),
	{name: Mailpit, module: "mailpit", pkg: "github.com/axllent/mailpit", stamp: mailpitStamp},
}

func kubernetes(name string) component {
	return component{name: name, module: "kubernetes", pkg: "k8s.io/kubernetes/cmd/" + name, stamp: kubernetesStamp}
}

// shelves group the modules whose programs share a directory of the cache, named after all their versions.
var shelves = [][]string{{"kubernetes", "etcd"}, {"mailpit"}}

// Names lists every program that can be asked for.
func Names() []string {
	names := make([]string, len(components))
	for i, c := range components {
		names[i] = c.name
	}
	return names
}

// Check finds fault with names that are unknown or cannot be asked for together.
func Check(names ...string) error {
	_, err := findAll(names)
	return err
}

func findAll(names []string) ([]component, error) {
	var found []component
	for _, name := range names {
		c, err := find(name)
		if err != nil {
			return nil, err
		}
		if len(found) > 0 && !slices.Equal(shelfOf(c), shelfOf(found[0])) {
			return nil, fmt.Errorf("%s and %s are kept in different directories: ask for one at a time", names[0], name)
		}
		found = append(found, c)
	}
	return found, nil
}

func find(name string) (component, error) {
	i := slices.IndexFunc(components, func(c component) bool { return c.name == name })
	if i < 0 {
		return component{}, fmt.Errorf("unknown component %q (known: %s)", name, strings.Join(Names(), ", "))
	}
	return components[i], nil
}

func shelfOf(c component) []string {
	i := slices.IndexFunc(shelves, func(modules []string) bool { return slices.Contains(modules, c.module) })
	return shelves[i]
}

// kubernetesStamp sets what Kubernetes' own build sets. Without it the programs call themselves v0.0.0-master,
// which clients cannot parse. The source is a published archive, not a git tree: there is no commit to name.
func kubernetesStamp(version string, built time.Time) []string {
	major, rest, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ := strings.Cut(rest, ".")
	var flags []string
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags,
			"-X "+pkg+".gitVersion="+version,
			"-X "+pkg+".gitMajor="+major,
			"-X "+pkg+".gitMinor="+minor,
			"-X "+pkg+".gitCommit=",
			"-X "+pkg+".gitTreeState=archive",
			"-X "+pkg+".buildDate="+built.UTC().Format(time.RFC3339),
		)
	}
	return flags
}

func mailpitStamp(version string, _ time.Time) []string {
	return []string{"-X github.com/axllent/mailpit/config.Version=" + version}
}

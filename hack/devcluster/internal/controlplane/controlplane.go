// SPDX-License-Identifier: Apache-2.0

// Package controlplane runs etcd, kube-apiserver and kube-controller-manager for development, reachable from this
// machine only, with keys of its own, all in one directory.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/node"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/pki"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/process"
)

const (
	startTimeout = 2 * time.Minute // a busy machine needs many times the usual three seconds
	portAttempts = 5

	stopGrace       = 10 * time.Second
	supervisorGrace = 6 * stopGrace // it gives each of five processes theirs
)

var errTooSlow = fmt.Errorf("not ready after %s", startTimeout)

// What must be there before users can do anything in the default namespace.
var usable = []string{
	"/api/v1/namespaces/default/serviceaccounts/default",
	"/api/v1/namespaces/default/configmaps/kube-root-ca.crt",
}

// ControlPlane is a control plane whose processes are children of this one.
type ControlPlane struct {
	dir      string
	programs Programs
	state    State
	children []member
	node     *node.Node // nil without
	at       site
	failed   chan error
}

// member is a process that we have started: a program, or a node with all that runs on it.
type member struct {
	name string
	child
}

type child interface {
	Failure() error
	Tail() string
	End(grace time.Duration)
}

// Start starts a control plane in dir, which has been prepared, and returns when it is ready for use. If it fails,
// nothing is left running.
func Start(ctx context.Context, dir string, programs Programs) (*ControlPlane, error) {
	self, err := process.Identify(os.Getpid())
	if err != nil {
		return nil, err
	}
	c := &ControlPlane{
		dir:      dir,
		programs: programs,
		state:    State{Supervisor: self, Processes: map[string]process.ID{}},
		at:       here,
		failed:   make(chan error, 4+portAttempts), // room for every process there may be
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, errTooSlow)
	defer cancel()
	if err := c.start(ctx); err != nil {
		if errors.Is(err, errTooSlow) {
			last := c.children[len(c.children)-1]
			err = fmt.Errorf("%w; the end of the log of %s:\n%s", err, last.name, last.Tail())
		}
		c.Stop()
		return nil, err
	}
	return c, nil
}

// AwaitFailure returns, and records, why the control plane has failed, or nil when ctx ends before it does.
func (c *ControlPlane) AwaitFailure(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-c.failed:
			c.state.Ready, c.state.Failure = false, err.Error()
			return errors.Join(err, c.state.write(c.dir))
		case <-tick.C:
			// Without its directory, nobody could find it any more to end it.
			if s, err := ReadState(c.dir); s == nil && err == nil {
				return fmt.Errorf("%s has been removed", c.dir)
			}
		}
	}
}

// Stop ends what was started, the last first, and returns when it is gone.
func (c *ControlPlane) Stop() {
	for _, child := range slices.Backward(c.children) {
		child.End(stopGrace)
	}
	c.children = nil
	if c.node != nil {
		c.node.Close()
	}
}

func (c *ControlPlane) start(ctx context.Context) error {
	if err := c.openNode(); err != nil {
		return err
	}
	creds, err := issueCredentials(c.dir, c.at)
	if err != nil {
		return err
	}
	if err := c.launch("etcd", c.programs.Etcd, etcdArgs()); err != nil {
		return err
	}
	probe, err := c.startAPIServer(ctx, creds)
	if err != nil {
		return err
	}
	if err := c.writeKubeconfigs(creds); err != nil {
		return err
	}
	if err := c.launch("kube-controller-manager", c.programs.ControllerManager, controllerManagerArgs()); err != nil {
		return err
	}
	if err := c.startNode(); err != nil {
		return err
	}
	if err := probe.await(ctx, c.failed, usable...); err != nil {
		return err
	}
	if err := c.awaitNode(ctx, probe); err != nil {
		return err
	}
	c.state.Ready = true
	return c.state.write(c.dir)
}

// startAPIServer starts the API server on a free port. Another process may take the port before the server does;
// then it tries another one.
func (c *ControlPlane) startAPIServer(ctx context.Context, creds *credentials) (*prober, error) {
	for attempt := 1; ; attempt++ {
		at := c.at
		if at.port == 0 {
			var err error
			if at.port, err = freePort(); err != nil {
				return nil, err
			}
		}
		c.state.Server = fmt.Sprintf("https://%s:%d", at.host, at.port)
		probe, err := newProber(c.state.Server, creds)
		if err != nil {
			return nil, err
		}
		if err := c.launchAPIServer(at); err != nil {
			return nil, err
		}
		err = probe.await(ctx, c.failed, "/readyz")
		if err == nil {
			return probe, nil
		}
		if attempt == portAttempts || ctx.Err() != nil || !strings.Contains(err.Error(), "address already in use") {
			return nil, err
		}
		last := len(c.children) - 1
		c.children[last].End(stopGrace)
		c.children = c.children[:last]
	}
}

func (c *ControlPlane) writeKubeconfigs(creds *credentials) error {
	write := func(name, user string, identity pki.Pair) error {
		return writeKubeconfig(filepath.Join(c.dir, name), c.state.Server, creds.authority, user, identity)
	}
	err := errors.Join(
		write(Kubeconfig, "tocsin-dev-admin", creds.admin),
		write(controllersIdentity, "kube-controller-manager", creds.controllers),
	)
	if c.node != nil {
		err = errors.Join(err,
			write(schedulerIdentity, "kube-scheduler", creds.scheduler),
			write(kubeletIdentity, "kubelet", creds.kubelet),
		)
	}
	return err
}

func (c *ControlPlane) launchAPIServer(at site) error {
	program, args := c.programs.APIServer, apiServerArgs(at)
	if at.namespace != "" {
		program, args = "nsenter", append([]string{"--net=" + at.namespace, "--", program}, args...)
	}
	return c.launch("kube-apiserver", program, args)
}

func (c *ControlPlane) launch(name, program string, args []string) error {
	cmd := exec.Command(program, args...)
	cmd.Dir = c.dir
	child, err := process.Launch(name, cmd, filepath.Join(c.dir, Logs, name+".log"))
	if err != nil {
		return err
	}
	return c.keep(name, child.ID, child)
}

// keep has a process end with the others, and the others with it, and puts it on record.
func (c *ControlPlane) keep(name string, id process.ID, child child) error {
	c.children = append(c.children, member{name, child})
	go func() { c.failed <- child.Failure() }()
	c.state.Processes[name] = id
	return c.state.write(c.dir)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		return 0, fmt.Errorf("finding a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

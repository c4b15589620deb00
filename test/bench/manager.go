// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
)

const (
	// grace is how long the manager may take to end when asked to.
	grace     = 30 * time.Second
	tailLines = 10
	// leaseDuration is long enough for a machine that has other things to do: a manager that cannot renew it in time ends.
	leaseDuration = time.Minute
)

var errEnded = errors.New("the manager has ended by itself")

// manager is the real one, as a process, with the rights of config/manager and, but for the lease, its flags.
type manager struct {
	cmd     *exec.Cmd
	done    chan struct{}
	log     string
	metrics string
}

// startManager starts the manager and returns at once.
func (b *bench) startManager() error {
	port, err := freePort()
	if err != nil {
		return err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	m := &manager{
		done: make(chan struct{}), log: filepath.Join(b.cluster.dir, "manager.log"), metrics: "http://" + address + "/metrics",
		cmd: exec.Command(b.managerFile, "--metrics-bind-address="+address, "--health-probe-bind-address=0",
			"--leader-elect", "--leader-election-namespace="+operator, "--leader-election-lease="+leaseDuration.String()),
	}
	out, err := os.Create(m.log)
	if err != nil {
		return fmt.Errorf("creating the manager's log: %w", err)
	}
	defer out.Close()
	m.cmd.Stdout, m.cmd.Stderr = out, out
	m.cmd.Env = append(os.Environ(), "KUBECONFIG="+b.cluster.managerConfig, "POD_NAMESPACE="+operator)
	if err := m.cmd.Start(); err != nil {
		return fmt.Errorf("starting the manager: %w", err)
	}
	b.cluster.manager = m
	go func() {
		_ = m.cmd.Wait() // nothing that it can end with is of use here
		close(m.done)
	}()
	return nil
}

// endManager ends the manager that runs.
func (b *bench) endManager() {
	b.cluster.manager.end()
	b.cluster.manager = nil
}

// end asks the manager to end, forces it to after a while, and returns when it is gone.
func (m *manager) end() {
	_ = m.cmd.Process.Signal(syscall.SIGTERM) // it may be gone already
	select {
	case <-m.done:
		return
	case <-time.After(grace):
	}
	_ = m.cmd.Process.Kill()
	<-m.done
}

// alive fails when the manager has ended by itself.
func (m *manager) alive() error {
	select {
	case <-m.done:
	default:
		return nil
	}
	text, err := os.ReadFile(m.log)
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return errors.Join(fmt.Errorf("%w; the end of its log:\n%s", errEnded,
		bytes.Join(lines[max(0, len(lines)-tailLines):], []byte("\n"))), err)
}

// read reads the manager's metrics.
func (m *manager) read(ctx context.Context) (metrics, error) {
	if err := m.alive(); err != nil {
		return nil, err
	}
	return scrape(ctx, http.DefaultClient, m.metrics)
}

// evaluated returns once the manager has evaluated so many events since its start.
func (m *manager) evaluated(ctx context.Context, events int) error {
	return until(ctx, "the evaluation of the events", func(ctx context.Context) error {
		read, err := m.read(ctx)
		if err != nil {
			return err
		}
		if got := read.sum("tocsin_events_received_total"); got < float64(events) {
			return fmt.Errorf("%.0f of %d are evaluated", got, events)
		}
		return nil
	})
}

// memory is what the manager's process takes now and what it took at most, in bytes; zero where the system does not tell.
func (m *manager) memory() (now, most float64) {
	file := fmt.Sprintf("/proc/%d/status", m.cmd.Process.Pid)
	return kilobytes(firstMatch(file, `(?m)^VmRSS:\s*(\d+) kB$`)), kilobytes(firstMatch(file, `(?m)^VmHWM:\s*(\d+) kB$`))
}

func kilobytes(text string) float64 {
	kB, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0
	}
	return kB * 1024
}

// apiServer reads the API server's metrics.
func (c *cluster) apiServer(ctx context.Context) (metrics, error) {
	httpClient, err := rest.HTTPClientFor(c.config)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return scrape(ctx, httpClient, c.config.Host+"/metrics")
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	return listener.Addr().(*net.TCPAddr).Port, listener.Close()
}

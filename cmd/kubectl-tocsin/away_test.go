// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"errors"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// gate is a way to the API server that can be shut.
type gate struct {
	address, server string
	listener        net.Listener
	mu              sync.Mutex
	open            []net.Conn
}

func (g *gate) unlock(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", g.address)
	if err != nil {
		t.Fatal(err)
	}
	g.listener, g.address = listener, listener.Addr().String()
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", g.server)
			if err != nil {
				_ = in.Close()
				return
			}
			g.mu.Lock()
			g.open = append(g.open, in, out)
			g.mu.Unlock()
			go func() { _, _ = io.Copy(out, in) }()
			go func() { _, _ = io.Copy(in, out) }()
		}
	}()
}

func (g *gate) shut() {
	_ = g.listener.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.open {
		_ = c.Close()
	}
	g.open = nil
}

func TestAWatchGoesOnWhenTheAPIServerIsBack(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	k8s.Create(t, entry(ns, "first", "outbreak", v1alpha1.SeverityCritical, time.Hour))
	server, err := url.Parse(k8s.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{address: "127.0.0.1:0", server: server.Host}
	g.unlock(t)
	t.Cleanup(g.shut)
	config, err := os.ReadFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(config), server.Host, g.address)), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), program, "log", "-w", "-n", ns, "--kubeconfig", file, "-o", "custom-columns=NAME:.metadata.name")
	var out output
	command.Stdout, command.Stderr = &out, &out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	out.await(t, "first\n")
	g.shut()
	out.await(t, "The API server does not answer, --watch goes on when it does: The connection to the server "+g.address+" was refused")
	k8s.Create(t, entry(ns, "second", "outbreak", v1alpha1.SeverityCritical, 0))
	g.unlock(t)
	out.await(t, "The API server answers again.\n")
	out.await(t, "second\n")
	k8s.Create(t, entry(ns, "third", "outbreak", v1alpha1.SeverityCritical, 0))
	out.await(t, "third\n")
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := command.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("ended with %v", err)
	}
	got := out.buffer.String()
	for _, once := range []string{"first\n", "second\n", "third\n", "does not answer", "answers again"} {
		if strings.Count(got, once) != 1 {
			t.Errorf("%q is not told once in\n%s", once, got)
		}
	}
}

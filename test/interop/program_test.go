// SPDX-License-Identifier: Apache-2.0

//go:build interop

package interop_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

// patience is how long a server may take for what it does in an instant on a machine that has nothing else to do.
const patience = 30 * time.Second

// program is a server that the test started.
type program struct {
	name string
	// log is the file that it writes.
	log  string
	cmd  *exec.Cmd
	done chan struct{}
	// guard ends the program when we are gone.
	guard *exec.Cmd
}

// start runs a program in a session of its own, as the master of Postfix wants it, with what it says in the log.
func start(name, log, path string, args ...string) (*program, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &program{name: name, log: log, cmd: exec.Command(path, args...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = filepath.Dir(log), []string{"PATH=" + os.Getenv("PATH")}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	if err := p.watch(); err != nil {
		p.stop()
		return nil, fmt.Errorf("watching over %s: %w", name, err)
	}
	return p, nil
}

// watch has the program ended also where a test hangs or is killed. What it reads from never says anything, but ends with
// us. (The kernel would do the same, but not for a program that changes its user as Postfix does.)
func (p *program) watch() error {
	guard := exec.Command("sh", "-c", `read _; kill "$0"`, strconv.Itoa(p.cmd.Process.Pid))
	guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if _, err := guard.StdinPipe(); err != nil {
		return err
	}
	if err := guard.Start(); err != nil {
		return err
	}
	p.guard = guard
	return nil
}

// stop asks the program to end, and makes it if it does not.
func (p *program) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(patience):
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	<-p.done
	if p.guard != nil {
		_ = p.guard.Process.Kill()
		_ = p.guard.Wait()
	}
}

// await returns when the program takes connections on all of these ports.
func (p *program) await(ports ...int) error {
	deadline := time.Now().Add(patience)
	for _, port := range ports {
		for {
			conn, err := net.DialTimeout("tcp", address(port), time.Second)
			if err == nil {
				_ = conn.Close()
				break
			}
			select {
			case <-p.done:
				return fmt.Errorf("%s ended: %s\n%s", p.name, p.cmd.ProcessState, p.tail())
			case <-time.After(20 * time.Millisecond):
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s does not listen: %w\n%s", p.name, err, p.tail())
			}
		}
	}
	return nil
}

// tail is the end of the log.
func (p *program) tail() string {
	log, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(log[max(0, len(log)-20_000):])
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// freePorts finds ports on loopback that nobody listens on.
func freePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// command runs a program to its end, and returns what it said.
func command(dir, stdin, path string, args ...string) (string, error) {
	cmd := exec.Command(path, args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewBufferString(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", path, err, out)
	}
	return string(out), nil
}

// write makes files in a folder that all users of the servers may read.
func write(dir string, files map[string]string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// identity is the names that the servers' certificates are for.
var identity = []string{mailHost, "localhost", "127.0.0.1"}

// writeCertificate makes files with a key and its certificates: server.key, server.crt and, of both in one, server.pem. The
// authority's is in ca.crt.
func writeCertificate(dir string, ca *fakesmtp.CA, certificate tls.Certificate) error {
	der, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		return err
	}
	key := encode("PRIVATE KEY", der)
	var chain string
	for _, certificate := range certificate.Certificate {
		chain += encode("CERTIFICATE", certificate)
	}
	return write(dir, map[string]string{
		"server.key": key, "server.crt": chain, "server.pem": key + chain, "ca.crt": encode("CERTIFICATE", ca.Certificate().Raw),
	})
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

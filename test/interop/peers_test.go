// SPDX-License-Identifier: Apache-2.0

//go:build interop

// Package interop_test sends mail to the mail servers that people run: Postfix, Dovecot and Mailpit, and finds them by
// unbound; OpenDKIM checks what it signs. It starts each of them on loopback, with its own configuration and files in a temporary directory.
package interop_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

const (
	// mailHost is the name of the servers, and mailDomain the domain that they take mail for by MX.
	mailHost   = "mx." + mailDomain
	mailDomain = "interop.example"
	// The login that all servers know.
	username = "tocsin@" + mailDomain
	password = "correct-horse,battery=staple"
)

// peers are the servers, which all tests share.
var peers struct {
	dir         string
	ca          *fakesmtp.CA
	certificate tls.Certificate
	policy      *policy
	tokens      *tokens
	postfix     *postfix
	dovecot     *dovecot
	mailpit     *mailpit
	unbound     *unbound
	opendkim    *opendkim
	// relay is the port of the Postfix that takes what was submitted to Dovecot.
	relay int
}

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "tocsin-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	programs, err := startPeers(dir)
	defer func() {
		for _, p := range programs {
			p.stop()
		}
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if code != 0 {
		for _, p := range programs {
			fmt.Fprintf(os.Stderr, "--- the end of what %s wrote:\n%s\n", p.name, p.tail())
		}
	}
	return code
}

// startPeers returns those that it started, also where it fails at another.
func startPeers(dir string) (started []*program, err error) {
	if err := findPrograms(); err != nil {
		return nil, err
	}
	// The servers' own users must get in.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, err
	}
	peers.dir, peers.ca = dir, fakesmtp.NewCA("Interop CA")
	peers.certificate = peers.ca.Issue(fakesmtp.Always, identity...)
	if err := writeCertificate(filepath.Join(dir, "tls"), peers.ca, peers.certificate); err != nil {
		return nil, err
	}
	for _, begin := range []func() ([]*program, error){
		startPolicy, startTokens, makeKeys, startDovecot, startPostfix, startMailpit, startUnbound, startOpenDKIM,
	} {
		programs, err := begin()
		started = append(started, programs...)
		if err != nil {
			return started, err
		}
	}
	return started, nil
}

// findPrograms fails where something is missing: a test that is skipped proves nothing.
func findPrograms() error {
	var problems []error
	if os.Geteuid() != 0 {
		problems = append(problems, errors.New("Postfix and Dovecot give up root's rights themselves and insist on having them: run this as root"))
	}
	for _, program := range []string{
		"postfix", "postconf", "saslpasswd2", "dovecot", "unbound", "dnssec-keygen", "dnssec-signzone", "opendkim", "mailpit",
	} {
		if _, err := exec.LookPath(program); err != nil {
			problems = append(problems, fmt.Errorf("%w; `make test-interop` installs Debian's packages and builds mailpit", err))
		}
	}
	for _, file := range []string{saslModules + "/libntlm.so", saslModules + "/libscram.so", dovecotPrograms + "/submission", dovecotPrograms + "/lmtp"} {
		if found, _ := filepath.Glob(file); len(found) == 0 {
			problems = append(problems, fmt.Errorf("%s is missing; `make test-interop` installs it", file))
		}
	}
	return errors.Join(problems...)
}

const (
	saslModules     = "/usr/lib/*/sasl2"
	dovecotPrograms = "/usr/lib/dovecot"
)

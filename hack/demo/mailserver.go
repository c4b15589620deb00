// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// login is what story/01-channel.yaml logs in with.
	login = "tocsin:only-for-the-demo"
	// portInManifest is what stands there in place of our port, so that it is a valid manifest as it is.
	portInManifest = "port: 1025"
)

// mailServer is Mailpit, which keeps what it takes in an inbox.
type mailServer struct {
	process  *process
	smtpPort int
	httpPort int
}

// startMailServer starts Mailpit and returns once it takes mail. It wants STARTTLS, with a certificate that nobody has
// signed, and a login.
func startMailServer(ctx context.Context, dir string, fail context.CancelCauseFunc) (*mailServer, error) {
	s := &mailServer{}
	var err error
	if s.smtpPort, err = freePort(); err != nil {
		return nil, err
	}
	if s.httpPort, err = freePort(); err != nil {
		return nil, err
	}
	logins, certificate, key := filepath.Join(dir, "logins"), filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	if err := os.WriteFile(logins, []byte(login+"\n"), 0o600); err != nil {
		return nil, fmt.Errorf("writing the mail server's logins: %w", err)
	}
	if err := writeCertificate(certificate, key); err != nil {
		return nil, fmt.Errorf("making the mail server's certificate: %w", err)
	}
	withoutSettings("MP_")
	s.process, err = start("the mail server", filepath.Join(dir, "mailpit.log"), fail, "mailpit",
		"--smtp", fmt.Sprintf("127.0.0.1:%d", s.smtpPort), "--listen", fmt.Sprintf("127.0.0.1:%d", s.httpPort),
		"--smtp-tls-cert", certificate, "--smtp-tls-key", key, "--smtp-require-starttls", "--smtp-auth-file", logins,
		"--database", filepath.Join(dir, "mail.db"), "--disable-version-check", "--smtp-disable-rdns")
	if err != nil {
		return nil, err
	}
	return s, until(ctx, "the mail server", s.ready)
}

func (s *mailServer) url() string { return fmt.Sprintf("http://127.0.0.1:%d", s.httpPort) }

func (s *mailServer) ready(ctx context.Context) error {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", s.smtpPort))
	if err != nil {
		return err
	}
	defer connection.Close()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url()+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status)
	}
	return nil
}

// withoutSettings removes settings for a program from the environment.
func withoutSettings(prefix string) {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, prefix) {
			_ = os.Unsetenv(name) // it was there, so its name is a good one
		}
	}
}

func writeCertificate(certificate, key string) error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "localhost"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(7 * 24 * time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return err
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}), 0o600),
		os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), 0o600),
	)
}

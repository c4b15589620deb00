// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tocsin-dev/tocsin/internal/archive/serve"
)

// setupKeeping has the manager archive notifications, and delete what was kept for long enough.
func setupKeeping(mgr ctrl.Manager, evaluator *Evaluator, options Options) error {
	archiver, err := setupArchive(mgr, options)
	if err != nil {
		return err
	}
	deletions, err := NewRetention(mgr, evaluator, archiver, options)
	if err != nil {
		return err
	}
	if err := mgr.Add(deletions); err != nil {
		return fmt.Errorf("adding the retention: %w", err)
	}
	return nil
}

// setupArchive has the manager archive notifications and serve what is archived; nil without an archive.
func setupArchive(mgr ctrl.Manager, options Options) (*Archiver, error) {
	if options.Archive == nil {
		return nil, nil
	}
	archiver := NewArchiver(mgr, options)
	if err := mgr.Add(archiver); err != nil {
		return nil, fmt.Errorf("adding the archiver: %w", err)
	}
	if options.ArchiveAddress == "" {
		return archiver, nil
	}
	access, err := newArchiveAccess(mgr)
	if err != nil {
		return nil, err
	}
	handler := serve.New(options.Archive, access, options.Clock.Now)
	if err := mgr.Add(&archiveServer{options.ArchiveAddress, handler, options.Clock.Now}); err != nil {
		return nil, fmt.Errorf("adding the archive's server: %w", err)
	}
	return archiver, nil
}

// archiveServer serves the archive over TLS, on each replica.
type archiveServer struct {
	address string
	handler http.Handler
	now     func() time.Time
}

// NeedLeaderElection makes it run on all replicas.
func (*archiveServer) NeedLeaderElection() bool { return false }

// Start serves until the context ends.
func (s *archiveServer) Start(ctx context.Context) error {
	certificate, err := selfSigned(s.now())
	if err != nil {
		return fmt.Errorf("making a certificate for the archive's server: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.address)
	if err != nil {
		return fmt.Errorf("serving the archive: %w", err)
	}
	server := &http.Server{
		Handler: s.handler, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}},
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: time.Minute, IdleTimeout: time.Minute,
		MaxHeaderBytes: 1 << 20,
	}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	if err := server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving the archive: %w", err)
	}
	return nil
}

// selfSigned makes a certificate that lasts as long as the process. Whoever comes through the API server does not see it,
// and the API server does not check those of Services.
func selfSigned(now time.Time) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), DNSNames: []string{"tocsin-archive"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

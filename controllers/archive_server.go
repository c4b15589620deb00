// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	access, err := newArchiveAccess(mgr, options.Clock.Now)
	if err != nil {
		return nil, err
	}
	log := mgr.GetLogger().WithName("archive-server")
	troubles := &readersTrouble{log: log, now: options.Clock.Now, last: map[metav1.StatusReason]time.Time{}}
	handler := serve.New(options.Archive, access, options.Clock.Now, troubles.observe)
	if err := mgr.Add(&archiveServer{options.ArchiveAddress, handler, options.Clock.Now, log}); err != nil {
		return nil, fmt.Errorf("adding the archive's server: %w", err)
	}
	return archiver, nil
}

// archiveServer serves the archive over TLS, on each replica.
type archiveServer struct {
	address string
	handler http.Handler
	now     func() time.Time
	log     logr.Logger
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
	// anybody who reaches the port can cause what is logged there
	trouble := slog.NewLogLogger(logr.ToSlogHandler(s.log), slog.LevelDebug)
	return serve.Serve(ctx, listener, certificate, s.handler, trouble)
}

// readersTrouble counts how requests ended, and logs what went wrong: of each kind one line a second at most.
type readersTrouble struct {
	log logr.Logger
	now func() time.Time

	mu   sync.Mutex
	last map[metav1.StatusReason]time.Time
}

func (t *readersTrouble) observe(outcome metav1.StatusReason, err error) {
	archiveQuestions.WithLabelValues(string(outcome)).Inc()
	switch outcome {
	case serve.Answered, serve.Gone, metav1.StatusReasonNotFound, metav1.StatusReasonBadRequest: // the reader's own, and he was told
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if since := t.now().Sub(t.last[outcome]); since >= 0 && since < time.Second {
		return
	}
	t.last[outcome] = t.now()
	const what = "A question to the archive was not answered"
	switch outcome {
	case metav1.StatusReasonServiceUnavailable, metav1.StatusReasonTimeout:
		t.log.Error(err, what, "outcome", outcome)
	default:
		t.log.Info(what, "outcome", outcome, "why", err.Error())
	}
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

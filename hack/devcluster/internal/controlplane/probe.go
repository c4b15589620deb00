// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	probeInterval = 50 * time.Millisecond
	probeTimeout  = 2 * time.Second
)

var errSilent = errors.New("none")

// prober asks the API server, as the administrator, whether something is there.
type prober struct {
	client *http.Client
	server string
}

func newProber(server string, c *credentials) (*prober, error) {
	identity, err := tls.X509KeyPair(c.admin.Cert, c.admin.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the administrator's certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.authority)
	transport := &http.Transport{TLSClientConfig: &tls.Config{
		RootCAs: roots, Certificates: []tls.Certificate{identity}, MinVersion: tls.VersionTLS13,
	}}
	return &prober{server: server, client: &http.Client{Transport: transport, Timeout: probeTimeout}}, nil
}

// await returns when the API server has answered each path with OK, or with the first failure.
func (p *prober) await(ctx context.Context, failed <-chan error, paths ...string) error {
	for _, path := range paths {
		err := p.until(ctx, failed, path, func() error {
			_, err := p.get(ctx, path)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// until asks again and again until the answer is no error.
func (p *prober) until(ctx context.Context, failed <-chan error, what string, ask func() error) error {
	tick := time.NewTicker(probeInterval)
	defer tick.Stop()
	last := errSilent
	for {
		err := ask()
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-tick.C:
		case err := <-failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w (last answer: %w)", what, context.Cause(ctx), last)
		}
	}
}

func (p *prober) get(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.server+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, errors.New(res.Status)
	}
	return io.ReadAll(res.Body)
}

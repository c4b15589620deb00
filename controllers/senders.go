// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/mx"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/tlsconfig"
)

// implicitPort is where TLS begins with the connection, unless the channel says otherwise (RFC 8314, 3.3).
const implicitPort = 465

// Senders makes the sender of a channel as the channel and its Secrets are at that moment.
type Senders struct {
	credentials Credentials
	// helloName is what to say hello to mail servers as. Empty: the host's name.
	helloName string
	// pool of connections, and resolvers with what they remember, are shared by all channels.
	pool      *smtp.Pool
	resolvers *resolvers
}

// NewSenders makes Senders that read Secrets from where nothing is cached.
func NewSenders(live client.Reader, helloName string) Senders {
	return Senders{
		credentials: Credentials{Reader: live}, helloName: helloName,
		pool: &smtp.Pool{}, resolvers: newResolvers(),
	}
}

// Start waits for the end, and says goodbye to the servers then.
func (s Senders) Start(ctx context.Context) error {
	<-ctx.Done()
	s.pool.Close()
	return nil
}

func (s Senders) send(ctx context.Context, channel *v1alpha1.NotificationChannel, m notify.Message) notify.Result {
	sender, err := s.of(ctx, channel)
	if err != nil {
		return notConfigured(err)
	}
	if channel.Spec.SMS != nil {
		return throughGateway(ctx, sender, channel.Spec.SMS, m)
	}
	return sender.Send(ctx, m)
}

func notConfigured(err error) notify.Result {
	return notify.Result{
		Reason: notify.ReasonNotConfigured, Temporary: true, Message: notify.Bound(err.Error(), notify.MaxMessage),
	}
}

func (s Senders) of(ctx context.Context, channel *v1alpha1.NotificationChannel) (notify.Sender, error) {
	if channel.Spec.Transport() == nil {
		return nil, fmt.Errorf("channels of type %s send no mail", channel.Spec.Type)
	}
	secrets, err := s.credentials.Read(ctx, channel)
	if err != nil {
		return nil, err
	}
	return s.with(channel, secrets)
}

// with makes the sender of an e-mail or SMS channel. It asks no server.
func (s Senders) with(channel *v1alpha1.NotificationChannel, secrets Secrets) (notify.Sender, error) {
	transport := channel.Spec.Transport()
	config := smtp.Config{
		HelloName: s.helloName,
		TLS:       tlsOf(transport, secrets),
		Login:     secrets.Login,
		Pool:      s.pool,
		Key:       fmt.Sprintf("%s@%s", channel.UID, revision(channel, secrets.Version)),
	}
	for _, server := range transport.Servers {
		config.Servers = append(config.Servers, string(server))
	}
	config.Port = portOf(transport)
	config.Timeout = timeoutOf(transport)
	if transport.MXLookup {
		resolver, err := s.resolvers.of(transport.DNS, config.Timeout)
		if err != nil {
			return nil, fmt.Errorf("dns: %w", err)
		}
		config.MX = resolver
	}
	if email := channel.Spec.Email; email != nil && email.DKIM != nil && secrets.DKIMKey != nil {
		config.DKIM = &smtp.DKIM{Domain: email.DKIM.Domain, Selector: email.DKIM.Selector, Key: secrets.DKIMKey}
	}
	return smtp.New(config)
}

// defaultPort is where mail servers listen (RFC 5321, 4.5.4.2).
const defaultPort = 25

func portOf(t *v1alpha1.MailTransport) int {
	if t.Port == nil {
		return defaultPort
	}
	return int(*t.Port)
}

// timeoutOf a step; 0 where the channel does not say.
func timeoutOf(t *v1alpha1.MailTransport) time.Duration {
	timeout, err := t.Timeout.Duration()
	if err != nil {
		return 0
	}
	return timeout
}

func tlsOf(t *v1alpha1.MailTransport, secrets Secrets) smtp.TLS {
	result := smtp.TLS{
		Implicit: t.Port != nil && *t.Port == implicitPort,
		Roots:    secrets.Roots, Certificate: secrets.Certificate,
	}
	if settings := t.TLS; settings != nil {
		result.Mode, result.MinVersion = settings.Mode, tlsconfig.MinVersion(settings.MinVersion)
		if settings.Implicit != nil {
			result.Implicit = *settings.Implicit
		}
		result.Implicit = result.Implicit && settings.Mode != v1alpha1.TLSNone
	}
	return result
}

// revision of a channel: it changes with the spec and with the Secrets it names.
func revision(channel *v1alpha1.NotificationChannel, secrets string) string {
	if secrets == "" {
		return fmt.Sprint(channel.Generation)
	}
	return fmt.Sprintf("%d-%s", channel.Generation, secrets)
}

// known is the version of the Secrets as far as it is known: that of the last revision where not all could be read now. Who
// waits for a revision to change waits for what somebody did.
func (s Secrets) known(last string) string {
	if _, version, ok := strings.Cut(last, "-"); ok && s.Unread {
		return version
	}
	return s.Version
}

// maxResolvers is how many resolvers are remembered. With one more all are forgotten, which costs some questions anew.
const maxResolvers = 64

// resolvers keeps one resolver for all channels with the same settings, as it remembers the answers.
type resolvers struct {
	mu    sync.Mutex
	known map[string]*mx.Resolver
}

func newResolvers() *resolvers { return &resolvers{known: map[string]*mx.Resolver{}} }

func (r *resolvers) of(settings *v1alpha1.DNSSettings, timeout time.Duration) (*mx.Resolver, error) {
	options := mx.Options{Timeout: timeout}
	if settings != nil {
		options.Resolvers, options.RequireDNSSEC = settings.Resolvers, settings.DNSSEC == v1alpha1.DNSSECRequire
	}
	key := fmt.Sprintf("%s %t %s", strings.Join(options.Resolvers, " "), options.RequireDNSSEC, timeout)
	r.mu.Lock()
	defer r.mu.Unlock()
	if known := r.known[key]; known != nil {
		return known, nil
	}
	resolver, err := mx.New(options)
	if err != nil {
		return nil, err
	}
	if len(r.known) >= maxResolvers {
		clear(r.known)
	}
	r.known[key] = resolver
	return resolver, nil
}

// DefaultGrace is how long an attempt that is under way may go on after the manager was told to stop.
const DefaultGrace = 20 * time.Second

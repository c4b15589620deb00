// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
)

// Senders makes the sender of a channel as the channel and its Secret are at that moment.
type Senders struct {
	Credentials Credentials
	// HelloName is what to say hello to mail servers as. Empty: the host's name.
	HelloName string
}

func (s Senders) send(ctx context.Context, channel *v1alpha1.NotificationChannel, m notify.Message) notify.Result {
	sender, err := s.of(ctx, channel)
	if err != nil {
		return notify.Result{
			Reason: notify.ReasonNotConfigured, Temporary: true, Message: notify.Bound(err.Error(), notify.MaxMessage),
		}
	}
	return sender.Send(ctx, m)
}

func (s Senders) of(ctx context.Context, channel *v1alpha1.NotificationChannel) (notify.Sender, error) {
	email := channel.Spec.Email
	if email == nil {
		return nil, fmt.Errorf("channels of type %s cannot send yet", channel.Spec.Type)
	}
	config := s.config(email)
	if email.Auth != nil {
		login, err := s.Credentials.Read(ctx, channel.Namespace, email.Auth)
		if err != nil {
			return nil, err
		}
		config.Login = &smtp.Login{
			Username: login.Username, Password: login.Password, AllowUnencrypted: email.Auth.AllowUnencrypted,
		}
	}
	return smtp.New(config)
}

// check says what is wrong with a channel's settings, Secrets aside. It asks no server.
func (s Senders) check(channel *v1alpha1.NotificationChannel) error {
	if channel.Spec.Email == nil {
		return nil
	}
	_, err := smtp.New(s.config(channel.Spec.Email))
	return err
}

func (s Senders) config(email *v1alpha1.EmailChannel) smtp.Config {
	config := smtp.Config{HelloName: s.HelloName}
	for _, server := range email.Servers {
		config.Servers = append(config.Servers, string(server))
	}
	if email.Port != nil {
		config.Port = int(*email.Port)
	}
	if email.TLS != nil {
		config.TLS = email.TLS.Mode
	}
	if timeout, err := email.Timeout.Duration(); err == nil {
		config.Timeout = timeout
	}
	return config
}

// DefaultGrace is how long an attempt that is under way may go on after the manager was told to stop.
const DefaultGrace = 20 * time.Second

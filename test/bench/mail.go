// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/mail"
	"sync"
	"time"

	"github.com/emersion/go-smtp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// mailServer takes every mail at once, and knows when.
type mailServer struct {
	server *smtp.Server
	port   int

	mu sync.Mutex
	// accepted are the times of acceptance, by subject.
	accepted map[string]time.Time
}

func startMailServer() (*mailServer, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a mail server: %w", err)
	}
	m := &mailServer{port: listener.Addr().(*net.TCPAddr).Port, accepted: map[string]time.Time{}}
	m.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return session{m}, nil }))
	m.server.Domain = "localhost"
	m.server.ErrorLog = log.New(io.Discard, "", 0)
	go func() { _ = m.server.Serve(listener) }()
	return m, nil
}

func (m *mailServer) end() { _ = m.server.Close() }

// channel tells through the mail server. A mail's subject is the computer.
func (m *mailServer) channel() *v1alpha1.NotificationChannel {
	return &v1alpha1.NotificationChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mail"},
		Spec: v1alpha1.NotificationChannelSpec{
			Type: v1alpha1.ChannelEmail, Default: true, Retry: &v1alpha1.RetryPolicy{Interval: "1s"},
			Email: &v1alpha1.EmailChannel{
				MailTransport: v1alpha1.MailTransport{
					Servers: []v1alpha1.MailServer{"127.0.0.1"}, Port: ptr.To(int32(m.port)),
				},
				Recipients: []v1alpha1.MailAddress{"soc@example.com"}, Sender: "tocsin@example.com", Subject: "%COMPUTER%",
			},
		},
	}
}

// take returns what was accepted since the last call.
func (m *mailServer) take() map[string]time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.accepted
	m.accepted = map[string]time.Time{}
	return taken
}

// session is one connection.
type session struct{ server *mailServer }

func (session) Reset()                               {}
func (session) Logout() error                        { return nil }
func (session) Mail(string, *smtp.MailOptions) error { return nil }
func (session) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (s session) Data(r io.Reader) error {
	letter, err := mail.ReadMessage(r)
	if err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, letter.Body); err != nil {
		return err
	}
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	if subject := letter.Header.Get("Subject"); s.server.accepted[subject].IsZero() {
		s.server.accepted[subject] = time.Now()
	}
	return nil
}

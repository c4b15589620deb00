// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/mail"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/controllers"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
	"github.com/tocsin-dev/tocsin/internal/testkit/conform"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

var k8s *cluster.Cluster

// TestMain runs all tests against one API server and one manager; each test has a namespace of its own.
func TestMain(m *testing.M) {
	os.Exit(cluster.Main(m, func(c *cluster.Cluster) (func(), error) {
		k8s = c
		ctrl.SetLogger(zap.New(zap.UseDevMode(true), zap.WriteTo(overheard.writer(os.Stderr))))
		mgr, err := ctrl.NewManager(c.Config, ctrl.Options{
			Scheme: cluster.Scheme(), Metrics: server.Options{BindAddress: "0"},
		})
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		if err := controllers.Setup(ctx, mgr, controllers.Options{}); err != nil {
			cancel()
			return nil, err
		}
		stopped := make(chan error, 1)
		go func() { stopped <- mgr.Start(ctx) }()
		return func() {
			cancel()
			if err := errors.Join(<-stopped, stopQuiet()); err != nil {
				fmt.Fprintln(os.Stderr, "stopping:", err)
			}
		}, nil
	}))
}

func mailChannel(namespace, name string, port int) *v1alpha1.NotificationChannel {
	p := int32(port)
	return &v1alpha1.NotificationChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.NotificationChannelSpec{
			Type:  v1alpha1.ChannelEmail,
			Retry: &v1alpha1.RetryPolicy{Interval: "1s"},
			Email: &v1alpha1.EmailChannel{
				MailTransport: v1alpha1.MailTransport{Servers: []v1alpha1.MailServer{"127.0.0.1"}, Port: &p, Timeout: "5s"},
				Recipients:    []v1alpha1.MailAddress{"soc@example.com"},
				Sender:        "Tocsin <tocsin@example.com>",
			},
		},
	}
}

func condition(namespace, name string, kind v1alpha1.ConditionType, channels ...string) *v1alpha1.NotificationCondition {
	c := &v1alpha1.NotificationCondition{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.NotificationConditionSpec{Type: kind},
	}
	for _, channel := range channels {
		c.Spec.Actions = append(c.Spec.Actions, v1alpha1.Action{ChannelRef: v1alpha1.ChannelReference{Name: channel}})
	}
	return c
}

func detection(namespace, computer, risk string) *v1alpha1.SecurityEvent {
	return &v1alpha1.SecurityEvent{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, GenerateName: "detection-"},
		Spec: v1alpha1.SecurityEventSpec{
			Type: "RiskDetected", Severity: v1alpha1.SeverityCritical, Title: "Malicious object detected",
			Computer: &v1alpha1.Computer{Name: computer, IP: "10.0.0.42"},
			Risk:     &v1alpha1.Risk{Name: risk, Action: "Quarantined"},
		},
	}
}

// ready creates channels and conditions and waits until they are in force.
func ready(t *testing.T, objects ...any) {
	t.Helper()
	for _, o := range objects {
		switch o := o.(type) {
		case *v1alpha1.NotificationChannel:
			k8s.Create(t, o)
			awaitChannel(t, o, v1alpha1.ReasonReady)
		case *v1alpha1.NotificationCondition:
			k8s.Create(t, o)
			awaitCondition(t, o, v1alpha1.ReasonReady)
		case *corev1.Secret:
			k8s.Create(t, o)
		default:
			t.Fatalf("ready: %T", o)
		}
	}
}

func awaitChannel(t *testing.T, c *v1alpha1.NotificationChannel, reason string) {
	t.Helper()
	k8s.Until(t, c, func() error {
		if c.Status.ObservedGeneration != c.Generation {
			return errors.New("not observed yet")
		}
		return reasonIs(c.Status.Conditions, v1alpha1.ReadyCondition, reason)
	})
	check(t, conform.Subject{Generation: c.Generation, ObservedGeneration: c.Status.ObservedGeneration,
		Conditions: c.Status.Conditions, Verdict: v1alpha1.ReadyCondition})
}

func awaitCondition(t *testing.T, c *v1alpha1.NotificationCondition, reason string) {
	t.Helper()
	awaitConditionIn(t, k8s, c, reason)
}

func awaitConditionIn(t *testing.T, k8s *cluster.Cluster, c *v1alpha1.NotificationCondition, reason string) {
	t.Helper()
	k8s.Until(t, c, func() error {
		if c.Status.ObservedGeneration != c.Generation {
			return errors.New("not observed yet")
		}
		return reasonIs(c.Status.Conditions, v1alpha1.ReadyCondition, reason)
	})
	check(t, conform.Subject{Generation: c.Generation, ObservedGeneration: c.Status.ObservedGeneration,
		Conditions: c.Status.Conditions, Verdict: v1alpha1.ReadyCondition})
}

// awaitNotifications waits until the namespace has that many notifications, all in that state.
func awaitNotifications(t *testing.T, namespace string, n int, reason string) []v1alpha1.Notification {
	t.Helper()
	return awaitNotificationsIn(t, k8s, namespace, n, reason)
}

func awaitNotificationsIn(t *testing.T, k8s *cluster.Cluster, namespace string, n int, reason string) []v1alpha1.Notification {
	t.Helper()
	var list []v1alpha1.Notification
	cluster.Eventually(t, "notifications of "+namespace, func(context.Context) error {
		list = k8s.Notifications(t, namespace)
		if len(list) != n {
			return fmt.Errorf("there are %d, want %d", len(list), n)
		}
		for i := range list {
			if err := reasonIs(list[i].Status.Conditions, v1alpha1.SucceededCondition, reason); err != nil {
				return err
			}
		}
		return nil
	})
	for i := range list {
		s := &list[i].Status
		check(t, conform.Subject{Generation: list[i].Generation, ObservedGeneration: s.ObservedGeneration,
			Conditions: s.Conditions, Verdict: v1alpha1.SucceededCondition})
	}
	return list
}

func check(t *testing.T, s conform.Subject) {
	t.Helper()
	for _, err := range conform.Check(s) {
		t.Error("status conformance:", err)
	}
}

func reasonIs(conditions []metav1.Condition, kind, want string) error {
	if got := status.Reason(conditions, kind); got != want {
		return fmt.Errorf("%s has reason %q (%s), want %q", kind, got, status.Message(conditions, kind), want)
	}
	return nil
}

func awaitMails(t *testing.T, s *fakesmtp.Server, n int) []fakesmtp.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), cluster.Patience)
	defer cancel()
	mails, err := s.WaitFor(ctx, n)
	if err != nil {
		t.Fatalf("waiting for %d mails, have %d: %v", n, len(s.Messages()), err)
	}
	return mails
}

func headerOf(t *testing.T, m fakesmtp.Message, name string) string {
	t.Helper()
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Data))
	if err != nil {
		t.Fatalf("reading the mail: %v", err)
	}
	return parsed.Header.Get(name)
}

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}

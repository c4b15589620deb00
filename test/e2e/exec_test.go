// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// hostile is the name of a computer that a shell, and Kubernetes, would love to interpret.
const hostile = "ws-0042; $(COMPUTER) `id` \"$HOME\" %COMPUTER%"

// programs are what channels run, and what becomes of it.
var programs = []struct {
	name, image string
	command     []string
	timeout     v1alpha1.Duration
	succeeds    bool
	exitCode    int32
	reason      string
	output      string
}{
	{name: "script", command: []string{"/program/notify.sh"}, succeeds: true, reason: "Completed", output: hostile},
	{name: "fails", command: []string{"/bin/sh", "-c", "echo no such luck; exit 1"}, exitCode: 1, reason: "BackoffLimitExceeded",
		output: "no such luck"},
	{name: "gives-up", command: []string{"/bin/sh", "-c", "exit 64"}, exitCode: 64, reason: "PodFailurePolicy"},
	{name: "floods", command: []string{"/program/flood.sh"}, succeeds: true, reason: "Completed", output: "done"},
	{name: "sleeps", command: []string{"/bin/sleep", "100000"}, timeout: "5s", reason: "DeadlineExceeded"},
	{name: "no-image", image: "tocsin-e2e-nothing:dev", timeout: "5s", reason: "DeadlineExceeded"},
}

func programsRun(t *testing.T, s *site) {
	for _, p := range programs {
		channel := &v1alpha1.NotificationChannel{ObjectMeta: s.named(p.name)}
		channel.Spec.Type = v1alpha1.ChannelExec
		channel.Spec.Exec = &v1alpha1.ExecChannel{Timeout: p.timeout, Template: template(t, p.image, p.command)}
		k8s.Create(t, channel)
		k8s.Until(t, channel, func() error { return isReady(channel.Status.Conditions) })
		condition := each
		condition.Actions = []v1alpha1.Action{{ChannelRef: v1alpha1.ChannelReference{Name: p.name}}}
		s.watch(t, p.name, condition)
	}
	s.report(t, hostile)
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) {
			d := s.awaitFinished(t, p.name)
			last := d.Attempts[len(d.Attempts)-1]
			if (d.State == v1alpha1.DeliveryDelivered) != p.succeeds || last.Reason != p.reason {
				t.Errorf("it is %s, %s: %s; want %s", d.State, last.Reason, last.Message, p.reason)
			}
			if p.exitCode != 0 && (last.ExitCode == nil || *last.ExitCode != p.exitCode) {
				t.Errorf("the exit code is %v, want %d", last.ExitCode, p.exitCode)
			}
			if !strings.HasSuffix(strings.TrimSpace(last.Output), p.output) {
				t.Errorf("it wrote %q, want %q at the end", last.Output, p.output)
			}
		})
	}
}

func template(t *testing.T, image string, command []string) runtime.RawExtension {
	t.Helper()
	if image == "" {
		image = imageOfProgram
	}
	raw, err := json.Marshal(corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "notifier"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "program", Image: image, ImagePullPolicy: corev1.PullIfNotPresent, Command: command,
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return runtime.RawExtension{Raw: raw}
}

// awaitFinished waits until the one notification of a condition has succeeded or failed, and returns its delivery.
func (s *site) awaitFinished(t *testing.T, condition string) v1alpha1.DeliveryStatus {
	t.Helper()
	var delivery v1alpha1.DeliveryStatus
	cluster.Eventually(t, "the end of "+condition, func(context.Context) error {
		for _, n := range k8s.Notifications(t, s.namespace) {
			if n.Spec.Condition == nil || n.Spec.Condition.Name != condition {
				continue
			}
			reason := status.Reason(n.Status.Conditions, v1alpha1.SucceededCondition)
			if reason == v1alpha1.ReasonDelivered || reason == v1alpha1.ReasonFailed {
				delivery = n.Status.Deliveries[0]
				return nil
			}
			return fmt.Errorf("it is %s: %s", reason, status.Message(n.Status.Conditions, v1alpha1.SucceededCondition))
		}
		return errors.New("there is none")
	})
	return delivery
}

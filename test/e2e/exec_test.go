// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// hostile is the name of a computer that a shell, and Kubernetes, would love to interpret.
const hostile = "ws-0042; $(COMPUTER) `id` \"$HOME\" %COMPUTER%"

// program is what a channel runs, and what becomes of it.
type program struct {
	name, image string
	command     []string
	timeout     v1alpha1.Duration
	change      func(*corev1.PodSpec)
	succeeds    bool
	exitCode    int32
	reason      string
	// message is a pattern of the message; of any if it is empty.
	message string
	// output is the end of the output; nothing may have been written if it is empty.
	output string
}

var programs = []program{
	{name: "script", command: []string{"/program/notify.sh"}, succeeds: true, reason: "Completed", message: "completed",
		output: hostile},
	{name: "fails", command: []string{"/bin/sh", "-c", "echo no such luck; exit 1"}, exitCode: 1, reason: "BackoffLimitExceeded",
		message: "exit code 1", output: "no such luck"},
	{name: "gives-up", command: []string{"/bin/sh", "-c", "exit 64"}, exitCode: 64, reason: "PodFailurePolicy",
		message: "exit code 64"},
	{name: "floods", command: []string{"/program/flood.sh"}, succeeds: true, reason: "Completed", output: "done"},
	{name: "sleeps", command: []string{"/bin/sleep", "100000"}, timeout: "5s", reason: "DeadlineExceeded",
		message: "DeadlineExceeded",
		change:  func(pod *corev1.PodSpec) { pod.TerminationGracePeriodSeconds = ptr.To(int64(1)) }}, // it does not heed SIGTERM
	{name: "no-image", image: "tocsin-e2e-nothing:dev", timeout: "10s", reason: "DeadlineExceeded", message: "ImagePull|ErrImage"},
	{name: "no-account", command: []string{"/bin/true"}, timeout: "10s", reason: "DeadlineExceeded", message: "FailedCreate.*nobody",
		change: func(pod *corev1.PodSpec) { pod.ServiceAccountName = "nobody" }},
	{name: "devours", command: []string{"/bin/sh", "-c", "x=a; while :; do x=$x$x; done"}, timeout: "10s", exitCode: 137,
		reason: "OOMKilled", message: "memory", change: func(pod *corev1.PodSpec) {
			pod.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("16Mi")}
		}},
}

func programsRun(t *testing.T, s *site) { s.run(t, programs) }

// programsAreRestricted: what Pod Security forbids does not start, and the delivery says so.
func programsAreRestricted(t *testing.T, s *site) {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	k8s.Change(t, ns, func() { ns.Labels["pod-security.kubernetes.io/enforce"] = "restricted" })
	s.run(t, []program{{name: "restricted", command: []string{"/bin/true"}, timeout: "5s", reason: "DeadlineExceeded",
		message: "FailedCreate.*PodSecurity"}})
}

func (s *site) run(t *testing.T, programs []program) {
	t.Helper()
	for _, p := range programs {
		channel := &v1alpha1.NotificationChannel{ObjectMeta: s.named(p.name)}
		channel.Spec.Type = v1alpha1.ChannelExec
		channel.Spec.Exec = &v1alpha1.ExecChannel{Timeout: p.timeout, Template: p.template(t)}
		k8s.Create(t, channel)
		k8s.Until(t, channel, func() error { return isReady(channel.Status.Conditions) })
		condition := each
		condition.Actions = []v1alpha1.Action{{ChannelRef: v1alpha1.ChannelReference{Name: p.name}}}
		s.watch(t, p.name, condition)
	}
	s.report(t, hostile)
	for _, p := range programs {
		t.Run(p.name, func(t *testing.T) { p.check(t, s.awaitFinished(t, p.name)) })
	}
}

func (p *program) check(t *testing.T, d v1alpha1.DeliveryStatus) {
	t.Helper()
	last := d.Attempts[len(d.Attempts)-1]
	if (d.State == v1alpha1.DeliveryDelivered) != p.succeeds || last.Reason != p.reason {
		t.Errorf("it is %s, %s: %s; want %s", d.State, last.Reason, last.Message, p.reason)
	}
	if !regexp.MustCompile(p.message).MatchString(last.Message) {
		t.Errorf("the message is %q, want %q", last.Message, p.message)
	}
	if p.exitCode != 0 && (last.ExitCode == nil || *last.ExitCode != p.exitCode) {
		t.Errorf("the exit code is %v, want %d", last.ExitCode, p.exitCode)
	}
	if !strings.HasSuffix(strings.TrimSpace(last.Output), p.output) || p.output == "" && last.Output != "" {
		t.Errorf("it wrote %q, want %q at the end", last.Output, p.output)
	}
}

func (p *program) template(t *testing.T) runtime.RawExtension {
	t.Helper()
	pod := corev1.PodSpec{Containers: []corev1.Container{{
		Name: "program", Image: cmp.Or(p.image, imageOfProgram), ImagePullPolicy: corev1.PullIfNotPresent, Command: p.command,
	}}}
	if p.change != nil {
		p.change(&pod)
	}
	raw, err := json.Marshal(corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "notifier"}}, Spec: pod,
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

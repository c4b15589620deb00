// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// jobsRun is about the cluster, not about Tocsin: what exec channels need is there.
func jobsRun(t *testing.T, s *site) {
	job := &batchv1.Job{
		ObjectMeta: s.named("hello"),
		Spec: batchv1.JobSpec{
			BackoffLimit: ptr.To(int32(0)),
			Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever,
				Containers: []corev1.Container{{
					Name: "program", Image: imageOfProgram, ImagePullPolicy: corev1.PullIfNotPresent,
					Command: []string{"/program/notify.sh"},
					Env:     []corev1.EnvVar{{Name: "COMPUTER", Value: "ws-0042"}},
				}},
			}},
		},
	}
	k8s.Create(t, job)
	k8s.Until(t, job, func() error {
		if job.Status.Succeeded != 1 || job.Status.CompletionTime == nil {
			return fmt.Errorf("the Job is not complete: %+v", job.Status)
		}
		return nil
	})
	if got := s.output(t, job.Name); got != "ws-0042\n" {
		t.Errorf("the program wrote %q", got)
	}
}

// each tells of each event.
var each = v1alpha1.NotificationConditionSpec{
	Type: "SingleRiskEvent", Damper: &v1alpha1.Damper{Period: v1alpha1.DamperNone},
}

func eventsBecomeMail(t *testing.T, s *site) {
	s.withMail(t)
	s.watch(t, "each", each)
	s.report(t, "ws-0042")
	s.awaitDelivered(t, "each", 1)
	mails := s.mails(t)
	if len(mails) != 1 {
		t.Fatalf("there are %d mails, want one", len(mails))
	}
	for _, m := range mails {
		to := []address{{"soc@example.com"}}
		if m.From.Address != "tocsin@example.com" || !slices.Equal(m.To, to) || !strings.Contains(m.Subject, "ws-0042") {
			t.Errorf("the mail is %+v", m)
		}
	}
}

// killedManagersLoseNothing kills all managers while events come in. A window that began before counts on after it.
func killedManagersLoseNothing(t *testing.T, s *site) {
	s.withMail(t)
	s.watch(t, "each", each)
	s.watch(t, "four", v1alpha1.NotificationConditionSpec{
		Type: "Custom", Threshold: &v1alpha1.Threshold{Count: ptr.To(int32(4)), Window: "1h"},
	})
	s.report(t, "ws-1", "ws-2")
	s.awaitDelivered(t, "each", 2) // so that nobody can say that the first two were simply late
	before := managers(t)
	killManagers(t)
	s.report(t, "ws-3", "ws-4")
	awaitOthers(t, before)
	s.report(t, "ws-5")
	s.awaitDelivered(t, "each", 5)
	s.awaitDelivered(t, "four", 1)
	if mails := s.mails(t); len(mails) != 6 {
		t.Errorf("there are %d mails, want six: %v", len(mails), mails)
	}
}

func managersMayDoTheirWork(t *testing.T, _ *site) {
	for _, pod := range managers(t) {
		if restarts := pod.Status.ContainerStatuses[0].RestartCount; restarts != 0 {
			t.Errorf("the manager %s was restarted %d times", pod.Name, restarts)
		}
		log, err := core.CoreV1().Pods(home).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
		if err != nil {
			t.Fatalf("reading the log of a manager: %v", err)
		}
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, "forbidden") {
				t.Errorf("%s was refused something: %s", pod.Name, line)
			}
		}
	}
}

var ofManagers = metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=manager"}

func managers(t *testing.T) []corev1.Pod {
	t.Helper()
	pods, err := core.CoreV1().Pods(home).List(t.Context(), ofManagers)
	if err != nil || len(pods.Items) == 0 {
		t.Fatalf("there are %d managers (%v)", len(pods.Items), err)
	}
	return pods.Items
}

// killManagers has them no time to end as they would like to.
func killManagers(t *testing.T) {
	t.Helper()
	now := metav1.DeleteOptions{GracePeriodSeconds: ptr.To(int64(0))}
	if err := core.CoreV1().Pods(home).DeleteCollection(t.Context(), now, ofManagers); err != nil {
		t.Fatalf("killing the managers: %v", err)
	}
}

// awaitOthers waits until as many managers as before are ready, none of which was there before.
func awaitOthers(t *testing.T, before []corev1.Pod) {
	t.Helper()
	cluster.Eventually(t, "other managers", func(context.Context) error {
		now := managers(t)
		if len(now) != len(before) {
			return fmt.Errorf("there are %d, want %d", len(now), len(before))
		}
		for _, pod := range now {
			if slices.ContainsFunc(before, func(old corev1.Pod) bool { return old.UID == pod.UID }) {
				return fmt.Errorf("%s is still there", pod.Name)
			}
			if err := ready(&pod); err != nil {
				return fmt.Errorf("%s: %w", pod.Name, err)
			}
		}
		return nil
	})
}

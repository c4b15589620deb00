// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// jobsRun is about the cluster, not about Tocsin: what exec channels need is there.
func jobsRun(t *testing.T, s *site) {
	s.runJob(t, "hello", corev1.PodSpec{Containers: []corev1.Container{{
		Command: []string{"/program/notify.sh"}, Env: []corev1.EnvVar{{Name: "COMPUTER", Value: "ws-0042"}},
	}}})
	if got := s.output(t, "hello"); got != "ws-0042\n" {
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
	for i, pod := range before {
		s.kill(t, fmt.Sprintf("kill-%d", i), pod)
	}
	s.report(t, "ws-3", "ws-4")
	for _, pod := range before {
		awaitBack(t, &pod)
	}
	s.report(t, "ws-5")
	s.awaitDelivered(t, "each", 5)
	s.awaitDelivered(t, "four", 1)
	if mails := s.mails(t); len(mails) != 6 {
		t.Errorf("there are %d mails, want six: %v", len(mails), mails)
	}
}

// managersMayDoTheirWork looks for what the API server refused them: their role lacks something then.
func managersMayDoTheirWork(t *testing.T, _ *site) {
	for _, pod := range managers(t) {
		for _, before := range []bool{true, false} {
			if before && restarts(&pod) == 0 {
				continue
			}
			log, err := core.CoreV1().Pods(home).GetLogs(pod.Name, &corev1.PodLogOptions{Previous: before}).DoRaw(t.Context())
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
}

func managers(t *testing.T) []corev1.Pod {
	t.Helper()
	all := metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=manager"}
	pods, err := core.CoreV1().Pods(home).List(t.Context(), all)
	if err != nil || len(pods.Items) == 0 {
		t.Fatalf("there are %d managers (%v)", len(pods.Items), err)
	}
	return pods.Items
}

// killManagers kills all managers and waits until they are back.
func (s *site) killManagers(t *testing.T) {
	t.Helper()
	before := managers(t)
	for i, pod := range before {
		s.kill(t, fmt.Sprintf("kill-%d", i), pod)
	}
	for _, pod := range before {
		awaitBack(t, &pod)
	}
}

// kill gives a manager no time to end as it would like to. Deleting its pod would.
func (s *site) kill(t *testing.T, job string, manager corev1.Pod) {
	t.Helper()
	_, container, _ := strings.Cut(manager.Status.ContainerStatuses[0].ContainerID, "://")
	s.runJob(t, job, corev1.PodSpec{
		NodeName: manager.Spec.NodeName, HostPID: true,
		Containers: []corev1.Container{{
			Command: []string{"/program/kill-container.sh"}, Env: []corev1.EnvVar{{Name: "CONTAINER", Value: container}},
		}},
	})
}

// awaitBack waits until a manager that was killed is ready again.
func awaitBack(t *testing.T, manager *corev1.Pod) {
	t.Helper()
	before := restarts(manager)
	k8s.Until(t, manager, func() error {
		if now := restarts(manager); now <= before {
			return fmt.Errorf("it was started anew %d times, as before", now)
		}
		return ready(manager)
	})
}

func restarts(pod *corev1.Pod) int32 { return pod.Status.ContainerStatuses[0].RestartCount }

// SPDX-License-Identifier: Apache-2.0

//go:build e2e

package e2e_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// Images that `make e2e-images` builds. The cluster has them already.
const (
	imageOfProgram = "tocsin-e2e-program:dev"
	imageOfMail    = "tocsin-e2e-mail:dev"
)

const (
	smtpPort = 1025
	httpPort = 8025
)

func imageOfManager() string { return cmp.Or(os.Getenv("IMG"), "tocsin-manager:dev") }

// site is a namespace where things happen.
type site struct{ namespace string }

func newSite(t *testing.T) *site {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "tocsin-e2e-"}}
	k8s.Create(t, ns)
	t.Cleanup(func() {
		if err := k8s.Client.Delete(context.Background(), ns); err != nil { // t's context has ended
			t.Errorf("deleting the namespace: %v", err)
		}
	})
	return &site{namespace: ns.Name}
}

func (s *site) named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: s.namespace, Name: name}
}

// withMail adds a mail server, and a channel that uses it.
func (s *site) withMail(t *testing.T) {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: s.named("mail"),
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{
				Name: "mail", Image: imageOfMail, ImagePullPolicy: corev1.PullIfNotPresent,
				Args: []string{"--disable-version-check", "--smtp-disable-rdns"},
				ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
					HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt(httpPort)},
				}},
				VolumeMounts: []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}},
			}},
			Volumes: []corev1.Volume{{
				Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
			}},
			TerminationGracePeriodSeconds: ptr.To(int64(0)),
		},
	}
	k8s.Create(t, pod)
	k8s.Until(t, pod, func() error { return ready(pod) })
	channel := &v1alpha1.NotificationChannel{
		ObjectMeta: s.named("mail"),
		Spec: v1alpha1.NotificationChannelSpec{
			Type: v1alpha1.ChannelEmail, Default: true, Retry: &v1alpha1.RetryPolicy{Interval: "1s"},
			Email: &v1alpha1.EmailChannel{
				MailTransport: v1alpha1.MailTransport{
					Servers: []v1alpha1.MailServer{v1alpha1.MailServer(pod.Status.PodIP)}, Port: ptr.To(int32(smtpPort)),
				},
				Recipients: []v1alpha1.MailAddress{"soc@example.com"}, Sender: "tocsin@example.com",
			},
		},
	}
	k8s.Create(t, channel)
	k8s.Until(t, channel, func() error { return isReady(channel.Status.Conditions) })
}

// watch adds a condition, and waits until it is in force.
func (s *site) watch(t *testing.T, name string, spec v1alpha1.NotificationConditionSpec) {
	t.Helper()
	c := &v1alpha1.NotificationCondition{ObjectMeta: s.named(name), Spec: spec}
	k8s.Create(t, c)
	k8s.Until(t, c, func() error { return isReady(c.Status.Conditions) })
}

// report creates an event about each computer.
func (s *site) report(t *testing.T, computers ...string) {
	t.Helper()
	for _, computer := range computers {
		k8s.Create(t, &v1alpha1.SecurityEvent{
			ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, GenerateName: "detection-"},
			Spec: v1alpha1.SecurityEventSpec{
				Type: "RiskDetected", Severity: v1alpha1.SeverityCritical, Title: "Malicious object detected",
				Computer: &v1alpha1.Computer{Name: computer}, Risk: &v1alpha1.Risk{Name: "EICAR-Test-File"},
			},
		})
	}
}

// awaitDelivered waits until a condition has told so often, and everybody has been told.
func (s *site) awaitDelivered(t *testing.T, condition string, want int) {
	t.Helper()
	cluster.Eventually(t, fmt.Sprintf("%d delivered notifications of %s", want, condition), func(context.Context) error {
		delivered, all := 0, 0
		for _, n := range k8s.Notifications(t, s.namespace) {
			if n.Spec.Condition == nil || n.Spec.Condition.Name != condition {
				continue
			}
			all++
			if status.IsTrue(n.Status.Conditions, v1alpha1.SucceededCondition) {
				delivered++
			}
		}
		if all != want || delivered != want {
			return fmt.Errorf("there are %d, of which %d are delivered", all, delivered)
		}
		return nil
	})
}

// mail is what the mail server says of one.
type mail struct {
	MessageID, Subject string
	From               address
	To                 []address
}

type address struct{ Address string }

// mails reads the inbox. It holds a mail twice if the manager was killed between sending it and noting that.
func (s *site) mails(t *testing.T) map[string]mail {
	t.Helper()
	answer, err := core.CoreV1().Pods(s.namespace).
		ProxyGet("http", "mail", fmt.Sprint(httpPort), "api/v1/messages", map[string]string{"limit": "500"}).
		DoRaw(t.Context())
	if err != nil {
		t.Fatalf("reading the inbox: %v", err)
	}
	var list struct{ Messages []mail }
	if err := json.Unmarshal(answer, &list); err != nil {
		t.Fatalf("reading the inbox: %v", err)
	}
	byID := map[string]mail{}
	for _, m := range list.Messages {
		byID[m.MessageID] = m
	}
	return byID
}

// runJob runs a Job with one container of the program's image, and waits until it is complete.
func (s *site) runJob(t *testing.T, name string, pod corev1.PodSpec) {
	t.Helper()
	pod.RestartPolicy = corev1.RestartPolicyNever
	container := &pod.Containers[0]
	container.Name, container.Image, container.ImagePullPolicy = "program", imageOfProgram, corev1.PullIfNotPresent
	job := &batchv1.Job{
		ObjectMeta: s.named(name),
		Spec:       batchv1.JobSpec{BackoffLimit: ptr.To(int32(0)), Template: corev1.PodTemplateSpec{Spec: pod}},
	}
	k8s.Create(t, job)
	k8s.Until(t, job, func() error {
		if job.Status.CompletionTime == nil {
			return fmt.Errorf("the Job is not complete: %+v", job.Status)
		}
		return nil
	})
}

// output is what the pod of a Job has written.
func (s *site) output(t *testing.T, job string) string {
	t.Helper()
	ofJob := metav1.ListOptions{LabelSelector: "batch.kubernetes.io/job-name=" + job}
	pods, err := core.CoreV1().Pods(s.namespace).List(t.Context(), ofJob)
	if err != nil || len(pods.Items) != 1 {
		t.Fatalf("the Job has %d pods (%v), want one", len(pods.Items), err)
	}
	log, err := core.CoreV1().Pods(s.namespace).GetLogs(pods.Items[0].Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
	if err != nil {
		t.Fatalf("reading what the pod wrote: %v", err)
	}
	return string(log)
}

func isReady(conditions []metav1.Condition) error {
	if !status.IsTrue(conditions, v1alpha1.ReadyCondition) {
		return fmt.Errorf("not ready: %v", conditions)
	}
	return nil
}

func ready(pod *corev1.Pod) error {
	i := slices.IndexFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool { return c.Type == corev1.PodReady })
	if i < 0 || pod.Status.Conditions[i].Status != corev1.ConditionTrue {
		return errors.New("the pod is not ready")
	}
	return nil
}

// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/execjob"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

const script = `{"spec":{"containers":[{"name":"script","image":"localhost/example:dev","command":["/script"]}]}}`

func execChannel(namespace, name string) *v1alpha1.NotificationChannel {
	return &v1alpha1.NotificationChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.NotificationChannelSpec{
			Type:  v1alpha1.ChannelExec,
			Retry: &v1alpha1.RetryPolicy{Interval: "1s"},
			Exec:  &v1alpha1.ExecChannel{Template: runtime.RawExtension{Raw: []byte(script)}},
		},
	}
}

// awaitJobs waits until a namespace has that many Jobs of Tocsin.
func awaitJobs(t *testing.T, k8s *cluster.Cluster, namespace string, n int) []batchv1.Job {
	t.Helper()
	var list batchv1.JobList
	cluster.Eventually(t, "Jobs of "+namespace, func(ctx context.Context) error {
		if err := k8s.Client.List(ctx, &list, client.InNamespace(namespace), client.HasLabels{execjob.LabelNotification}); err != nil {
			return err
		}
		if len(list.Items) != n {
			return fmt.Errorf("there are %d, want %d", len(list.Items), n)
		}
		return nil
	})
	return list.Items
}

// finish does what the Job controller does, which this cluster has not: it writes how a Job ended.
func finish(t *testing.T, k8s *cluster.Cluster, job *batchv1.Job, kind batchv1.JobConditionType, reason string) {
	t.Helper()
	first := batchv1.JobSuccessCriteriaMet
	if kind == batchv1.JobFailed {
		first = batchv1.JobFailureTarget
	}
	writeJob(t, k8s, job, func(s *batchv1.JobStatus) {
		now := metav1.Now()
		if s.StartTime == nil {
			s.StartTime = &now
		}
		s.Active, s.Ready = 0, nil
		for _, c := range []batchv1.JobConditionType{first, kind} {
			s.Conditions = append(s.Conditions, batchv1.JobCondition{
				Type: c, Status: corev1.ConditionTrue, Reason: reason, Message: "says the Job", LastTransitionTime: now,
			})
		}
		if kind == batchv1.JobComplete {
			s.Succeeded, s.CompletionTime = 1, &now
		} else {
			s.Failed = 1
		}
		s.UncountedTerminatedPods = nil
	})
}

func writeJob(t *testing.T, k8s *cluster.Cluster, job *batchv1.Job, change func(*batchv1.JobStatus)) {
	t.Helper()
	cluster.Eventually(t, "writing the status of "+job.Name, func(ctx context.Context) error {
		if err := k8s.Client.Get(ctx, client.ObjectKeyFromObject(job), job); err != nil {
			return err
		}
		change(&job.Status)
		return k8s.Client.Status().Update(ctx, job)
	})
}

// podOf makes a pod of a Job, whose container is in that state.
func podOf(t *testing.T, k8s *cluster.Cluster, job *batchv1.Job, state corev1.ContainerState) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: job.Namespace, GenerateName: job.Name + "-", Labels: job.Spec.Template.Labels,
			Annotations: job.Spec.Template.Annotations},
		Spec: *job.Spec.Template.Spec.DeepCopy(),
	}
	k8s.Create(t, pod)
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "script", Image: "localhost/example:dev", State: state}}
	if err := k8s.Client.Status().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	return pod
}

func exited(code int32, reason string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}}
}

// awaitReleased waits until a Job has no finalizer of Tocsin, or is gone.
func awaitReleased(t *testing.T, k8s *cluster.Cluster, job *batchv1.Job) {
	t.Helper()
	cluster.Eventually(t, "letting go of "+job.Name, func(ctx context.Context) error {
		live := &batchv1.Job{}
		if err := k8s.Client.Get(ctx, client.ObjectKeyFromObject(job), live); err != nil {
			return client.IgnoreNotFound(err)
		}
		if slices.Contains(live.Finalizers, execjob.Finalizer) {
			return fmt.Errorf("it has the finalizers %v", live.Finalizers)
		}
		return nil
	})
}

// awaitDelivery waits until the one notification of a namespace has that delivery.
func awaitDelivery(t *testing.T, k8s *cluster.Cluster, namespace, channel string, state v1alpha1.DeliveryState,
	reason string) v1alpha1.DeliveryStatus {
	t.Helper()
	var found v1alpha1.DeliveryStatus
	cluster.Eventually(t, "the delivery through "+channel, func(context.Context) error {
		log := k8s.Notifications(t, namespace)
		if len(log) != 1 {
			return fmt.Errorf("there are %d notifications", len(log))
		}
		for _, d := range log[0].Status.Deliveries {
			if d.Channel == channel {
				found = d
			}
		}
		return deliveryIs(&log[0], channel, state, reason)
	})
	return found
}

// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/execjob"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

func TestProgramRunsForANotification(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	ready(t, execChannel(ns, "quarantine"), condition(ns, "single-risk", "SingleRiskEvent", "quarantine"))
	e := detection(ns, "ws-042", "Worm")
	e.Spec.Title = "$(PATH) `reboot` $$(HOME)"
	k8s.Create(t, e)
	job := &awaitJobs(t, k8s, ns, 1)[0]
	variables := job.Spec.Template.Spec.Containers[0].Env
	for name, want := range map[string]string{"COMPUTER": "ws-042", "EVENT": "$$(PATH) `reboot` $$$$(HOME)", "SEVERITY": "Critical"} {
		if !slices.Contains(variables, corev1.EnvVar{Name: name, Value: want}) {
			t.Errorf("%s is not %q: %v", name, want, variables)
		}
	}
	d := awaitDelivery(t, k8s, ns, "quarantine", v1alpha1.DeliverySending, "Running")
	if d.AttemptCount != 1 || d.Attempts[0].Job != job.Name {
		t.Errorf("the attempts are %+v, want one, Job %s", d.Attempts, job.Name)
	}

	podOf(t, k8s, job, exited(0, "Completed"))
	finish(t, k8s, job, batchv1.JobComplete, "CompletionsReached")
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)[0]
	a := n.Status.Deliveries[0].Attempts[0]
	if a.Reason != "Completed" || a.ExitCode == nil || *a.ExitCode != 0 || a.EndTime == nil {
		t.Errorf("the attempt is %+v", a)
	}
	awaitReleased(t, k8s, job)
	awaitEvents(t, &n, "JobCreated", "JobSucceeded")
}

// awaitEvents waits until there are Kubernetes Events with those reasons about a Notification.
func awaitEvents(t *testing.T, n *v1alpha1.Notification, reasons ...string) {
	t.Helper()
	cluster.Eventually(t, "Events about "+n.Name, func(ctx context.Context) error {
		var list eventsv1.EventList
		if err := k8s.Client.List(ctx, &list, client.InNamespace(n.Namespace)); err != nil {
			return err
		}
		var missing []error
		for _, reason := range reasons {
			if !slices.ContainsFunc(list.Items, func(e eventsv1.Event) bool { return e.Regarding.UID == n.UID && e.Reason == reason }) {
				missing = append(missing, errors.New(reason+" is missing"))
			}
		}
		return errors.Join(missing...)
	})
}

func TestProgramsThatFail(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		state     corev1.ContainerState
		jobReason string
		reason    string
		exitCode  int32
		message   string
	}{
		"it exits with 1": {exited(1, "Error"), batchv1.JobReasonBackoffLimitExceeded, "BackoffLimitExceeded", 1, "exit code 1"},
		"it says that it is of no use to try again": {
			exited(64, "Error"), batchv1.JobReasonPodFailurePolicy, "PodFailurePolicy", 64, "exit code 64"},
		"it takes too much memory": {exited(137, "OOMKilled"), batchv1.JobReasonBackoffLimitExceeded, "OOMKilled", 137, "memory"},
		"it never ends":            {exited(137, "Error"), batchv1.JobReasonDeadlineExceeded, "DeadlineExceeded", 137, "says the Job"},
		"its program is missing": {corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 128, Reason: "StartError", Message: `exec: "/script": not found`}},
			batchv1.JobReasonBackoffLimitExceeded, "BackoffLimitExceeded", 128, `exec: "/script": not found`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
			channel := execChannel(ns, "quarantine")
			channel.Spec.FallbackRef = &v1alpha1.ChannelReference{Name: "mail"}
			k8s.Create(t, channel)
			ready(t, mailChannel(ns, "mail", server.Port()))
			awaitChannel(t, channel, v1alpha1.ReasonReady)
			ready(t, condition(ns, "single-risk", "SingleRiskEvent", "quarantine"))
			k8s.Create(t, detection(ns, "ws", "Worm"))
			job := &awaitJobs(t, k8s, ns, 1)[0]
			podOf(t, k8s, job, tc.state)
			finish(t, k8s, job, batchv1.JobFailed, tc.jobReason)
			d := awaitDelivery(t, k8s, ns, "quarantine", v1alpha1.DeliveryFailed, tc.reason)
			if a := d.Attempts[0]; d.AttemptCount != 1 || a.ExitCode == nil || *a.ExitCode != tc.exitCode {
				t.Errorf("the attempts are %+v", d.Attempts)
			}
			contains(t, d.Message, tc.message)
			awaitMails(t, server, 1) // the fallback
			awaitReleased(t, k8s, job)
		})
	}
}

func TestPodThatCannotStartSaysWhy(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	ready(t, execChannel(ns, "quarantine"), condition(ns, "single-risk", "SingleRiskEvent", "quarantine"))
	k8s.Create(t, detection(ns, "ws", "Worm"))
	job := &awaitJobs(t, k8s, ns, 1)[0]
	k8s.Create(t, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: ns, Name: "no-pod"},
		InvolvedObject: corev1.ObjectReference{Kind: "Job", Namespace: ns, Name: job.Name, UID: job.UID},
		Type:           corev1.EventTypeWarning, Reason: "FailedCreate", Message: `serviceaccount "quarantine" not found`,
		LastTimestamp: metav1.Now(),
	})
	d := awaitDelivery(t, k8s, ns, "quarantine", v1alpha1.DeliverySending, "FailedCreate")
	contains(t, d.Message, `serviceaccount "quarantine" not found`)

	podOf(t, k8s, job, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{
		Reason: "ImagePullBackOff", Message: "Back-off pulling image"}})
	d = awaitDelivery(t, k8s, ns, "quarantine", v1alpha1.DeliverySending, "ImagePullBackOff")
	contains(t, d.Message, "container script: Back-off pulling image")

	finish(t, k8s, job, batchv1.JobFailed, batchv1.JobReasonDeadlineExceeded)
	d = awaitDelivery(t, k8s, ns, "quarantine", v1alpha1.DeliveryFailed, "DeadlineExceeded")
	contains(t, d.Message, "before: ", "Back-off pulling image")
}

func TestJobThatTheQuotaRefusesIsMadeLater(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	ready(t, execChannel(ns, "quarantine"), condition(ns, "single-risk", "SingleRiskEvent", "quarantine"))
	none := corev1.ResourceList{"count/jobs.batch": resource.MustParse("0")}
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "programs"}, Spec: corev1.ResourceQuotaSpec{Hard: none}}
	k8s.Create(t, quota)
	quota.Status.Hard, quota.Status.Used = none, none
	if err := k8s.Client.Status().Update(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	k8s.Create(t, detection(ns, "ws", "Worm"))
	d := awaitDelivery(t, k8s, ns, "quarantine", v1alpha1.DeliveryRetrying, "JobForbidden")
	contains(t, d.Message, "exceeded quota: programs")
	if err := k8s.Client.Delete(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	job := &awaitJobs(t, k8s, ns, 1)[0]
	finish(t, k8s, job, batchv1.JobComplete, "CompletionsReached")
	awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)
}

func TestTemplatesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ template, want string }{
		"no container":                {`{"spec":{"containers":[]}}`, "`spec.exec.template`: `spec.containers` is empty"},
		"a field that does not exist": {strings.Replace(script, `"image"`, `"imagee"`, 1), `unknown field "spec.containers[0].imagee"`},
		"it starts again and again":   {`{"spec":{"restartPolicy":"Always","containers":[{"name":"a","image":"b"}]}}`, "must be Never"},
		"the API server refuses it":   {`{"spec":{"containers":[{"name":"Not A Name","image":"b"}]}}`, "the API server takes no such Job"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := k8s.Namespace(t)
			channel := execChannel(ns, "quarantine")
			channel.Spec.Exec.Template = runtime.RawExtension{Raw: []byte(tc.template)}
			k8s.Create(t, channel)
			awaitChannel(t, channel, v1alpha1.ReasonInvalid)
			contains(t, status.Message(channel.Status.Conditions, v1alpha1.ReadyCondition), tc.want)
		})
	}
}

func TestOtherDeliveriesWaitWhileAChannelIsBusy(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	every := condition(ns, "every", "SingleRiskEvent", "quarantine")
	every.Spec.Damper = &v1alpha1.Damper{Period: v1alpha1.DamperNone}
	ready(t, execChannel(ns, "quarantine"), every)
	for n := range 13 {
		k8s.Create(t, detection(ns, fmt.Sprintf("ws-%02d", n), "Worm"))
	}
	cluster.Eventually(t, "three that wait", func(context.Context) error {
		waiting := 0
		for _, n := range k8s.Notifications(t, ns) {
			if deliveryIs(&n, "quarantine", v1alpha1.DeliveryPending, execjob.ReasonBusy) == nil {
				waiting++
			}
		}
		if waiting != 3 {
			return fmt.Errorf("%d wait", waiting)
		}
		return nil
	})
	running := awaitJobs(t, k8s, ns, 10)
	var waiting []int64 // as they were decided
	for _, n := range k8s.Notifications(t, ns) {
		if len(n.Status.Deliveries) > 0 && n.Status.Deliveries[0].Reason == execjob.ReasonBusy {
			waiting = append(waiting, n.Spec.Trigger.Sequence)
		}
	}
	slices.Sort(waiting)
	finish(t, k8s, &running[0], batchv1.JobComplete, "CompletionsReached")
	next := awaitJobs(t, k8s, ns, 11)
	for i := range next {
		if slices.ContainsFunc(running, func(j batchv1.Job) bool { return j.Name == next[i].Name }) {
			continue
		}
		n := &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: next[i].OwnerReferences[0].Name}}
		k8s.Get(t, n)
		if n.Spec.Trigger.Sequence != waiting[0] {
			t.Errorf("number %d was next, of %v", n.Spec.Trigger.Sequence, waiting)
		}
	}
	finish(t, k8s, &running[1], batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded)
	finish(t, k8s, &running[2], batchv1.JobComplete, "CompletionsReached")
	awaitJobs(t, k8s, ns, 13)
}

func TestJobOfADeletedNotificationDoesNotHang(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	ready(t, execChannel(ns, "quarantine"), condition(ns, "single-risk", "SingleRiskEvent", "quarantine"))
	k8s.Create(t, detection(ns, "ws", "Worm"))
	job := &awaitJobs(t, k8s, ns, 1)[0]
	n := &k8s.Notifications(t, ns)[0]
	if !metav1.IsControlledBy(job, n) {
		t.Errorf("the Job is owned by %v, want the Notification", job.OwnerReferences)
	}
	if err := k8s.Client.Delete(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	// The garbage collector, which this cluster has not, deletes what the Notification owned.
	if err := k8s.Client.Delete(t.Context(), job, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err)
	}
	awaitReleased(t, k8s, job)
}

func TestJobThatSomebodyDeletesIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	ready(t, execChannel(ns, "quarantine"), condition(ns, "single-risk", "SingleRiskEvent", "quarantine"))
	k8s.Create(t, detection(ns, "ws", "Worm"))
	job := &awaitJobs(t, k8s, ns, 1)[0]
	awaitDelivery(t, k8s, ns, "quarantine", v1alpha1.DeliverySending, "Running")
	if err := k8s.Client.Delete(t.Context(), job, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err)
	}
	awaitDelivery(t, k8s, ns, "quarantine", v1alpha1.DeliveryFailed, "JobDeleted")
	awaitJobs(t, k8s, ns, 0)
}

func TestJobEndsAlthoughItsChannelIsDeleted(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	channel := execChannel(ns, "quarantine")
	ready(t, channel, condition(ns, "single-risk", "SingleRiskEvent", "quarantine"))
	k8s.Create(t, detection(ns, "ws", "Worm"))
	job := &awaitJobs(t, k8s, ns, 1)[0]
	if err := k8s.Client.Delete(t.Context(), channel); err != nil {
		t.Fatal(err)
	}
	finish(t, k8s, job, batchv1.JobComplete, "CompletionsReached")
	awaitNotifications(t, ns, 1, v1alpha1.ReasonDelivered)
	awaitReleased(t, k8s, job)
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"

	authorizationv1 "k8s.io/api/authorization/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/execjob"
	"github.com/tocsin-dev/tocsin/internal/status"
)

// executor is what running programs needs of the cluster. Its rights are those of config/rbac/exec.yaml.
type executor struct {
	client   client.Client
	live     client.Reader
	pods     kubernetes.Interface
	recorder events.EventRecorder
	allowed  execjob.Allowed
	gate     *gate
	jobs     *jobs
}

func newExecutor(mgr ctrl.Manager, recorder events.EventRecorder, allowed execjob.Allowed) (*executor, error) {
	pods, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("making a client that reads logs: %w", err)
	}
	meta, err := metadata.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("making a client that watches Jobs: %w", err)
	}
	e := &executor{
		client: mgr.GetClient(), live: mgr.GetAPIReader(), pods: pods, recorder: recorder, allowed: allowed,
		jobs: &jobs{client: meta, watches: map[string]*jobWatch{}},
		gate: &gate{log: mgr.GetClient(), channels: map[types.NamespacedName]*turnstile{}},
	}
	e.gate.wake, e.jobs.gate = e.jobs.wake, e.gate
	return e, nil
}

// inspect tells how far a Job has got, and what its program printed if it has ended.
func (e *executor) inspect(ctx context.Context, job *batchv1.Job) (execjob.Outcome, string, error) {
	outcome := execjob.Read(job, nil, nil)
	if outcome.Phase == execjob.Running && execjob.Started(job) {
		return outcome, "", nil
	}
	var pods corev1.PodList
	if err := e.live.List(ctx, &pods, client.InNamespace(job.Namespace),
		client.MatchingLabels{batchv1.ControllerUidLabel: string(job.UID)}); err != nil {
		return outcome, "", fmt.Errorf("listing the pods of Job %s: %w", job.Name, err)
	}
	outcome = execjob.Read(job, pods.Items, nil)
	if outcome.Phase == execjob.Running {
		about := job.UID
		if pod := execjob.Latest(pods.Items); pod != nil {
			about = pod.UID
		}
		var happened corev1.EventList
		if err := e.live.List(ctx, &happened, client.InNamespace(job.Namespace),
			client.MatchingFields{"involvedObject.uid": string(about)}); err != nil {
			return outcome, "", fmt.Errorf("listing the events of Job %s: %w", job.Name, err)
		}
		return execjob.Read(job, pods.Items, happened.Items), "", nil
	}
	return outcome, e.output(ctx, job, outcome), nil
}

// output is the end of what a program printed. A log that cannot be read is none: the result does not wait for it.
func (e *executor) output(ctx context.Context, job *batchv1.Job, o execjob.Outcome) string {
	if o.Pod == "" || o.Phase == execjob.Waiting {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, createTimeout)
	defer cancel()
	log, err := e.pods.CoreV1().Pods(job.Namespace).GetLogs(o.Pod, &corev1.PodLogOptions{
		Container: o.Container, TailLines: ptr.To[int64](execjob.OutputLines), LimitBytes: ptr.To[int64](execjob.MaxLog),
	}).DoRaw(ctx)
	if err != nil {
		ctrl.LoggerFrom(ctx).V(1).Info("Output not read", "job", job.Name, "pod", o.Pod, "cause", err.Error())
		return ""
	}
	return execjob.Output(log)
}

// rights are what a channel of type Exec needs Tocsin to be allowed in its namespace.
var rights = []authorizationv1.ResourceAttributes{
	{Group: "batch", Resource: "jobs", Verb: "create"},
	{Group: "batch", Resource: "jobs", Verb: "get"},
	{Group: "batch", Resource: "jobs", Verb: "list"},
	{Group: "batch", Resource: "jobs", Verb: "watch"},
	{Group: "batch", Resource: "jobs", Verb: "patch"},
	{Resource: "pods", Verb: "list"},
	{Resource: "pods", Subresource: "log", Verb: "get"},
	{Resource: "events", Verb: "list"},
}

// judge says what is to be said of a channel of type Exec beyond what its spec tells.
func (e *executor) judge(ctx context.Context, channel *v1alpha1.NotificationChannel) (status.Verdict, error) {
	if err := e.allowed.Check(channel); err != nil {
		return stalled(err.Error()), nil
	}
	for _, right := range rights {
		right.Namespace = channel.Namespace
		review := &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &right},
		}
		if err := e.client.Create(ctx, review); err != nil {
			return status.Verdict{}, fmt.Errorf("asking for the right to run Jobs: %w", err)
		}
		if !review.Status.Allowed {
			resource := right.Resource
			if right.Subresource != "" {
				resource += "/" + right.Subresource
			}
			return status.Verdict{Reason: v1alpha1.ReasonExecForbidden, Message: fmt.Sprintf(
				"`spec.exec`: the manager may not %s %s in namespace %s; bind the ClusterRole tocsin-manager-exec to it, there or in "+
					"the whole cluster (config/rbac/exec.yaml)", right.Verb, resource, channel.Namespace)}, nil
		}
	}
	return e.rehearse(ctx, channel)
}

// rehearse has the API server look at a Job of the channel, which is not made. What may pass does not keep the channel from
// being used, but is told.
func (e *executor) rehearse(ctx context.Context, channel *v1alpha1.NotificationChannel) (status.Verdict, error) {
	trial := &v1alpha1.Notification{
		ObjectMeta: metav1.ObjectMeta{Namespace: channel.Namespace, Name: "rehearsal", UID: channel.UID},
		Spec:       v1alpha1.NotificationSpec{Type: v1alpha1.NotificationTypeTest},
	}
	job, err := execjob.New(trial, channel, nil)
	if err != nil {
		return stalled(err.Error()), nil
	}
	err = e.client.Create(ctx, job, client.DryRunAll)
	verdict := status.Verdict{Ready: true, Reason: v1alpha1.ReasonReady}
	switch {
	case err == nil:
	case neverTaken(err):
		verdict = stalled("`spec.exec.template`: the API server takes no such Job: " + err.Error())
	case stopping(ctx):
		return verdict, fmt.Errorf("rehearsing a Job of channel %s: %w", channel.Name, err)
	default: // such as a quota that is used up, or a webhook that is down
		verdict.Message = "the channel is used, but now the API server takes no Job of it: " + err.Error()
	}
	return verdict, nil
}

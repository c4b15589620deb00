// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/controllers"
	"github.com/tocsin-dev/tocsin/internal/execjob"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// roundTrip is a connection that a function answers for.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// answering gives the requests that are met another answer than the API server would.
func answering(met func(*http.Request) bool, code int, reason, message string) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if !met(r) {
				return next.RoundTrip(r)
			}
			text := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":%q,"code":%d}`,
				message, reason, code)
			return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
				Body: io.NopCloser(strings.NewReader(text))}, nil
		})
	}
}

// gatedBody lets what a watch tells through while it is open.
type gatedBody struct {
	io.ReadCloser
	shut *atomic.Bool
	done <-chan struct{}
}

func (g gatedBody) Read(p []byte) (int, error) {
	n, err := g.ReadCloser.Read(p)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for g.shut.Load() {
		select {
		case <-tick.C:
		case <-g.done:
			return n, err
		}
	}
	return n, err
}

// lagging holds back what the watch of Notifications tells while shut.
func lagging(shut *atomic.Bool) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			response, err := next.RoundTrip(r)
			if err == nil && r.URL.Query().Get("watch") != "" && strings.HasSuffix(r.URL.Path, "/notifications") {
				response.Body = gatedBody{response.Body, shut, r.Context().Done()}
			}
			return response, err
		})
	}
}

func testOf(namespace string) *v1alpha1.Notification {
	return &v1alpha1.Notification{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "test"},
		Spec: v1alpha1.NotificationSpec{
			Type: v1alpha1.NotificationTypeTest, ChannelRef: &v1alpha1.ChannelReference{Name: "quarantine"},
		},
	}
}

// quarantining is a house with a channel that runs programs.
func quarantining(t *testing.T, through ...func(http.RoundTripper) http.RoundTripper) (*house, *v1alpha1.NotificationChannel) {
	t.Helper()
	h := newHouse(t)
	h.enter(t, controllers.Options{}, through...)
	channel := execChannel(h.namespace, "quarantine")
	h.Create(t, channel)
	h.Until(t, channel, func() error {
		return reasonIs(channel.Status.Conditions, v1alpha1.ReadyCondition, v1alpha1.ReasonReady)
	})
	return h, channel
}

// noticing calls a function before a request that is met goes out.
func noticing(met func(*http.Request) bool, then func()) func(http.RoundTripper) http.RoundTripper {
	return func(next http.RoundTripper) http.RoundTripper {
		return roundTrip(func(r *http.Request) (*http.Response, error) {
			if met(r) {
				then()
			}
			return next.RoundTrip(r)
		})
	}
}

func TestJobIsKeptWhileTheCacheLags(t *testing.T) {
	t.Parallel()
	var shut atomic.Bool
	var writes atomic.Int32
	h, _ := quarantining(t, lagging(&shut), noticing(to(http.MethodPut, "/notifications/test/status"), func() {
		if writes.Add(1) == 1 {
			shut.Store(true)
		}
	}))
	h.Create(t, testOf(h.namespace))
	job := &awaitJobs(t, h.Cluster, h.namespace, 1)[0]
	cluster.Eventually(t, "looks at what is outdated", func(context.Context) error {
		if n := writes.Load(); n < 5 { // two are those of the attempt, the others of the outdated
			return fmt.Errorf("%d writes", n)
		}
		return nil
	})
	h.Get(t, job)
	if !slices.Contains(job.Finalizers, execjob.Finalizer) {
		t.Error("the unfinished Job has lost its finalizer")
	}
	shut.Store(false)
	finish(t, h.Cluster, job, batchv1.JobComplete, "CompletionsReached")
	awaitDelivery(t, h.Cluster, h.namespace, "quarantine", v1alpha1.DeliveryDelivered, "Completed")
	awaitReleased(t, h.Cluster, job)
}

func TestJobIsMadeOnceAlthoughTheCacheLags(t *testing.T) {
	t.Parallel()
	h, _ := quarantining(t)
	h.leave()
	h.Create(t, testOf(h.namespace))
	k := &killAt{met: to(http.MethodPut, "/notifications/test/status"), dead: make(chan struct{})}
	h.enter(t, controllers.Options{}, func(next http.RoundTripper) http.RoundTripper {
		k.next = next
		return k
	})
	<-k.dead
	var shut atomic.Bool
	var made, looks atomic.Int32
	h.enter(t, controllers.Options{}, lagging(&shut),
		noticing(to(http.MethodPost, "/jobs"), func() {
			shut.Store(true)
			made.Add(1)
		}),
		noticing(to(http.MethodGet, "/notifications/test"), func() { looks.Add(1) }))
	job := &awaitJobs(t, h.Cluster, h.namespace, 1)[0]
	awaitDelivery(t, h.Cluster, h.namespace, "quarantine", v1alpha1.DeliverySending, "Running")
	before := looks.Load()
	h.Change(t, job, func() { job.Finalizers = nil })
	if err := h.Client.Delete(t.Context(), job, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
		t.Fatal(err)
	}
	cluster.Eventually(t, "a look at the Notification itself", func(context.Context) error {
		if looks.Load() < before+2 && made.Load() == 1 {
			return errors.New("is to come")
		}
		return nil
	})
	shut.Store(false)
	awaitDelivery(t, h.Cluster, h.namespace, "quarantine", v1alpha1.DeliveryFailed, "JobDeleted")
	if n := made.Load(); n != 1 {
		t.Errorf("the Job was made %d times", n)
	}
}

// Whatever keeps a Job from ending, its delivery ends, and gives its place to another.
func TestJobThatShouldHaveEndedIsNoLongerWaitedFor(t *testing.T) {
	t.Parallel()
	var unreadable atomic.Bool
	for name, tc := range map[string]struct {
		reason, message string
		disturb         func(*testing.T, *house, *batchv1.Job)
		now, says       string
	}{
		"its pod never terminates": {
			"DeadlineExceeded", "should have ended", func(t *testing.T, h *house, job *batchv1.Job) {
				t.Helper()
				writeJob(t, h.Cluster, job, func(s *batchv1.JobStatus) {
					s.StartTime, s.Active, s.Terminating = ptr.To(metav1.Now()), 1, ptr.To[int32](1)
					s.Conditions = append(s.Conditions, batchv1.JobCondition{Type: batchv1.JobFailureTarget,
						Status: corev1.ConditionTrue, Reason: "DeadlineExceeded", Message: "too long", LastTransitionTime: metav1.Now()})
				})
			}, "Running", "is being stopped: DeadlineExceeded: too long",
		},
		"it is suspended": {"JobSuspended", "should have ended", func(t *testing.T, h *house, job *batchv1.Job) {
			t.Helper()
			h.Change(t, job, func() { job.Spec.Suspend = ptr.To(true) })
		}, "JobSuspended", "`spec.suspend`"},
		"the right to read it is withdrawn": {"JobUnreadable", "no such right", func(t *testing.T, h *house, job *batchv1.Job) {
			t.Helper()
			unreadable.Store(true)
			h.Change(t, job, func() { job.Labels["touched"] = "" })
		}, "JobUnreadable", "no such right"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			blind := answering(func(r *http.Request) bool {
				return tc.reason == "JobUnreadable" && unreadable.Load() && to(http.MethodGet, "/jobs/")(r)
			}, http.StatusForbidden, "Forbidden", "no such right")
			h, _ := quarantining(t, blind)
			h.Create(t, testOf(h.namespace))
			job := &awaitJobs(t, h.Cluster, h.namespace, 1)[0]
			awaitDelivery(t, h.Cluster, h.namespace, "quarantine", v1alpha1.DeliverySending, "Running")
			tc.disturb(t, h, job)
			cluster.Eventually(t, "what disturbs it", func(context.Context) error {
				d := h.Notifications(t, h.namespace)[0].Status.Deliveries[0]
				if d.Reason != tc.now || !strings.Contains(d.Message, tc.says) {
					return fmt.Errorf("it is %s, %s: %s", d.State, d.Reason, d.Message)
				}
				return nil
			})
			h.enter(t, controllers.Options{Clock: skewed{by: execjob.DefaultTimeout + execjob.Grace + time.Minute}}, blind)
			d := awaitDelivery(t, h.Cluster, h.namespace, "quarantine", v1alpha1.DeliveryFailed, tc.reason)
			contains(t, d.Message, tc.message)
			if tc.reason != "JobUnreadable" {
				awaitReleased(t, h.Cluster, job)
			}
		})
	}
}

// A webhook that is down is no answer: the attempt goes on, says why, and is mended without a restart.
func TestJobThatCannotBeCreatedSaysWhy(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	h, channel := quarantining(t, answering(func(r *http.Request) bool {
		return down.Load() && r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/jobs")
	}, http.StatusInternalServerError, "InternalError", "no endpoints of the webhook"))
	down.Store(true)
	h.Change(t, channel, func() { channel.Spec.Exec.Timeout = "5m" })
	h.Until(t, channel, func() error {
		if !strings.Contains(status.Message(channel.Status.Conditions, v1alpha1.ReadyCondition), "no endpoints of the webhook") {
			return errors.New("the channel does not tell")
		}
		return reasonIs(channel.Status.Conditions, v1alpha1.ReadyCondition, v1alpha1.ReasonReady)
	})
	h.Create(t, testOf(h.namespace))
	d := awaitDelivery(t, h.Cluster, h.namespace, "quarantine", v1alpha1.DeliverySending, execjob.ReasonJobNotCreated)
	contains(t, d.Message, "no endpoints of the webhook")
	if d.NextAttemptTime == nil || d.AttemptCount != 1 {
		t.Errorf("the delivery is %+v", d)
	}
	down.Store(false)
	job := &awaitJobs(t, h.Cluster, h.namespace, 1)[0]
	finish(t, h.Cluster, job, batchv1.JobComplete, "CompletionsReached")
	if d := awaitDelivery(t, h.Cluster, h.namespace, "quarantine", v1alpha1.DeliveryDelivered, "Completed"); d.AttemptCount != 1 {
		t.Errorf("it took %d attempts", d.AttemptCount)
	}
}

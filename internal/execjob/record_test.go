// SPDX-License-Identifier: Apache-2.0

package execjob

import (
	"errors"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func begun() v1alpha1.DeliveryStatus {
	return Begin(v1alpha1.DeliveryStatus{Channel: "quarantine", State: v1alpha1.DeliveryPending}, uid, "3", now)
}

func TestAnAttemptFromItsBeginningToItsEnd(t *testing.T) {
	t.Parallel()
	d := begun()
	if d.State != v1alpha1.DeliverySending || Current(d) != Name(uid, "quarantine") || Created(d) || d.ChannelRevision != "3" {
		t.Errorf("begun: %+v", d)
	}
	d = Observe(d, Outcome{Phase: Running, Reason: "Running", Message: "runs"}, "")
	if !Created(d) || d.Reason != "Running" {
		t.Errorf("running: %+v", d)
	}
	before := d.DeepCopy()
	done := Finish(d, Outcome{Phase: Succeeded, Reason: ReasonCompleted, Message: "completed", ExitCode: ptr.To[int32](0)}, "ok", now)
	a := done.Attempts[0]
	if done.State != v1alpha1.DeliveryDelivered || done.FinishedTime == nil || a.EndTime == nil || a.Reason != ReasonCompleted ||
		*a.ExitCode != 0 || a.Output != "ok" || Current(done) != "" {
		t.Errorf("done: %+v", done)
	}
	if d.Attempts[0].Reason != before.Attempts[0].Reason || d.Attempts[0].Output != "" {
		t.Error("what was handed in is changed")
	}
}

func TestDeadlineTellsWhatTheJobWaitedFor(t *testing.T) {
	t.Parallel()
	d := Observe(begun(), Outcome{Phase: Waiting, Reason: "ImagePullBackOff", Message: "no image"}, "")
	for range 2 { // it is looked at again and again
		d = Observe(d, Outcome{Phase: Ending, Reason: "Running", Message: "it is being stopped"}, "")
	}
	if d.Reason != "ImagePullBackOff" || d.Message != "it is being stopped; before: no image" {
		t.Errorf("while it ends: %+v", d)
	}
	d = Finish(d, Outcome{Phase: Failed, Reason: ReasonDeadlineExceeded, Message: "too long"}, "", now)
	if d.State != v1alpha1.DeliveryFailed || d.Reason != ReasonDeadlineExceeded || d.Message != "too long; before: no image" {
		t.Errorf("%+v", d)
	}
}

func TestOutputOfAPodThatIsStoppedIsKept(t *testing.T) {
	t.Parallel()
	d := Observe(begun(), Outcome{Phase: Running, Reason: "Running", Message: "runs"}, "")
	d = Observe(d, Outcome{Phase: Ending, Reason: "Running"}, "last words")
	d = Finish(d, Outcome{Phase: Failed, Reason: ReasonDeadlineExceeded, Message: "too long"}, "", now)
	if a := d.Attempts[0]; a.Output != "last words" || d.Message != "too long" {
		t.Errorf("%+v", d)
	}
}

func TestAJobThatMayNotHaveBeenMade(t *testing.T) {
	t.Parallel()
	d := Postpone(begun(), errors.New("a webhook is down"), &v1alpha1.RetryPolicy{Interval: "10s"}, 0.5, now)
	if Created(d) || Current(d) == "" || d.Reason != ReasonJobNotCreated || !strings.Contains(d.Message, "a webhook is down") ||
		!d.NextAttemptTime.Time.Equal(now.Add(10*time.Second)) {
		t.Errorf("postponed: %+v", d)
	}
	if blind := Observe(d, Unreadable("x", Outcome{}, errors.New("no right"), false), ""); Created(blind) {
		t.Errorf("it counts as made, although it cannot be seen: %+v", blind)
	}
	made := metav1.NewTime(now.Add(time.Hour))
	d = Observe(d, Outcome{Phase: Running, Reason: "Running", Since: made}, "")
	if !Created(d) || d.NextAttemptTime != nil || !d.Attempts[0].StartTime.Equal(&made) {
		t.Errorf("made: %+v", d)
	}
}

func TestEndOfTheWait(t *testing.T) {
	t.Parallel()
	job := jobWith()
	job.Spec.ActiveDeadlineSeconds = ptr.To[int64](3600)
	late := job.DeepCopy()
	late.CreationTimestamp = metav1.NewTime(now.Add(time.Minute))
	channel := &v1alpha1.NotificationChannel{}
	channel.Spec.Exec = &v1alpha1.ExecChannel{Timeout: "2m"}
	for name, tc := range map[string]struct {
		job     *batchv1.Job
		channel *v1alpha1.NotificationChannel
		want    time.Duration
	}{
		"the Job tells":                      {job, channel, time.Hour + Grace},
		"it was made late":                   {late, channel, time.Hour + time.Minute + Grace},
		"it cannot be read":                  {nil, channel, 2*time.Minute + Grace},
		"the channel has another type":       {nil, &v1alpha1.NotificationChannel{}, 24*time.Hour + Grace},
		"the channel is gone, too":           {nil, nil, 24*time.Hour + Grace},
		"the Job is gone, and tells nothing": {jobWith(), channel, 2*time.Minute + Grace},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := End(begun(), tc.job, tc.channel).Sub(now); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	retry := &v1alpha1.RetryPolicy{Interval: "10s"}
	for name, tc := range map[string]struct {
		reason string
		state  v1alpha1.DeliveryState
		retry  *v1alpha1.RetryPolicy
		wait   time.Duration
	}{
		"forbidden is tried again":      {ReasonJobForbidden, v1alpha1.DeliveryRetrying, retry, 10 * time.Second},
		"so is what may be mended":      {ReasonNotConfigured, v1alpha1.DeliveryRetrying, nil, 30 * time.Second},
		"what is invalid stays invalid": {ReasonJobInvalid, v1alpha1.DeliveryFailed, retry, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := Refuse(begun(), tc.reason, "the API server's words\n"+strings.Repeat("x", 2000), tc.retry, 0.5, now)
			if d.State != tc.state || d.Reason != tc.reason || len(d.Message) > maxMessage || d.Attempts[0].EndTime == nil ||
				Current(d) != "" {
				t.Errorf("%+v", d)
			}
			if (d.NextAttemptTime != nil) != (tc.wait > 0) || tc.wait > 0 && !d.NextAttemptTime.Time.Equal(now.Add(tc.wait)) {
				t.Errorf("the next attempt is at %v, want after %s", d.NextAttemptTime, tc.wait)
			}
		})
	}
}

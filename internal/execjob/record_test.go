// SPDX-License-Identifier: Apache-2.0

package execjob

import (
	"strings"
	"testing"
	"time"

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
	d = Observe(d, Outcome{Phase: Ending, Reason: "Running", Message: "runs"}, "")
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

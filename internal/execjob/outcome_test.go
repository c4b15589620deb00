// SPDX-License-Identifier: Apache-2.0

package execjob

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func jobWith(conditions ...batchv1.JobCondition) *batchv1.Job {
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "quarantine-x"}}
	job.Status.Conditions = conditions
	return job
}

func is(kind batchv1.JobConditionType, reason string) batchv1.JobCondition {
	return batchv1.JobCondition{Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: "the Job's words"}
}

// pod has one container in that state.
func pod(name string, age time.Duration, state corev1.ContainerState) corev1.Pod {
	p := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1_000_000, 0).Add(-age)),
	}}
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "script", State: state}}
	return p
}

func ended137(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: 137, Reason: reason, Message: message}}
}

func waits(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func warning(reason, message string, at int64) corev1.Event {
	return corev1.Event{Type: corev1.EventTypeWarning, Reason: reason, Message: message, LastTimestamp: metav1.Unix(at, 0)}
}

var (
	runs = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	well = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{Reason: "Completed"}}
)

func TestRead(t *testing.T) {
	t.Parallel()
	started := jobWith()
	started.Status.Ready = ptr.To[int32](1)
	deleted := jobWith()
	deleted.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	suspended := jobWith()
	suspended.Spec.Suspend = ptr.To(true)
	unschedulable := pod("a", 0, corev1.ContainerState{})
	unschedulable.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/1 nodes are available",
	}}
	evicted := pod("a", 0, corev1.ContainerState{})
	evicted.Status.Reason, evicted.Status.Message = "Evicted", "the node was low on memory"
	prepared := pod("a", 0, waits("PodInitializing", ""))
	prepared.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "prepare", State: ended137("Error", "")}}
	inTurn := pod("a", 0, runs)
	inTurn.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "prepare", State: well}}
	failed := is(batchv1.JobFailed, "BackoffLimitExceeded")
	for name, tc := range map[string]struct {
		job    *batchv1.Job
		pods   []corev1.Pod
		events []corev1.Event
		phase  Phase
		reason string
		says   string
		code   int32 // -1: none
		from   string
	}{
		"just made":               {jobWith(), nil, nil, Running, "Running", "Job quarantine-x has not finished", -1, "/"},
		"a pod is being made":     {jobWith(), []corev1.Pod{pod("a", 0, waits("ContainerCreating", ""))}, nil, Running, "Running", "", -1, "/"},
		"it runs":                 {started, []corev1.Pod{pod("a", 0, runs)}, nil, Running, "Running", "", -1, "a/script"},
		"it runs after the first": {started, []corev1.Pod{inTurn}, nil, Running, "Running", "", -1, "a/script"},
		"no image": {
			jobWith(), []corev1.Pod{pod("a", 0, waits("ImagePullBackOff", "no such image"))}, nil,
			Waiting, "ImagePullBackOff", "Job quarantine-x waits: ImagePullBackOff: container script: no such image", -1, "/",
		},
		"no node": {jobWith(), []corev1.Pod{unschedulable}, nil, Waiting, "Unschedulable", "0/1 nodes are available", -1, "/"},
		"no pod": {
			jobWith(), nil, []corev1.Event{
				warning("Old", "old", 1), warning("FailedCreate", "serviceaccount \"x\" not found", 3), warning("Older", "older", 2),
				{Type: corev1.EventTypeNormal, Reason: "SuccessfulCreate", LastTimestamp: metav1.Unix(9, 0)},
			}, Waiting, "FailedCreate", `serviceaccount "x" not found`, -1, "/",
		},
		"no volume": {
			jobWith(), []corev1.Pod{pod("a", 0, waits("ContainerCreating", ""))},
			[]corev1.Event{warning("FailedMount", "configmap \"scripts\" not found", 1)}, Waiting, "FailedMount", "scripts", -1, "/",
		},
		"a reason that is none": {jobWith(), nil, []corev1.Event{warning("not one word", "x", 1)}, Waiting, "Waiting", "not one word", -1, "/"},
		"it ended well": {
			jobWith(is(batchv1.JobSuccessCriteriaMet, ""), is(batchv1.JobComplete, "CompletionsReached")),
			[]corev1.Pod{pod("a", time.Minute, ended137("Error", "")), pod("b", 0, well)}, nil,
			Succeeded, "Completed", "Job quarantine-x completed", 0, "b/script",
		},
		"its pods are gone":  {jobWith(is(batchv1.JobComplete, "")), nil, nil, Succeeded, "Completed", "", -1, "/"},
		"it met its success": {jobWith(is(batchv1.JobSuccessCriteriaMet, "")), nil, nil, Running, "Running", "", -1, "/"},
		"it failed": {
			jobWith(is(batchv1.JobFailureTarget, ""), failed), []corev1.Pod{pod("a", 0, ended137("Error", "hostile"))}, nil,
			Failed, "BackoffLimitExceeded", "the Job's words; container script ended with exit code 137", 137, "a/script",
		},
		"it took too much memory": {jobWith(failed), []corev1.Pod{pod("a", 0, ended137("OOMKilled", ""))}, nil, Failed, "OOMKilled", "memory", 137, "a/script"},
		"there is no program": {
			jobWith(failed), []corev1.Pod{pod("a", 0, ended137("StartError", "exec: \"/x\": not found"))}, nil,
			Failed, "BackoffLimitExceeded", `(StartError): exec: "/x": not found`, 137, "a/script",
		},
		"what prepares failed":      {jobWith(failed), []corev1.Pod{prepared}, nil, Failed, "BackoffLimitExceeded", "container prepare", 137, "a/prepare"},
		"the node threw it out":     {jobWith(failed), []corev1.Pod{evicted}, nil, Failed, "Evicted", "low on memory", -1, "/"},
		"it says not to try again":  {jobWith(is(batchv1.JobFailed, "PodFailurePolicy")), nil, nil, Failed, "PodFailurePolicy", "", -1, "/"},
		"its time is over":          {jobWith(is(batchv1.JobFailed, "DeadlineExceeded")), []corev1.Pod{pod("a", 0, ended137("OOMKilled", ""))}, nil, Failed, "DeadlineExceeded", "", 137, "a/script"},
		"its time will be over":     {jobWith(is(batchv1.JobFailureTarget, "DeadlineExceeded")), []corev1.Pod{pod("a", 0, runs)}, nil, Ending, "Running", "is being stopped: DeadlineExceeded: the Job's words", -1, "a/script"},
		"somebody suspended it":     {suspended, nil, nil, Waiting, "JobSuspended", "`spec.suspend`", -1, "/"},
		"a reason nobody knows":     {jobWith(is(batchv1.JobFailed, "MaxFailedIndexesExceeded")), nil, nil, Failed, "JobFailed", "MaxFailedIndexesExceeded", -1, "/"},
		"somebody deleted it":       {deleted, []corev1.Pod{pod("a", 0, runs)}, nil, Failed, "JobDeleted", "was deleted", -1, "a/script"},
		"somebody deleted it later": {deletedAfter(deleted), nil, nil, Succeeded, "Completed", "", -1, "/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Read(tc.job, tc.pods, tc.events)
			code := int32(-1)
			if got.ExitCode != nil {
				code = *got.ExitCode
			}
			if got.Phase != tc.phase || got.Reason != tc.reason || !strings.Contains(got.Message, tc.says) || code != tc.code ||
				got.Pod+"/"+got.Container != tc.from {
				t.Errorf("got %+v with exit code %d, want %+v", got, code, tc)
			}
			if strings.Contains(got.Message, "hostile") {
				t.Errorf("the program's own words are in the message: %s", got.Message)
			}
		})
	}
}

func deletedAfter(job *batchv1.Job) *batchv1.Job {
	job = job.DeepCopy()
	job.Status.Conditions = []batchv1.JobCondition{is(batchv1.JobComplete, "")}
	return job
}

func TestReasonsAreWordsOfAClosedSet(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, reason := range Reasons() {
		if word(reason) != reason || seen[reason] {
			t.Errorf("%q is no reason, or stands there twice", reason)
		}
		seen[reason] = true
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ log, want string }{
		"nothing":                    {"", ""},
		"lines":                      {"one\ntwo\n", "one\ntwo"},
		"indented":                   {"a\n  b", "a\n  b"},
		"the last twenty":            {strings.Repeat("noise\n", 50) + "last", strings.Repeat("noise\n", 19) + "last"},
		"a terminal is not cleared":  {"\x1b[2Jgone\x07", "\uFFFD[2Jgone\uFFFD"},
		"nothing turns text around":  {"\u202egnp.exe", "\uFFFDgnp.exe"},
		"bytes that are no text":     {"\xff\xfeok\x00", "\uFFFDok\uFFFD"},
		"progress in one line":       {"10%\r20%\r", "10%\n20%"},
		"one long line":              {strings.Repeat("x", 5000) + "end", "…" + strings.Repeat("x", 1018) + "end"},
		"cut at a character's start": {strings.Repeat("€", 1000), "…" + strings.Repeat("€", 340)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := Output([]byte(tc.log))
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func FuzzOutputIsBounded(f *testing.F) {
	f.Add([]byte("one\ntwo"))
	f.Add([]byte("\xff\x1b[2J\r\n\u2028"))
	f.Fuzz(func(t *testing.T, log []byte) {
		got := Output(log)
		if len(got) > maxOutput || !utf8.ValidString(got) || strings.Count(got, "\n") >= OutputLines || strings.ContainsAny(got, "\x1b\r\x00") {
			t.Errorf("%q", got)
		}
	})
}

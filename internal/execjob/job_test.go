// SPDX-License-Identifier: Apache-2.0

package execjob

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
)

var update = flag.Bool("update", false, "write the golden files")

const uid = "3f1c0d52-6a5e-4c39-8c1d-0b6f7a3f9d10"

func channelWith(template string) *v1alpha1.NotificationChannel {
	return &v1alpha1.NotificationChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: "quarantine"},
		Spec: v1alpha1.NotificationChannelSpec{Type: v1alpha1.ChannelExec, Exec: &v1alpha1.ExecChannel{
			Template: runtime.RawExtension{Raw: []byte(template)},
		}},
	}
}

func outbreak() *v1alpha1.Notification {
	return &v1alpha1.Notification{
		ObjectMeta: metav1.ObjectMeta{Namespace: "security", Name: "outbreak-2yjc5k", UID: uid},
		Spec: v1alpha1.NotificationSpec{
			Type: "RiskOutbreak", Severity: v1alpha1.SeverityCritical,
			Trigger: &v1alpha1.Trigger{
				Reason: v1alpha1.TriggerThresholdReached, Sequence: 1, Occurrences: 5, Computers: 5,
				Event: &v1alpha1.EventSnapshot{
					Name: "detection-1", UID: "e", SecurityEventSpec: v1alpha1.SecurityEventSpec{
						Type: "RiskDetected", Severity: v1alpha1.SeverityCritical, Title: "Malicious object <found> $(HOME)",
						Computer: &v1alpha1.Computer{Name: "ws-042"},
					},
				},
			},
			Deliveries: []v1alpha1.Delivery{
				{Channel: "quarantine", Subject: "outbreak"},
				{Channel: "mail", Recipients: []string{"soc@example.com"}, Message: "five computers"},
			},
		},
	}
}

func TestJobIsGolden(t *testing.T) {
	t.Parallel()
	channel := channelWith(`{
		"metadata": {"labels": {"app": "quarantine"}},
		"spec": {
			"serviceAccountName": "quarantine",
			"initContainers": [{"name": "prepare", "image": "localhost/prepare:dev"}],
			"containers": [{"name": "script", "image": "localhost/script:dev", "command": ["/quarantine", "--host=$(COMPUTER)"],
				"env": [{"name": "ACTION", "value": "block"}]}]
		}}`)
	channel.Spec.Exec.Timeout, channel.Spec.Exec.Retries, channel.Spec.Exec.KeepFinished = "2m", ptr.To[int32](2), "30m"
	job, err := New(outbreak(), channel, placeholder.Values{
		placeholder.Computer: "ws-042", placeholder.Event: "$(HOME) `reboot`", placeholder.Action: "Quarantined",
		placeholder.Description: "two\nlines",
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := yaml.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	golden := filepath.Join("testdata", "job.yaml")
	if *update {
		if err := os.WriteFile(golden, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("the Job is not that of %s; `go test ./internal/execjob -update` writes it; want-, got+:\n%s", golden, diff)
	}
}

func TestWhatAChannelLeavesOut(t *testing.T) {
	t.Parallel()
	job, err := New(outbreak(), channelWith(`{"spec":{"automountServiceAccountToken":true,"containers":[{"name":"a","image":"b"}]}}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	spec := job.Spec
	if *spec.ActiveDeadlineSeconds != 600 || *spec.BackoffLimit != 0 || *spec.TTLSecondsAfterFinished != 3600 ||
		*spec.PodReplacementPolicy != batchv1.Failed {
		t.Errorf("deadline %d, retries %d, TTL %d, replacement %s", *spec.ActiveDeadlineSeconds, *spec.BackoffLimit,
			*spec.TTLSecondsAfterFinished, *spec.PodReplacementPolicy)
	}
	if !*spec.Template.Spec.AutomountServiceAccountToken {
		t.Error("the template asked for the service account's token")
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, tc := range []struct {
		uid     types.UID
		channel string
	}{
		{"a", "quarantine"}, {"b", "quarantine"}, {"a", "q.u.a"}, {"a", "q-u-a"}, {"a", strings.Repeat("x", 253)},
		{"a", strings.Repeat("x", 51) + ".y"}, {"a", "1"},
	} {
		name := Name(tc.uid, tc.channel)
		if wrong := validation.IsDNS1123Label(name); len(wrong) > 0 {
			t.Errorf("%q of %q: %v", name, tc.channel, wrong)
		}
		if seen[name] {
			t.Errorf("%q is the name of two", name)
		}
		seen[name] = true
		if again := Name(tc.uid, tc.channel); again != name {
			t.Errorf("it is %q, and %q then", name, again)
		}
	}
}

func TestMadeKnowsItsJob(t *testing.T) {
	t.Parallel()
	channel := channelWith(`{"spec":{"containers":[{"name":"a","image":"b"}]}}`)
	for name, tc := range map[string]struct {
		change func(*batchv1.Job)
		want   bool
	}{
		"ours":                           {func(*batchv1.Job) {}, true},
		"nobody owns it":                 {func(j *batchv1.Job) { j.OwnerReferences = nil }, false},
		"of another notification":        {func(j *batchv1.Job) { j.OwnerReferences[0].UID = "other" }, false},
		"without the label":              {func(j *batchv1.Job) { j.Labels = nil }, false},
		"made for another channel":       {func(j *batchv1.Job) { j.Annotations[AnnotationChannel] = "other" }, false},
		"whose result was let go before": {func(j *batchv1.Job) { j.Finalizers = nil }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := outbreak()
			job, err := New(n, channel, nil)
			if err != nil {
				t.Fatal(err)
			}
			tc.change(job)
			if got := Made(job, n, channel.Name); got != tc.want {
				t.Errorf("got %t, want %t", got, tc.want)
			}
		})
	}
}

func TestFileHoldsTheNotification(t *testing.T) {
	t.Parallel()
	content, err := file(outbreak(), "quarantine")
	if err != nil {
		t.Fatal(err)
	}
	var n v1alpha1.Notification
	if err := json.Unmarshal([]byte(content), &n); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(outbreak().Spec, n.Spec); diff != "" || n.Name != "outbreak-2yjc5k" || n.UID != uid {
		t.Errorf("%s %s; want-, got+:\n%s", n.Name, n.UID, diff)
	}
	if strings.Contains(content, "truncated") {
		t.Error("it says that it is truncated")
	}
}

func TestFileLosesFirstWhatMattersLeast(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("<", 30_000) // six times as long in JSON
	for name, tc := range map[string]struct {
		fill  func(*v1alpha1.NotificationSpec)
		holds func(*v1alpha1.NotificationSpec) bool
	}{
		"texts of other channels": {
			func(s *v1alpha1.NotificationSpec) { s.Deliveries[1].Message = long },
			func(s *v1alpha1.NotificationSpec) bool {
				return s.Deliveries[1].Message == "" && s.Deliveries[1].Channel == "mail" && s.Deliveries[0].Subject != "" &&
					s.Trigger.Event.Attributes != nil
			},
		},
		"attributes": {
			func(s *v1alpha1.NotificationSpec) { s.Trigger.Event.Attributes["long"] = v1alpha1.AttributeValue(long) },
			func(s *v1alpha1.NotificationSpec) bool {
				return s.Trigger.Event.Attributes == nil && s.Trigger.Event.Description == "d"
			},
		},
		"the description": {
			func(s *v1alpha1.NotificationSpec) { s.Trigger.Event.Description = strings.Repeat("€", 100_000) },
			func(s *v1alpha1.NotificationSpec) bool {
				d := s.Trigger.Event.Description
				return d != "" && len(d) <= maxText && utf8.ValidString(d)
			},
		},
		"its own text": {
			func(s *v1alpha1.NotificationSpec) { s.Deliveries[0].Message = long },
			func(s *v1alpha1.NotificationSpec) bool {
				return s.Deliveries[0].Message != "" && len(s.Deliveries[0].Message) <= maxText && s.Trigger.Event != nil
			},
		},
		"the event": {
			func(s *v1alpha1.NotificationSpec) { s.Trigger.Event.Title = long },
			func(s *v1alpha1.NotificationSpec) bool { return s.Trigger.Event == nil && s.Trigger.Occurrences == 5 },
		},
		"lists": {
			func(s *v1alpha1.NotificationSpec) { s.Trigger.ComputerNames = []string{long} },
			func(s *v1alpha1.NotificationSpec) bool {
				return s.Trigger.ComputerNames == nil && s.Severity == v1alpha1.SeverityCritical
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := outbreak()
			n.Spec.Trigger.Event.Attributes = map[string]v1alpha1.AttributeValue{"a": "b"}
			n.Spec.Trigger.Event.Description = "d"
			tc.fill(&n.Spec)
			before := n.DeepCopy()
			content, err := file(n, "quarantine")
			if err != nil {
				t.Fatal(err)
			}
			var got notificationFile
			if err := json.Unmarshal([]byte(content), &got); err != nil {
				t.Fatal(err)
			}
			if len(content) > maxFile || !got.Truncated || !tc.holds(&got.Spec) {
				t.Errorf("%d bytes, truncated: %t: %.300s", len(content), got.Truncated, content)
			}
			if diff := cmp.Diff(before, n); diff != "" {
				t.Errorf("the Notification itself is changed:\n%s", diff)
			}
		})
	}
}

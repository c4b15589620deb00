// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/controllers"
	"github.com/tocsin-dev/tocsin/internal/execjob"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// killAt is a connection that ends for good with the first request that is met: before it is sent, or before its answer
// arrives. A manager behind it is as good as killed there.
type killAt struct {
	next   http.RoundTripper
	met    func(*http.Request) bool
	before bool

	once sync.Once
	dead chan struct{}
}

var errKilled = errors.New("the manager is dead")

func (k *killAt) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-k.dead:
		return nil, errKilled
	default:
	}
	if !k.met(r) {
		return k.next.RoundTrip(r)
	}
	if !k.before {
		if response, err := k.next.RoundTrip(r); err == nil {
			_ = response.Body.Close()
		}
	}
	k.once.Do(func() { close(k.dead) })
	return nil, errKilled
}

func to(method, path string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return r.Method == method && strings.Contains(r.URL.Path, path) && !strings.Contains(r.URL.RawQuery, "dryRun")
	}
}

// A Job runs once, and its result is stored, wherever the manager was killed (design: I1).
func TestProgramRunsOnceWhereverTheManagerIsKilled(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		met    func(*http.Request) bool
		before bool
	}{
		"before the beginning is stored":    {to(http.MethodPut, "/status"), true},
		"after the beginning is stored":     {to(http.MethodPut, "/status"), false},
		"before the Job is made":            {to(http.MethodPost, "/jobs"), true},
		"after the Job is made":             {to(http.MethodPost, "/jobs"), false},
		"before the Job is let go":          {to(http.MethodPatch, "/jobs/"), true},
		"after the result is stored":        {to(http.MethodPatch, "/jobs/"), false},
		"when the Job is looked at":         {to(http.MethodGet, "/jobs/"), true},
		"when the Job's pods are looked at": {to(http.MethodGet, "/pods"), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			k := &killAt{met: tc.met, before: tc.before, dead: make(chan struct{})}
			h.enter(t, controllers.Options{})
			channel := execChannel(h.namespace, "quarantine")
			h.Create(t, channel)
			h.Until(t, channel, func() error {
				return reasonIs(channel.Status.Conditions, v1alpha1.ReadyCondition, v1alpha1.ReasonReady)
			})
			h.leave()
			h.Create(t, &v1alpha1.Notification{
				ObjectMeta: metav1.ObjectMeta{Namespace: h.namespace, Name: "test"},
				Spec: v1alpha1.NotificationSpec{
					Type: v1alpha1.NotificationTypeTest, ChannelRef: &v1alpha1.ChannelReference{Name: "quarantine"},
				},
			})
			h.enter(t, controllers.Options{}, func(next http.RoundTripper) http.RoundTripper {
				k.next = next
				return k
			})
			var jobs batchv1.JobList
			cluster.Eventually(t, "the kill", func(ctx context.Context) error {
				if err := h.Client.List(ctx, &jobs, client.InNamespace(h.namespace)); err != nil {
					return err
				}
				if len(jobs.Items) == 1 && len(jobs.Items[0].Status.Conditions) == 0 {
					finish(t, h.Cluster, &jobs.Items[0], batchv1.JobComplete, "CompletionsReached")
				}
				select {
				case <-k.dead:
					return nil
				default:
					return errors.New("is to come")
				}
			})
			h.enter(t, controllers.Options{})
			job := &awaitJobs(t, h.Cluster, h.namespace, 1)[0]
			uid := job.UID
			if len(job.Status.Conditions) == 0 {
				finish(t, h.Cluster, job, batchv1.JobComplete, "CompletionsReached")
			}
			awaitDelivery(t, h.Cluster, h.namespace, "quarantine", v1alpha1.DeliveryDelivered, "Completed")
			awaitReleased(t, h.Cluster, job)
			if now := awaitJobs(t, h.Cluster, h.namespace, 1)[0]; now.UID != uid {
				t.Error("the Job was made twice")
			}
		})
	}
}

// logOf answers for the kubelet, which this cluster has not.
type logOf struct {
	next  http.RoundTripper
	text  string
	query *string
}

func (l logOf) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/log") {
		return l.next.RoundTrip(r)
	}
	*l.query = r.URL.RawQuery
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(l.text)), Request: r}, nil
}

func TestLastLinesOfOutputAreKept(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var query string
	log := strings.Repeat("noise\n", 100) + "\x1b[2Jquarantined ws\ndone\n"
	h.enter(t, controllers.Options{}, func(next http.RoundTripper) http.RoundTripper { return logOf{next, log, &query} })
	h.Create(t, execChannel(h.namespace, "quarantine"))
	h.follow(t, condition(h.namespace, "single-risk", "SingleRiskEvent", "quarantine"))
	h.Create(t, detection(h.namespace, "ws", "Worm"))
	job := &awaitJobs(t, h.Cluster, h.namespace, 1)[0]
	podOf(t, h.Cluster, job, exited(3, "Error"))
	finish(t, h.Cluster, job, batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded)
	d := awaitDelivery(t, h.Cluster, h.namespace, "quarantine", v1alpha1.DeliveryFailed, "BackoffLimitExceeded")
	output := d.Attempts[0].Output
	if lines := strings.Split(output, "\n"); len(lines) != execjob.OutputLines || lines[19] != "done" {
		t.Errorf("the output is %q", output)
	}
	contains(t, output, "\uFFFD[2Jquarantined ws")
	contains(t, query, "tailLines=20", "limitBytes=", "container=script")
}

// Where the Notification and the channel were deleted while no manager ran, nothing tells of the Job but itself.
func TestJobOfAnEarlierRunDoesNotHang(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	job, err := execjob.New(&v1alpha1.Notification{
		ObjectMeta: metav1.ObjectMeta{Namespace: h.namespace, Name: "gone", UID: "0c7f9dd6-2f4b-4a3c-9a53-6a4f2a0f4f10"},
	}, execChannel(h.namespace, "gone"), nil)
	if err != nil {
		t.Fatal(err)
	}
	h.Create(t, job)
	h.enter(t, controllers.Options{})
	awaitReleased(t, h.Cluster, job)
}

func TestChannelOutsideWhatTheAdministratorAllows(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		allowed execjob.Allowed
		want    string
	}{
		"another namespace": {execjob.Allowed{Namespaces: execjob.Patterns{"security-*"}}, "--exec-namespaces allows: security-*"},
		"another image": {execjob.Allowed{Images: execjob.Patterns{"registry.example.com/soc/*"}},
			`the image "localhost/example:dev" may not be used; the manager's --exec-images allows: registry.example.com/soc/*`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.enter(t, controllers.Options{Exec: tc.allowed})
			channel := execChannel(h.namespace, "quarantine")
			h.Create(t, channel)
			h.Until(t, channel, func() error {
				return reasonIs(channel.Status.Conditions, v1alpha1.ReadyCondition, v1alpha1.ReasonInvalid)
			})
			contains(t, status.Message(channel.Status.Conditions, v1alpha1.ReadyCondition), tc.want)
		})
	}
}

// A manager without the rights of config/rbac/exec.yaml runs, and says so; the rights may be given in one namespace alone.
func TestManagerWithoutTheRightToRunPrograms(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	user := "manager-" + h.namespace
	rule := func(group string, verbs []string, resources ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: verbs}
	}
	bind := func(role *rbacv1.ClusterRole) rbacv1.RoleRef {
		h.Create(t, role)
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}
	}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}}
	h.Create(t, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user}, Subjects: subjects,
		RoleRef: bind(&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{
			rule(v1alpha1.Group, []string{"*"}, "*"), rule("", []string{"list", "watch"}, "namespaces"),
			rule("events.k8s.io", []string{"create", "patch"}, "events"),
		}}),
	})
	h.enter(t, controllers.Options{}, func(next http.RoundTripper) http.RoundTripper { return impersonating{next, user} })
	channel := execChannel(h.namespace, "quarantine")
	h.Create(t, channel)
	h.Until(t, channel, func() error {
		return reasonIs(channel.Status.Conditions, v1alpha1.ReadyCondition, v1alpha1.ReasonExecForbidden)
	})
	contains(t, status.Message(channel.Status.Conditions, v1alpha1.ReadyCondition), "may not create jobs", "tocsin-manager-exec")

	h.Create(t, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: h.namespace, Name: user}, Subjects: subjects,
		RoleRef: bind(execRole(t, user+"-exec")),
	})
	h.Change(t, channel, func() { channel.Spec.Exec.Timeout = "5m" }) // it is looked at now, and not in half a minute
	h.Until(t, channel, func() error {
		return reasonIs(channel.Status.Conditions, v1alpha1.ReadyCondition, v1alpha1.ReasonReady)
	})
	h.follow(t, condition(h.namespace, "single-risk", "SingleRiskEvent", "quarantine"))
	h.Create(t, detection(h.namespace, "ws", "Worm"))
	job := &awaitJobs(t, h.Cluster, h.namespace, 1)[0]
	podOf(t, h.Cluster, job, corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"}})
	awaitDelivery(t, h.Cluster, h.namespace, "quarantine", v1alpha1.DeliverySending, "ImagePullBackOff")
	finish(t, h.Cluster, job, batchv1.JobComplete, "CompletionsReached")
	awaitDelivery(t, h.Cluster, h.namespace, "quarantine", v1alpha1.DeliveryDelivered, "Completed")
	awaitReleased(t, h.Cluster, job)
}

type impersonating struct {
	next http.RoundTripper
	user string
}

func (i impersonating) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Impersonate-User", i.user)
	return i.next.RoundTrip(r)
}

// execRole is the one that config/ ships, under another name.
func execRole(t *testing.T, name string) *rbacv1.ClusterRole {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(cluster.Root(), "config", "rbac", "exec.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	role := &rbacv1.ClusterRole{}
	if err := yaml.UnmarshalStrict([]byte(cluster.Manifests(string(text))[0]), role); err != nil {
		t.Fatal(err)
	}
	role.Name = name
	return role
}

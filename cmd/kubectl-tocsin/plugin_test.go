// SPDX-License-Identifier: Apache-2.0

package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/controllers"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

var (
	k8s *cluster.Cluster
	// program is the plugin, and kubeconfig how it finds the API server.
	program, kubeconfig string
)

// TestMain builds the plugin and runs a manager; each test has a namespace of its own.
func TestMain(m *testing.M) {
	os.Exit(cluster.Main(m, func(c *cluster.Cluster) (func(), error) {
		k8s = c
		folder, err := os.MkdirTemp("", "kubectl-tocsin-")
		if err != nil {
			return nil, err
		}
		program, kubeconfig = filepath.Join(folder, "kubectl-tocsin"), filepath.Join(folder, "kubeconfig")
		if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the plugin: %w\n%s", err, out)
		}
		if err := os.WriteFile(kubeconfig, c.Kubeconfig, 0o600); err != nil {
			return nil, err
		}
		ctrl.SetLogger(zap.New(zap.WriteTo(os.Stderr)))
		mgr, err := ctrl.NewManager(c.Config, ctrl.Options{Scheme: cluster.Scheme(), Metrics: server.Options{BindAddress: "0"}})
		if err != nil {
			return nil, err
		}
		ctx, cancel := context.WithCancel(context.Background())
		if err := controllers.Setup(ctx, mgr, controllers.Options{}); err != nil {
			cancel()
			return nil, err
		}
		stopped := make(chan error, 1)
		go func() { stopped <- mgr.Start(ctx) }()
		return func() {
			cancel()
			if err := errors.Join(<-stopped, os.RemoveAll(folder)); err != nil {
				fmt.Fprintln(os.Stderr, "stopping:", err)
			}
		}, nil
	}))
}

// result is what a run of the plugin has left.
type result struct {
	code     int
	out, err string
}

// run runs the plugin in a namespace.
func run(t *testing.T, namespace string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), cluster.Patience)
	defer cancel()
	command := exec.CommandContext(ctx, program, append(args, "-n", namespace, "--kubeconfig", kubeconfig)...)
	var out, errOut bytes.Buffer
	command.Stdout, command.Stderr = &out, &errOut
	var exit *exec.ExitError
	if err := command.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{command.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// names are those that -o name has shown.
func (r result) names() string {
	return strings.Join(strings.Fields(strings.ReplaceAll(r.out, "notification.tocsin.dev/", "")), " ")
}

// entry is a notification as the manager would write it, with no channel to tell through.
func entry(namespace, name, condition string, severity v1alpha1.Severity, ago time.Duration) *v1alpha1.Notification {
	return &v1alpha1.Notification{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{
			"tocsin.dev/condition": condition, "tocsin.dev/severity": string(severity), "tocsin.dev/type": "RiskOutbreak",
		}},
		Spec: v1alpha1.NotificationSpec{
			Type: "RiskOutbreak", Severity: severity, Creator: "alice",
			Condition: &v1alpha1.ConditionSnapshot{Name: condition, UID: "1", Generation: 1,
				Threshold: v1alpha1.EffectiveThreshold{Count: 1, Window: "1m", Scope: v1alpha1.ScopeAnyComputer}},
			Trigger: &v1alpha1.Trigger{Reason: v1alpha1.TriggerThresholdReached, Time: metav1.NewTime(time.Now().Add(-ago)),
				Sequence: 1, Occurrences: 1, Computers: 1, ComputerNames: []string{"ws-" + name}},
		},
	}
}

func TestLogAsksTheAPIServer(t *testing.T) {
	t.Parallel()
	ns, other := k8s.Namespace(t), k8s.Namespace(t)
	for i := range 7 {
		severity := v1alpha1.SeverityCritical
		if i%2 == 1 {
			severity = v1alpha1.SeverityWarning
		}
		k8s.Create(t, entry(ns, fmt.Sprintf("n%d", i), fmt.Sprintf("c%d", i%3), severity, time.Duration(10-i)*time.Hour))
	}
	k8s.Create(t, entry(other, "elsewhere", "c0", v1alpha1.SeverityInfo, time.Hour))
	k8s.Create(t, &v1alpha1.NotificationFilter{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "recent"},
		Spec: v1alpha1.NotificationFilterSpec{Last: "7h", Severities: []v1alpha1.Severity{"Critical"}}})
	for line, want := range map[string]string{
		"log":                         "n0 n1 n2 n3 n4 n5 n6",
		"log --chunk-size 2":          "n0 n1 n2 n3 n4 n5 n6",
		"log --chunk-size 3 --tail 2": "n5 n6",
		"log --type RiskOutbreak --severity Warning --condition c0 --creator alice": "n3",
		"log --severity Warning,Info":         "n1 n3 n5",
		"log --condition c0,c2":               "n0 n2 n3 n5 n6",
		"log --condition c* --computer ws-n4": "n4",
		"log --since 5h30m --until 4h30m":     "n5",
		"log --filter recent":                 "n4 n6",
		"log --creator bob":                   "",
		"log --acknowledged":                  "",
	} {
		r := run(t, ns, append(strings.Fields(line), "-o", "name")...)
		if r.code != 0 || r.names() != want {
			t.Errorf("%s: exit code %d, got %q, want %q: %s", line, r.code, r.names(), want, r.err)
		}
	}
	if r := run(t, ns, "log", "-A"); !strings.Contains(r.out, "elsewhere") || !strings.HasPrefix(r.out, "NAMESPACE") {
		t.Errorf("-A shows\n%s", r.out)
	}
	k8s.Create(t, &v1alpha1.SecurityEvent{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "e"},
		Spec: v1alpha1.SecurityEventSpec{Type: "X", Severity: v1alpha1.SeverityInfo, Title: "t"}})
	if r := run(t, ns, "events", "--severity", "info", "-o", "name"); r.out != "securityevent.tocsin.dev/e\n" {
		t.Errorf("events: %+v", r)
	}
}

func TestWhatIsForbiddenIsSaidAsKubectlDoes(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	k8s.Create(t, entry(ns, "n", "c", v1alpha1.SeverityInfo, time.Hour))
	for line, want := range map[string]string{
		"log":                  `cannot list resource "notifications"`,
		"log --filter x":       `cannot get resource "notificationfilters"`,
		"show n":               `cannot get resource "notifications"`,
		"ack n --comment seen": `cannot get resource "notifications"`,
		"test mail":            `cannot get resource "notificationchannels"`,
		"conditions":           `cannot list resource "notificationconditions"`,
	} {
		r := run(t, ns, append(strings.Fields(line), "--as", "eve")...)
		if r.code != 1 || !strings.HasPrefix(r.err, "Error from server (Forbidden): ") || !strings.Contains(r.err, want) ||
			!strings.Contains(r.err, `User "eve"`) {
			t.Errorf("%s: %+v", line, r)
		}
	}
}

func TestAcknowledging(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	for _, name := range []string{"a", "b", "c"} {
		k8s.Create(t, entry(ns, name, "outbreak", v1alpha1.SeverityCritical, time.Hour))
	}
	if r := run(t, ns, "ack", "a", "--comment", "would be", "--dry-run"); r.code != 0 || !strings.Contains(r.out, "(server dry run)") {
		t.Errorf("dry run: %+v", r)
	}
	if r := run(t, ns, "ack", "a", "--comment", "cleaned"); r.code != 0 || r.out != "notification.tocsin.dev/a acknowledged\n" {
		t.Errorf("first: %+v", r)
	}
	if r := run(t, ns, "ack", "a", "--comment", "me too"); r.code != 0 || !strings.Contains(r.out, "a was acknowledged already: ") ||
		!strings.Contains(r.out, "cleaned") {
		t.Errorf("second: %+v", r)
	}
	if r := run(t, ns, "ack", "--condition", "outbreak", "--comment", "all"); r.code != 0 ||
		r.out != "notification.tocsin.dev/b acknowledged\nnotification.tocsin.dev/c acknowledged\n" {
		t.Errorf("by filter: %+v", r)
	}
	if r := run(t, ns, "log", "--acknowledged=false"); r.code != 0 || r.out != "" || !strings.Contains(r.err, "No notifications found") {
		t.Errorf("what is left: %+v", r)
	}
}

// output is what a running plugin has written.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *output) await(t *testing.T, text string) {
	t.Helper()
	cluster.Eventually(t, "output of the plugin", func(context.Context) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		if got := o.buffer.String(); !strings.Contains(got, text) {
			return fmt.Errorf("%q is missing in:\n%s", text, got)
		}
		return nil
	})
}

func TestWatchGoesOnWithWhatIsNewAndEndsWhenInterrupted(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	k8s.Create(t, entry(ns, "first", "outbreak", v1alpha1.SeverityCritical, time.Hour))
	command := exec.CommandContext(t.Context(), program, "log", "--watch", "--severity", "Critical", "-n", ns, "--kubeconfig", kubeconfig)
	var out output
	command.Stdout, command.Stderr = &out, &out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	out.await(t, "first")
	k8s.Create(t, entry(ns, "other", "outbreak", v1alpha1.SeverityInfo, 0), entry(ns, "second", "outbreak", v1alpha1.SeverityCritical, 0))
	out.await(t, "second")
	if r := run(t, ns, "ack", "second", "--comment", "seen"); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	out.await(t, "yes   second")
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	var exit *exec.ExitError
	if err := command.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
		t.Errorf("ended with %v", err)
	}
	if strings.Contains(out.buffer.String(), "other") {
		t.Errorf("shows what does not meet the filter:\n%s", out.buffer.String())
	}
}

// TestDraftsThatTheAPIServerRefuses are not shown, and what it takes is.
func TestDraftsThatTheAPIServerRefuses(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	k8s.Create(t, &v1alpha1.SecurityEvent{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "e"},
		Spec: v1alpha1.SecurityEventSpec{Type: "X", Severity: v1alpha1.SeverityInfo, Title: "t"}})
	head := "apiVersion: tocsin.dev/v1alpha1\nmetadata: {name: draft}\nkind: Notification"
	mail := "email: {recipients: [a@example.com], sender: t@example.com, servers: [m]"
	for draft, want := range map[string]string{
		"Condition\nspec: {type: Custom}":                             "",
		"Condition\nspec: {type: NoSuchType}":                         "spec.type",
		"Condition\nspec: {type: Custom, threshold: {count: 0}}":      "spec.threshold.count",
		"Condition\nspec: {type: Custom, threshold: {window: 240h}}":  "spec.threshold.window",
		"Channel\nspec: {type: Email, " + mail + "}}":                 "",
		"Channel\nspec: {type: Email, " + mail + ", port: 99999999}}": "spec.email.port",
	} {
		file := filepath.Join(t.TempDir(), "draft.yaml")
		if err := os.WriteFile(file, []byte(head+draft+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r := run(t, ns, "preview", "-f", file)
		if (r.code == 0) != (want == "") || (r.out != "") != (want == "") || !strings.Contains(r.err, want) {
			t.Errorf("%s: %+v", draft, r)
		}
	}
}

// TestWhatNobodyHasAcknowledgedSaysSo as the API server has it.
func TestWhatNobodyHasAcknowledgedSaysSo(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	k8s.Create(t, entry(ns, "n", "c", v1alpha1.SeverityInfo, time.Hour))
	for _, line := range []string{
		"log -o custom-columns=A:.status.acknowledged --no-headers", "log --sort-by .status.acknowledged -o jsonpath={.items[*].status.acknowledged}",
		"log --field-selector status.acknowledged=false -o jsonpath={.items[*].status.acknowledged}",
	} {
		if r := run(t, ns, strings.Fields(line)...); r.code != 0 || strings.TrimSpace(r.out) != "false" {
			t.Errorf("%s: %+v", line, r)
		}
	}
}

func channel(namespace string, port int) *v1alpha1.NotificationChannel {
	p := int32(port)
	return &v1alpha1.NotificationChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "mail"},
		Spec: v1alpha1.NotificationChannelSpec{
			Type: v1alpha1.ChannelEmail, Retry: &v1alpha1.RetryPolicy{Interval: "1s"},
			Email: &v1alpha1.EmailChannel{
				MailTransport: v1alpha1.MailTransport{Servers: []v1alpha1.MailServer{"127.0.0.1"}, Port: &p, Timeout: "5s"},
				Recipients:    []v1alpha1.MailAddress{"soc@example.com"}, Sender: "tocsin@example.com",
			},
		},
	}
}

func TestATestShowsItsResult(t *testing.T) {
	t.Parallel()
	ns, mail := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	k8s.Create(t, channel(ns, mail.Port()))
	r := run(t, ns, "test", "mail")
	if r.code != 0 || !strings.Contains(r.out, "soc@example.com: Accepted 250") || !strings.Contains(r.err, "created\n") ||
		!strings.Contains(r.err, "Delivered: ") {
		t.Errorf("%+v", r)
	}
	if len(mail.Messages()) != 1 {
		t.Errorf("%d mails", len(mail.Messages()))
	}
	k8s.Create(t, &v1alpha1.NotificationChannel{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "held"}, Spec: func() v1alpha1.NotificationChannelSpec {
		spec := channel(ns, mail.Port()).Spec
		spec.Suspend = true
		return spec
	}()})
	if r := run(t, ns, "test", "held", "--timeout", "1s"); r.code != 3 || !strings.Contains(r.err, "it goes on: kubectl tocsin show test-") {
		t.Errorf("%+v", r)
	}
}

// told is a notification, as far as the engine decides about it.
type told struct {
	Time                        string
	Reason                      v1alpha1.TriggerReason
	Sequence, Occurrences, Held int64
	Computers                   int
	Event                       string
}

func TestASimulationTellsWhatTheManagerHasTold(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	count := int32(2)
	c := &v1alpha1.NotificationCondition{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "NotificationCondition"},
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "burst"},
		Spec: v1alpha1.NotificationConditionSpec{
			Type: "SingleRiskEvent", Threshold: &v1alpha1.Threshold{Count: &count, Window: "4s"},
			Damper: &v1alpha1.Damper{Period: "3s"}, NotifyWhenCleared: true,
		},
	}
	draft, err := yaml.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	k8s.Create(t, c)
	k8s.Until(t, c, func() error {
		if !status.IsTrue(c.Status.Conditions, v1alpha1.ReadyCondition) {
			return errors.New("not ready")
		}
		return nil
	})
	detect := func(n int) {
		for i := range n {
			k8s.Create(t, &v1alpha1.SecurityEvent{
				ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "e-"},
				Spec: v1alpha1.SecurityEventSpec{Type: "RiskDetected", Severity: v1alpha1.SeverityCritical, Title: "Risk",
					Computer: &v1alpha1.Computer{Name: fmt.Sprintf("ws-%d", i)}},
			})
		}
	}
	written := func(n int) []v1alpha1.Notification {
		var list []v1alpha1.Notification
		cluster.Eventually(t, "notifications", func(context.Context) error {
			if list = k8s.Notifications(t, ns); len(list) < n {
				return fmt.Errorf("there are %d, want %d", len(list), n)
			}
			return nil
		})
		return list
	}
	detect(5)
	written(2) // at once, and as the damper ends
	detect(3)
	cleared := func() bool {
		for _, n := range k8s.Notifications(t, ns) {
			if n.Spec.Trigger.Reason == v1alpha1.TriggerCleared {
				return true
			}
		}
		return false
	}
	cluster.Eventually(t, "clearing", func(context.Context) error {
		if !cleared() {
			return errors.New("not cleared yet")
		}
		return nil
	})

	file := filepath.Join(t.TempDir(), "draft.yaml")
	if err := os.WriteFile(file, draft, 0o600); err != nil {
		t.Fatal(err)
	}
	r := run(t, ns, "simulate", "-f", file, "--since", c.CreationTimestamp.UTC().Format(time.RFC3339), "-o", "json")
	var simulated struct {
		Notifications []struct {
			told
			Time metav1.Time
		}
	}
	if err := json.Unmarshal([]byte(r.out), &simulated); err != nil {
		t.Fatalf("%v: %+v", err, r)
	}
	want, got := map[string]told{}, map[string]told{}
	for _, n := range written(3) {
		tr := n.Spec.Trigger
		x := told{tr.Time.UTC().Format(time.RFC3339), tr.Reason, tr.Sequence, tr.Occurrences, tr.Held, int(tr.Computers), ""}
		if tr.Event != nil {
			x.Event = tr.Event.Name
		}
		want[x.Time+string(x.Reason)] = x
	}
	for _, n := range simulated.Notifications {
		x := n.told
		x.Time = n.Time.UTC().Format(time.RFC3339)
		got[x.Time+string(x.Reason)] = x
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the manager told, the simulation (-manager +simulation):\n%s", diff)
	}
}

// SPDX-License-Identifier: Apache-2.0

// Package process_test runs the manager as a process of its own and ends it the hard way.
package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

var (
	k8s        *cluster.Cluster
	binary     string
	kubeconfig string
)

func TestMain(m *testing.M) {
	os.Exit(cluster.Main(m, func(c *cluster.Cluster) (func(), error) {
		k8s = c
		dir, err := os.MkdirTemp("", "tocsin-process-")
		if err != nil {
			return nil, err
		}
		binary, kubeconfig = filepath.Join(dir, "manager"), filepath.Join(dir, "kubeconfig")
		build := exec.Command("go", "build", "-o", binary, "./cmd/manager")
		build.Dir = cluster.Root()
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("building the manager: %w\n%s", err, out)
		}
		return func() { _ = os.RemoveAll(dir) }, install(c)
	}))
}

// serviceAccount is the manager's: all tests here run with its rights and no others.
const serviceAccount = "system:serviceaccount:tocsin-system:tocsin-manager"

// apply does what a user does with a folder of config/.
func apply(c *cluster.Cluster, folder string) error {
	admin := filepath.Join(filepath.Dir(kubeconfig), "admin")
	if err := os.WriteFile(admin, c.Kubeconfig, 0o600); err != nil {
		return err
	}
	kubectl := exec.Command(filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), "apply", "-k", folder)
	kubectl.Dir, kubectl.Env = cluster.Root(), append(os.Environ(), "KUBECONFIG="+admin)
	if out, err := kubectl.CombinedOutput(); err != nil {
		return fmt.Errorf("applying %s: %w\n%s", folder, err, out)
	}
	return nil
}

// older says that the API server is one of Kubernetes before 1.36: it writes neither who makes a condition nor who
// acknowledges a notification.
var older bool

// before136 writes an overlay of config/default for such servers.
func before136(folder string) error {
	root, err := filepath.Rel(folder, cluster.Root())
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "kustomization.yaml"), fmt.Appendf(nil,
		"resources: [%[1]s/config/default]\ncomponents: [%[1]s/config/components/before-1.36]\n", root), 0o600)
}

// install applies config/default as the server takes it, and writes a kubeconfig that acts as the manager's service account.
func install(c *cluster.Cluster) error {
	_, err := c.Client.RESTMapper().RESTMapping(schema.GroupKind{
		Group: admissionregistrationv1.GroupName, Kind: "MutatingAdmissionPolicy",
	}, "v1")
	if older = meta.IsNoMatchError(err); err != nil && !older {
		return fmt.Errorf("asking what the API server knows: %w", err)
	}
	folder := "config/default"
	if older {
		folder = filepath.Dir(kubeconfig)
		if err := before136(folder); err != nil {
			return err
		}
	}
	if err := apply(c, folder); err != nil {
		return err
	}
	config, err := clientcmd.Load(c.Kubeconfig)
	if err != nil {
		return err
	}
	for _, user := range config.AuthInfos {
		user.Impersonate = serviceAccount
	}
	return clientcmd.WriteToFile(*config, kubeconfig)
}

// process is a running manager.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	out  *output
}

// output is what a process wrote; it may be read while it is written.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}

func start(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{done: make(chan struct{}), out: &output{}}
	p.cmd = exec.Command(binary, append([]string{"--metrics-bind-address=0", "--health-probe-bind-address=0"}, args...)...)
	p.cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig)
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("starting the manager: %v", err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("the manager wrote:\n%s", p.out.String())
		}
	})
	return p
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// stop asks it to end, and returns its exit code.
func (p *process) stop(t *testing.T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-p.done:
	case <-time.After(cluster.Patience):
		t.Fatal("the manager did not stop")
	}
	return p.cmd.ProcessState.ExitCode()
}

func channel(ns string, port int) *v1alpha1.NotificationChannel {
	p := int32(port)
	return &v1alpha1.NotificationChannel{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "mail"},
		Spec: v1alpha1.NotificationChannelSpec{
			Type: v1alpha1.ChannelEmail, Default: true, Retry: &v1alpha1.RetryPolicy{Interval: "1s"},
			Email: &v1alpha1.EmailChannel{
				MailTransport: v1alpha1.MailTransport{Servers: []v1alpha1.MailServer{"127.0.0.1"}, Port: &p},
				Recipients:    []v1alpha1.MailAddress{"soc@example.com"}, Sender: "tocsin@example.com",
			},
		},
	}
}

func condition(ns string, kind v1alpha1.ConditionType) *v1alpha1.NotificationCondition {
	return &v1alpha1.NotificationCondition{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "risks"}, Spec: v1alpha1.NotificationConditionSpec{Type: kind},
	}
}

func detection(ns, computer string) *v1alpha1.SecurityEvent {
	return &v1alpha1.SecurityEvent{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, GenerateName: "detection-"},
		Spec: v1alpha1.SecurityEventSpec{
			Type: "RiskDetected", Severity: v1alpha1.SeverityCritical, Title: "Malicious object detected",
			Computer: &v1alpha1.Computer{Name: computer}, Risk: &v1alpha1.Risk{Name: "Worm"},
		},
	}
}

func awaitReady(t *testing.T, c *v1alpha1.NotificationCondition) {
	t.Helper()
	k8s.Until(t, c, func() error {
		if !status.IsTrue(c.Status.Conditions, v1alpha1.ReadyCondition) {
			return errors.New("not ready")
		}
		return nil
	})
}

func awaitState(t *testing.T, ns string, n int, reason string) []v1alpha1.Notification {
	t.Helper()
	var list []v1alpha1.Notification
	cluster.Eventually(t, "notifications", func(context.Context) error {
		list = k8s.Notifications(t, ns)
		if len(list) != n {
			return fmt.Errorf("there are %d, want %d", len(list), n)
		}
		for i := range list {
			if got := status.Reason(list[i].Status.Conditions, v1alpha1.SucceededCondition); got != reason {
				return fmt.Errorf("%s is %q, want %q", list[i].Name, got, reason)
			}
		}
		return nil
	})
	return list
}

func awaitMails(t *testing.T, server *fakesmtp.Server, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), cluster.Patience)
	defer cancel()
	if _, err := server.WaitFor(ctx, n); err != nil {
		t.Fatalf("waiting for %d mails, have %d: %v", n, len(server.Messages()), err)
	}
}

func TestKilledBetweenIntentAndDeliveryTheMailGoesOutOnce(t *testing.T) {
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{Users: map[string]string{"tocsin": "s3cret"}})
	mail := channel(ns, server.Port())
	mail.Spec.Email.Auth = &v1alpha1.MailAuth{SecretRef: v1alpha1.SecretReference{Name: "login"}, AllowUnencrypted: true}
	c := condition(ns, "SingleRiskEvent")
	first := start(t)
	k8s.Create(t, mail, c)
	awaitReady(t, c)
	k8s.Create(t, detection(ns, "ws"))
	awaitState(t, ns, 1, v1alpha1.ReasonPending)
	first.kill()

	k8s.Create(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "login"},
		StringData: map[string]string{"username": "tocsin", "password": "s3cret"}})
	start(t)
	awaitState(t, ns, 1, v1alpha1.ReasonDelivered)
	if got := len(server.Messages()); got != 1 {
		t.Errorf("%d mails arrived, want one", got)
	}
}

func TestKilledWhileSendingItIsSentAgainUnderTheSameMessageID(t *testing.T) {
	ns := k8s.Namespace(t)
	hanging := fakesmtp.StartScript(t, fakesmtp.Script{fakesmtp.FinalDot: fakesmtp.Hang()})
	mail, c := channel(ns, hanging.Port()), condition(ns, "SingleRiskEvent")
	first := start(t)
	k8s.Create(t, mail, c)
	awaitReady(t, c)
	k8s.Create(t, detection(ns, "ws"))
	before := awaitState(t, ns, 1, v1alpha1.ReasonSending)[0].Status.Deliveries[0]
	first.kill()

	server := fakesmtp.Start(t, fakesmtp.Options{})
	port := int32(server.Port())
	k8s.Change(t, mail, func() { mail.Spec.Email.Port = &port })
	start(t)
	after := awaitState(t, ns, 1, v1alpha1.ReasonDelivered)[0].Status.Deliveries[0]
	if before.MessageID == "" || before.MessageID != after.MessageID {
		t.Errorf("Message-ID was %q and is %q", before.MessageID, after.MessageID)
	}
	if len(after.Attempts) != 2 || after.Attempts[0].Reason != "Interrupted" {
		t.Errorf("attempts are %+v, want the first to be marked as interrupted", after.Attempts)
	}
}

// Windows that span the restart still count, and events that were created while no manager ran are evaluated (I1).
func TestHalfBeforeAndHalfAfterTheRestart(t *testing.T) {
	ns, c := k8s.Namespace(t), (*v1alpha1.NotificationCondition)(nil)
	c = condition(ns, "RiskOutbreak")
	first := start(t)
	k8s.Create(t, c)
	awaitReady(t, c)
	k8s.Create(t, detection(ns, "a"), detection(ns, "b"))
	k8s.Until(t, c, func() error {
		if c.Status.MatchedTotal != 2 {
			return fmt.Errorf("%d matched, want 2", c.Status.MatchedTotal)
		}
		return nil
	})
	first.kill()
	k8s.Create(t, detection(ns, "c"), detection(ns, "d"))
	second := start(t)
	k8s.Until(t, c, func() error {
		if c.Status.MatchedTotal != 4 {
			return fmt.Errorf("%d matched, want 4", c.Status.MatchedTotal)
		}
		return nil
	})
	k8s.Create(t, detection(ns, "e"))
	n := awaitState(t, ns, 1, v1alpha1.ReasonLogged)[0]
	if n.Spec.Trigger.Computers != 5 {
		t.Errorf("%d computers, want 5", n.Spec.Trigger.Computers)
	}
	// The damper holds over the restart too, before anything of it is in the condition's status.
	second.kill()
	k8s.Create(t, detection(ns, "f"))
	start(t)
	k8s.Until(t, c, func() error {
		if d := c.Status.Dampers; len(d) != 1 || d[0].Held != 1 || c.Status.FiredTotal != 1 {
			return fmt.Errorf("dampers are %+v, fired %d; want 1 held, 1 fired", d, c.Status.FiredTotal)
		}
		return nil
	})
	awaitState(t, ns, 1, v1alpha1.ReasonLogged)
}

func TestWhenTheLeaderIsKilledTheOtherTakesOver(t *testing.T) {
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	c := condition(ns, "SingleRiskEvent")
	c.Spec.Damper = &v1alpha1.Damper{Period: v1alpha1.DamperNone}
	elect := []string{"--leader-elect", "--leader-election-namespace=tocsin-system", "--leader-election-lease=4s"}
	leader := start(t, elect...)
	k8s.Create(t, channel(ns, server.Port()), c)
	awaitReady(t, c)
	first := holder(t)
	start(t, elect...)
	k8s.Create(t, detection(ns, "a"))
	awaitState(t, ns, 1, v1alpha1.ReasonDelivered)
	if now := holder(t); first == "" || now != first {
		t.Fatalf("the lease went from %q to %q without need", first, now)
	}
	leader.kill()
	k8s.Create(t, detection(ns, "b"))
	awaitMails(t, server, 2)
	awaitState(t, ns, 2, v1alpha1.ReasonDelivered)
	if got := len(server.Messages()); got != 2 {
		t.Errorf("%d mails arrived, want one for each event", got)
	}
	if holder(t) == first {
		t.Error("the killed manager still holds the lease")
	}
}

// holder is the manager that leads.
func holder(t *testing.T) string {
	t.Helper()
	lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "tocsin-system", Name: "manager.tocsin.dev"}}
	k8s.Get(t, lease)
	return ptr.Deref(lease.Spec.HolderIdentity, "")
}

func TestToldToStopItFinishesWhatIsUnderWay(t *testing.T) {
	ns := k8s.Namespace(t)
	slow := fakesmtp.StartScript(t, fakesmtp.Script{
		fakesmtp.FinalDot: fakesmtp.Then(fakesmtp.Pause(time.Second), fakesmtp.Reply("250 2.0.0 ok")),
	})
	c := condition(ns, "SingleRiskEvent")
	p := start(t)
	k8s.Create(t, channel(ns, slow.Port()), c)
	awaitReady(t, c)
	k8s.Create(t, detection(ns, "ws"))
	awaitState(t, ns, 1, v1alpha1.ReasonSending)
	if code := p.stop(t); code != 0 {
		t.Errorf("exit code is %d", code)
	}
	awaitState(t, ns, 1, v1alpha1.ReasonDelivered)
}

func TestStartedBeforeItsKindsItWaitsForThem(t *testing.T) {
	bare, err := cluster.StartBare()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bare.Stop(); err != nil {
			t.Error(err)
		}
	})
	own := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(own, bare.Kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "--kubeconfig="+own)
	says := func(text string) {
		cluster.Eventually(t, text, func(context.Context) error {
			if !strings.Contains(p.out.String(), text) {
				return errors.New("was not said")
			}
			return nil
		})
	}
	says("Waiting for Tocsin's kinds")
	if err := apply(bare, "config/crd"); err != nil {
		t.Fatal(err)
	}
	says("Starting workers")
}

func TestHelpExplainsAndWrongFlagsAreRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		code int
		want string
	}{
		"help":            {[]string{"--help"}, 0, "watches SecurityEvents"},
		"unknown flag":    {[]string{"--colour"}, 2, "not defined"},
		"stray argument":  {[]string{"start"}, 2, `unexpected argument "start"`},
		"no workers":      {[]string{"--delivery-workers=0"}, 2, "must be at least 1"},
		"lease too short": {[]string{"--leader-election-lease=1s"}, 2, "must be at least 4s"},
		"no such cluster": {[]string{"--kubeconfig=/does/not/exist"}, 1, "finding the cluster"},
	} {
		t.Run(name, func(t *testing.T) {
			out, _ := exec.Command(binary, tc.args...).CombinedOutput()
			cmd := exec.Command(binary, tc.args...)
			_ = cmd.Run()
			if code := cmd.ProcessState.ExitCode(); code != tc.code {
				t.Errorf("exit code is %d, want %d", code, tc.code)
			}
			if !bytes.Contains(out, []byte(tc.want)) {
				t.Errorf("%q is missing in:\n%s", tc.want, out)
			}
		})
	}
}

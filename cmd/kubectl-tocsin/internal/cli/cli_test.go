// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/cli"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

var update = flag.Bool("update", false, "write the golden files and the examples of docs/kubectl-tocsin.md anew")

// noon is when all commands of the golden tests are run.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// terminal is a run of the plugin without a cluster.
type terminal struct {
	*cli.App
	client   client.WithWatch
	out, err bytes.Buffer
}

func newTerminal(t *testing.T, objects ...client.Object) *terminal {
	t.Helper()
	x := &terminal{client: fakeCluster(objects...)}
	x.App = &cli.App{
		IOStreams: genericiooptions.IOStreams{In: strings.NewReader(""), Out: &x.out, ErrOut: &x.err},
		Screen:    screen.New(&x.out, os.Getenv),
		Connect:   func() (client.WithWatch, error) { return x.client, nil },
		Server: func() (*rest.Config, error) {
			return &rest.Config{Host: newArchive(t, objects...).start(t), QPS: -1}, nil
		},
		Namespace: func() (string, bool, error) { return "security", false, nil },
		Now:       func() time.Time { return noon },
	}
	return x
}

// run runs a command line and returns the exit code.
func (x *terminal) run(t *testing.T, args ...string) int {
	t.Helper()
	x.out.Reset()
	x.err.Reset()
	return cli.Run(t.Context(), x.App, args)
}

// fakeCluster selects by the fields that the API server can select by, and tries channels at once.
func fakeCluster(objects ...client.Object) client.WithWatch {
	builder := fake.NewClientBuilder().WithScheme(cluster.Scheme()).WithObjects(objects...)
	for field, value := range map[string]func(*v1alpha1.Notification) string{
		"spec.type":     func(n *v1alpha1.Notification) string { return n.Spec.Type },
		"spec.severity": func(n *v1alpha1.Notification) string { return string(n.Spec.Severity) },
		"spec.creator":  func(n *v1alpha1.Notification) string { return n.Spec.Creator },
		"spec.condition.name": func(n *v1alpha1.Notification) string {
			if n.Spec.Condition == nil {
				return ""
			}
			return n.Spec.Condition.Name
		},
	} {
		builder.WithIndex(&v1alpha1.Notification{}, field, func(o client.Object) []string {
			return []string{value(o.(*v1alpha1.Notification))}
		})
	}
	builder.WithIndex(&v1alpha1.SecurityEvent{}, "spec.severity", func(o client.Object) []string {
		return []string{string(o.(*v1alpha1.SecurityEvent).Spec.Severity)}
	})
	return builder.WithInterceptorFuncs(interceptor.Funcs{Create: tryChannel}).Build()
}

// tryChannel gives a test the result that its channel's name asks for.
func tryChannel(ctx context.Context, c client.WithWatch, o client.Object, options ...client.CreateOption) error {
	n, ok := o.(*v1alpha1.Notification)
	if !ok {
		return c.Create(ctx, o, options...)
	}
	n.Name, n.CreationTimestamp = "test-q8z4w", metav1.NewTime(noon)
	channel := n.Spec.ChannelRef.Name
	state, status, message := v1alpha1.DeliveryDelivered, metav1.ConditionTrue, channel+": Delivered (1 of 1 recipients)"
	d := v1alpha1.DeliveryStatus{Channel: channel, Reason: "Accepted", AttemptCount: 1, Attempts: []v1alpha1.Attempt{{
		Number: 1, StartTime: metav1.NewTime(noon), Reason: "Accepted", Server: "smtp.example.com:25", TLS: "TLS 1.3",
	}}, Recipients: []v1alpha1.RecipientStatus{{Address: "soc@example.com", State: v1alpha1.RecipientAccepted, Code: 250, Response: "Ok"}}}
	switch channel {
	case "duty-mail":
		state, status, message = v1alpha1.DeliveryFailed, metav1.ConditionFalse, channel+": Failed (LoginRefused)"
		d.Reason, d.Message, d.Attempts, d.Recipients = "LoginRefused", "535 authentication failed", nil, nil
	case "slow":
		state, status, message = v1alpha1.DeliverySending, metav1.ConditionUnknown, channel+": Sending"
	}
	d.State = state
	n.Status.Deliveries = []v1alpha1.DeliveryStatus{d}
	n.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.SucceededCondition, Status: status, Reason: string(state), Message: message, LastTransitionTime: metav1.NewTime(noon),
	}}
	return c.Create(ctx, n, options...)
}

// stock are the objects of testdata.
func stock(t *testing.T) []client.Object {
	t.Helper()
	var objects []client.Object
	for _, file := range []string{"cluster.yaml", "events.yaml"} {
		objects = append(objects, manifests(t, file)...)
	}
	return objects
}

// manifests are the objects of a file of testdata.
func manifests(t *testing.T, file string) []client.Object {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(cluster.Root(), "cmd", "kubectl-tocsin", "internal", "cli", "testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var objects []client.Object
	for _, document := range cluster.Manifests(string(data)) {
		var head metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			t.Fatal(err)
		}
		made, err := cluster.Scheme().New(head.GroupVersionKind())
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict([]byte(document), made); err != nil {
			t.Fatalf("%v\n%s", err, document)
		}
		objects = append(objects, made.(client.Object))
	}
	return objects
}

// TestExamplesOfTheDocs runs what docs/kubectl-tocsin.md shows and compares. Each example sees the stock, unchanged by the
// others. As on a
// terminal, what a command writes to its error output stands among its output.
func TestExamplesOfTheDocs(t *testing.T) {
	t.Chdir(cluster.Root())
	page := filepath.Join("docs", "kubectl-tocsin.md")
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const fence, prompt = "```console\n$ kubectl tocsin ", "```\n"
	var anew strings.Builder
	examples, rest := 0, string(data)
	for {
		before, after, found := strings.Cut(rest, fence)
		anew.WriteString(before)
		if !found {
			break
		}
		examples++
		line, after, _ := strings.Cut(after, "\n")
		want, after, closed := strings.Cut(after, prompt)
		if !closed {
			t.Fatalf("the example %q does not end", line)
		}
		x := newTerminal(t, stock(t)...)
		x.ErrOut = &x.out
		x.run(t, words(line)...)
		got := x.out.String()
		if got != want && !*update {
			t.Errorf("kubectl tocsin %s\ngot:\n%s\nwant:\n%s", line, got, want)
		}
		anew.WriteString(fence + line + "\n" + got + prompt)
		rest = after
	}
	if examples < 12 {
		t.Errorf("there are %d examples only", examples)
	}
	if *update {
		if err := os.WriteFile(page, []byte(anew.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// words splits a command line as a shell does, as far as the examples need: single quotes.
func words(line string) []string {
	var list []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			list = append(list, part)
		} else {
			list = append(list, strings.Fields(part)...)
		}
	}
	return list
}

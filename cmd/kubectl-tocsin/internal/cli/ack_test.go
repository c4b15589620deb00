// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/cli"
)

// TestWhatAFilterHasReadIsNotReadAgain: an acknowledgement is one request. What is shown of it, is read.
func TestWhatAFilterHasReadIsNotReadAgain(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]struct {
		gets int
		out  string
	}{
		"--condition outbreak":                                                          {0, "notification.tocsin.dev/outbreak-2dfojryr7q acknowledged\n"},
		"--condition outbreak --dry-run=client":                                         {0, "notification.tocsin.dev/outbreak-2dfojryr7q acknowledged (dry run)\n"},
		"outbreak-2dfojryr7q":                                                           {1, "notification.tocsin.dev/outbreak-2dfojryr7q acknowledged\n"},
		"--condition outbreak -o jsonpath={.spec.trigger.occurrences}":                  {0, "12"},
		"--condition outbreak --dry-run=client -o jsonpath={.spec.trigger.occurrences}": {1, "12"},
	} {
		x := newTerminal(t, stock(t)...)
		gets := 0
		x.client = interceptor.NewClient(x.client, interceptor.Funcs{
			Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, options ...client.GetOption) error {
				gets++
				return c.Get(ctx, key, o, options...)
			},
		})
		code := x.run(t, append([]string{"ack", "--comment", "x"}, strings.Fields(line)...)...)
		if code != 0 || gets != want.gets || !strings.Contains(x.out.String(), want.out) {
			t.Errorf("%s: exit code %d, %d reads, %q, %q", line, code, gets, x.out.String(), x.err.String())
		}
	}
}

func TestWhatAFilterHasReadMayHaveChangedSince(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	x.client = interceptor.NewClient(x.client, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if err := c.List(ctx, list, options...); err != nil {
				return err
			}
			for _, n := range list.(*v1alpha1.NotificationList).Items {
				if n.Spec.Acknowledgement == nil {
					n.Spec.Acknowledgement = &v1alpha1.Acknowledgement{Comment: "mine", By: "mallory"}
					if err := c.Update(ctx, &n); err != nil {
						return err
					}
				}
			}
			return nil
		},
	})
	code := x.run(t, "ack", "--condition", "outbreak", "--comment", "seen")
	if want := "notification.tocsin.dev/outbreak-2dfojryr7q was acknowledged already: by mallory: mine\n"; code != 0 || x.out.String() != want {
		t.Errorf("exit code %d, %q, %q", code, x.out.String(), x.err.String())
	}
}

const kubeconfig = `
apiVersion: v1
kind: Config
current-context: home
contexts: [{name: home, context: {cluster: near, user: mara}}, {name: work, context: {cluster: far, user: mallory}}]
clusters: [{name: near, cluster: {server: "https://127.0.0.1:1"}}, {name: far, cluster: {server: "https://127.0.0.1:2"}}]
users: [{name: mara, user: {}}, {name: mallory, user: {}}]
`

func TestCompletionKnowsTheKubeconfig(t *testing.T) {
	t.Parallel()
	file := write(t, kubeconfig)
	for line, want := range map[string]string{
		"--context ": "home work", "--context w": "work", "--cluster ": "far near", "--user ma": "mallory mara", "--user=x": "",
	} {
		var out, errOut bytes.Buffer
		a := cli.New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut})
		cli.Run(t.Context(), a, append([]string{"__complete", "log", "--kubeconfig", file}, strings.Split(line, " ")...))
		if got, _, _ := strings.Cut(out.String(), ":"); strings.Join(strings.Fields(got), " ") != want {
			t.Errorf("%s: got %q, want %q: %s", line, got, want, errOut.String())
		}
	}
}

// TestRequestsAreNotHeldBack: client-go's own limit is five in a second.
func TestRequestsAreNotHeldBack(t *testing.T) {
	t.Parallel()
	a := cli.New(genericiooptions.IOStreams{In: strings.NewReader(""), Out: &bytes.Buffer{}, ErrOut: &bytes.Buffer{}})
	if code := cli.Run(t.Context(), a, []string{"log", "--help", "--kubeconfig", write(t, kubeconfig)}); code != 0 {
		t.Fatal("the kubeconfig was not taken")
	}
	config, err := a.Server()
	if err != nil {
		t.Fatal(err)
	}
	if config.QPS >= 0 {
		t.Errorf("held back to %v requests per second", config.QPS)
	}
}

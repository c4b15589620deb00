// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/cli"
)

// drafted is the file of a draft with such a spec.
func drafted(t *testing.T, name, spec string) string {
	t.Helper()
	return write(t, "apiVersion: tocsin.dev/v1alpha1\nkind: NotificationCondition\nmetadata: {name: "+name+"}\nspec: {"+spec+"}\n")
}

// draftedChannel is the file of a draft of a channel.
func draftedChannel(t *testing.T, name string) string {
	t.Helper()
	return write(t, "apiVersion: tocsin.dev/v1alpha1\nkind: NotificationChannel\nmetadata: {name: "+name+"}\n"+
		"spec: {type: Email, email: {recipients: [a@example.com], sender: t@example.com, servers: [m], port: 99999999}}\n")
}

func TestADraftIsCheckedByTheAPIServer(t *testing.T) {
	t.Parallel()
	kind := schema.GroupKind{Group: "tocsin.dev", Kind: "NotificationCondition"}
	resource := schema.GroupResource{Group: "tocsin.dev", Resource: "notificationconditions"}
	for name, tc := range map[string]struct {
		answer error
		code   int
		want   string
		shown  bool
	}{
		"taken":   {nil, 0, "", true},
		"refused": {apierrors.NewInvalid(kind, "draft", nil), 1, `Error from server (Invalid): NotificationCondition.tocsin.dev "draft" is invalid`, false},
		"not allowed to ask": {apierrors.NewForbidden(resource, "draft", errors.New("eve may not")), 0,
			"The draft was not checked by the API server: notificationconditions.tocsin.dev \"draft\" is forbidden: eve may not\n", true},
		"no such namespace": {apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "security"), 0,
			"The draft was not checked by the API server: namespaces \"security\" not found\n", true},
	} {
		for line, updates := range map[string]bool{
			"simulate -f " + drafted(t, "draft", "type: SingleRiskEvent"): false, "simulate -f " + drafted(t, "server-health", "type: SingleRiskEvent"): true,
			"preview -f " + drafted(t, "draft", "type: SingleRiskEvent"): false, "preview -f " + drafted(t, "server-health", "type: SingleRiskEvent"): true,
			"preview -f " + draftedChannel(t, "draft"): false, "preview -f " + draftedChannel(t, "soc-mail"): true,
		} {
			t.Run(name+": "+line, func(t *testing.T) {
				t.Parallel()
				x := newTerminal(t, stock(t)...)
				asked, updated := 0, false
				check := func(dry []string) error {
					if asked++; len(dry) == 0 {
						t.Error("it is stored")
					}
					return tc.answer
				}
				x.client = interceptor.NewClient(x.client, interceptor.Funcs{
					Create: func(_ context.Context, _ client.WithWatch, _ client.Object, o ...client.CreateOption) error {
						return check((&client.CreateOptions{}).ApplyOptions(o).DryRun)
					},
					Update: func(_ context.Context, _ client.WithWatch, o client.Object, options ...client.UpdateOption) error {
						if channel, ok := o.(*v1alpha1.NotificationChannel); ok && *channel.Spec.Email.Port != 99999999 {
							t.Errorf("it asks for port %d", *channel.Spec.Email.Port)
						}
						updated = true
						return check((&client.UpdateOptions{}).ApplyOptions(options).DryRun)
					},
				})
				code := x.run(t, strings.Fields(line)...)
				if code != tc.code || !strings.HasPrefix(x.err.String(), tc.want) || tc.want == "" && x.err.Len() > 0 {
					t.Errorf("exit code %d, %q, want %q", code, x.err.String(), tc.want)
				}
				if asked != 1 || updated != updates || (x.out.Len() > 0) != tc.shown {
					t.Errorf("asked %d times, by an update: %t; output: %s", asked, updated, x.out.String())
				}
			})
		}
	}
}

func TestWhatASimulationSaysBesides(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	x.run(t, "simulate", "-f", drafted(t, "draft", "type: SingleRiskEvent, suspend: true"))
	if want := "condition draft: `spec.suspend` is true: events are not evaluated; what follows is as if it were false\n"; x.err.String() != want || !strings.Contains(x.out.String(), "Told:") {
		t.Errorf("suspended: %q", x.err.String())
	}
	nobody := drafted(t, "draft", `type: SingleRiskEvent, filter: {computers: [nobody]}`)
	for _, format := range []string{"", "json"} {
		x.run(t, "simulate", "-f", nobody, "--tune", "3", "-o", format)
		if want := "Nothing met the filter: there is nothing to tune by.\n"; x.err.String() != want {
			t.Errorf("nothing matched: %q", x.err.String())
		}
		if text := x.out.String(); strings.Contains(text, "Settings for") || strings.Contains(text, "proposals") {
			t.Errorf("nothing matched:\n%s", text)
		}
	}
}

func TestLessThanADayOfEventsIsNotProjected(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	line := []string{"simulate", "-f", drafted(t, "draft", "type: SingleRiskEvent"), "--since", "90m", "--tune", "2"}
	x.run(t, line...)
	for _, want := range []string{" notifications in 90m; ", "\nSettings for about 2 in 90m, as there is no day of events", "DAMPER   TOLD"} {
		if !strings.Contains(x.out.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, x.out.String())
		}
	}
	if x.run(t, append(line, "-o", "json")...); strings.Contains(x.out.String(), "notificationsPerDay") {
		t.Errorf("as JSON:\n%s", x.out.String())
	}
	x.run(t, "simulate", "-f", line[2], "--since", "24h", "-o", "json")
	if !strings.Contains(x.out.String(), `"notificationsPerDay": `) {
		t.Errorf("as JSON, of a day:\n%s", x.out.String())
	}
}

func TestASimulationEndsWhenInterrupted(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	ctx, cancel := context.WithCancel(t.Context())
	x.client = interceptor.NewClient(x.client, interceptor.Funcs{
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, o ...client.ListOption) error {
			defer cancel()
			return c.List(ctx, list, o...)
		},
	})
	if code := cli.Run(ctx, x.App, []string{"simulate", "-f", drafted(t, "draft", "type: SingleRiskEvent")}); code != 130 || x.out.Len() > 0 {
		t.Errorf("exit code %d: %s", code, x.out.String())
	}
}

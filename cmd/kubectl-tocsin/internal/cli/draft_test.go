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
)

// TestWhatTheManagerWouldSayOfADraft: what it would refuse is refused, and what it would complain about is said, in its words.
func TestWhatTheManagerWouldSayOfADraft(t *testing.T) {
	t.Parallel()
	selector := "type: SingleRiskEvent, namespaceSelector: {matchLabels: {team: a}}"
	for name, tc := range map[string]struct {
		spec  string
		flags []string
		code  int
		want  string
	}{
		"fine": {"type: SingleRiskEvent", nil, 0, ""},
		"selects namespaces, where the manager is not": {selector, nil, 1,
			"error: condition draft: `spec.namespaceSelector`: may only be set in the operator's own namespace, tocsin-system; " +
				"elsewhere a condition watches the events of its own namespace (--operator-namespace tells where the manager runs)\n"},
		"selects namespaces, where the manager is": {selector, []string{"--operator-namespace", "security"}, 0, ""},
		"no such channel": {"type: SingleRiskEvent, actions: [{channelRef: {name: soc-mail}}, {channelRef: {name: gone}}]", nil, 0,
			"condition draft: `spec.actions[1].channelRef` names \"gone\", which does not exist in this namespace; what is due waits for it\n"},
		"suspended": {"type: SingleRiskEvent, suspend: true", nil, 0,
			"condition draft: `spec.suspend` is true: events are not evaluated; what follows is as if it were false\n"},
		"an expression that is none": {`type: Custom, filter: {expression: "event."}`, nil, 1, "error: condition draft: `spec.filter.expression`: "},
		"a window longer than events are kept": {"type: Custom, threshold: {window: 48h}", nil, 0,
			"condition draft: if the manager keeps events no longer than it does by default, it is not ready: `spec.threshold.window`: 48h is longer"},
		"a window as long as such events are kept": {"type: Custom, threshold: {window: 48h}, filter: {severities: [Critical]}", nil, 0, ""},
	} {
		for _, verb := range []string{"simulate", "preview"} {
			t.Run(verb+": "+name, func(t *testing.T) {
				t.Parallel()
				x := newTerminal(t, stock(t)...)
				code := x.run(t, append([]string{verb, "-f", drafted(t, "draft", tc.spec)}, tc.flags...)...)
				if got := x.err.String(); code != tc.code || !strings.HasPrefix(got, tc.want) || tc.want == "" && got != "" {
					t.Errorf("exit code %d, got %q, want %q", code, got, tc.want)
				}
				if (x.out.Len() > 0) != (tc.code == 0) {
					t.Errorf("exit code %d, and it shows\n%s", code, x.out.String())
				}
			})
		}
	}
}

// TestADraftThatWatchesWhatItsAuthorMayNotRead says which right is missing, and for what.
func TestADraftThatWatchesWhatItsAuthorMayNotRead(t *testing.T) {
	t.Parallel()
	for what, tc := range map[string]struct {
		resource schema.GroupResource
		want     string
	}{
		"namespaces": {schema.GroupResource{Resource: "namespaces"}, "to find those that `spec.namespaceSelector` selects takes the right to list namespaces\n"},
		"events": {schema.GroupResource{Group: "tocsin.dev", Resource: "securityevents"},
			"the condition watches the events of namespace security, and to try it takes the right to list them\n"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			x := newTerminal(t, stock(t)...)
			x.client = interceptor.NewClient(x.client, interceptor.Funcs{
				List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, o ...client.ListOption) error {
					kind, err := c.GroupVersionKindFor(list)
					if err != nil || !strings.EqualFold(strings.TrimSuffix(kind.Kind, "List")+"s", tc.resource.Resource) {
						return c.List(ctx, list, o...)
					}
					return apierrors.NewForbidden(tc.resource, "", errors.New("eve may not"))
				},
			})
			code := x.run(t, "simulate", "-f", drafted(t, "draft", "type: Custom, namespaceSelector: {}"), "--operator-namespace", "security")
			if got := x.err.String(); code != 1 || !strings.HasPrefix(got, "Error from server (Forbidden): ") || !strings.HasSuffix(got, "; "+tc.want) {
				t.Errorf("exit code %d, got %q", code, got)
			}
		})
	}
}

// TestHowFarBackTheEventsReach: what is shown of a time of which no events are kept says so.
func TestHowFarBackTheEventsReach(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	file := drafted(t, "draft", "type: SingleRiskEvent, threshold: {auto: true}")
	for since, told := range map[string]bool{"3d": true, "1h": false, "": false} {
		x.run(t, "simulate", "-f", file, "--since", since)
		if got := strings.Contains(x.out.String(), "Oldest event: 2026-11-22T00:00:00Z (12h ago): if older ones were deleted, "); got != told {
			t.Errorf("since %q:\n%s", since, x.out.String())
		}
	}
	if want := "2 in 1m, AnyComputer (auto, for "; !strings.Contains(x.out.String(), want) {
		t.Errorf("it does not say by what it has chosen:\n%s", x.out.String())
	}
	x.run(t, "simulate", "-f", file, "-o", "json")
	if !strings.Contains(x.out.String(), `"oldestEvent": "2026-11-22T00:00:00Z"`) {
		t.Errorf("as JSON:\n%s", x.out.String())
	}
}

// TestAWishThatCannotBeMet says so, with what comes closest.
func TestAWishThatCannotBeMet(t *testing.T) {
	t.Parallel()
	for wish, want := range map[string]string{
		"500": "No setting that was tried comes near 500 a day: the closest tells ",
		"4":   "",
	} {
		x := newTerminal(t, stock(t)...)
		x.run(t, "simulate", "-f", drafted(t, "draft", "type: SingleRiskEvent"), "--since", "24h", "--tune", wish)
		if got := x.err.String(); !strings.HasPrefix(got, want) || want == "" && got != "" || want != "" && !strings.HasSuffix(got, " tells more.\n") {
			t.Errorf("%s a day: %q", wish, got)
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// TestACriterionMayNotBeEmpty: a shell's variable that is not set must not acknowledge a whole namespace.
func TestACriterionMayNotBeEmpty(t *testing.T) {
	t.Parallel()
	shared := []string{"filter", "since", "until", "type", "severity", "computer", "text", "selector", "field-selector"}
	own := []string{"creator", "condition", "channel", "state"}
	for verb, flags := range map[string][]string{
		"ack --comment x": append(own, shared...), "log": append(own, shared...), "log --archive": append(own, shared...),
		"log --watch": shared, "events": shared, "conditions": {"selector", "field-selector"}, "channels": {"selector", "field-selector"},
	} {
		x := newTerminal(t, stock(t)...)
		for _, flag := range flags {
			for _, value := range []string{"", " ", "\t\n"} {
				code := x.run(t, append(strings.Fields(verb), "--"+flag, value)...)
				_, path, _ := strings.Cut(x.err.String(), "See 'kubectl tocsin ")
				if code != 1 || !strings.Contains(x.err.String(), `--`+flag) || !strings.Contains(x.err.String(), "may not be empty") ||
					!strings.HasPrefix(path, strings.Fields(verb)[0]+" --help'") || x.out.Len() > 0 {
					t.Errorf("%s --%s %q: exit code %d, %q, %q", verb, flag, value, code, x.out.String(), x.err.String())
				}
			}
		}
		x.acknowledgesNothing(t)
	}
}

func TestWhatSelectsByNothingAcknowledgesNothing(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	for _, given := range [][]string{
		{"--condition", "outbreak", "--condition", ""}, {"--condition", ","}, {"--condition", "outbreak,"}, {"--condition", `""`},
		{"--severity", ","}, {"--state", `""`}, {"--field-selector", ","}, {"-l", ","}, {"-l", ""}, {"--field-selector="}, {"--acknowledged="},
		{"--type", " , "},
	} {
		if code := x.run(t, append([]string{"ack", "--comment", "x"}, given...)...); code != 1 || x.out.Len() > 0 {
			t.Errorf("%q: exit code %d, %q, %q", given, code, x.out.String(), x.err.String())
		}
	}
	x.acknowledgesNothing(t)
}

// acknowledgesNothing says that only what the stock has acknowledged is.
func (x *terminal) acknowledgesNothing(t *testing.T) {
	t.Helper()
	var log v1alpha1.NotificationList
	if err := x.client.List(t.Context(), &log, client.InNamespace("security")); err != nil {
		t.Fatal(err)
	}
	for _, n := range log.Items {
		if n.Spec.Acknowledgement != nil && n.Name != "outbreak-mnaaog7ng2" {
			t.Errorf("%s was acknowledged", n.Name)
		}
	}
}

func TestHelpSaysNothingOfEmptyDefaults(t *testing.T) {
	t.Parallel()
	x := newTerminal(t)
	if x.run(t, "log", "--help"); strings.Contains(x.out.String(), "(default [])") || !strings.Contains(x.out.String(), "--condition strings ") {
		t.Errorf("got\n%s", x.out.String())
	}
}

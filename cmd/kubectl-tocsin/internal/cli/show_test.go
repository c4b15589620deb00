// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
)

func TestShowCutsNothing(t *testing.T) {
	t.Parallel()
	n := stockNamed(t, "outbreak-mnaaog7ng2").(*v1alpha1.Notification)
	comment := strings.Repeat("cleaned and reimaged. ", 140) + "\nState: Delivered\n\x1b[2Jthe end"
	n.Spec.Acknowledgement.Comment, n.Spec.Acknowledgement.QuietUntilCleared = comment, true
	n.Spec.Trigger.ComputerNames = nil
	for i := range 20 {
		n.Spec.Trigger.ComputerNames = append(n.Spec.Trigger.ComputerNames, fmt.Sprintf("ws-%02d%s", i, strings.Repeat("x", i*10)))
	}
	x := newTerminal(t, n)
	for _, width := range []int{0, 1, 80, 200} {
		x.Screen.Width = width
		x.run(t, "show", n.Name)
		got := x.out.String()
		for _, want := range []string{
			"\nAcknowledged: by mara@example.com at 2026-11-22T11:05:00Z (quiet until cleared)\n  | cleaned and reimaged. cleaned",
			"cleaned and reimaged.\n  | State: Delivered\n  | \uFFFD[2Jthe end\n", n.Spec.Trigger.ComputerNames[19] + "\n  Risks: ",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("%d columns: %q is missing in\n%s", width, want, got)
			}
		}
		for _, name := range n.Spec.Trigger.ComputerNames {
			if !strings.Contains(got, name) {
				t.Errorf("%d columns: %s is missing", width, name)
			}
		}
		if strings.Contains(got, "…") {
			t.Errorf("%d columns: something is cut", width)
		}
		names, _, _ := strings.Cut(got[strings.Index(got, "  Computers: "):], "  Risks: ")
		for i, line := range strings.Split(strings.TrimSuffix(names, "\n"), "\n") {
			limit := width
			if width == 0 {
				limit = screen.DefaultWidth
			}
			if i > 0 && !strings.HasPrefix(line, strings.Repeat(" ", 16)) || len(line) > limit && strings.Count(line, ",") > 1 {
				t.Errorf("%d columns: %q", width, line)
			}
		}
	}
}

func TestTablesCutNothingThatCanBeUsed(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long", 500)
	n := stockNamed(t, "outbreak-mnaaog7ng2").(*v1alpha1.Notification)
	n.Name, n.Spec.Deliveries[0].Message = "outbreak-"+strings.Repeat("x", 240), long
	x := newTerminal(t, append(stock(t), n)...)
	x.Screen.Width = 130
	for line, want := range map[string]string{
		"log": "   " + n.Name + "\n", "conditions": "`spec.actions[0].ch…\n",
		"log -o custom-columns=MESSAGE:.spec.deliveries[0].message": "\n" + long + "\n",
		"log -o custom-columns=NAME:.metadata.name":                 "\n" + n.Name + "\n",
	} {
		if x.run(t, strings.Fields(line)...); !strings.Contains(x.out.String(), want) {
			t.Errorf("%s: %q is missing in\n%s", line, want, x.out.String())
		}
	}
}

func TestWhatIsNotAcknowledgedSaysSo(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	for line, want := range map[string]string{
		"log --tail 1 -o jsonpath={.items[*].status.acknowledged}":                                         "false",
		"log --tail 1 -o custom-columns=A:.status.acknowledged":                                            "A\nfalse\n",
		"show outbreak-2dfojryr7q --template {{.status.acknowledged}} --allow-missing-template-keys=false": "false",
	} {
		if code := x.run(t, strings.Fields(line)...); code != 0 || x.out.String() != want {
			t.Errorf("%s: exit code %d, %q, %s", line, code, x.out.String(), x.err.String())
		}
	}
	for _, line := range []string{"log --acknowledged=false --sort-by .status.acknowledged", "log --tail 1 -o json", "log --tail 1 -o yaml"} {
		if code := x.run(t, strings.Fields(line)...); code != 0 || strings.Contains(line, "-o") && !strings.Contains(x.out.String(), "acknowledged\": false") &&
			!strings.Contains(x.out.String(), "acknowledged: false") {
			t.Errorf("%s: exit code %d, %s%s", line, code, x.out.String(), x.err.String())
		}
	}
}

// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

func TestEverySampleCanBePreviewed(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(cluster.Root(), "config", "samples", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	previewed := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		isCondition := strings.Contains(string(content), "\nkind: NotificationCondition\n")
		if !isCondition && !strings.Contains(string(content), "\nkind: NotificationChannel\n") {
			continue
		}
		previewed++
		x := newTerminal(t, stock(t)...)
		if code := x.run(t, "preview", "-f", file); code != 0 || !strings.Contains(x.out.String(), "\nThrough ") {
			t.Errorf("preview of %s: exit code %d, %s%s", filepath.Base(file), code, x.err.String(), x.out.String())
		}
		if !isCondition {
			continue
		}
		if code := x.run(t, "simulate", "-f", file); code != 0 {
			t.Errorf("simulation of %s: exit code %d, %s", filepath.Base(file), code, x.err.String())
		}
	}
	if previewed < 10 {
		t.Errorf("there are %d samples of conditions and channels", previewed)
	}
}

func TestWhatTheClusterHasCanBePreviewed(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	for _, format := range []string{"json", "yaml", "kyaml"} {
		for _, verb := range []string{"conditions", "channels"} {
			x.run(t, verb, "-o", format)
			x.In = strings.NewReader(x.out.String())
			if code := x.run(t, "preview", "-f", "-"); code != 0 || !strings.Contains(x.out.String(), "\nThrough ") {
				t.Errorf("%s as %s: exit code %d, %s", verb, format, code, x.err.String())
			}
		}
	}
}

func TestWhatAFileMayHold(t *testing.T) {
	t.Parallel()
	condition := "{apiVersion: tocsin.dev/v1alpha1, kind: NotificationCondition, metadata: {name: c}, spec: {type: Custom}}\n"
	secret, bare := "{apiVersion: v1, kind: Secret}\n", "{metadata: {name: c}, spec: {type: Custom}}"
	for name, tc := range map[string]struct{ content, want string }{
		"a condition":                   {condition, ""},
		"other kinds beside it":         {secret + "---\n" + condition + "---\n{apiVersion: apps/v1, kind: Deployment}\n", ""},
		"a List":                        {"apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ''}\nitems:\n- " + secret + "- " + condition, ""},
		"a list of its kind":            {"apiVersion: tocsin.dev/v1alpha1\nkind: NotificationConditionList\nitems:\n- " + bare, ""},
		"lists in a List":               {"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items:\n  - " + condition, ""},
		"nothing":                       {"---\n", "no objects found"},
		"an empty List":                 {"{apiVersion: v1, kind: List, items: []}", "no objects found"},
		"other kinds alone":             {secret + "---\n{apiVersion: apps/v1, kind: Deployment}\n", "holds nothing of tocsin.dev/v1alpha1, but v1 Secret, apps/v1 Deployment"},
		"a misspelled kind":             {strings.Replace(condition, "Condition", "Circumstance", 1), `tocsin.dev/v1alpha1 knows no kind "NotificationCircumstance"`},
		"a misspelled kind in a List":   {"{apiVersion: v1, kind: List, items: [{apiVersion: tocsin.dev/v1alpha1, kind: X}]}", `tocsin.dev/v1alpha1 knows no kind "X"`},
		"a version that there is not":   {strings.Replace(condition, "v1alpha1", "v7", 1), `tocsin.dev/v7 knows no kind "NotificationCondition"`},
		"a kind without objects":        {"{apiVersion: tocsin.dev/v1alpha1, kind: ListOptions}", "ListOptions is no kind of objects"},
		"no kind":                       {bare, "an object has no apiVersion or no kind"},
		"a field that there is not":     {strings.Replace(condition, "type", "tpye", 1), `NotificationCondition c: error unmarshaling JSON: while decoding JSON: json: unknown field "tpye"`},
		"such a field in a List's item": {"{apiVersion: v1, kind: List, items: [" + strings.TrimSpace(strings.Replace(condition, "type", "tpye", 1)) + "]}", `unknown field "tpye"`},
		"a text":                        {"hello", "cannot unmarshal string"},
	} {
		for _, verb := range []string{"preview", "simulate"} {
			x := newTerminal(t, stock(t)...)
			file := write(t, tc.content)
			code := x.run(t, verb, "-f", file)
			got := x.err.String()
			if (code == 0) != (tc.want == "") || tc.want == "" && got != "" || tc.want != "" && !strings.HasPrefix(got, "error: "+file+": ") ||
				!strings.Contains(got, tc.want) {
				t.Errorf("%s, %s: exit code %d, %q, want %q", verb, name, code, got, tc.want)
			}
		}
	}
}

// event is a detection on a computer.
func event(namespace, name, resourceVersion string) *v1alpha1.SecurityEvent {
	e := &v1alpha1.SecurityEvent{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: name, ResourceVersion: resourceVersion, CreationTimestamp: metav1.NewTime(noon),
	}}
	e.Spec = v1alpha1.SecurityEventSpec{Type: "RiskDetected", Severity: v1alpha1.SeverityCritical, Title: "found in " + namespace,
		Risk: &v1alpha1.Risk{Name: "Worm"}}
	return e
}

func watchedNamespace(name, team string) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"team": team}}}
}

func TestPreviewOfAnEventOfAnotherNamespace(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, append(stock(t), watchedNamespace("branch-1", "a"), watchedNamespace("branch-2", "a"), watchedNamespace("other", "b"),
		event("security", "own", "1"), event("branch-2", "own", "2"), event("branch-2", "theirs", "3"), event("other", "theirs", "4"))...)
	file := drafted(t, "draft", "type: SingleRiskEvent, namespaceSelector: {matchLabels: {team: a}}")
	for name, tc := range map[string]struct {
		event, want, said string
	}{
		"its own first":          {"own", "own: RiskDetected", ""},
		"that of another":        {"branch-2/own", "branch-2/own: RiskDetected", ""},
		"found in another":       {"theirs", "branch-2/theirs: RiskDetected", ""},
		"of one it cannot watch": {"other/theirs", "other/theirs: RiskDetected", "Condition draft does not watch the events of namespace other\n"},
		"nowhere":                {"gone", "", "error: there is no event gone in the namespaces that condition draft watches\n"},
		"not there":              {"branch-1/own", "", "Error from server (NotFound): securityevents.tocsin.dev \"own\" not found\n"},
	} {
		x.run(t, "preview", "-f", file, "--operator-namespace", "security", "--event", tc.event)
		if tc.want != "" && !strings.Contains(x.out.String(), "Event:        "+tc.want) || (x.out.Len() > 0) != (tc.want != "") || x.err.String() != tc.said {
			t.Errorf("%s: %q, %q", name, x.out.String(), x.err.String())
		}
	}
	for begun, want := range map[string]string{"ow": "own", "branch-": "branch-1/ branch-2/", "branch-2/t": "branch-2/theirs"} {
		x.run(t, "__complete", "preview", "--event", begun)
		if got, _, _ := strings.Cut(x.out.String(), ":"); strings.Join(strings.Fields(got), " ") != want {
			t.Errorf("completing %q: %q", begun, got)
		}
	}
	x = newTerminal(t, watchedNamespace("branch-2", "a"), event("branch-2", "theirs", "3"))
	x.run(t, "simulate", "-f", file, "--operator-namespace", "security", "--since", "1h")
	if !strings.Contains(x.out.String(), "   branch-2/theirs\n") {
		t.Errorf("a simulation does not say where the events are from:\n%s", x.out.String())
	}
}

func TestThePreviewIsOfTheLatestEvent(t *testing.T) {
	t.Parallel()
	older := event("security", "z", "11")
	older.CreationTimestamp = metav1.NewTime(noon.Add(-1e9))
	x := newTerminal(t, event("security", "a", "10"), event("security", "b", "9"), older)
	x.run(t, "preview", "-f", drafted(t, "draft", "type: SingleRiskEvent"))
	if !strings.Contains(x.out.String(), "Event:        a: RiskDetected") {
		t.Errorf("of the same second, the one with the highest resourceVersion is the latest:\n%s%s", x.out.String(), x.err.String())
	}
}

func TestAnEventOfAFileIsOfTheConditionsNamespace(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	x.Namespace = func() (string, bool, error) { return "default", false, nil }
	file := write(t, "{apiVersion: tocsin.dev/v1alpha1, kind: NotificationCondition, metadata: {name: c, namespace: security}, spec: {type: Custom}}")
	found := write(t, "{apiVersion: tocsin.dev/v1alpha1, kind: SecurityEvent, metadata: {name: e}, spec: {type: X, severity: Info, title: t}}")
	if x.run(t, "preview", "-f", file, "--event-file", found); !strings.Contains(x.out.String(), "Event:        e: X, Info") {
		t.Errorf("%s%s", x.out.String(), x.err.String())
	}
}

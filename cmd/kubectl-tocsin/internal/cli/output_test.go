// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

func TestFormatsAreThoseOfKubectl(t *testing.T) {
	t.Parallel()
	columns := write(t, "NAME      WHY\n.metadata.name  status.conditions[0].reason\n")
	path := write(t, `{range .items[*]}{.metadata.name}={.spec.trigger.occurrences};{end}`)
	template := write(t, `{{range .items}}{{.metadata.name}} {{end}}`)
	for line, want := range map[string]string{
		"log --tail 1 -o go-template={{.kind}}:{{range.items}}{{.spec.trigger.occurrences}}{{end}}": "List:12",
		"log --tail 2 -o template={{.metadata.resourceVersion}}":                                    "",
		"log --tail 2 --template {{.kind}}":                                                         "List",
		"log --tail 2 -o go-template --template {{.apiVersion}}":                                    "v1",
		"log --tail 2 -o go-template-file=" + template:                                              "outbreak-mnaaog7ng2 outbreak-2dfojryr7q ",
		"log --tail 2 -o templatefile=" + template:                                                  "outbreak-mnaaog7ng2 outbreak-2dfojryr7q ",
		"log --tail 2 -o jsonpath-file=" + path:                                                     "outbreak-mnaaog7ng2=6;outbreak-2dfojryr7q=12;",
		"log --tail 2 -o jsonpath --template {.items[*].spec.type}":                                 "RiskOutbreak RiskOutbreak",
		"log --tail 1 -o jsonpath-as-json={.items[*].spec.type}":                                    "[\n    \"RiskOutbreak\"\n]\n",
		"log --tail 1 -o jsonpath={.items[*].spec.nothing}":                                         "",
		"log --tail 1 -o custom-columns-file=" + columns:                                            "NAME                  WHY\noutbreak-2dfojryr7q   Delivered\n",
		"log --tail 1 --no-headers -o custom-columns-file=" + columns:                               "outbreak-2dfojryr7q   Delivered\n",
		"log --tail 1 -o custom-columns=A:spec.computers,B:{.spec.deliveries[*].channel}":           "A        B\n<none>   soc-mail\n",
		"show outbreak-2dfojryr7q -o jsonpath={.kind}/{.metadata.name}":                             "Notification/outbreak-2dfojryr7q",
		"show outbreak-2dfojryr7q -o JSON":                                                          "{",
		"channels --no-headers --sort-by .metadata.name -o custom-columns=N:.metadata.name":         "duty-mail\nsoc-mail\n",
		"ack outbreak-2dfojryr7q --comment x --dry-run -o name":                                     "notification.tocsin.dev/outbreak-2dfojryr7q\n",
	} {
		x := newTerminal(t, stock(t)...)
		code := x.run(t, strings.Split(line, " ")...)
		if got := x.out.String(); code != 0 || got != want && (want != "{" || !strings.HasPrefix(got, "{")) {
			t.Errorf("%s: exit code %d\ngot  %q\nwant %q\n%s", line, code, got, want, x.err.String())
		}
	}
}

func TestAListIsTheSameInAllFormats(t *testing.T) {
	t.Parallel()
	read := func(t *testing.T, line string) map[string]any {
		t.Helper()
		x := newTerminal(t, stock(t)...)
		x.run(t, strings.Fields(line)...)
		var content map[string]any
		if err := yaml.Unmarshal(x.out.Bytes(), &content); err != nil {
			t.Fatalf("%s: %v\n%s", line, err, x.out.String())
		}
		return content
	}
	for _, verb := range []string{"log", "log --severity Info", "events", "conditions", "channels --tail 0"} {
		verb = strings.TrimSuffix(verb, " --tail 0")
		want := read(t, verb+" -o json")
		if want["kind"] != "List" || want["apiVersion"] != "v1" || want["items"] == nil {
			t.Errorf("%s: %v", verb, want)
		}
		for _, format := range []string{"yaml", "kyaml"} {
			if diff := cmp.Diff(want, read(t, verb+" -o "+format)); diff != "" {
				t.Errorf("%s (-json +%s):\n%s", verb, format, diff)
			}
		}
	}
}

func TestObjectsByThemselvesAreDocuments(t *testing.T) {
	t.Parallel()
	x := newTerminal(t, stock(t)...)
	x.run(t, "ack", "outbreak-2dfojryr7q", "test-x7k2p", "--comment", "seen", "-o", "yaml")
	documents := strings.Split(x.out.String(), "\n---\n")
	if len(documents) != 2 {
		t.Fatalf("there are %d documents:\n%s", len(documents), x.out.String())
	}
	for i, want := range []string{"outbreak-2dfojryr7q", "test-x7k2p"} {
		var n v1alpha1.Notification
		if err := yaml.UnmarshalStrict([]byte(documents[i]), &n); err != nil || n.Name != want || n.Spec.Acknowledgement.Comment != "seen" {
			t.Errorf("%v: %+v", err, n)
		}
	}
}

func TestASimulationTakesTemplates(t *testing.T) {
	t.Parallel()
	draft := write(t, "apiVersion: tocsin.dev/v1alpha1\nkind: NotificationCondition\nmetadata: {name: c}\nspec: {type: RiskOutbreak}\n")
	x := newTerminal(t, stock(t)...)
	for format, want := range map[string]string{
		"go-template={{.condition}} of {{.namespace}}": "c of security", "jsonpath={.condition}": "c", "jsonpath-as-json={.condition}": "[\n    \"c\"\n]\n",
	} {
		if code := x.run(t, "simulate", "-f", draft, "-o", format); code != 0 || x.out.String() != want {
			t.Errorf("%s: exit code %d, %q: %s", format, code, x.out.String(), x.err.String())
		}
	}
	if code := x.run(t, "simulate", "-f", draft, "-o", "json"); code != 0 || !json.Valid(x.out.Bytes()) {
		t.Errorf("exit code %d: %s", code, x.out.String())
	}
}

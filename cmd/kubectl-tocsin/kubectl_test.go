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
	"runtime"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// runAs runs the plugin after the command was changed, for example to have an input.
func runAs(t *testing.T, namespace string, change func(*exec.Cmd), args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), cluster.Patience)
	defer cancel()
	command := exec.CommandContext(ctx, program, append(args, "-n", namespace, "--kubeconfig", kubeconfig)...)
	var out, errOut bytes.Buffer
	command.Stdout, command.Stderr = &out, &errOut
	change(command)
	var exit *exec.ExitError
	if err := command.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{command.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// seven are entries n0 to n6, the newest last, of teams a, b and c in turn.
func seven(t *testing.T) string {
	t.Helper()
	ns := k8s.Namespace(t)
	for i := range 7 {
		n := entry(ns, fmt.Sprintf("n%d", i), fmt.Sprintf("c%d", i%2), v1alpha1.SeverityCritical, time.Duration(10-i)*time.Hour)
		n.Labels["team"] = string(rune('a' + i%3))
		n.Spec.Trigger.Occurrences = int64(1 + i*5%7)
		k8s.Create(t, n)
	}
	return ns
}

func TestSelectorsAndOrderAreThoseOfKubectl(t *testing.T) {
	t.Parallel()
	ns := seven(t)
	for line, want := range map[string]string{
		"log -l team=a":                                             "n0 n3 n6",
		"log -l team=a,tocsin.dev/condition=c1":                     "n3",
		"log --selector team!=a --condition c0":                     "n2 n4",
		"log --condition c0,c1 -l team=b":                           "n1 n4",
		"log --field-selector spec.condition.name=c1":               "n1 n3 n5",
		"log --field-selector metadata.name!=n2 -l team=c":          "n5",
		"log --field-selector spec.channelRef.name= -l team=c":      "n2 n5",
		"log --severity Info --field-selector spec.type=X":          "",
		"log --sort-by .spec.trigger.occurrences":                   "n0 n3 n6 n2 n5 n1 n4",
		"log --sort-by {.metadata.labels.team} --tail 4":            "n3 n6 n4 n5",
		"log --sort-by .metadata.name --chunk-size 2 --since 5h30m": "n5 n6",
		"ack -l team=b --comment x --dry-run=server":                "n1 n4",
	} {
		r := run(t, ns, append(strings.Fields(line), "-o", "name")...)
		if r.code != 0 || r.names() != want {
			t.Errorf("%s: exit code %d, got %q, want %q: %s", line, r.code, r.names(), want, r.err)
		}
	}
	for line, want := range map[string]string{
		"log --field-selector spec.x=1":        "Error from server (BadRequest): ",
		"conditions --field-selector spec.x=1": "Error from server (BadRequest): ",
		"log -l a==b==c":                       "error: --selector: ",
		"log --sort-by .spec.x":                "error: couldn't find any field with path",
	} {
		if r := run(t, ns, strings.Fields(line)...); r.code != 1 || !strings.HasPrefix(r.err, want) || r.out != "" {
			t.Errorf("%s: %+v", line, r)
		}
	}
}

func TestTestsAreFoundByTheirChannel(t *testing.T) {
	t.Parallel()
	ns := seven(t)
	for name, channel := range map[string]string{"tried": "soc-mail", "tried-too": "soc-sms"} {
		n := &v1alpha1.Notification{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}}
		n.Spec.Type, n.Spec.ChannelRef = v1alpha1.NotificationTypeTest, &v1alpha1.ChannelReference{Name: channel}
		k8s.Create(t, n)
	}
	for selector, want := range map[string]string{
		"spec.channelRef.name=soc-mail": "tried", "spec.channelRef.name=soc": "", "spec.type=Test,spec.channelRef.name!=soc-mail": "tried-too",
	} {
		r := run(t, ns, "log", "--field-selector", selector, "-o", "name")
		if r.code != 0 || r.names() != want {
			t.Errorf("%s: exit code %d, got %q, want %q: %s", selector, r.code, r.names(), want, r.err)
		}
	}
}

func TestConditionsAndChannelsAreSelectedAndSorted(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	for i, name := range []string{"c", "a", "b"} {
		labels := map[string]string{"rank": fmt.Sprint(i)}
		of := channel(ns, 25)
		of.Name, of.Labels = name, labels
		k8s.Create(t, of, &v1alpha1.NotificationCondition{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, Labels: labels}, Spec: v1alpha1.NotificationConditionSpec{Type: "RiskOutbreak"},
		})
	}
	for line, want := range map[string]string{"": "a b c", "--sort-by .metadata.labels.rank": "c a b", "-l rank!=1": "b c",
		"--field-selector metadata.name=b": "b"} {
		for _, verb := range []string{"conditions", "channels"} {
			r := run(t, ns, append(strings.Fields(verb+" "+line), "--no-headers")...)
			var names []string
			for row := range strings.Lines(r.out) {
				names = append(names, strings.Fields(row)[0])
			}
			if r.code != 0 || strings.Join(names, " ") != want {
				t.Errorf("%s %s: exit code %d, got %q: %s", verb, line, r.code, names, r.err)
			}
		}
	}
}

func TestAWatchHonoursSelectors(t *testing.T) {
	t.Parallel()
	ns := seven(t)
	command := exec.CommandContext(t.Context(), program, "log", "--watch", "-l", "team=a", "--field-selector", "spec.condition.name=c0",
		"--sort-by", ".spec.trigger.occurrences", "-o", "custom-columns=NAME:.metadata.name,TEAM:.metadata.labels.team",
		"-n", ns, "--kubeconfig", kubeconfig)
	var out output
	command.Stdout, command.Stderr = &out, &out
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	out.await(t, "n6")
	for i, team := range []string{"b", "a", "a"} {
		n := entry(ns, "new"+fmt.Sprint(i), "c"+fmt.Sprint(i%2), v1alpha1.SeverityInfo, 0)
		n.Labels["team"] = team
		k8s.Create(t, n)
	}
	out.await(t, "new2")
	if err := command.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err == nil {
		t.Error("ended without being interrupted")
	}
	got := out.buffer.String()
	const head = "warning: --watch requested, --sort-by will be ignored for watch events received\nNAME   TEAM\nn0     a\nn6     a\nnew2   a\n"
	if !strings.HasPrefix(got, head) || strings.Contains(got, "new0") || strings.Contains(got, "new1") || strings.Count(got, "NAME") != 1 {
		t.Errorf("got\n%s", got)
	}
}

func TestOutputIsThatOfKubectl(t *testing.T) {
	t.Parallel()
	ns := seven(t)
	k8s.Create(t, &v1alpha1.SecurityEvent{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "e"},
		Spec: v1alpha1.SecurityEventSpec{Type: "X", Severity: v1alpha1.SeverityInfo, Title: "a\u202eb\u009b31m"}})
	for _, tc := range []struct{ line, flag, format, want string }{
		{"log --tail 2", "-o", "go-template={{range .items}}{{.metadata.name}},{{end}}", "n5,n6,"},
		{"log --tail 1", "--template", "{{len (index .items 0).spec.trigger.computerNames}}", "1"},
		{"log --tail 1", "-o", "jsonpath-as-json={.items[*].spec.trigger.computerNames[0]}", "[\n    \"ws-n6\"\n]\n"},
		{"show n1", "-o", "jsonpath={.spec.trigger.occurrences}", "6"},
		{"events", "-o", "go-template={{(index .items 0).spec.title}}", "a\uFFFDb\uFFFD31m"},
		{"events", "-o", "jsonpath={.items[*].spec.title}", "a\uFFFDb\uFFFD31m"},
		{"events", "-o", "jsonpath-as-json={.items[*].spec.title}", "[\n    \"a\\u202eb\\u009b31m\"\n]\n"},
	} {
		if r := run(t, ns, append(strings.Fields(tc.line), tc.flag, tc.format)...); r.code != 0 || r.out != tc.want {
			t.Errorf("%s %s %s: exit code %d, got %q, want %q: %s", tc.line, tc.flag, tc.format, r.code, r.out, tc.want, r.err)
		}
	}
	for format, shown := range map[string]bool{"json": false, "yaml": false, "kyaml": false, "json --show-managed-fields": true,
		"yaml --show-managed-fields": true, "kyaml --show-managed-fields": true, "jsonpath={.items[*].metadata.managedFields}": true} {
		r := run(t, ns, append([]string{"log", "-o"}, strings.Fields(format)...)...)
		if r.code != 0 || strings.Contains(r.out, "f:spec") != shown {
			t.Errorf("%s: exit code %d, %.2000s", format, r.code, r.out)
		}
	}
	var list v1alpha1.NotificationList
	for _, format := range []string{"json", "yaml", "kyaml"} {
		r := run(t, ns, "log", "--chunk-size", "3", "-o", format)
		if err := yaml.UnmarshalStrict([]byte(r.out), &list); err != nil || len(list.Items) != 7 || list.Items[6].Name != "n6" || list.Kind != "List" {
			t.Errorf("%s: %v, %d items of %s", format, err, len(list.Items), list.Kind)
		}
	}
	if r := run(t, ns, "log", "-o", "xml"); r.code != 1 || !strings.Contains(r.err, "allowed formats are: custom-columns,") {
		t.Errorf("%+v", r)
	}
}

func TestAcknowledgingIsTriedAsKubectlTriesIt(t *testing.T) {
	t.Parallel()
	ns := seven(t)
	for flag, want := range map[string]string{
		"--dry-run":        "notification.tocsin.dev/n0 acknowledged (server dry run)\n",
		"--dry-run=server": "notification.tocsin.dev/n0 acknowledged (server dry run)\n",
		"--dry-run=client": "notification.tocsin.dev/n0 acknowledged (dry run)\n",
	} {
		if r := run(t, ns, "ack", "n0", "--comment", "tried", flag); r.code != 0 || r.out != want {
			t.Errorf("%s: %+v", flag, r)
		}
		r := run(t, ns, "ack", "n0", "--comment", "tried", flag, "-o", "json")
		var n v1alpha1.Notification
		if err := json.Unmarshal([]byte(r.out), &n); err != nil || n.Kind != "Notification" || n.Name != "n0" ||
			n.Spec.Acknowledgement == nil || n.Spec.Acknowledgement.Comment != "tried" {
			t.Errorf("%s -o json: %v: %+v", flag, err, r)
		}
	}
	if r := run(t, ns, "show", "n0", "-o", "jsonpath={.spec.acknowledgement}"); r.out != "" {
		t.Errorf("a dry run was in earnest: %+v", r)
	}
	if r := run(t, ns, "ack", "n0", "--comment", "done", "--dry-run=none", "-o", "yaml"); r.code != 0 || !strings.Contains(r.out, "comment: done") {
		t.Errorf("%+v", r)
	}
	r := run(t, ns, "ack", "n0", "--comment", "again", "-o", "name")
	if r.code != 0 || r.out != "notification.tocsin.dev/n0\n" || !strings.Contains(r.err, "n0 was acknowledged already: ") {
		t.Errorf("%+v", r)
	}
}

// endless is a file that does not end. As it is one of the system's, nobody has to wait until all of it is copied.
func endless(t *testing.T) *os.File {
	t.Helper()
	zeros, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = zeros.Close() })
	return zeros
}

func TestACommentMayComeFromAFile(t *testing.T) {
	t.Parallel()
	ns := seven(t)
	file := filepath.Join(t.TempDir(), "comment")
	text := "Reimaged.\n\nTicket 4711: ä" + strings.Repeat("\U0001F525", 4000)
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := run(t, ns, "ack", "n0", "--comment-file", file); r.code != 0 {
		t.Fatalf("%+v", r)
	}
	n := &v1alpha1.Notification{}
	if err := k8s.Client.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: "n0"}, n); err != nil || n.Spec.Acknowledgement.Comment != text {
		t.Errorf("%v: stored is %+v", err, n.Spec.Acknowledgement)
	}
	given := func(in string) func(*exec.Cmd) { return func(c *exec.Cmd) { c.Stdin = strings.NewReader(in) } }
	if r := runAs(t, ns, given("from the input\r\n"), "ack", "n1", "--comment-file", "-", "-o", "jsonpath={.spec.acknowledgement.comment}"); r.code != 0 ||
		r.out != "from the input" {
		t.Errorf("%+v", r)
	}
	for what, tc := range map[string]struct {
		change func(*exec.Cmd)
		want   string
	}{
		"1 MB":      {given(strings.Repeat("x", 1<<20)), "error: --comment-file: - has more than 4096 characters\n"},
		"no end":    {func(c *exec.Cmd) { c.Stdin = endless(t) }, "error: --comment-file: - has more than 4096 characters\n"},
		"too long":  {given(strings.Repeat("x", 4097)), "error: the comment has 4097 characters; at most 4096 are kept\n"},
		"no text":   {given("\n"), "error: --comment-file: - holds no text: the comment says what was found or done\n"},
		"no UTF-8":  {given("\xff\xfe"), "error: --comment-file: - is no text in UTF-8\n"},
		"no option": {given(""), "error: --comment-file: - holds no text: the comment says what was found or done\n"},
	} {
		if r := runAs(t, ns, tc.change, "ack", "n2", "--comment-file", "-"); r.code != 1 || r.err != tc.want {
			t.Errorf("%s: %+v", what, r)
		}
	}
}

func TestADayIsThatOfTheUser(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	for i, at := range []string{"2026-11-20T22:59:59Z", "2026-11-20T23:00:00Z", "2026-11-21T23:00:00Z"} {
		n := entry(ns, fmt.Sprintf("n%d", i), "c", v1alpha1.SeverityInfo, 0)
		when, err := time.Parse(time.RFC3339, at)
		if err != nil {
			t.Fatal(err)
		}
		n.Spec.Trigger.Time = metav1.NewTime(when)
		k8s.Create(t, n)
	}
	for line, want := range map[string]string{
		"--since 2026-11-21":                              "n1 n2",
		"--until 2026-11-21":                              "n0",
		"--since 2026-11-21 --until 2026-11-22":           "n1",
		"--since 2026-11-21T00:01":                        "n2",
		"--since 2026-11-20T23:59:59":                     "n0 n1 n2",
		"--since 2026-11-21T00:00Z":                       "n2",
		"--since 2026-11-20T23:00:00Z --until 2026-11-22": "n1",
	} {
		r := runAs(t, ns, func(c *exec.Cmd) { c.Env = append(os.Environ(), "TZ=Europe/Berlin") }, strings.Fields("log -o name "+line)...)
		if r.code != 0 || r.names() != want {
			t.Errorf("%s: exit code %d, got %q, want %q: %s", line, r.code, r.names(), want, r.err)
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	info, err := discovery.NewDiscoveryClientForConfigOrDie(k8s.Config).ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	server := info.GitVersion
	r := run(t, "default", "version")
	if r.code != 0 || !strings.HasPrefix(r.out, "Client Version: ") || !strings.HasSuffix(r.out, "\nServer Version: "+server+"\n") {
		t.Errorf("%+v", r)
	}
	for _, format := range []string{"json", "yaml"} {
		var got struct {
			ClientVersion struct{ GitVersion, GoVersion, Platform string }
			ServerVersion struct{ GitVersion string }
		}
		r := run(t, "default", "version", "-o", format)
		if err := yaml.Unmarshal([]byte(r.out), &got); err != nil || got.ClientVersion.GitVersion == "" ||
			got.ClientVersion.GoVersion != runtime.Version() || got.ServerVersion.GitVersion != server {
			t.Errorf("%s: %v: %+v", format, err, r)
		}
	}
	nowhere := []string{"version", "--server", "https://127.0.0.1:1"}
	if r := run(t, "default", nowhere...); r.code != 1 || !strings.HasPrefix(r.out, "Client Version: ") ||
		!strings.HasPrefix(r.err, "The connection to the server 127.0.0.1:1 was refused") {
		t.Errorf("%+v", r)
	}
	if r := run(t, "default", append(nowhere, "--client")...); r.code != 0 || strings.Count(r.out, "\n") != 1 || r.err != "" {
		t.Errorf("%+v", r)
	}
}

func TestRequestsAreToldOfOnDemand(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	k8s.Create(t, &v1alpha1.SecurityEvent{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "e"},
		Spec: v1alpha1.SecurityEventSpec{Type: "X", Severity: v1alpha1.SeverityInfo, Title: "evil \u202etxt\u009b31m"}})
	if r := run(t, ns, "events", "-o", "name"); r.err != "" {
		t.Errorf("told without being asked: %s", r.err)
	}
	path := "/apis/tocsin.dev/v1alpha1/namespaces/" + ns + "/securityevents"
	if r := run(t, ns, "events", "-o", "name", "-v", "6"); r.code != 0 || r.out != "securityevent.tocsin.dev/e\n" || !strings.Contains(r.err, path) ||
		strings.Contains(r.err, "Authorization") {
		t.Errorf("%+v", r)
	}
	r := run(t, ns, "events", "-o", "name", "--v=9")
	if r.code != 0 || !strings.Contains(r.err, "evil ") || strings.ContainsAny(r.err, "\u202e\u009b") {
		t.Errorf("%+v", r)
	}
	help := run(t, ns, "events", "--help").out
	if !strings.Contains(help, "-v, --v ") || strings.Contains(help, "vmodule") || strings.Contains(help, "logtostderr") {
		t.Errorf("%s", help)
	}
}

// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// evil clears a screen, sets a title, turns text around, hides it, breaks lines and rings.
const evil = "\x1b[2J\x1b]0;owned\x07\u009b31m\u202egnp.exe\u2066\u200b\u2028\r\nNAME\t\x00\x7f\U000e0041\uFFF9"

// poison puts evil into every text of an object, save for those that the API server checks or that mean something.
func poison(t *testing.T, object client.Object) client.Object {
	t.Helper()
	data, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	var content map[string]any
	if err := json.Unmarshal(data, &content); err != nil {
		t.Fatal(err)
	}
	spread(content)
	if data, err = json.Marshal(content); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, object); err != nil {
		t.Fatal(err)
	}
	return object
}

// sound are the fields that hold no free text.
var sound = []string{
	"apiVersion", "kind", "metadata", "time", "since", "until", "startTime", "endTime", "firstTime", "lastTime", "lastFiredTime",
	"lastTransitionTime", "damperUntil", "window", "interval", "status", "channel", "channelRef", "severity", "reason", "generation",
}

func spread(value any) any {
	switch v := value.(type) {
	case string:
		return v + evil
	case []any:
		for i := range v {
			v[i] = spread(v[i])
		}
	case map[string]any:
		for key, inner := range v {
			if _, isText := inner.(string); isText && slices.Contains(sound, key) || key == "metadata" {
				continue
			}
			if key == "type" && (v["status"] != nil || v["lastTransitionTime"] != nil) { // of a status condition
				continue
			}
			v[key] = spread(inner)
		}
	}
	return value
}

// dangerous is the first character that must not reach a terminal.
func dangerous(text string) (rune, bool) {
	for _, r := range text {
		if r != '\n' && r != '\t' && (unicode.Is(unicode.C, r) || r == 0x2028 || r == 0x2029) {
			return r, true
		}
	}
	return 0, false
}

func TestNothingThatAClusterSaysDoesAnythingToATerminal(t *testing.T) {
	t.Parallel()
	var objects []client.Object
	for _, o := range stock(t) {
		if _, isFilter := o.(*v1alpha1.NotificationFilter); isFilter {
			continue
		}
		objects = append(objects, poison(t, o))
	}
	root := cluster.Root()
	file := func(name string) string { return filepath.Join(root, "config", "samples", name) }
	x := newTerminal(t, objects...)
	poisoned := false
	for _, line := range []string{
		"log", "log -o wide", "log -o json", "log -o yaml", "log -o name", "log -o jsonpath={.items[*].spec}",
		"log -o custom-columns=A:.spec.condition.name,B:.spec.deliveries[*].message", "log -o kyaml",
		"log -o go-template={{range.items}}{{.spec.deliveries}}{{end}}", "log -o jsonpath-as-json={.items[*].spec}",
		"log --archive -o go-template={{.items}}", "show outbreak-mnaaog7ng2 --template {{.spec}}", "log --sort-by .spec.creator",
		"ack outbreak-mnaaog7ng2 --comment seen -o yaml", "ack outbreak-2dfojryr7q --comment seen -o jsonpath={.spec} --dry-run=client",
		"show outbreak-mnaaog7ng2", "show outbreak-mnaaog7ng2 -o json", "show outbreak-mnaaog7ng2 -o yaml", "show test-x7k2p",
		"show soc-mail-digest-7vbq2m4kdx", "show outbreak-mnaaog7ng2 -o jsonpath={.spec.deliveries[0].message}",
		"ack outbreak-mnaaog7ng2 --comment seen", "events", "events -o wide", "events -o yaml", "conditions", "conditions -o wide",
		"channels", "channels -o wide", "channels -o json", "test soc-mail",
		"log --archive -o wide", "log --archive -o json", "show outbreak-mnaaog7ng2 --archive", "show test-x7k2p --archive -o yaml",
		"preview -f " + file("condition-custom.yaml"), "preview -f " + file("condition-single-risk.yaml") + " -o yaml",
		"simulate -f " + file("condition-custom.yaml"), "simulate -f " + file("condition-custom.yaml") + " -o json",
	} {
		code := x.run(t, strings.Fields(line)...)
		out := x.out.String() + x.err.String()
		if r, found := dangerous(out); found {
			t.Errorf("%s: %U reaches the terminal in %q", line, r, out)
		}
		if code != 0 {
			t.Errorf("%s: exit code %d: %s", line, code, x.err.String())
		}
		poisoned = poisoned || strings.Contains(out, "\uFFFD[2J")
	}
	if !poisoned {
		t.Error("the poison was not in what was shown")
	}
}

func TestJSONAndYAMLLoseNothing(t *testing.T) {
	t.Parallel()
	n := poison(t, stockNamed(t, "outbreak-mnaaog7ng2")).(*v1alpha1.Notification)
	x := newTerminal(t, n.DeepCopy())
	for format, read := range map[string]func([]byte, any) error{
		"json":  json.Unmarshal,
		"yaml":  func(data []byte, to any) error { return yaml.Unmarshal(data, to) },
		"kyaml": func(data []byte, to any) error { return yaml.Unmarshal(data, to) },
	} {
		x.run(t, "show", n.Name, "-o", format)
		var got v1alpha1.Notification
		if err := read(x.out.Bytes(), &got); err != nil {
			t.Fatalf("%s: %v\n%s", format, err, x.out.String())
		}
		want, err := json.Marshal(n.Spec)
		if err != nil {
			t.Fatal(err)
		}
		if have, err := json.Marshal(got.Spec); err != nil || string(have) != string(want) {
			t.Errorf("%s: %v\ngot:  %s\nwant: %s", format, err, have, want)
		}
	}
}

func TestYAMLKeepsWhatLooksLikeSomethingElseAString(t *testing.T) {
	t.Parallel()
	e := &v1alpha1.SecurityEvent{}
	e.Namespace, e.Name = "security", "words"
	e.Spec.Attributes = map[string]v1alpha1.AttributeValue{}
	for _, word := range []string{"true", "no", "null", "~", "12", "1e3", "0x1f", "2026-11-22", "2026-11-22T08:00:00Z", "", " a", "a: b",
		"- a", "#a", "a\nb\n", "\"", "'", "{", "<<", "=", "@", "%", "a\tb", "\U0001F525"} {
		e.Spec.Attributes[word] = v1alpha1.AttributeValue(word)
	}
	x := newTerminal(t, e.DeepCopy())
	x.run(t, "events", "-o", "yaml")
	var got v1alpha1.SecurityEventList
	if err := yaml.Unmarshal(x.out.Bytes(), &got); err != nil {
		t.Fatalf("%v\n%s", err, x.out.String())
	}
	if !maps.Equal(got.Items[0].Spec.Attributes, e.Spec.Attributes) {
		t.Errorf("got %q\nof %s", got.Items[0].Spec.Attributes, x.out.String())
	}
}

// stockNamed is the notification of that name.
func stockNamed(t *testing.T, name string) client.Object {
	t.Helper()
	for _, o := range stock(t) {
		if _, ok := o.(*v1alpha1.Notification); ok && o.GetName() == name {
			return o
		}
	}
	t.Fatalf("there is no %s", name)
	return nil
}

func write(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file.yaml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

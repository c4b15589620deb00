// Copyright The Tocsin Authors
// SPDX-License-Identifier: Apache-2.0

// Package docs_test holds the documentation to what the code says: generated tables, links, manifests, and that nothing a
// user meets is left out.
package docs_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/execjob"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/verify"
)

var update = flag.Bool("update", false, "write the generated tables into the pages")

const (
	beginGenerated = "<!-- begin generated -->\n"
	endGenerated   = "<!-- end generated -->"
)

func TestGeneratedTables(t *testing.T) {
	t.Parallel()
	for page, generate := range map[string]func(*testing.T) []string{
		"placeholders.md":          placeholderTable,
		"event-types.md":           presetTable,
		"securityevent.md":         ocsfTable,
		"notificationcondition.md": outbreakTable,
	} {
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			text := read(t, page)
			before, rest, begins := strings.Cut(text, beginGenerated)
			got, after, ends := strings.Cut(rest, endGenerated)
			if !begins || !ends {
				t.Fatalf("%s lacks the markers %q and %q", page, beginGenerated, endGenerated)
			}
			want := "\n" + strings.Join(generate(t), "\n") + "\n\n"
			switch {
			case got == want:
			case *update:
				if err := os.WriteFile(page, []byte(before+beginGenerated+want+endGenerated+after), 0o644); err != nil {
					t.Fatal(err)
				}
			default:
				t.Errorf("the table is not what the code says; `go test ./docs -update` writes it.\ngot:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// pages are all pages, and the project's front page.
func pages(t *testing.T) []string {
	t.Helper()
	found := append(glob(t, "*.md"), glob(t, "../README.md")...)
	if len(found) < 2 {
		t.Fatal("no pages found")
	}
	return found
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestLinks(t *testing.T) {
	t.Parallel()
	for _, page := range pages(t) {
		for _, match := range link.FindAllStringSubmatch(withoutCode(read(t, page)), -1) {
			target := match[1]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file, anchor, _ := strings.Cut(target, "#")
			path := page
			if file != "" {
				path = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s: link to %s: %v", page, target, err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(read(t, path)), anchor) {
				t.Errorf("%s: link to %s: no such heading; there are %s", page, target, strings.Join(anchors(read(t, path)), ", "))
			}
		}
	}
}

// anchors are those that GitHub makes of the headings.
func anchors(text string) []string {
	var list []string
	for _, heading := range headings(text) {
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				return unicode.ToLower(r)
			default:
				return -1
			}
		}, heading)
		name := anchor
		for n := 1; slices.Contains(list, name); n++ {
			name = fmt.Sprintf("%s-%d", anchor, n)
		}
		list = append(list, name)
	}
	return list
}

func headings(text string) []string {
	var list []string
	for line := range strings.Lines(withoutCode(text)) {
		if marks, heading, ok := strings.Cut(line, " "); ok && marks != "" && strings.Trim(marks, "#") == "" {
			list = append(list, strings.TrimSpace(heading))
		}
	}
	return list
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func withoutCode(text string) string { return fence.ReplaceAllString(text, "") }

// TestManifests reads every ```yaml block and every sample as a user would apply it.
func TestManifests(t *testing.T) {
	t.Parallel()
	for _, page := range pages(t) {
		for n, block := range fence.FindAllStringSubmatch(read(t, page), -1) {
			if block[1] == "yaml" {
				checkManifests(t, fmt.Sprintf("%s, block %d", page, n+1), block[2])
			}
		}
	}
	samples := glob(t, "../config/samples/*.yaml")
	if len(samples) == 0 {
		t.Error("no samples found")
	}
	for _, sample := range samples {
		checkManifests(t, sample, read(t, sample))
	}
}

var separator = regexp.MustCompile(`(?m)^---$`)

func checkManifests(t *testing.T, where, text string) {
	t.Helper()
	for _, document := range separator.Split(text, -1) {
		if err := checkManifest([]byte(document)); err != nil {
			t.Errorf("%s: %v\n%s", where, err, document)
		}
	}
}

// operatorNamespace is where config/default puts the operator.
const operatorNamespace = "tocsin-system"

func checkManifest(document []byte) error {
	var head metav1.PartialObjectMetadata
	if err := yaml.Unmarshal(document, &head); err != nil {
		return err
	}
	switch {
	case head.APIVersion == "" || head.Kind == "":
		return fmt.Errorf("no complete manifest: apiVersion is %q, kind is %q", head.APIVersion, head.Kind)
	case head.Name == "" && head.GenerateName == "":
		return fmt.Errorf("%s has no name", head.Kind)
	case head.Namespace != "" && head.Namespace != "security" && head.Namespace != operatorNamespace:
		return fmt.Errorf("%s is in namespace %s; examples live in security", head.Kind, head.Namespace)
	}
	gvk := schema.FromAPIVersionAndKind(head.APIVersion, head.Kind)
	if gvk.Group != v1alpha1.Group {
		return yaml.UnmarshalStrict(document, &map[string]any{})
	}
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return err
	}
	object, err := scheme.New(gvk)
	if err != nil {
		return err
	}
	if err := yaml.UnmarshalStrict(document, object); err != nil {
		return err
	}
	return usable(object)
}

// usable fails for what this version would refuse to do.
func usable(object runtime.Object) error {
	var v status.Verdict
	switch o := object.(type) {
	case *v1alpha1.NotificationCondition:
		v = verify.Condition(o, verify.Surroundings{OperatorNamespace: operatorNamespace})
	case *v1alpha1.NotificationChannel:
		v = verify.Channel(&o.Spec)
	default:
		return nil
	}
	if !v.Ready && v.Reason != v1alpha1.ReasonSuspended {
		return fmt.Errorf("%s: %s", v.Reason, v.Message)
	}
	return nil
}

// TestNothingIsLeftOut looks for the names that the code shows to users.
func TestNothingIsLeftOut(t *testing.T) {
	t.Parallel()
	for page, names := range map[string][]string{
		"operations.md": slices.Concat(
			find(t, "../controllers/*metrics.go", `Name:\s*"(tocsin_\w+)"`, "`%s`"),
			find(t, "../controllers/retention_events.go", `reason\w+\s+= "(\w+)"`, "`%s`"),
			find(t, "../cmd/manager/flags.go", `Var\(&o\.\S+, "([a-z-]+)"`, "`--%s`")),
		"notificationchannel.md": slices.Concat(quoted(notify.Reasons()), quoted(execjob.Reasons())),
		"notificationcondition.md": quoted([]string{v1alpha1.ReasonReady, v1alpha1.ReasonSuspended, v1alpha1.ReasonInvalid,
			v1alpha1.ReasonChannelNotFound, v1alpha1.ReasonActionInvalid}),
		"notification.md": slices.Concat(
			find(t, "../api/v1alpha1/notification_types.go", `Reason\w+\s+= "(\w+)"`, "`%s`"),
			find(t, "../api/v1alpha1/*_types.go", `\b(?:Delivery|Recipient)State = "(\w+)"`, "`%s`"),
			find(t, "../internal/outbox/next.go", `Reason\w+\s+= "(\w+)"`, "`%s`")),
	} {
		if len(names) == 0 {
			t.Errorf("%s: nothing to look for", page)
		}
		for _, name := range names {
			if !strings.Contains(read(t, page), name) {
				t.Errorf("%s does not tell of %s", page, name)
			}
		}
	}
}

// TestEachFieldHasItsHeading holds the pages of the kinds to their skeleton.
func TestEachFieldHasItsHeading(t *testing.T) {
	t.Parallel()
	for page, spec := range map[string]any{
		"securityevent.md":         v1alpha1.SecurityEventSpec{},
		"notificationcondition.md": v1alpha1.NotificationConditionSpec{},
		"notificationchannel.md":   v1alpha1.NotificationChannelSpec{},
		"notification.md":          v1alpha1.NotificationSpec{},
		"notificationfilter.md":    v1alpha1.NotificationFilterSpec{},
	} {
		have := headings(read(t, page))
		kind := strings.TrimSuffix(reflect.TypeOf(spec).Name(), "Spec")
		want := []string{kind, "Example", "Writing a spec", "Working with " + kind + "s", "Status"}
		for field := range fieldsOf(reflect.TypeOf(spec)) {
			want = append(want, field)
		}
		for _, heading := range want {
			if !slices.Contains(have, heading) {
				t.Errorf("%s has no heading %q", page, heading)
			}
		}
	}
}

// fieldsOf maps the fields of an API type, as manifests name them, to their types.
func fieldsOf(of reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for _, field := range reflect.VisibleFields(of) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if options == "inline" {
			maps.Copy(fields, fieldsOf(field.Type))
		} else if name != "" {
			fields[name] = field.Type
		}
	}
	return fields
}

// find returns what the pattern's group matches in source files, in order and written as the format says.
func find(t *testing.T, files, pattern, format string) []string {
	t.Helper()
	var found []string
	for _, file := range glob(t, files) {
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(read(t, file), -1) {
			found = append(found, fmt.Sprintf(format, match[1]))
		}
	}
	if len(found) == 0 {
		t.Errorf("%s: nothing is found with %s", files, pattern)
	}
	return found
}

func quoted[S ~string](names []S) []string {
	list := make([]string, 0, len(names))
	for _, name := range names {
		list = append(list, "`"+string(name)+"`")
	}
	return list
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

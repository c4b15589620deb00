// SPDX-License-Identifier: Apache-2.0

package execjob

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/tocsin-dev/tocsin/internal/placeholder"
)

// expand does to a value what the kubelet does (k8s.io/kubernetes, third_party/forked/golang/expansion): $$ is a dollar,
// $(NAME) the value of NAME, if there is one.
func expand(value string, names map[string]string) string {
	var out strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] != '$' || i+1 == len(value) {
			out.WriteByte(value[i])
			continue
		}
		i++
		closer := strings.IndexByte(value[i:], ')')
		switch {
		case value[i] == '$':
			out.WriteByte('$')
		case value[i] == '(' && closer > 0:
			name := value[i+1 : i+closer]
			if known, ok := names[name]; ok {
				out.WriteString(known)
			} else {
				out.WriteString("$(" + name + ")")
			}
			i += closer
		default:
			out.WriteString("$" + string(value[i]))
		}
	}
	return out.String()
}

func valueOf(t *testing.T, variables []corev1.EnvVar, name string) string {
	t.Helper()
	for _, v := range variables {
		if v.Name == name {
			return v.Value
		}
	}
	t.Fatalf("there is no variable %s", name)
	return ""
}

func TestKubernetesExpandsNothingInAValue(t *testing.T) {
	t.Parallel()
	names := map[string]string{"HOME": "/root", "TOKEN": "s3cret"}
	for _, value := range []string{
		"ws-042", "$(TOKEN)", "$$(TOKEN)", "$$$(TOKEN)", "$(", "$", "$$", "a$", "$HOME", "`reboot`", "; reboot", "$(nobody)", "line\nbreak",
	} {
		written := valueOf(t, environment(placeholder.Values{placeholder.Computer: value}), "COMPUTER")
		if got := expand(written, names); got != value {
			t.Errorf("%q is written as %q, which arrives as %q", value, written, got)
		}
	}
}

func TestAllPlaceholdersAreVariables(t *testing.T) {
	t.Parallel()
	variables := environment(placeholder.Values{placeholder.Task: "nightly"})
	if want := len(placeholder.All()) + 1; len(variables) != want {
		t.Errorf("there are %d variables, want %d", len(variables), want)
	}
	if got := valueOf(t, variables, "KLCSAK_EVENT_TASK_DISPLAY_NAME"); got != "nightly" {
		t.Errorf("the task is %q", got)
	}
	if got := valueOf(t, variables, FileVariable); got != "/tocsin/notification.json" {
		t.Errorf("the file is %q", got)
	}
}

func TestEnvironmentIsBounded(t *testing.T) {
	t.Parallel()
	values := placeholder.Values{}
	for _, p := range placeholder.All() {
		values[p.Name] = strings.Repeat("€", 100_000)
	}
	total := 0
	for _, v := range environment(values) {
		if len(v.Value) > maxVariable || !utf8.ValidString(v.Value) {
			t.Errorf("%s has %d bytes, valid: %t", v.Name, len(v.Value), utf8.ValidString(v.Value))
		}
		total += len(v.Value)
	}
	if total > maxEnvironment+100 {
		t.Errorf("all have %d bytes", total)
	}
}

func TestTemplateKeepsItsOwnVariables(t *testing.T) {
	t.Parallel()
	own := []corev1.EnvVar{{Name: "ACTION", Value: "block"}, {Name: "HOST", Value: "host=$(COMPUTER)"}}
	got := merge([]corev1.EnvVar{{Name: "COMPUTER", Value: "ws"}, {Name: "ACTION", Value: "what the event says"}}, own)
	want := []corev1.EnvVar{
		{Name: "COMPUTER", Value: "ws"}, {Name: "ACTION", Value: "block"}, {Name: "HOST", Value: "host=$(COMPUTER)"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want-, got+:\n%s", diff)
	}
}

func FuzzVariableArrivesAsItIs(f *testing.F) {
	for _, seed := range []string{"$(COMPUTER)", "$$(X)", "`x`", "a\nb", "\xff$(", "\x00$(A)", strings.Repeat("$(A)", 25_000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		written := valueOf(t, environment(placeholder.Values{placeholder.Description: value}), "DESCR")
		if len(written) > 2*maxVariable || strings.Contains(written, "\x00") || !utf8.ValidString(written) {
			t.Fatalf("%d bytes, valid: %t", len(written), utf8.ValidString(written))
		}
		got := expand(written, map[string]string{"A": "expanded", "COMPUTER": "expanded", "X": "expanded"})
		want := strings.ToValidUTF8(strings.ReplaceAll(value, "\x00", ""), "\uFFFD")
		if got != want && !(len(want) > maxVariable && strings.HasPrefix(want, strings.TrimSuffix(got, "…"))) {
			t.Fatalf("%q is written as %q, which arrives as %q", want, written, got)
		}
	})
}

// SPDX-License-Identifier: Apache-2.0

package assets

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const program = "package main\n\nfunc main() {}\n"

// newTestCache returns an empty cache, a source tree in which etcd is what is given, and what the cache says.
func newTestCache(t *testing.T, etcd string) (*Cache, *transcript) {
	t.Helper()
	t.Setenv(EnvtestVariable, "")
	tree := t.TempDir()
	files := map[string]string{
		"kubernetes/go.mod": "module kubernetes\n\nrequire k8s.io/kubernetes v1.2.3\n",
		"etcd/go.mod": "module etcd\n\ngo 1.26.0\n\nrequire go.etcd.io/etcd/server/v3 v3.4.5\n\n" +
			"replace go.etcd.io/etcd/server/v3 => ./source\n",
		"etcd/source/go.mod":  "module go.etcd.io/etcd/server/v3\n\ngo 1.26.0\n",
		"etcd/source/main.go": etcd,
	}
	for name, content := range files {
		write(t, filepath.Join(tree, sourcesInTree, name), content, 0o644)
	}
	said := &transcript{}
	return &Cache{root: t.TempDir(), tree: tree, say: said.add}, said
}

func TestBuildsOnceAlsoForTwoAtTheSameTime(t *testing.T) {
	c, said := newTestCache(t, program)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			dir, err := c.Ensure(context.Background(), Etcd)
			if err != nil {
				t.Error(err)
			}
			if !isProgram(filepath.Join(dir, Etcd)) {
				t.Error("no program was built")
			}
		})
	}
	both.Wait()
	if n := said.count("etcd v3.4.5: built in"); n != 1 {
		t.Errorf("built %d times, want once:\n%s", n, said)
	}
}

func TestDirectoryIsNamedAfterVersionsAndHoldsNothingElse(t *testing.T) {
	c, _ := newTestCache(t, program)
	dir, err := c.Ensure(context.Background(), Etcd)
	if err != nil {
		t.Fatal(err)
	}
	if name := filepath.Base(dir); !strings.HasPrefix(name, "kubernetes-v1.2.3-etcd-v3.4.5-") {
		t.Errorf("the directory is called %s", name)
	}
	checkEntries(t, dir, Etcd)
}

func TestSettingsOfTheCallerDoNotReachTheBuild(t *testing.T) {
	c, _ := newTestCache(t, program)
	for name, value := range map[string]string{
		"GOFLAGS": "-mod=vendor -tags=other", "GOWORK": "/nowhere/go.work", "GOOS": "plan9", "GOARCH": "mips", "CGO_ENABLED": "1",
	} {
		t.Setenv(name, value)
	}
	if _, err := c.Ensure(context.Background(), Etcd); err != nil {
		t.Error(err)
	}
}

func TestFailedBuildShowsWhy(t *testing.T) {
	c, _ := newTestCache(t, "package main\n\nfunc main() { nonsense() }\n")
	dir, err := c.Ensure(context.Background(), Etcd)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"building etcd v3.4.5", "undefined: nonsense", "Run the same command again"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%s", want, err)
		}
	}
	checkEntries(t, dir)
}

func TestInterruptedBuildLeavesNothing(t *testing.T) {
	c, _ := newTestCache(t, program)
	ctx, cancel := context.WithCancel(context.Background())
	say := c.say
	c.say = func(format string, args ...any) {
		say(format, args...)
		cancel() // at the first sign of a build
	}
	dir, err := c.Ensure(ctx, Etcd)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want it to be cancelled", err)
	}
	checkEntries(t, dir)
}

func TestEnsureNeedsTheSourceTree(t *testing.T) {
	c, _ := newTestCache(t, program)
	c.tree = ""
	if _, err := c.Ensure(context.Background(), Etcd); err == nil || !strings.Contains(err.Error(), "source tree") {
		t.Errorf("got %v", err)
	}
}

func TestGivenProgramsReplaceTheBuild(t *testing.T) {
	c, said := newTestCache(t, program)
	given := t.TempDir()
	t.Setenv(EnvtestVariable, given)
	for _, name := range []string{Etcd, APIServer, Kubectl, ControllerManager} {
		write(t, filepath.Join(given, name), "#!/bin/sh\n", 0o755)
	}
	if dir, err := c.Dir(context.Background()); err != nil || dir != given {
		t.Errorf("directory is %q (%v), want %q", dir, err, given)
	}
	got, err := c.ControlPlane(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(given, ControllerManager); got.Dir != given || got.ControllerManager != want {
		t.Errorf("got %+v", got)
	}
	if said.String() != "" {
		t.Errorf("nothing was to be built, but:\n%s", said)
	}
}

func TestGivenProgramsMustBeComplete(t *testing.T) {
	c, _ := newTestCache(t, program)
	given := t.TempDir()
	t.Setenv(EnvtestVariable, given)
	write(t, filepath.Join(given, Etcd), "#!/bin/sh\n", 0o755)
	write(t, filepath.Join(given, APIServer), "not executable", 0o644)
	_, err := c.ControlPlane(context.Background())
	if err == nil || !strings.Contains(err.Error(), "no "+APIServer) || !strings.Contains(err.Error(), given) {
		t.Errorf("got %v, want it to name what is missing where", err)
	}
}

func TestGivenProgramsWithoutControllerManager(t *testing.T) {
	c, said := newTestCache(t, program)
	given := t.TempDir()
	t.Setenv(EnvtestVariable, given)
	for _, name := range envtestPrograms {
		write(t, filepath.Join(given, name), "#!/bin/sh\n", 0o755)
	}
	built, err := c.dir(context.Background(), []string{"kubernetes", "etcd"})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(built, ControllerManager), "#!/bin/sh\n", 0o755)
	got, err := c.ControlPlane(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(built, ControllerManager); got.Dir != given || got.ControllerManager != want {
		t.Errorf("got %+v", got)
	}
	if want := "kube-controller-manager is not in KUBEBUILDER_ASSETS: using the one in " + built; said.count(want) != 1 {
		t.Errorf("said\n%s\nwant %q", said, want)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for want, names := range map[string][]string{
		"":                              {Etcd, Kubectl, "kubelet"},
		`unknown component "etcd3"`:     {"etcd3"},
		"kept in different directories": {Etcd, Mailpit},
	} {
		err := Check(names...)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", names, err, want)
		}
	}
}

func TestVersionsOfTheTree(t *testing.T) {
	t.Parallel()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	c := &Cache{tree: FindTree(wd)}
	for _, w := range components {
		if version, err := c.version(context.Background(), w); err != nil || !strings.HasPrefix(version, "v") {
			t.Errorf("%s: version %q, %v", w.name, version, err)
		}
	}
}

func TestCacheIsTheUsers(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", home)
	t.Setenv("HOME", home)
	c, err := NewCache("", nil)
	if err != nil || !strings.HasPrefix(c.root, home) || !strings.HasSuffix(c.root, "tocsin/devcluster") {
		t.Errorf("the cache is at %q (%v), want it below %s", c.root, err, home)
	}
}

func TestFindTree(t *testing.T) {
	t.Parallel()
	tree := t.TempDir()
	deep := filepath.Join(tree, sourcesInTree, "etcd")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	elsewhere := t.TempDir()
	if got := FindTree(elsewhere, deep); got != tree {
		t.Errorf("found %q, want %q", got, tree)
	}
	if got := FindTree(elsewhere); got != "" {
		t.Errorf("found %q, want nothing", got)
	}
}

func checkEntries(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the directory holds %q, want %q", got, want)
	}
}

func write(t *testing.T, file, content string, perm os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), perm); err != nil {
		t.Fatal(err)
	}
}

// transcript collects what a cache says.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *transcript) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&s.text, format+"\n", args...)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *transcript) count(text string) int {
	return strings.Count(s.String(), text)
}

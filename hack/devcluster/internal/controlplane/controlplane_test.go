// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/process"
)

func TestStateIsReadAsWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if got, err := ReadState(dir); got != nil || err != nil {
		t.Fatalf("state of an empty directory is %+v, %v", got, err)
	}
	want := State{
		Supervisor: process.ID{PID: 12, Started: "boot 34"},
		Processes:  map[string]process.ID{"etcd": {PID: 56, Started: "boot 78"}},
		Server:     "https://127.0.0.1:1",
		Ready:      true,
	}
	if err := want.write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := ReadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	if encode(t, got) != encode(t, want) {
		t.Errorf("read %s, want %s", encode(t, got), encode(t, want))
	}
}

func TestDamagedStateNamesItsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, stateFile)
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadState(dir); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
}

func TestRunning(t *testing.T) {
	t.Parallel()
	alive, err := process.Identify(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	recycled := process.ID{PID: alive.PID, Started: "before"}
	etcd := func(id process.ID) map[string]process.ID { return map[string]process.ID{"etcd": id} }
	for name, tc := range map[string]struct {
		state State
		want  bool
	}{
		"all alive":                   {State{Supervisor: alive, Processes: etcd(alive), Ready: true}, true},
		"still starting":              {State{Supervisor: alive, Processes: etcd(alive)}, false},
		"a process has gone":          {State{Supervisor: alive, Processes: etcd(recycled), Ready: true}, false},
		"the supervisor has gone":     {State{Supervisor: recycled, Processes: etcd(alive), Ready: true}, false},
		"nothing has been started":    {State{}, false},
		"only the supervisor started": {State{Supervisor: alive}, false},
	} {
		if got := tc.state.Running(); got != tc.want {
			t.Errorf("%s: running is %t, want %t", name, got, tc.want)
		}
	}
}

func TestEndSparesARecycledNumber(t *testing.T) {
	t.Parallel()
	bystander := exec.Command("sleep", "1000")
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = bystander.Process.Kill(), bystander.Wait() })
	id, err := process.Identify(bystander.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	recycled := process.ID{PID: id.PID, Started: "before"}
	state := State{Supervisor: recycled, Processes: map[string]process.ID{"etcd": recycled}}
	if err := state.End(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if !id.Alive() {
		t.Error("a process was ended that only has the number of one of ours")
	}
}

func TestRemoveSparesWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Prepare(dir); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "notes")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Remove(dir); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "notes" {
		t.Errorf("left are %v (%v), want notes", entries, err)
	}
	if err := os.Remove(other); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to remove
		if err := Remove(dir); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the empty directory is still there (%v)", err)
	}
}

func TestCredentialsArePrivate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Prepare(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := issueCredentials(dir, here); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, keys, "*"))
	if err != nil || len(files) < 6 {
		t.Fatalf("files are %v (%v)", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v (%v)", file, info.Mode(), err)
		}
	}
}

// Programs that only do what a test needs of them. An API server notes each of its starts in the file "starts".
const (
	patient   = "#!/bin/sh\nexec sleep 1000\n"
	broken    = "#!/bin/sh\necho x >> starts\necho cannot open the store\nexit 3\n"
	crowded   = "#!/bin/sh\necho x >> starts\necho listen tcp: bind: address already in use\nexit 1\n"
	crowdedAt = "#!/bin/sh\necho x >> starts\n[ $(wc -l < starts) = 1 ] && echo bind: address already in use && exit 1\n" +
		"echo cannot open the store\nexit 3\n"
)

func TestStartFails(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		etcd, server string
		want         string
		starts       int
	}{
		"when the API server ends":            {patient, broken, "kube-apiserver ended: exit status 3; the end of its log:\n  cannot", 1},
		"when etcd ends":                      {broken, patient, "etcd ended: exit status 3", 1},
		"at once when not for want of a port": {patient, crowdedAt, "cannot open the store", 2},
		"when every port is taken":            {patient, crowded, "address already in use", portAttempts},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := Prepare(dir); err != nil {
				t.Fatal(err)
			}
			programs := Programs{Etcd: script(t, tc.etcd), APIServer: script(t, tc.server)}
			_, err := Start(context.Background(), dir, programs)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			starts, _ := os.ReadFile(filepath.Join(dir, "starts"))
			if n := strings.Count(string(starts), "x"); n != tc.starts {
				t.Errorf("started %d times, want %d", n, tc.starts)
			}
			checkAllGone(t, dir)
		})
	}
}

func TestStartIsCancelled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := Prepare(dir); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Start(ctx, dir, Programs{Etcd: script(t, patient), APIServer: script(t, patient)})
	if err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("got %v", err)
	}
	checkAllGone(t, dir)
}

func TestProgramsListenOnlyHere(t *testing.T) {
	t.Parallel()
	if args := etcdArgs(); !slices.Contains(args, "--listen-client-urls=unix://etcd.sock") ||
		!slices.Contains(args, "--listen-peer-urls=unix://etcd-peer.sock") {
		t.Errorf("etcd: %v", args)
	}
	if args := apiServerArgs(here); !slices.Contains(args, "--bind-address=127.0.0.1") {
		t.Errorf("kube-apiserver: %v", args)
	}
	if args := controllerManagerArgs(); !slices.Contains(args, "--secure-port=0") {
		t.Errorf("kube-controller-manager: %v", args)
	}
}

func script(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return file
}

func checkAllGone(t *testing.T, dir string) {
	t.Helper()
	state, err := ReadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range state.Processes {
		if id.Alive() {
			t.Errorf("%s is still running", name)
		}
	}
}

func encode(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

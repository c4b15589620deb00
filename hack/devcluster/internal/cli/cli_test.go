// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWrongArguments(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"":                                    "a command is missing",
		"start":                               `unknown command "start"`,
		"up here":                             `up: unexpected argument "here"`,
		"up --port 1":                         "up: flag provided but not defined: -port",
		"up --dir":                            "up: flag needs an argument: -dir",
		"down --dir=":                         "down: --dir must not be empty",
		"exec":                                "exec: the command to run is missing",
		"exec --with mailpit --":              "exec: the command to run is missing",
		"exec --with mail -- ls":              `exec: invalid value "mail" for flag -with`,
		"assets etcd3":                        `unknown component "etcd3" (known: etcd, `,
		"assets etcd mailpit":                 "kept in different directories",
		"assets --with= etcd":                 `assets: invalid value "" for flag -with`,
		"exec --dir x -- kubectl":             "exec: flag provided but not defined: -dir",
		"down --node":                         "down: flag provided but not defined: -node",
		"load":                                "load: the archive is missing",
		"load --dir= a.tar":                   "load: --dir must not be empty",
		"image --name a:1":                    "image: --name, --output and at least one PATH=FILE are needed",
		"image --name a:1 --output a.tar a=b": `image: "a=b" is not of the form /PATH/IN/IMAGE=FILE`,
		"image --name a:1 --output a.tar /../a=b":  `image: "/../a=b" is not of the form`,
		"image --name a:1 --output a.tar /program": `image: "/program" is not of the form`,
	} {
		code, stdout, stderr := runMain(strings.Fields(args)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) || !strings.Contains(stderr, "--help") {
			t.Errorf("%q: exit code %d, stdout %q, stderr %q; want %q", args, code, stdout, stderr, want)
		}
	}
}

func TestHelpNamesEveryCommand(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"help", "--help", "-h", "up --help", "exec -h"} {
		code, stdout, stderr := runMain(strings.Fields(args)...)
		if code != 0 || stderr != "" {
			t.Errorf("%s: exit code %d, stderr %q", args, code, stderr)
		}
		for _, command := range []string{"assets", "up", "down", "exec", "image", "load"} {
			if !strings.Contains(stdout, "devcluster "+command+" ") {
				t.Errorf("%s does not explain %s", args, command)
			}
		}
	}
}

func TestDownWhereNothingRuns(t *testing.T) {
	t.Parallel()
	absent, other := filepath.Join(t.TempDir(), "absent"), t.TempDir()
	notes := filepath.Join(other, "logs")
	if err := os.WriteFile(notes, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{absent, other} {
		code, stdout, stderr := runMain("down", "--dir", dir)
		if code != 0 || !strings.Contains(stdout, "No control plane is running in "+dir) {
			t.Errorf("%s: exit code %d, stdout %q, stderr %q", dir, code, stdout, stderr)
		}
	}
	if _, err := os.Stat(absent); !os.IsNotExist(err) {
		t.Error("down has created the directory")
	}
	if _, err := os.Stat(notes); err != nil {
		t.Errorf("down has removed a file that is not its own: %v", err)
	}
}

func TestLoadWhereNothingRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	code, _, stderr := runMain("load", "--dir", dir, "image.tar")
	if code != exitFailure || !strings.Contains(stderr, "no control plane is running in "+dir) {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

func TestImageIsWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source, output := filepath.Join(dir, "source"), filepath.Join(dir, "images", "image.tar")
	args := []string{"image", "--name", "a:1", "--output", output, "--entrypoint", "/program", "/program=" + source}
	if code, _, stderr := runMain(args...); code != exitFailure || !strings.Contains(stderr, source) {
		t.Errorf("without the file: exit code %d, stderr %q", code, stderr)
	}
	if left, err := os.ReadDir(filepath.Dir(output)); err != nil || len(left) != 0 {
		t.Errorf("half an image is left: %v (%v)", left, err)
	}
	if err := os.WriteFile(source, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runMain(args...); code != 0 {
		t.Fatalf("exit code %d, stderr %q", code, stderr)
	}
	if info, err := os.Stat(output); err != nil || info.Size() == 0 {
		t.Errorf("there is no image: %v (%v)", info, err)
	}
}

func TestUpRefusesADirectoryInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notes"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := runMain("up", "--dir", dir)
	if code != exitFailure || !strings.Contains(stderr, dir+" holds other files (notes)") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

func runMain(args ...string) (code int, stdout, stderr string) {
	var out, err strings.Builder
	code = Main(args, &out, &err)
	return code, out.String(), err.String()
}

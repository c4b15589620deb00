// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The demo would find these out too, half a minute later.

func TestStoryPlaysEveryManifest(t *testing.T) {
	t.Parallel()
	played := []string{"01-channel.yaml", "02-conditions.yaml"}
	for _, s := range story {
		played = append(played, s.file)
	}
	files, err := filepath.Glob("story/*")
	if err != nil {
		t.Fatal(err)
	}
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	if !slices.Equal(files, played) {
		t.Errorf("story holds %q; the demo plays %q", files, played)
	}
}

func TestChannelFitsTheMailServer(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("story/01-channel.yaml")
	if err != nil {
		t.Fatal(err)
	}
	user, password, _ := strings.Cut(login, ":")
	for _, want := range []string{portInManifest, "username: " + user, "password: " + password} {
		if n := strings.Count(string(text), want); n != 1 {
			t.Errorf("the channel's manifest holds %q %d times; it must be once", want, n)
		}
	}
}

func TestShell(t *testing.T) {
	t.Parallel()
	got := shell("kubectl", "wait", "ntf", "--for=jsonpath={.status.dampers[0].held}=3", "-n", "security")
	want := "kubectl wait ntf '--for=jsonpath={.status.dampers[0].held}=3' -n security"
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

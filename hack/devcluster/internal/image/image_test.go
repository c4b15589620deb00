// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestArchiveHoldsWhatRuntimesLookFor(t *testing.T) {
	t.Parallel()
	archive := read(t, written(t, sample(t)))
	var list []manifest
	decode(t, archive["manifest.json"].content, &list)
	if len(list) != 1 || !slices.Equal(list[0].RepoTags, []string{"sample:dev"}) || len(list[0].Layers) != 1 {
		t.Fatalf("the manifest is %+v", list)
	}
	var c config
	decode(t, archive[list[0].Config].content, &c)
	entrypoint := []string{"/bin/tool", "run"}
	if c.Architecture == "" || c.OS != "linux" || c.Config.User != "1:1" || !slices.Equal(c.Config.Entrypoint, entrypoint) {
		t.Errorf("the configuration is %+v", c)
	}
	layer := archive[list[0].Layers[0]].content
	if want := []string{"sha256:" + digest(layer)}; !slices.Equal(c.RootFS.DiffIDs, want) {
		t.Errorf("the configuration names the layers %v, want %v", c.RootFS.DiffIDs, want)
	}
}

func TestLayerHoldsTheFilesAndTheirDirectories(t *testing.T) {
	t.Parallel()
	layer, err := sample(t).layer()
	if err != nil {
		t.Fatal(err)
	}
	files := read(t, layer)
	for name, want := range map[string]struct {
		mode    int64
		content string
	}{
		"bin/": {0o755, ""}, "bin/tool": {0o755, "tool"},
		"etc/": {0o755, ""}, "etc/tool/": {0o755, ""}, "etc/tool/settings": {0o644, "settings"},
	} {
		if got, ok := files[name]; !ok || got.mode != want.mode || string(got.content) != want.content {
			t.Errorf("%s: %+v (there: %t), want %+v", name, got, ok, want)
		}
	}
	if len(files) != 5 {
		t.Errorf("the layer holds %d entries, want five", len(files))
	}
}

func TestSameFilesMakeTheSameArchive(t *testing.T) {
	t.Parallel()
	if !bytes.Equal(written(t, sample(t)), written(t, sample(t))) {
		t.Error("two archives of the same files differ")
	}
}

func TestAbsentFileIsNamed(t *testing.T) {
	t.Parallel()
	i := Image{Name: "sample:dev", Files: []File{{Path: "/tool", Source: filepath.Join(t.TempDir(), "absent")}}}
	if err := i.Write(io.Discard); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "absent") {
		t.Errorf("got %v", err)
	}
}

// sample is an image of the same two files, wherever they are.
func sample(t *testing.T) Image {
	t.Helper()
	dir := t.TempDir()
	tool, settings := filepath.Join(dir, "tool"), filepath.Join(dir, "settings")
	for file, mode := range map[string]os.FileMode{tool: 0o700, settings: 0o600} {
		if err := os.WriteFile(file, []byte(filepath.Base(file)), mode); err != nil {
			t.Fatal(err)
		}
	}
	return Image{
		Name: "sample:dev", Entrypoint: []string{"/bin/tool", "run"}, User: "1:1",
		Files: []File{{"/bin/tool", tool}, {"/etc/tool/settings", settings}},
	}
}

func written(t *testing.T, i Image) []byte {
	t.Helper()
	var archive bytes.Buffer
	if err := i.Write(&archive); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

type entry struct {
	mode    int64
	content []byte
}

func read(t *testing.T, archive []byte) map[string]entry {
	t.Helper()
	entries := map[string]entry{}
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		entries[header.Name] = entry{header.Mode, content}
	}
}

func decode(t *testing.T, data []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

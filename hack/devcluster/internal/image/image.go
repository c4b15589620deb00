// SPDX-License-Identifier: Apache-2.0

// Package image writes container images of one layer, in the form that `docker save` writes and every container
// runtime imports: no registry, no daemon and no build tool is needed.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"
)

// Image says what is in an image and how it is run.
type Image struct {
	Name       string
	Entrypoint []string
	User       string // as in a Dockerfile
	Files      []File
}

// File is a file of this machine and its place in the image.
type File struct {
	Path   string // absolute
	Source string
}

// config is the part of the image's configuration that runtimes ask for. Without the architecture containerd takes the
// image for one of another machine.
type config struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Config       struct {
		Entrypoint []string `json:",omitempty"`
		User       string   `json:",omitempty"`
		Env        []string
	} `json:"config"`
	RootFS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
}

type manifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Write writes the image as an archive. The same files make the same archive, byte for byte.
func (i Image) Write(w io.Writer) error {
	layer, err := i.layer()
	if err != nil {
		return err
	}
	c := config{Architecture: runtime.GOARCH, OS: "linux"}
	c.Config.Entrypoint, c.Config.User = i.Entrypoint, i.User
	c.Config.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	c.RootFS.Type, c.RootFS.DiffIDs = "layers", []string{"sha256:" + digest(layer)}
	configuration, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encoding the image's configuration: %w", err)
	}
	m := manifest{
		Config:   digest(configuration) + ".json",
		RepoTags: []string{i.Name},
		Layers:   []string{digest(layer) + "/layer.tar"},
	}
	list, err := json.Marshal([]manifest{m})
	if err != nil {
		return fmt.Errorf("encoding the image's manifest: %w", err)
	}
	archive := tar.NewWriter(w)
	for _, entry := range []struct {
		name    string
		content []byte
	}{{m.Config, configuration}, {m.Layers[0], layer}, {"manifest.json", list}} {
		if err := add(archive, entry.name, 0o644, entry.content); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("writing the image: %w", err)
	}
	return nil
}

// layer is the image's content: its files, and the directories they are in.
func (i Image) layer() ([]byte, error) {
	var buffer bytes.Buffer
	layer := tar.NewWriter(&buffer)
	made := map[string]bool{}
	for _, file := range i.Files {
		if err := addParents(layer, made, file.Path); err != nil {
			return nil, err
		}
		if err := addFile(layer, file); err != nil {
			return nil, err
		}
	}
	if err := layer.Close(); err != nil {
		return nil, fmt.Errorf("writing the image's layer: %w", err)
	}
	return buffer.Bytes(), nil
}

func addParents(layer *tar.Writer, made map[string]bool, name string) error {
	dir := path.Dir(name)
	if dir == "/" || made[dir] {
		return nil
	}
	if err := addParents(layer, made, dir); err != nil {
		return err
	}
	made[dir] = true
	header := &tar.Header{Typeflag: tar.TypeDir, Name: strings.TrimPrefix(dir, "/") + "/", Mode: 0o755}
	if err := layer.WriteHeader(header); err != nil {
		return fmt.Errorf("writing the image's layer: %w", err)
	}
	return nil
}

func addFile(layer *tar.Writer, file File) error {
	content, err := os.ReadFile(file.Source)
	if err != nil {
		return fmt.Errorf("reading what goes into the image: %w", err)
	}
	info, err := os.Stat(file.Source)
	if err != nil {
		return fmt.Errorf("reading what goes into the image: %w", err)
	}
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	return add(layer, strings.TrimPrefix(file.Path, "/"), mode, content)
}

func add(archive *tar.Writer, name string, mode int64, content []byte) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content))}
	if err := archive.WriteHeader(header); err != nil {
		return fmt.Errorf("writing the image: %w", err)
	}
	if _, err := archive.Write(content); err != nil {
		return fmt.Errorf("writing the image: %w", err)
	}
	return nil
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

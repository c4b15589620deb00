// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/controlplane"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/image"
	"github.com/tocsin-dev/tocsin/hack/devcluster/internal/node"
)

func (a *app) image(args []string) error {
	var i image.Image
	f := newFlags("image")
	f.StringVar(&i.Name, "name", "", "")
	f.StringVar(&i.User, "user", "", "")
	output := f.String("output", "", "")
	entrypoint := f.String("entrypoint", "", "")
	if err := f.parse(args); err != nil {
		return err
	}
	if i.Name == "" || *output == "" || f.NArg() == 0 {
		return misused("image: --name, --output and at least one PATH=FILE are needed")
	}
	for _, arg := range f.Args() {
		place, source, ok := strings.Cut(arg, "=")
		if !ok || !path.IsAbs(place) || path.Clean(place) != place || source == "" {
			return misused("image: %q is not of the form /PATH/IN/IMAGE=FILE", arg)
		}
		i.Files = append(i.Files, image.File{Path: place, Source: source})
	}
	if *entrypoint != "" {
		i.Entrypoint = []string{*entrypoint}
	}
	return writeImage(i, *output)
}

// writeImage replaces the file in one step: it may be read while it is written.
func writeImage(i image.Image, output string) error {
	if err := os.MkdirAll(filepath.Dir(output), 0o755); err != nil {
		return fmt.Errorf("creating a directory for the image: %w", err)
	}
	file, err := os.Create(output + ".new")
	if err != nil {
		return fmt.Errorf("writing the image: %w", err)
	}
	defer func() { _ = os.Remove(output + ".new") }() // if it is still there, it is not whole
	defer file.Close()
	if err := i.Write(file); err != nil {
		return err
	}
	if err := os.Rename(output+".new", output); err != nil {
		return fmt.Errorf("writing the image: %w", err)
	}
	return nil
}

func (a *app) load(ctx context.Context, args []string) error {
	f := newFlags("load")
	given := a.dir(f)
	if err := f.parse(args); err != nil {
		return err
	}
	dir, err := absolute(f, *given)
	if err != nil {
		return err
	}
	if f.NArg() == 0 {
		return misused("load: the archive is missing")
	}
	state, err := controlplane.ReadState(dir)
	if err != nil {
		return err
	}
	if state == nil || !state.Running() {
		return fmt.Errorf("no control plane is running in %s", dir)
	}
	pid, ok := state.Node()
	if !ok {
		return fmt.Errorf("the control plane in %s has no node: start it with --node", dir)
	}
	for _, archive := range f.Args() {
		if err := node.Load(ctx, pid, archive); err != nil {
			return err
		}
	}
	return nil
}

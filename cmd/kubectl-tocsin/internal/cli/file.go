// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// readFile reads the objects of Tocsin's kinds that a file holds; "-" is the standard input. They are put in the namespace
// where they name none. Unknown fields are refused.
func (a *App) readFile(path string) ([]client.Object, error) {
	in := a.In
	if path != "-" {
		file, err := os.Open(path) //nolint:gosec // the user names the file
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	namespace, enforced, err := a.Namespace()
	if err != nil {
		return nil, err
	}
	var objects []client.Object
	documents := utilyaml.NewYAMLReader(bufio.NewReader(in))
	for {
		object, err := next(documents)
		switch {
		case errors.Is(err, io.EOF) && len(objects) == 0:
			return nil, fmt.Errorf("%s: no objects found", path)
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if object.GetNamespace() == "" {
			object.SetNamespace(namespace)
		}
		if own := object.GetNamespace(); enforced && own != namespace {
			return nil, fmt.Errorf("the namespace from the provided object %q does not match the namespace %q. "+
				"You must pass '--namespace=%s' to perform this operation", own, namespace, own)
		}
		objects = append(objects, object)
	}
}

// next reads the next object; io.EOF when there is none.
func next(documents *utilyaml.YAMLReader) (client.Object, error) {
	for {
		document, err := documents.Read()
		if err != nil {
			return nil, err
		}
		if object, err := decode(document); object != nil || err != nil {
			return object, err
		}
	}
}

// decode makes an object of a document; none of an empty one.
func decode(document []byte) (client.Object, error) {
	var head struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	var content any
	if err := yaml.Unmarshal(document, &content); err != nil {
		return nil, err
	}
	if content == nil {
		return nil, nil //nolint:nilnil // an empty document is no object and no mistake
	}
	if err := yaml.Unmarshal(document, &head); err != nil {
		return nil, err
	}
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	kind := schema.FromAPIVersionAndKind(head.APIVersion, head.Kind)
	if kind.GroupVersion() != v1alpha1.GroupVersion {
		return nil, fmt.Errorf("%q, kind %q is none of Tocsin's kinds (apiVersion %s)", head.APIVersion, head.Kind, v1alpha1.GroupVersion)
	}
	made, err := scheme.New(kind)
	if err != nil {
		return nil, err
	}
	object, ok := made.(client.Object)
	if !ok {
		return nil, fmt.Errorf("kind %s is a list", head.Kind)
	}
	if err := yaml.UnmarshalStrict(document, object); err != nil {
		return nil, fmt.Errorf("%s %s: %w", head.Kind, object.GetName(), err)
	}
	return object, nil
}

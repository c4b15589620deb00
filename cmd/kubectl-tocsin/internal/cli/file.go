// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// readFile reads the objects of Tocsin's kinds that a file holds; "-" is the standard input. They are put in the namespace
// where they name none. Unknown fields are refused, and other kinds are passed over.
func (a *App) readFile(path string) ([]client.Object, error) {
	objects, err := a.read(path)
	if err != nil {
		return nil, err
	}
	namespace, enforced, err := a.Namespace()
	if err != nil {
		return nil, err
	}
	for _, object := range objects {
		if object.GetNamespace() == "" {
			object.SetNamespace(namespace)
		}
		if own := object.GetNamespace(); enforced && own != namespace {
			return nil, fmt.Errorf("the namespace from the provided object %q does not match the namespace %q. "+
				"You must pass '--namespace=%s' to perform this operation", own, namespace, own)
		}
	}
	return objects, nil
}

// read reads objects as they stand in the file.
func (a *App) read(path string) ([]client.Object, error) {
	in := a.In
	if path != "-" {
		file, err := os.Open(path) //nolint:gosec // the user names the file
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	content := &manifest{}
	documents := utilyaml.NewYAMLReader(bufio.NewReader(in))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = content.add(document, schema.GroupVersionKind{})
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	switch {
	case len(content.objects) > 0:
		return content.objects, nil
	case len(content.foreign) > 0:
		return nil, fmt.Errorf("%s: holds nothing of %s, but %s", path, v1alpha1.GroupVersion, joined(content.foreign))
	default:
		return nil, fmt.Errorf("%s: no objects found", path)
	}
}

// manifest is what a file holds: objects of Tocsin's kinds, and the names of other kinds.
type manifest struct {
	objects []client.Object
	foreign []string
}

// add takes a document, or an item of a list, which may leave out of what kind it is.
func (m *manifest) add(document []byte, implied schema.GroupVersionKind) error {
	var content any
	if err := yaml.Unmarshal(document, &content); err != nil || content == nil {
		return err
	}
	var head metav1.TypeMeta
	if err := yaml.Unmarshal(document, &head); err != nil {
		return err
	}
	kind := head.GroupVersionKind()
	if head.APIVersion == "" && head.Kind == "" {
		kind = implied
	}
	switch {
	case kind.Kind == "" || kind.Version == "":
		return errors.New("an object has no apiVersion or no kind")
	case kind == schema.GroupVersionKind{Version: "v1", Kind: "List"}:
		return m.addList(document, schema.GroupVersionKind{})
	case kind.Group != v1alpha1.GroupVersion.Group:
		m.foreign = append(m.foreign, head.APIVersion+" "+head.Kind)
		return nil
	}
	return m.addOwn(document, kind)
}

// addOwn takes an object of Tocsin's kinds, or a list of them.
func (m *manifest) addOwn(document []byte, kind schema.GroupVersionKind) error {
	scheme, err := Scheme()
	if err != nil {
		return err
	}
	made, err := scheme.New(kind)
	if err != nil {
		return fmt.Errorf("%s knows no kind %q", kind.GroupVersion(), kind.Kind)
	}
	switch object := made.(type) {
	case client.ObjectList:
		return m.addList(document, kind.GroupVersion().WithKind(strings.TrimSuffix(kind.Kind, "List")))
	case client.Object:
		if err := yaml.UnmarshalStrict(document, object); err != nil {
			return fmt.Errorf("%s %s: %w", kind.Kind, object.GetName(), err)
		}
		m.objects = append(m.objects, object)
		return nil
	default:
		return fmt.Errorf("%s is no kind of objects", kind.Kind)
	}
}

func (m *manifest) addList(document []byte, of schema.GroupVersionKind) error {
	var list struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metav1.ListMeta   `json:"metadata"`
		Items           []json.RawMessage `json:"items"`
	}
	if err := yaml.UnmarshalStrict(document, &list); err != nil {
		return fmt.Errorf("%s: %w", list.Kind, err)
	}
	for _, item := range list.Items {
		if err := m.add(item, of); err != nil {
			return err
		}
	}
	return nil
}

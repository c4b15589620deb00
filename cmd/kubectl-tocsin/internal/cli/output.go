// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/client-go/util/jsonpath"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
)

// output is how a verb shows objects: as a table for people, or for programs as kubectl does.
type output struct {
	format   string
	headless bool
}

const (
	formatTable   = ""
	formatWide    = "wide"
	formatJSON    = "json"
	formatYAML    = "yaml"
	formatName    = "name"
	formatPath    = "jsonpath="
	formatColumns = "custom-columns="
)

const formats = "wide, json, yaml, name, jsonpath=..., custom-columns=..."

func (o *output) addFlags(a *App, c *cobra.Command) {
	c.Flags().StringVarP(&o.format, "output", "o", "", "Format of the output: "+formats)
	c.Flags().BoolVar(&o.headless, "no-headers", false, "Show tables without their header")
	a.complete(c, "output", words([]string{formatWide, formatJSON, formatYAML, formatName, formatPath, formatColumns}))
}

func (o *output) check() error {
	switch {
	case o.format == formatTable, o.format == formatWide, o.format == formatJSON, o.format == formatYAML, o.format == formatName:
		return nil
	case strings.HasPrefix(o.format, formatPath):
		_, err := parsePath("jsonpath", strings.TrimPrefix(o.format, formatPath))
		return err
	case strings.HasPrefix(o.format, formatColumns):
		_, err := parseColumns(strings.TrimPrefix(o.format, formatColumns))
		return err
	default:
		return fmt.Errorf("unable to match a printer suitable for the output format %q, allowed formats are: %s", o.format, formats)
	}
}

// table says that the verb shows a table, and all else that it shows for people.
func (o *output) table() bool { return o.format == formatTable || o.format == formatWide }

func (o *output) wide() bool { return o.format == formatWide }

// list writes objects as a list, one writes an object by itself.
func (o *output) list(a *App, objects []client.Object) error { return o.write(a, objects, true) }

func (o *output) one(a *App, object client.Object) error {
	return o.write(a, []client.Object{object}, false)
}

func (o *output) write(a *App, objects []client.Object, asList bool) error {
	for _, object := range objects {
		if err := typed(object); err != nil {
			return err
		}
	}
	switch {
	case o.format == formatName:
		for _, object := range objects {
			kind := object.GetObjectKind().GroupVersionKind()
			fmt.Fprintf(a.Out, "%s.%s/%s\n", strings.ToLower(kind.Kind), kind.Group, screen.Line(object.GetName()))
		}
		return nil
	case strings.HasPrefix(o.format, formatColumns):
		return o.columns(a, objects)
	}
	var whole any
	if asList {
		whole = map[string]any{"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": ""}, "items": objects}
		if objects == nil {
			whole.(map[string]any)["items"] = []any{}
		}
	} else {
		whole = objects[0]
	}
	return o.encode(a, whole)
}

// typed adds the kind, which clients leave out, and takes out who set which field, as kubectl does.
func typed(object client.Object) error {
	scheme, err := Scheme()
	if err != nil {
		return err
	}
	kind, err := apiutil.GVKForObject(object, scheme)
	if err != nil {
		return err
	}
	object.GetObjectKind().SetGroupVersionKind(kind)
	object.SetManagedFields(nil)
	return nil
}

// encode writes a value as JSON, YAML or what a path finds in it.
func (o *output) encode(a *App, value any) error {
	switch o.format {
	case formatJSON:
		data, err := toJSON(value)
		if err != nil {
			return err
		}
		_, err = a.Out.Write(data)
		return err
	case formatYAML:
		data, err := toYAML(value)
		if err != nil {
			return err
		}
		_, err = a.Out.Write(data)
		return err
	}
	path, err := parsePath("jsonpath", strings.TrimPrefix(o.format, formatPath))
	if err != nil {
		return err
	}
	found, err := find(path, value)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(a.Out, found)
	return err
}

func parsePath(name, text string) (*jsonpath.JSONPath, error) {
	path := jsonpath.New(name).AllowMissingKeys(true)
	if !strings.Contains(text, "{") {
		text = "{" + text + "}"
	}
	if err := path.Parse(text); err != nil {
		return nil, fmt.Errorf("error parsing %s, %w", name, err)
	}
	return path, nil
}

// find is what a path finds in a value, without what could do something to a terminal: it is written as it is.
func find(path *jsonpath.JSONPath, value any) (string, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return "", err
	}
	var plain any
	if err := json.Unmarshal(data, &plain); err != nil {
		return "", err
	}
	var out bytes.Buffer
	if err := path.Execute(&out, plain); err != nil {
		return "", fmt.Errorf("error executing jsonpath: %w", err)
	}
	return strings.Map(func(r rune) rune {
		if screen.Deceives(r) {
			return '\uFFFD'
		}
		return r
	}, out.String()), nil
}

type column struct {
	header string
	path   *jsonpath.JSONPath
}

func parseColumns(text string) ([]column, error) {
	var columns []column
	for part := range strings.SplitSeq(text, ",") {
		header, path, ok := strings.Cut(part, ":")
		if !ok || header == "" || path == "" {
			return nil, fmt.Errorf("unexpected custom-columns spec: %s, expected <header>:<json-path-expr>", part)
		}
		parsed, err := parsePath("custom-columns", path)
		if err != nil {
			return nil, err
		}
		columns = append(columns, column{header, parsed})
	}
	return columns, nil
}

func (o *output) columns(a *App, objects []client.Object) error {
	columns, err := parseColumns(strings.TrimPrefix(o.format, formatColumns))
	if err != nil {
		return err
	}
	var headers []string
	for _, c := range columns {
		headers = append(headers, c.header)
	}
	var rows [][]screen.Cell
	for _, object := range objects {
		var row []screen.Cell
		for _, c := range columns {
			text, err := find(c.path, object)
			if err != nil {
				return err
			}
			row = append(row, screen.Text(text))
		}
		rows = append(rows, row)
	}
	return o.newTable(a, headers...).Write(rows...)
}

func (o *output) newTable(a *App, header ...string) *screen.Table {
	t := screen.NewTable(a.Screen, header...)
	t.Headless = o.headless
	return t
}

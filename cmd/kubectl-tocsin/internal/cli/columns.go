// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/util/jsonpath"

	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
)

// column is one that a user has asked for.
type column struct {
	header string
	path   *jsonpath.JSONPath
}

// parseColumns reads <header>:<json-path-expr>, separated by commas.
func parseColumns(text string) ([]column, error) {
	if text == "" {
		return nil, errors.New("custom-columns format specified but no custom columns given")
	}
	var columns []column
	for part := range strings.SplitSeq(text, ",") {
		header, path, ok := strings.Cut(part, ":")
		if !ok || header == "" || path == "" {
			return nil, fmt.Errorf("unexpected custom-columns spec: %s, expected <header>:<json-path-expr>", part)
		}
		parsed, err := relaxed("custom-columns", path)
		if err != nil {
			return nil, err
		}
		columns = append(columns, column{header, parsed})
	}
	return columns, nil
}

// readColumns reads a file with a line of headers, and under it one of paths.
func readColumns(file string) ([]column, error) {
	if file == "" {
		return nil, errors.New("custom-columns-file format specified but no file given")
	}
	data, err := os.ReadFile(file) //nolint:gosec // the user names the file
	if err != nil {
		return nil, fmt.Errorf("error reading template %s, %w", file, err)
	}
	above, below, _ := strings.Cut(string(data), "\n")
	below, _, _ = strings.Cut(below, "\n")
	headers, paths := strings.Fields(above), strings.Fields(below)
	if len(headers) == 0 || len(headers) != len(paths) {
		return nil, fmt.Errorf("%s: number of headers (%d) and field specifications (%d) don't match", file, len(headers), len(paths))
	}
	var columns []column
	for i := range headers {
		path, err := relaxed("custom-columns", paths[i])
		if err != nil {
			return nil, err
		}
		columns = append(columns, column{headers[i], path})
	}
	return columns, nil
}

func headers(columns []column) []string {
	var list []string
	for _, c := range columns {
		list = append(list, c.header)
	}
	return list
}

// row is what the columns show of an object.
func row(columns []column, object runtime.Object) ([]screen.Cell, error) {
	content, err := plain(object)
	if err != nil {
		return nil, err
	}
	var row []screen.Cell
	for _, c := range columns {
		values, err := find(c.path, content)
		if err != nil {
			return nil, err
		}
		var texts []string
		for _, value := range values {
			if value != nil {
				texts = append(texts, fmt.Sprint(value))
			}
		}
		row = append(row, screen.Text(strings.Join(texts, ",")))
	}
	return row, nil
}

// simplePath is a path as kubectl lets it be written: without braces, or without the first dot.
var simplePath = regexp.MustCompile(`^\{\.?([^{}]+)\}$|^\.?([^{}]+)$`)

// relaxed reads such a path.
func relaxed(flag, text string) (*jsonpath.JSONPath, error) {
	match := simplePath.FindStringSubmatch(text)
	if match == nil {
		return nil, fmt.Errorf("%s: unexpected path string %q, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' "+
			"or '{.name1.name2}'", flag, text)
	}
	path := jsonpath.New(flag).AllowMissingKeys(true)
	if err := path.Parse("{." + match[1] + match[2] + "}"); err != nil {
		return nil, fmt.Errorf("%s: error parsing %q: %w", flag, text, err)
	}
	return path, nil
}

// find is what a path finds.
func find(path *jsonpath.JSONPath, in map[string]any) ([]any, error) {
	results, err := path.FindResults(in)
	if err != nil {
		return nil, err
	}
	var values []any
	for _, result := range results {
		for _, value := range result {
			values = append(values, value.Interface())
		}
	}
	return values, nil
}

// plain is a value as JSON has it, with whole numbers whole.
func plain(value any) (map[string]any, error) {
	return runtime.DefaultUnstructuredConverter.ToUnstructured(value)
}

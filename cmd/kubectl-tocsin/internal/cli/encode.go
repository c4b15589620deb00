// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"

	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
)

// write writes a value as JSON or YAML.
func write(to io.Writer, format string, value any) error {
	var data []byte
	var err error
	if format == formatJSON {
		data, err = toJSON(value, "")
	} else {
		data, err = toYAML(value)
	}
	if err != nil {
		return err
	}
	_, err = to.Write(data)
	return err
}

// frame is how a List looks around its items.
type frame struct{ begin, empty, end string }

var (
	listJSON = frame{"{\n    \"apiVersion\": \"v1\",\n    \"items\": [", "]", ",\n    \"kind\": \"List\",\n" +
		"    \"metadata\": {\n        \"resourceVersion\": \"\"\n    }\n}\n"}
	listYAML = frame{"apiVersion: v1\nitems:", " []\n", "kind: List\nmetadata:\n  resourceVersion: \"\"\n"}
)

// writeList writes a List of objects, one after the other: as text it is never in memory as a whole.
func writeList(to io.Writer, format string, objects []client.Object) error {
	out := bufio.NewWriter(to)
	list := newListWriter(out, format)
	for _, object := range objects {
		if err := list.add(object); err != nil {
			return err
		}
	}
	if err := list.end(); err != nil {
		return err
	}
	return out.Flush()
}

func itemJSON(i int, object any) ([]byte, error) {
	const indent = "        "
	before := "\n"
	if i > 0 {
		before = ",\n"
	}
	data, err := toJSON(object, indent)
	return append([]byte(before+indent), bytes.TrimSuffix(data, []byte("\n"))...), err
}

func itemYAML(i int, object any) ([]byte, error) {
	data, err := toYAML([]any{object})
	if i == 0 {
		data = append([]byte("\n"), data...)
	}
	return data, err
}

// toJSON writes JSON in which no character can do anything to a terminal: what could is escaped, and means the same.
// All lines but the first begin with the indent.
func toJSON(value any, indent string) ([]byte, error) {
	text, err := rawJSON(value, indent)
	return escape(text, escapedJSON), err
}

func rawJSON(value any, indent string) (string, error) {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent(indent, "    ")
	err := encoder.Encode(value)
	return out.String(), err
}

// toFlow writes YAML that looks like JSON: it differs in how it escapes what has no room in 16 bits.
func toFlow(value any) ([]byte, error) {
	text, err := rawJSON(value, "")
	return escape(text, escapedYAML), err
}

func escapedJSON(r rune) string {
	if high, low := utf16.EncodeRune(r); high != '\uFFFD' {
		return fmt.Sprintf(`\u%04x\u%04x`, high, low)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// toYAML writes YAML, likewise, with keys in order as kubectl does.
func toYAML(value any) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var plain any
	if err := decoder.Decode(&plain); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(node(plain)); err != nil {
		return nil, err
	}
	return escape(out.String(), escapedYAML), nil
}

func escapedYAML(r rune) string {
	if r > 0xffff {
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// replaced is for text that has no way to escape.
func replaced(rune) string { return "\uFFFD" }

// node is a value as YAML has it.
func node(value any) *yaml.Node {
	switch v := value.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode}
		for _, key := range slices.Sorted(maps.Keys(v)) {
			name := text(key)
			if strings.Contains(key, "\n") {
				name.Style = yaml.DoubleQuotedStyle
			}
			n.Content = append(n.Content, name, node(v[key]))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		if len(v) == 0 {
			n.Style = yaml.FlowStyle
		}
		for _, item := range v {
			n.Content = append(n.Content, node(item))
		}
		return n
	case string:
		return text(v)
	case nil:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	default: // a number or a bool
		return &yaml.Node{Kind: yaml.ScalarNode, Value: fmt.Sprint(v)}
	}
}

// notText are words that some readers of YAML take for something else, in lower case.
var notText = []string{"y", "n", "yes", "no", "on", "off", "<<", "="}

// text is a string as YAML has it. What must be escaped stands in double quotes: nowhere else can YAML escape.
func text(s string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	if strings.ContainsFunc(s, screen.Deceives) || slices.Contains(notText, strings.ToLower(s)) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

func escape(text string, as func(rune) string) []byte {
	var out bytes.Buffer
	for _, r := range text {
		if screen.Deceives(r) {
			out.WriteString(as(r))
		} else {
			out.WriteRune(r)
		}
	}
	return out.Bytes()
}

// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"

	"go.yaml.in/yaml/v3"

	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
)

// toJSON writes JSON in which no character can do anything to a terminal: what could is escaped, and means the same.
func toJSON(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "    ")
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return escape(out.String(), func(r rune) string {
		if high, low := utf16.EncodeRune(r); high != '\uFFFD' {
			return fmt.Sprintf(`\u%04x\u%04x`, high, low)
		}
		return fmt.Sprintf(`\u%04x`, r)
	}), nil
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
	return escape(out.String(), func(r rune) string {
		if r > 0xffff {
			return fmt.Sprintf(`\U%08x`, r)
		}
		return fmt.Sprintf(`\u%04x`, r)
	}), nil
}

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

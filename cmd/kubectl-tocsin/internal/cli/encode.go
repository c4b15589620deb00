// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
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

// toYAML writes YAML, likewise.
func toYAML(value any) ([]byte, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil { // JSON is YAML
		return nil, err
	}
	restyle(&document)
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return nil, err
	}
	return escape(out.String(), func(r rune) string {
		if r > 0xffff {
			return fmt.Sprintf(`\U%08x`, r)
		}
		return fmt.Sprintf(`\u%04x`, r)
	}), nil
}

// restyle makes a block of what JSON puts in braces. Strings with what must be escaped stay in double quotes: nowhere else
// can YAML escape.
func restyle(n *yaml.Node) {
	n.Style = 0
	if n.Kind == yaml.ScalarNode && strings.ContainsFunc(n.Value, screen.Deceives) {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, child := range n.Content {
		restyle(child)
	}
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

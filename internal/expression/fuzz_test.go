// SPDX-License-Identifier: Apache-2.0

package expression

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// hostile is about the largest event that the API takes, and full of what could deceive.
func hostile() *v1alpha1.SecurityEventSpec {
	text := func(n int) string { return strings.Repeat("a\x00\u202e'\"`{$(%s}\\ \n", n)[:n-n%19] }
	port, count := int32(65535), int32(1_000_000)
	e := &v1alpha1.SecurityEventSpec{
		Type: "RiskDetected", Severity: v1alpha1.SeverityCritical, Title: text(256), Description: text(4096),
		Time: at("1970-01-01T00:00:00Z"), LastTime: at("9998-12-31T23:59:59Z"), Count: &count,
		Computer: &v1alpha1.Computer{Name: text(253), Group: text(512)}, User: strings.Repeat("a", 256),
		Network:    &v1alpha1.Network{Activity: "Traffic", Remote: &v1alpha1.Endpoint{IP: "10.0.0.1", Port: &port}},
		Attributes: map[string]v1alpha1.AttributeValue{},
	}
	for i := range maxItems {
		e.Attributes[fmt.Sprintf("%063d", i)] = v1alpha1.AttributeValue(text(1024))
	}
	return e
}

// FuzzCompile: whatever is written, the answer is the same each time, and an error is one line. Whatever is accepted can be
// asked about any event, and costs no more than was foreseen.
func FuzzCompile(f *testing.F) {
	for _, v := range values {
		f.Add(v.text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			t.Skip("the API holds UTF-8 only")
		}
		x, err := Compile(text)
		if _, again := Compile(text); fmt.Sprint(err) != fmt.Sprint(again) {
			t.Errorf("once %v, then %v", err, again)
		}
		if err != nil {
			readable(t, err)
			return
		}
		for _, spec := range []*v1alpha1.SecurityEventSpec{hostile(), blocked(), {}} {
			holds, err := x.Holds(NewEvent(spec))
			if err != nil {
				readable(t, err)
			}
			if again, err2 := x.Holds(NewEvent(spec)); again != holds || fmt.Sprint(err) != fmt.Sprint(err2) {
				t.Errorf("once %t, %v, then %t, %v", holds, err, again, err2)
			}
			if text := fmt.Sprint(err); strings.HasPrefix(text, "takes more work") || strings.HasPrefix(text, "internal error") {
				t.Error(text)
			}
		}
	})
}

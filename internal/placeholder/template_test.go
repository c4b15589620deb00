// SPDX-License-Identifier: Apache-2.0

package placeholder

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestAll(t *testing.T) {
	t.Parallel()
	seen := map[Name]bool{}
	for _, p := range All() {
		if seen[p.Name] {
			t.Errorf("%s is there twice", p.Name)
		}
		seen[p.Name] = true
		if !strings.HasSuffix(p.Description, ".") {
			t.Errorf("%s: description %q is no sentence", p.Name, p.Description)
		}
	}
	if len(seen) != 24 {
		t.Errorf("%d placeholders, want 24", len(seen))
	}
	All()[0].Name = "CHANGED"
	if All()[0].Name != Severity {
		t.Error("All hands out the table itself")
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	a := readAdmission(t)
	for name, tc := range map[string]struct {
		text string
		want SyntaxError
	}{
		"unknown name":                   {"on it: %FOO% is", SyntaxError{"%FOO%", 8}},
		"lower case":                     {"%computer%", SyntaxError{"%computer%", 1}},
		"unclosed at the end":            {"on %COMPUTER", SyntaxError{"%COMPUTER", 4}},
		"unclosed before a space":        {"%COMPUTER is", SyntaxError{"%COMPUTER", 1}},
		"lone percent sign":              {"100%", SyntaxError{"%", 4}},
		"percent sign before a space":    {"100% of %COMPUTER%", SyntaxError{"%", 4}},
		"doubled sign hides the opening": {"%%COMPUTER%", SyntaxError{"%", 11}},
		"three percent signs":            {"%%%", SyntaxError{"%", 3}},
		"position in characters":         {"Köln €: %X%", SyntaxError{"%X%", 9}},
		"invalid bytes count as one":     {"\xff\xfe%X%", SyntaxError{"%X%", 3}},
		"name with a space":              {"%HOST IP%", SyntaxError{"%HOST", 1}},
		"known name with a tail":         {"%COMPUTER_%", SyntaxError{"%COMPUTER_%", 1}},
		"first of two":                   {"%A% %B%", SyntaxError{"%A%", 1}},
		"after good ones":                {"%EVENT%%RISK%%X%", SyntaxError{"%X%", 14}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse(tc.text)
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || *syntax != tc.want {
				t.Errorf("Parse(%q) = %#v, want %#v", tc.text, err, tc.want)
			}
			if !got.IsEmpty() {
				t.Error("a template came with the error")
			}
			checkAgreement(t, a, tc.text)
		})
	}
}

func TestSyntaxErrorText(t *testing.T) {
	t.Parallel()
	_, err := Parse("100%% %FOO%")
	want := "unknown or unclosed placeholder %FOO% at character 7; a percent sign is written %%"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestRender(t *testing.T) {
	t.Parallel()
	values := Values{Computer: "ws-1", Event: "%COMPUTER% %% 100%", Description: "a\nb", Risk: "\xff"}
	for name, tc := range map[string]struct{ text, want string }{
		"empty":                         {"", ""},
		"plain":                         {"plain\ntext", "plain\ntext"},
		"percent sign":                  {"100%% sure%%", "100% sure%"},
		"two percent signs":             {"%%%%", "%%"},
		"name between percent signs":    {"%%%COMPUTER%%%", "%ws-1%"},
		"side by side":                  {"%COMPUTER%%COMPUTER%", "ws-1ws-1"},
		"a value is not expanded again": {"%EVENT%", "%COMPUTER% %% 100%"},
		"values never join to a name":   {"%%COMPUTER%%", "%COMPUTER%"},
		"no value":                      {"[%DOMAIN%]", "[]"},
		"several lines":                 {"<%DESCR%>", "<a\nb>"},
		"bytes stay":                    {"\xfe%RISK%", "\xfe\xff"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmpl, err := Parse(tc.text)
			if err != nil {
				t.Fatal(err)
			}
			if got := tmpl.Render(values); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

func TestRenderUpTo(t *testing.T) {
	t.Parallel()
	tmpl, err := Parse("%DESCR%-%DESCR%-%DESCR%")
	if err != nil {
		t.Fatal(err)
	}
	values := Values{Description: "ööö"}
	for limit, want := range map[int]string{-1: "ööö-ööö-ööö", 0: "", 1: "ööö", 6: "ööö", 7: "ööö-", 8: "ööö-ööö", 99: "ööö-ööö-ööö"} {
		if got := tmpl.RenderUpTo(values, limit); got != want {
			t.Errorf("limit %d: got %q, want %q", limit, got, want)
		}
	}
}

func TestUses(t *testing.T) {
	t.Parallel()
	tmpl, err := Parse("%%HELD%% of %COMPUTERS%")
	if err != nil {
		t.Fatal(err)
	}
	if tmpl.Uses(Held) || tmpl.Uses(Computer) || tmpl.Uses("") || !tmpl.Uses(Computers) {
		t.Error("Uses sees other placeholders than there are")
	}
	if tmpl.IsEmpty() || !(Template{}).IsEmpty() {
		t.Error("IsEmpty is wrong")
	}
}

func TestEveryPlaceholderGolden(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	values := Values{}
	for i, p := range All() {
		fmt.Fprintf(&text, "%%%%%s%%%% = %%%s%% (%s)\n", p.Name, p.Name, p.Description)
		values[p.Name] = fmt.Sprintf("value %d", i+1)
	}
	tmpl, err := Parse(text.String())
	if err != nil {
		t.Fatal(err)
	}
	checkGolden(t, "all.golden", tmpl.Render(values))
}

func checkGolden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test -update writes it anew. Got:\n%s", name, got)
	}
}

// TestParseAgreesWithAdmission throws texts at both that are made of what is likely to tell them apart.
func TestParseAgreesWithAdmission(t *testing.T) {
	t.Parallel()
	a := readAdmission(t)
	pieces := []string{
		"%", "%%", "%%%", "COMPUTER", "COMPUTERS", "S", "_", "a", "0", " ",
		"\n", "\x00", "ö", "€", "\U0001F600", "\xff", "\u2028",
	}
	for _, p := range All() {
		pieces = append(pieces, "%"+string(p.Name)+"%", string(p.Name))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20000 {
		var text strings.Builder
		for range random.IntN(9) {
			text.WriteString(pieces[random.IntN(len(pieces))])
		}
		checkAgreement(t, a, text.String())
	}
}

func FuzzParse(f *testing.F) {
	a := readAdmission(f)
	for _, text := range []string{
		"", "100%%", "%COMPUTER%", "%COMPUTERS", "%%%", "%\xff%", "ö%é%", "a\n%DESCR%\r\nb", "%%%%%", "%KL_VERSION%%",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		checkAgreement(t, a, text)
		tmpl, err := Parse(text)
		if err != nil {
			return
		}
		marked := Values{}
		for _, p := range All() {
			marked[p.Name] = "%" + string(p.Name) + "%"
		}
		// With each placeholder standing for itself, only the doubled signs may have changed.
		if got, want := tmpl.Render(marked), undouble(text); got != want {
			t.Errorf("Render(%q) = %q, want %q", text, got, want)
		}
	})
}

// undouble replaces each %% of a valid text, where a sign of a placeholder and one beside it are no pair.
func undouble(text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	before, rest, _ := strings.Cut(text, "%")
	name, after, _ := strings.Cut(rest, "%")
	if name == "" {
		return before + "%" + undouble(after)
	}
	return before + "%" + name + "%" + undouble(after)
}

// SPDX-License-Identifier: Apache-2.0

package placeholder

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	typesFile  = "../../api/v1alpha1/shared_types.go"
	ruleMarker = "// +kubebuilder:validation:XValidation:"
)

// admission is the CEL rule on the types Subject and Text, taken apart: Go's regular expressions are those of CEL.
type admission struct {
	valid  *regexp.Regexp // what self.matches asks for
	prefix *regexp.Regexp // the longest good beginning
	token  *regexp.Regexp // what stands after it
	// format of the message: CEL's %s, %d and %% are those of Go
	format string
}

// readAdmission reads the rule from the markers in the API's source, from which the CRDs are generated.
func readAdmission(tb testing.TB) admission {
	tb.Helper()
	source, err := os.ReadFile(typesFile)
	if err != nil {
		tb.Fatal(err)
	}
	rule, message := readMarker(tb, string(source), "Text")
	if subjectRule, subjectMessage := readMarker(tb, string(source), "Subject"); subjectRule != rule || subjectMessage != message {
		tb.Errorf("the rules on the types Subject and Text differ")
	}
	inRule := regexp.MustCompile(`^self\.matches\('([^']*)'\)$`).FindStringSubmatch(rule)
	good := `self\.find\('([^']*)'\)\.size\(\)`
	inMessage := regexp.MustCompile(`^'([^']*)'\.format\(\[self\.substring\(` + good + `, ` + good + ` \+ self\.substring\(` + good +
		`\)\.find\('([^']*)'\)\.size\(\)\), ` + good + ` \+ 1\]\)$`).FindStringSubmatch(message)
	if inRule == nil || inMessage == nil {
		tb.Fatalf("the rule on type Text has another form:\n%s\n%s", rule, message)
	}
	for _, prefix := range []string{inMessage[2], inMessage[3], inMessage[4], inMessage[6]} {
		if prefix+"$" != inRule[1] {
			tb.Errorf("the expressions of the rule and its message differ:\n%s\n%s", inRule[1], prefix)
		}
	}
	return admission{
		valid:  regexp.MustCompile(inRule[1]),
		prefix: regexp.MustCompile(inMessage[2]),
		token:  regexp.MustCompile(inMessage[5]),
		format: inMessage[1],
	}
}

func readMarker(tb testing.TB, source, name string) (rule, message string) {
	tb.Helper()
	before, _, ok := strings.Cut(source, "\ntype "+name+" string")
	if !ok {
		tb.Fatalf("%s does not declare type %s", typesFile, name)
	}
	marker := before[strings.LastIndex(before, ruleMarker)+len(ruleMarker):]
	parts := regexp.MustCompile(`^rule=("(?:[^"\\]|\\.)*"),messageExpression=("(?:[^"\\]|\\.)*")$`).FindStringSubmatch(marker)
	if parts == nil {
		tb.Fatalf("the marker on type %s is not a rule and a messageExpression: %s", name, marker)
	}
	return unquote(tb, parts[1]), unquote(tb, parts[2])
}

func unquote(tb testing.TB, quoted string) string {
	tb.Helper()
	text, err := strconv.Unquote(quoted)
	if err != nil {
		tb.Fatalf("unquoting %s: %v", quoted, err)
	}
	return text
}

// refusal is the message that admission gives, or the empty text where it accepts.
func (a admission) refusal(text string) string {
	if a.valid.MatchString(text) {
		return ""
	}
	good := a.prefix.FindString(text)
	position := utf8.RuneCountInString(good) + 1
	return fmt.Sprintf(a.format, a.token.FindString(text[len(good):]), position)
}

// checkAgreement fails when Parse and admission say different things about the text.
func checkAgreement(tb testing.TB, a admission, text string) {
	tb.Helper()
	_, err := Parse(text)
	got := ""
	if err != nil {
		got = err.Error()
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			tb.Errorf("Parse(%q): error of type %T", text, err)
		}
	}
	if want := a.refusal(text); got != want {
		tb.Errorf("%q:\n    Parse: %s\nadmission: %s", text, got, want)
	}
}

func TestAdmissionKnowsTheSameNames(t *testing.T) {
	t.Parallel()
	a := readAdmission(t)
	list := regexp.MustCompile(`%\(([A-Z_|]+)\)%`).FindStringSubmatch(a.valid.String())
	if list == nil {
		t.Fatalf("no list of names in %s", a.valid)
	}
	var names []string
	for _, p := range All() {
		names = append(names, string(p.Name))
	}
	if got, want := strings.Join(names, "|"), list[1]; got != want {
		t.Errorf("names differ:\n     All: %s\nadmission: %s", got, want)
	}
}

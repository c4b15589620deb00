// Copyright The Tocsin Authors
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/placeholder"
	"github.com/tocsin-dev/tocsin/internal/plan"
	"github.com/tocsin-dev/tocsin/internal/preset"
)

func placeholderTable(*testing.T) []string {
	rows := []string{"| placeholder | what stands in its place |", "|---|---|"}
	for _, p := range placeholder.All() {
		rows = append(rows, fmt.Sprintf("| `%%%s%%` | %s |", p.Name, p.Description))
	}
	return rows
}

func presetTable(*testing.T) []string {
	rows := []string{"| condition type | what it is for | event types | threshold |", "|---|---|---|---|"}
	for _, p := range preset.All() {
		types := strings.Join(quoted(p.EventTypes), ", ")
		if types == "" {
			types = "all"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %d in `%s`, `%s` |",
			p.Type, p.Summary, types, p.Count, v1alpha1.FormatDuration(p.Window), p.Scope))
	}
	return rows
}

var (
	inOCSF        = regexp.MustCompile(`OCSF: ([^.]+(?:\.[a-z_][^.]*)*)\.$`)
	inPlaceholder = regexp.MustCompile(`\((%[A-Z_]+%)`)
)

// ocsfTable is made of the comments on the fields of SecurityEvent.
func ocsfTable(t *testing.T) []string {
	file, err := parser.ParseFile(token.NewFileSet(), "../api/v1alpha1/securityevent_types.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	structs := map[string]*ast.StructType{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok {
			if s, ok := spec.Type.(*ast.StructType); ok {
				structs[spec.Name.Name] = s
			}
		}
		return true
	})
	rows := []string{"| field | OCSF 1.8 | placeholder |", "|---|---|---|"}
	var walk func(prefix string, s *ast.StructType)
	walk = func(prefix string, s *ast.StructType) {
		for _, field := range s.Fields.List {
			path := prefix + nameInManifest(field)
			doc := firstParagraph(field.Doc.Text())
			ocsf := inOCSF.FindStringSubmatch(doc)
			if ocsf == nil {
				if prefix+nameInManifest(field) != "network.rule.sendEmailAlert" {
					t.Errorf("the comment on %s names no OCSF counterpart", path)
				}
				continue
			}
			stands := ""
			if match := inPlaceholder.FindStringSubmatch(doc); match != nil {
				stands = "`" + match[1] + "`"
			}
			rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |", path, ocsf[1], stands))
			if inner, ok := field.Type.(*ast.StarExpr); ok {
				if of, ok := inner.X.(*ast.Ident); ok && structs[of.Name] != nil {
					walk(path+".", structs[of.Name])
				}
			}
		}
	}
	walk("", structs["SecurityEventSpec"])
	return rows
}

func nameInManifest(field *ast.Field) string {
	_, tag, _ := strings.Cut(field.Tag.Value, `json:"`)
	return tag[:strings.IndexAny(tag, `,"`)]
}

func firstParagraph(doc string) string {
	text, _, _ := strings.Cut(doc, "\n+")
	return strings.Join(strings.Fields(text), " ")
}

// burst is risks on as many other computers as there are times.
type burst []string

// outbreakTable plays an outbreak through the default RiskOutbreak.
func outbreakTable(t *testing.T) []string {
	condition := &v1alpha1.NotificationCondition{Spec: v1alpha1.NotificationConditionSpec{Type: "RiskOutbreak"}}
	rule, err := plan.Compile(condition, 0)
	if err != nil {
		t.Fatal(err)
	}
	s := story{t: t, watch: plan.NewWatch(rule), rows: []string{"| time | what happens | Tocsin | held then |", "|---|---|---|---|"}}
	for _, b := range []burst{
		{"10:00", "10:10", "10:20", "10:30"},
		{"10:40"},
		{"10:50", "11:00", "11:10", "11:20", "11:30", "11:35"},
		{"11:50", "12:20"},
		{"13:00"},
		{"15:00", "15:05", "15:10", "15:15"},
		{"15:20"},
	} {
		s.endDampers(b[0])
		s.play(b)
	}
	s.endDampers("23:59")
	return s.rows
}

type story struct {
	t      *testing.T
	watch  *plan.Watch
	events int
	rows   []string
}

func (s *story) play(b burst) {
	var told []plan.Firing
	held := s.held()
	for _, at := range b {
		s.events++
		_, firings := s.watch.Observe(plan.NewEvent(s.event(s.at(at)), plan.Position(s.events)))
		told = append(told, firings...)
	}
	what, reaction := "a risk on one more computer", "waits: fewer than five computers within the last hour"
	if len(b) > 1 {
		what = fmt.Sprintf("risks on %d more computers", len(b))
	}
	if s.held() > held {
		reaction = "holds"
	}
	s.row(strings.Join(b, ", "), what, reaction, told)
}

// endDampers tells of the dampers that end before the time. That a window is empty, or that all is quiet, tells nobody.
func (s *story) endDampers(before string) {
	for {
		due, ok := s.watch.NextDue()
		if !ok || !due.Before(s.at(before)) {
			return
		}
		until := s.described().DamperUntil
		told := s.watch.Advance(due)
		if until != nil && until.Equal(&metav1.Time{Time: due}) {
			s.row(due.Format("15:04"), "the damper ends", "sends nothing: the rate has fallen", told)
		}
	}
}

func (s *story) row(at, what, reaction string, told []plan.Firing) {
	for _, f := range told {
		reaction = fmt.Sprintf("**sends notification %d**, `%s`: %d occurrences on %d computers, %d held",
			f.Sequence, f.Reason, f.Window.Occurrences, f.Window.Computers, f.Held)
	}
	s.rows = append(s.rows, fmt.Sprintf("| %s | %s | %s | %d |", at, what, reaction, s.held()))
}

func (s *story) held() int64 { return s.described().Held }

func (s *story) described() *v1alpha1.NotificationConditionStatus {
	described := &v1alpha1.NotificationConditionStatus{}
	s.watch.Describe(described, 0)
	return described
}

func (s *story) at(clock string) time.Time {
	at, err := time.Parse("15:04", clock)
	if err != nil {
		s.t.Fatal(err)
	}
	return at.AddDate(2026, 0, 0)
}

func (s *story) event(at time.Time) *v1alpha1.SecurityEvent {
	return &v1alpha1.SecurityEvent{
		ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(at)},
		Spec: v1alpha1.SecurityEventSpec{
			Type: "RiskDetected", Severity: v1alpha1.SeverityCritical, Title: "Malicious object detected",
			Computer: &v1alpha1.Computer{Name: fmt.Sprintf("ws-%02d", s.events)},
		},
	}
}

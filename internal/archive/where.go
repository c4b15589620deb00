// SPDX-License-Identifier: Apache-2.0

package archive

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/logfilter"
)

// where is what a row must meet: terms with the values that they are given. No value is ever part of a term.
//
// It lets through all that the filter selects, and a little more, as databases do not agree on upper and lower case. What
// it lets through is asked of the filter itself.
type where struct {
	terms  []string
	values []any
	// index is the one to search by.
	index string
}

// value takes a value and returns what stands for it.
func (w *where) value(v any) string {
	w.values = append(w.values, v)
	return "$" + strconv.Itoa(len(w.values))
}

func (w *where) term(format string, values ...any) {
	names := make([]any, 0, len(values))
	for _, v := range values {
		names = append(names, w.value(v))
	}
	w.terms = append(w.terms, fmt.Sprintf(format, names...))
}

func (w *where) String() string {
	if len(w.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.terms, " AND ")
}

// like compares with a pattern in which a backslash stands before what is meant as it is.
const like = ` LIKE %s ESCAPE '\'`

// compile makes terms of a query, and the filter that has the last word.
func (q *Query) compile() (*where, *logfilter.Filter, error) {
	filter, err := logfilter.Compile(&q.Filter, q.Now)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrQuery, err)
	}
	w, f := &where{index: q.index()}, &q.Filter
	if q.Namespace != "" {
		w.term("namespace = %s", clean(q.Namespace))
	}
	if !q.From.IsZero() {
		w.term("created >= %s", wholeSeconds(q.From))
	}
	w.during(f, q.Now)
	if f.Acknowledged != nil {
		w.term("acknowledged = %s", *f.Acknowledged)
	}
	anyOf(w, "severity", f.Severities)
	anyOf(w, "state", f.States)
	w.names("kind", f.Types, folded)
	w.names("condition", f.Conditions, folded)
	w.names("creator", f.Creators, clean)
	w.lists("computers", f.Computers)
	w.lists("channels", f.Channels)
	if f.Text != "" {
		w.term("text"+like, "%"+escape(folded(f.Text))+"%")
	}
	return w, filter, nil
}

// index is the one that leaves the least, as far as one can tell from what is asked: there are many conditions and namespaces,
// and hardly anybody acknowledges. Several names are sorted; several severities are too much for that.
func (q *Query) index() string {
	f := &q.Filter
	switch {
	case plain(f.Conditions):
		return "condition"
	case q.Namespace != "":
		return "namespace"
	case plain(f.Creators):
		return "creator"
	case plain(f.Types):
		return "kind"
	case len(f.Severities) == 1:
		return "severity"
	case f.Acknowledged != nil:
		return "acknowledged"
	default:
		return "decided"
	}
}

// plain says whether there are names, and no patterns among them.
func plain(names []v1alpha1.Wildcard) bool {
	return len(names) > 0 && !slices.ContainsFunc(names, func(n v1alpha1.Wildcard) bool { return strings.Contains(string(n), "*") })
}

// during limits the time. Compile has seen that `last` is a duration.
func (w *where) during(f *v1alpha1.NotificationFilterSpec, now time.Time) {
	if back, err := time.ParseDuration(string(f.Last)); err == nil {
		w.term("decided >= %s", wholeSeconds(now.Add(-back)))
	}
	if f.Since != nil {
		w.term("decided >= %s", wholeSeconds(f.Since.Time))
	}
	if f.Until != nil {
		w.term("decided < %s", wholeSeconds(f.Until.Time))
	}
}

// wholeSeconds is the first whole second that is not before a time.
func wholeSeconds(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

// anyOf wants a column to have one of the values, if there are any.
func anyOf[S ~string](w *where, column string, values []S) {
	if len(values) == 0 {
		return
	}
	names := make([]string, 0, len(values))
	for _, v := range values {
		names = append(names, w.value(clean(string(v))))
	}
	w.terms = append(w.terms, column+" IN ("+strings.Join(names, ", ")+")")
}

// names wants a column to meet one of the patterns, if there are any.
func (w *where) names(column string, patterns []v1alpha1.Wildcard, spelling func(string) string) {
	var terms, plain []string
	for _, p := range patterns {
		if pattern := spelling(string(p)); strings.Contains(pattern, "*") {
			terms = append(terms, column+fmt.Sprintf(like, w.value(wild(pattern))))
		} else {
			plain = append(plain, w.value(pattern))
		}
	}
	if len(plain) > 0 {
		terms = append(terms, column+" IN ("+strings.Join(plain, ", ")+")")
	}
	w.either(terms)
}

// lists wants one of the names in a column, as listed writes them, to meet one of the patterns, if there are any.
func (w *where) lists(column string, patterns []v1alpha1.Wildcard) {
	terms := make([]string, 0, len(patterns))
	for _, p := range patterns {
		terms = append(terms, column+fmt.Sprintf(like, w.value("%"+separator+wild(folded(string(p)))+separator+"%")))
	}
	w.either(terms)
}

func (w *where) either(terms []string) {
	if len(terms) > 0 {
		w.terms = append(w.terms, "("+strings.Join(terms, " OR ")+")")
	}
}

// wild makes a pattern of LIKE from one in which * stands for any characters.
func wild(pattern string) string { return strings.ReplaceAll(escape(pattern), "*", "%") }

var escaped = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// escape makes a pattern of LIKE that means the text as it is.
func escape(text string) string { return escaped.Replace(text) }

// SPDX-License-Identifier: Apache-2.0

// Package prometheus_test asks Prometheus itself about config/prometheus: whether it understands the dashboard's queries, and
// when the alerts fire. It is a module of its own, so that Tocsin does not depend on Prometheus.
package prometheus_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"go.yaml.in/yaml/v3"
)

const folder = "../../config/prometheus/"

var promQL = parser.NewParser(parser.Options{})

func TestPrometheusUnderstandsTheDashboard(t *testing.T) {
	t.Parallel()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(read(t, "dashboard.json"), &dashboard); err != nil {
		t.Fatal(err)
	}
	queries := 0
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			queries++
			expr := strings.ReplaceAll(target.Expr, "$__rate_interval", "5m")
			if _, err := promQL.ParseExpr(expr); err != nil {
				t.Errorf("%s: %v", panel.Title, err)
			}
		}
	}
	if queries == 0 {
		t.Error("there are no queries")
	}
}

// alerts are the rules as Prometheus reads them, with their texts.
func alerts(t *testing.T) map[string]rulefmt.Rule {
	t.Helper()
	var manifest struct{ Spec yaml.Node }
	if err := yaml.Unmarshal(read(t, "rules.yaml"), &manifest); err != nil {
		t.Fatal(err)
	}
	spec, err := yaml.Marshal(&manifest.Spec)
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(spec, false, model.UTF8Validation, promQL, slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if groups == nil {
		t.Fatal("there are no rules")
	}
	found := map[string]rulefmt.Rule{}
	for _, group := range groups.Groups {
		for _, rule := range group.Rules {
			found[rule.Alert] = rule
		}
	}
	return found
}

func TestWhenAlertsFire(t *testing.T) {
	t.Parallel()
	rules := alerts(t)
	for alert := range stories {
		if _, ok := rules[alert]; !ok {
			t.Errorf("there is no alert %s", alert)
		}
	}
	for alert, rule := range rules {
		if len(stories[alert]) == 0 {
			t.Errorf("there is no story of %s", alert)
		}
		for name, s := range stories[alert] {
			t.Run(alert+"/"+name, func(t *testing.T) {
				t.Parallel()
				found := firing(t, rule, s.series)
				if len(found) != s.fires {
					t.Errorf("%d fire: %v, want %d", len(found), found, s.fires)
				}
				for _, l := range found {
					checkLabels(t, rule, l)
				}
			})
		}
	}
}

// firing returns the labels of the alerts that fire after an hour: what the query has found for as long as the rule asks.
func firing(t *testing.T, rule rulefmt.Rule, series []string) map[string]labels.Labels {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 100_000, Timeout: time.Minute, Parser: promQL})
	source := scraped(t, series)
	end := time.Unix(0, 0).Add(time.Hour)
	var lasting map[string]labels.Labels
	for at := end.Add(-time.Duration(rule.For)); !at.After(end); at = at.Add(time.Minute) {
		query, err := engine.NewInstantQuery(t.Context(), source, nil, rule.Expr, at)
		if err != nil {
			t.Fatal(err)
		}
		vector, err := query.Exec(t.Context()).Vector()
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]labels.Labels{}
		for _, sample := range vector {
			key := sample.Metric.String()
			if _, before := lasting[key]; before || lasting == nil {
				found[key] = sample.Metric
			}
		}
		lasting = found
	}
	return lasting
}

var inText = regexp.MustCompile(`\$labels\.(\w+)`)

// checkLabels: what the texts show must be there, and what the rule sets may not be, or alerts would become one.
func checkLabels(t *testing.T, rule rulefmt.Rule, found labels.Labels) {
	t.Helper()
	for name := range rule.Labels {
		if found.Has(name) {
			t.Errorf("the rule sets %s, which tells alerts apart: %s", name, found)
		}
	}
	for _, text := range rule.Annotations {
		for _, match := range inText.FindAllStringSubmatch(text, -1) {
			if !found.Has(match[1]) {
				t.Errorf("%q is said of %s", text, found)
			}
		}
	}
}

// nothing is what an engine does not ask of a storage.
type nothing = storage.Querier

// store is what was scraped.
type store struct {
	nothing
	series []storage.Series
}

func scraped(t *testing.T, descriptions []string) *store {
	t.Helper()
	s := &store{nothing: storage.NoopQuerier()}
	for _, description := range descriptions {
		metric, values, err := promQL.ParseSeriesDesc(description)
		if err != nil {
			t.Fatal(err)
		}
		var samples []chunks.Sample
		for i, v := range values {
			if !v.Omitted {
				samples = append(samples, sample{minute: i, value: v.Value})
			}
		}
		s.series = append(s.series, storage.NewListSeries(metric, samples))
	}
	return s
}

// Querier implements storage.Queryable.
func (s *store) Querier(int64, int64) (storage.Querier, error) { return s, nil }

// Select implements storage.Querier.
func (s *store) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &selection{SeriesSet: storage.EmptySeriesSet()}
	for _, series := range s.series {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(series.Labels().Get(m.Name)) }) {
			set.left = append(set.left, series)
		}
	}
	return set
}

// selection yields series one by one.
type selection struct {
	storage.SeriesSet
	at   storage.Series
	left []storage.Series
}

// Next implements storage.SeriesSet.
func (s *selection) Next() bool {
	if len(s.left) == 0 {
		return false
	}
	s.at, s.left = s.left[0], s.left[1:]
	return true
}

// At implements storage.SeriesSet.
func (s *selection) At() storage.Series { return s.at }

// sample is a number. Of its interface the engine needs no more.
type sample struct {
	chunks.Sample
	minute int
	value  float64
}

func (s sample) T() int64                 { return (time.Duration(s.minute) * time.Minute).Milliseconds() }
func (s sample) ST() int64                { return 0 }
func (s sample) F() float64               { return s.value }
func (s sample) Type() chunkenc.ValueType { return chunkenc.ValFloat }

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(folder + file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

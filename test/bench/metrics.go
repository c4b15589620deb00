// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// metrics are what a program's /metrics says.
type metrics map[string]*dto.MetricFamily

func scrape(ctx context.Context, from *http.Client, url string) (metrics, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := from.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("reading metrics: %s", response.Status)
	}
	return parse(response.Body)
}

func parse(text io.Reader) (metrics, error) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(text)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	return families, nil
}

// sum adds up all values of a counter or a gauge.
func (m metrics) sum(name string) float64 {
	var sum float64
	for _, metric := range m[name].GetMetric() {
		sum += metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
	}
	return sum
}

// cpu is the processor's time that the program has taken, in seconds.
func (m metrics) cpu() float64 { return m.sum("process_cpu_seconds_total") }

// writes are the requests of a kind that changed something.
type writes map[string]float64

// lease is the kind of write that leading costs, whatever happens.
const lease = "PUT leases"

// writes counts what the manager has written, as the API server knows it: everything of Tocsin's kinds but the events, which
// others create; the Events of Kubernetes that tell of it; and the Lease.
func (m metrics) writes() writes {
	w := writes{}
	for _, metric := range m["apiserver_request_total"].GetMetric() {
		labels := map[string]string{}
		for _, l := range metric.GetLabel() {
			labels[l.GetName()] = l.GetValue()
		}
		verb, what := labels["verb"], labels["resource"]
		switch {
		case !slices.Contains([]string{"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"}, verb):
			continue
		case labels["group"] == v1alpha1.Group && (what != "securityevents" || verb != "POST"):
		case what == "events", what == "leases":
		default:
			continue
		}
		if labels["subresource"] != "" {
			what += "/" + labels["subresource"]
		}
		w[verb+" "+what] += metric.GetCounter().GetValue()
	}
	return w
}

// since is what was written after an earlier count.
func (w writes) since(earlier writes) writes {
	more := writes{}
	for kind, n := range w {
		if n > earlier[kind] {
			more[kind] = n - earlier[kind]
		}
	}
	return more
}

// total is the number of all writes but those of the Lease.
func (w writes) total() float64 {
	var sum float64
	for kind, n := range w {
		if kind != lease {
			sum += n
		}
	}
	return sum
}

// per lists the kinds of writes but those of the Lease, each divided by a number.
func (w writes) per(n float64) string {
	var list []string
	for _, kind := range slices.Sorted(maps.Keys(w)) {
		if kind != lease {
			list = append(list, strconv.FormatFloat(math.Round(100*w[kind]/n)/100, 'f', -1, 64)+" "+kind)
		}
	}
	return strings.Join(list, ", ")
}

// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/retention"
)

var (
	eventsKept = bySeverity[prometheus.Gauge](prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "tocsin_events_kept", Help: "SecurityEvents that the cluster holds.",
	}, []string{"severity"}))
	eventsExpired = bySeverity[prometheus.Counter](prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_events_expired_total", Help: "SecurityEvents deleted as they had been kept long enough.",
	}, []string{"severity"}))
	eventsShed = bySeverity[prometheus.Counter](prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_events_shed_total", Help: "SecurityEvents deleted before their time as there were too many.",
	}, []string{"severity"}))
	notificationsKept = bySeverity[prometheus.Gauge](prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "tocsin_notifications_kept", Help: "Notifications that the cluster holds.",
	}, []string{"severity"}))
	notificationsExpired = bySeverity[prometheus.Counter](prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_notifications_expired_total", Help: "Notifications deleted as they had been kept long enough.",
	}, []string{"severity"}))
	notificationsShed = bySeverity[prometheus.Counter](prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_notifications_shed_total", Help: "Notifications deleted before their time as there were too many.",
	}, []string{"severity"}))
)

// severityMetric is a metric with one series for each severity, which are there from the start.
type severityMetric[M interface{ Add(float64) }] map[v1alpha1.Severity]M

func bySeverity[M interface{ Add(float64) }](vector interface {
	prometheus.Collector
	WithLabelValues(values ...string) M
}) severityMetric[M] {
	metrics.Registry.MustRegister(vector)
	series := severityMetric[M]{}
	for _, s := range retention.Severities() {
		series[s] = vector.WithLabelValues(string(s))
	}
	return series
}

func (m severityMetric[M]) add(s v1alpha1.Severity, n int) { m[retention.As(s)].Add(float64(n)) }

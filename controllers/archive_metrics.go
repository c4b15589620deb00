// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	archivePending = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tocsin_archive_pending",
		Help: "Notifications that are to be archived and are not yet, without those that the archive refuses.",
	})
	archiveEntries = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tocsin_archive_entries_total", Help: "Entries written to the archive, also those that were written anew.",
	})
	archiveFailures = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tocsin_archive_failures_total",
		Help: "Times that the archive could not be written or asked; each is an error in the manager's log and tried again.",
	})
	archiveRefusals = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tocsin_archive_refused_total",
		Help: "Times that the archive refused a notification while it took others; each is an error in the manager's log.",
	})
	archiveAhead = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tocsin_archive_ahead",
		Help: "Notifications of which the archive has a later revision than the cluster, which lasts only after etcd was restored.",
	})
	archiveLost = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tocsin_archive_lost_total", Help: "Notifications that were deleted before they could be archived.",
	})
	archiveQuestions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_archive_questions_total",
		Help: "Requests of the archive's readers, by how they ended: Answered, Gone, or the reason of the Status that was the answer.",
	}, []string{"outcome"})
)

func init() {
	metrics.Registry.MustRegister(archivePending, archiveEntries, archiveFailures, archiveRefusals, archiveAhead, archiveLost,
		archiveQuestions)
}

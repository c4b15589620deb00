// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

var (
	eventsReceived = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tocsin_events_received_total", Help: "SecurityEvents that were evaluated.",
	})
	eventsUnreadable = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tocsin_events_unreadable_total",
		Help: "SecurityEvents that were left out because they cannot be read; each is an error in the manager's log.",
	})
	eventsMatched = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tocsin_events_matched_total", Help: "Times that a SecurityEvent met the filter of a NotificationCondition.",
	})
	occurrencesHeld = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tocsin_occurrences_held_total", Help: "Occurrences that were held by a damper.",
	})
	expressionErrors = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tocsin_expression_errors_total",
		Help: "Times that a filter's expression could not be evaluated for an event; the condition's status tells more.",
	})
	evaluationSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tocsin_evaluation_seconds", Help: "Time that one SecurityEvent took through all conditions.",
		Buckets: prometheus.ExponentialBuckets(1e-6, 4, 12),
	})
	notificationsFired = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_notifications_fired_total", Help: "Notifications created, by why the condition fired.",
	}, []string{"reason"})
	notificationsSuppressed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tocsin_notifications_suppressed_total",
		Help: "Notifications of which the limit of some channel held back a message.",
	})
	notificationsLost = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tocsin_notifications_lost_total",
		Help: "Notifications that the API server refused for good; each is an error in the manager's log.",
	})
	decisionSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tocsin_decision_seconds",
		Help: "Time from what made a condition fire, the creation of an event or the end of a damper, to its Notification.",
		// The API server tells times of creation in whole seconds.
		Buckets: prometheus.ExponentialBuckets(0.125, 2, 12),
	})
	notificationsWaiting = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "tocsin_notifications_waiting",
		Help: "Notifications that are due, and that the API server has not taken yet; each refusal is an error in the manager's log.",
	})
	namesForgotten = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "tocsin_names_forgotten_total",
		Help: "Windows and dampers of single computers or risks that were forgotten too early, as a condition had too many.",
	})
	deliveryAttempts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_delivery_attempts_total", Help: "Attempts to deliver, by channel type and how they ended.",
	}, []string{"type", "reason"})
	deliveriesFinished = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tocsin_deliveries_finished_total", Help: "Deliveries that reached a final state.",
	}, []string{"state"})
	deliverySeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "tocsin_delivery_seconds", Help: "Time from the decision to the server's acceptance.",
		Buckets: prometheus.ExponentialBuckets(0.1, 3, 12),
	})
)

func init() {
	metrics.Registry.MustRegister(eventsReceived, eventsUnreadable, eventsMatched, occurrencesHeld, expressionErrors,
		evaluationSeconds, notificationsFired, notificationsSuppressed, notificationsLost, notificationsWaiting, namesForgotten,
		decisionSeconds, deliveryAttempts, deliveriesFinished, deliverySeconds)
	for _, reason := range []v1alpha1.TriggerReason{
		v1alpha1.TriggerThresholdReached, v1alpha1.TriggerStillReached, v1alpha1.TriggerCleared,
	} {
		notificationsFired.WithLabelValues(string(reason))
	}
	for _, state := range []v1alpha1.DeliveryState{
		v1alpha1.DeliveryDelivered, v1alpha1.DeliveryPartlyDelivered, v1alpha1.DeliveryFailed,
		v1alpha1.DeliverySuppressed, v1alpha1.DeliveryNotNeeded,
	} {
		deliveriesFinished.WithLabelValues(string(state))
	}
}

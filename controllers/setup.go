// SPDX-License-Identifier: Apache-2.0

// Package controllers holds one reconciler a kind, each of which gathers, decides and acts, and the Evaluator, which takes
// events through the conditions. What they decide is decided in internal/; here is what touches the cluster.
package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/archive"
	"github.com/tocsin-dev/tocsin/internal/execjob"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/notify/smtp"
	"github.com/tocsin-dev/tocsin/internal/retention"
	"github.com/tocsin-dev/tocsin/internal/verify"
)

// Options are what the controllers need to know beyond the manager.
type Options struct {
	// Clock tells the time. nil: the machine's.
	Clock clock.Clock
	// DeliveryWorkers is how many deliveries may be under way at once. 0: DefaultDeliveryWorkers.
	DeliveryWorkers int
	// Grace is how long an attempt that is under way may go on after the manager was told to stop. 0: DefaultGrace.
	Grace time.Duration
	// HelloName is what to say hello to mail servers as. Empty: the host's name.
	HelloName string
	// Namespace is the operator's own. Empty: not known.
	Namespace string
	// Computers is the number of computers that threshold.auto goes by. 0: those in the events that are kept.
	Computers int32
	// EventRetention says how long and how many SecurityEvents are kept. Zero: retention.DefaultEvents.
	EventRetention retention.Policy
	// NotificationRetention says how long and how many Notifications are kept. Zero: retention.DefaultNotifications.
	NotificationRetention retention.Policy
	// Exec is where channels may run programs, and of which images. Zero: anywhere, and any.
	Exec execjob.Allowed
	// Archive is where finished notifications are kept for longer. nil: nowhere.
	Archive archive.Store
	// ArchiveAddress is where the archive is served to readers. Empty: nowhere.
	ArchiveAddress string
}

// DefaultDeliveryWorkers is how many deliveries may be under way at once. A channel gets a sixteenth, a namespace a quarter.
const DefaultDeliveryWorkers = 64

// complete puts the defaults in place of what is left out.
func (o *Options) complete() {
	if o.Clock == nil {
		o.Clock = clock.RealClock{}
	}
	if o.DeliveryWorkers == 0 {
		o.DeliveryWorkers = DefaultDeliveryWorkers
	}
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	if o.EventRetention == (retention.Policy{}) {
		o.EventRetention = retention.DefaultEvents()
	}
	if o.NotificationRetention == (retention.Policy{}) {
		o.NotificationRetention = retention.DefaultNotifications()
	}
}

// Setup registers all controllers with the manager.
func Setup(ctx context.Context, mgr ctrl.Manager, options Options) error {
	options.complete()
	if _, err := smtp.New(smtp.Config{Servers: []string{"localhost"}, HelloName: options.HelloName}); err != nil {
		return fmt.Errorf("checking the options: %w", err)
	}
	if err := addIndexes(ctx, mgr.GetFieldIndexer()); err != nil {
		return err
	}
	watching, err := client.NewWithWatch(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return fmt.Errorf("making a client that watches: %w", err)
	}
	recorder := mgr.GetEventRecorder(recorderName)
	evaluator := NewEvaluator(mgr.GetClient(), watching, recorder, options.Clock, mgr.GetLogger().WithName("evaluator"))
	if err := mgr.Add(evaluator); err != nil {
		return fmt.Errorf("adding the evaluator: %w", err)
	}
	if err := mgr.AddReadyzCheck("events", evaluator.inStep); err != nil {
		return fmt.Errorf("adding the readiness check: %w", err)
	}
	if err := setupKeeping(mgr, evaluator, options); err != nil {
		return err
	}
	senders := NewSenders(mgr.GetAPIReader(), options.HelloName)
	if err := mgr.Add(senders); err != nil {
		return fmt.Errorf("adding the senders: %w", err)
	}
	executor, err := newExecutor(mgr, recorder, options.Exec)
	if err != nil {
		return err
	}
	for name, reconciler := range map[string]interface{ setupWithManager(ctrl.Manager) error }{
		"condition": &ConditionReconciler{
			Client: mgr.GetClient(), Evaluator: evaluator, Recorder: recorder,
			Surroundings: verify.Surroundings{OperatorNamespace: options.Namespace, Kept: options.EventRetention.Shortest},
			Computers:    options.Computers,
		},
		"channel": &ChannelReconciler{Client: mgr.GetClient(), Senders: senders, Clock: options.Clock, exec: executor},
		"delivery": &DeliveryReconciler{
			Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Clock: options.Clock,
			Senders: senders, limits: evaluator.limits, heldBack: evaluator.heldBack, evaluator: evaluator, exec: executor,
			Workers: options.DeliveryWorkers, Grace: options.Grace,
		},
	} {
		if err := reconciler.setupWithManager(mgr); err != nil {
			return fmt.Errorf("setting up the %s controller: %w", name, err)
		}
	}
	countAttempts()
	return nil
}

// countAttempts has the counters of attempts exist from the start.
func countAttempts() {
	for _, reason := range notify.Reasons() {
		deliveryAttempts.WithLabelValues(string(v1alpha1.ChannelEmail), string(reason))
		deliveryAttempts.WithLabelValues(string(v1alpha1.ChannelSMS), string(reason))
	}
	for _, reason := range execjob.Reasons() {
		deliveryAttempts.WithLabelValues(string(v1alpha1.ChannelExec), reason)
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/controllers"
	"github.com/tocsin-dev/tocsin/internal/serverclock"
)

const (
	// leaderElectionID names the Lease.
	leaderElectionID = "manager.tocsin.dev"
	// requestsPerSecond keeps the client out of the way: the API server's own priority and fairness does the limiting.
	requestsPerSecond = 500
)

// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,namespace=tocsin-system,verbs=get;create;update
// +kubebuilder:rbac:groups="",resources=events,namespace=tocsin-system,verbs=create;patch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,namespace=tocsin-system,verbs=create;patch

func run(ctx context.Context, o *options) error {
	restConfig, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	restConfig.QPS, restConfig.Burst = requestsPerSecond, 2*requestsPerSecond
	restConfig.UserAgent = "tocsin-manager"
	clk := serverclock.New(clock.RealClock{}, slog.New(logr.ToSlogHandler(ctrl.Log.WithName("clock"))))
	restConfig.Wrap(clk.Wrap)
	o.controllers.Clock = clk
	controllers.MeasureClock(clk.Offset)
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return fmt.Errorf("building the scheme: %w", err)
		}
	}
	renew, retry := o.leaseDuration*5/8, o.leaseDuration/8
	shutdown := o.controllers.Grace + 15*time.Second
	mgr, err := ctrl.NewManager(restConfig, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       server.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:        o.probeAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              leaderElectionID,
		LeaderElectionNamespace:       o.leaseNamespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &o.leaseDuration,
		RenewDeadline:                 &renew,
		RetryPeriod:                   &retry,
		GracefulShutdownTimeout:       &shutdown,
		Cache:                         cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
	})
	if err != nil {
		return fmt.Errorf("making the manager: %w", err)
	}
	if !waitForKinds(ctx, mgr) {
		return nil
	}
	if err := controllers.Setup(ctx, mgr, o.controllers); err != nil {
		return err
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("adding the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("cache", func(req *http.Request) error { return cachesReady(req.Context(), mgr) }); err != nil {
		return fmt.Errorf("adding the readiness check: %w", err)
	}
	err = mgr.Start(ctx)
	if o.controllers.Archive != nil {
		err = errors.Join(err, o.controllers.Archive.Close())
	}
	return err
}

// waitForKinds returns once the cluster knows Tocsin's kinds, as they may be applied in the same breath as the manager; or
// false when the manager is told to stop before.
func waitForKinds(ctx context.Context, mgr ctrl.Manager) bool {
	told := false
	return nil == wait.PollUntilContextCancel(ctx, time.Second, true, func(context.Context) (bool, error) {
		for _, kind := range []string{"SecurityEvent", "NotificationCondition", "NotificationChannel", "Notification"} {
			group := schema.GroupKind{Group: v1alpha1.Group, Kind: kind}
			if _, err := mgr.GetRESTMapper().RESTMapping(group, v1alpha1.GroupVersion.Version); err != nil {
				if !told {
					mgr.GetLogger().Info("Waiting for Tocsin's kinds; where they are missing, apply config/crd",
						"kind", kind, "cause", err.Error())
				}
				told = true
				return false, nil
			}
		}
		return true, nil
	})
}

// cachesReady fails until the manager knows the cluster.
func cachesReady(ctx context.Context, mgr ctrl.Manager) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		return errors.New("the cache is not in step with the cluster yet")
	}
	return nil
}

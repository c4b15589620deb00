// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// clockOffset is what tocsin_clock_offset_seconds asks.
var clockOffset atomic.Pointer[func() time.Duration]

func init() {
	metrics.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tocsin_clock_offset_seconds",
		Help: "How far the API server's clock is ahead of the manager's machine's; up to about a second too low.",
	}, func() float64 {
		if offset := clockOffset.Load(); offset != nil {
			return (*offset)().Seconds()
		}
		return 0
	}))
}

// MeasureClock makes tocsin_clock_offset_seconds ask for the offset, whenever it is read.
func MeasureClock(offset func() time.Duration) { clockOffset.Store(&offset) }

// SPDX-License-Identifier: Apache-2.0

package notify_test

import (
	"math"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/internal/notify"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	const unmoved = 0.5
	tests := map[string]struct {
		interval time.Duration
		attempt  int
		jitter   float64
		want     time.Duration
	}{
		"the first wait is the interval":              {time.Minute, 1, unmoved, time.Minute},
		"no interval means the default":               {0, 1, unmoved, 30 * time.Second},
		"each further wait is twice as long":          {time.Minute, 4, unmoved, 8 * time.Minute},
		"doubling ends at half an hour":               {30 * time.Second, 7, unmoved, 30 * time.Minute},
		"ever so many attempts do not overflow":       {30 * time.Second, math.MaxInt, unmoved, 30 * time.Minute},
		"an interval longer than that is kept":        {time.Hour, 5, unmoved, time.Hour},
		"an attempt that never was counts as first":   {time.Minute, 0, unmoved, time.Minute},
		"the least jitter takes a tenth off":          {time.Minute, 1, 0, 54 * time.Second},
		"the most jitter adds almost a tenth":         {10 * time.Second, 1, 0.999, 10998 * time.Millisecond},
		"jitter spreads those at the end of doubling": {time.Minute, 20, 0, 27 * time.Minute},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := notify.Backoff(tc.interval, tc.attempt, tc.jitter)
			if (got - tc.want).Abs() > time.Microsecond {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

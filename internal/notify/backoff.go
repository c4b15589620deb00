// SPDX-License-Identifier: Apache-2.0

package notify

import "time"

const (
	// DefaultInterval is how long to wait after the first attempt when nothing else is said.
	DefaultInterval = 30 * time.Second
	// MaxInterval is as far as doubling goes.
	MaxInterval = 30 * time.Minute

	// spread is how far, as a part of the whole, a wait may differ either way: what failed together is not to come back
	// together.
	spread = 0.1
)

// Backoff is how long to wait after an attempt (the first is 1) before the next: interval, doubled with each attempt up to
// MaxInterval, or interval itself where that is longer. Jitter, in [0,1), moves it by up to a tenth either way.
func Backoff(interval time.Duration, attempt int, jitter float64) time.Duration {
	if interval <= 0 {
		interval = DefaultInterval
	}
	longest := max(interval, MaxInterval)
	wait := interval
	for n := 1; n < attempt && wait < longest; n++ {
		wait *= 2
	}
	return time.Duration(float64(min(wait, longest)) * (1 - spread + 2*spread*jitter))
}

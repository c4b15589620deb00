// SPDX-License-Identifier: Apache-2.0

package serverclock

import (
	"log/slog"
	"strings"
	"testing"

	"k8s.io/utils/clock"
)

// Without it, time since the start would go by the wall clock, which can be set.
func TestTheStartKeepsItsMonotonicReading(t *testing.T) {
	t.Parallel()
	c := New(clock.RealClock{}, slog.New(slog.DiscardHandler))
	if !strings.Contains(c.start.String(), " m=") {
		t.Errorf("the start is %s, without a monotonic reading", c.start)
	}
	if now := c.Now().String(); strings.Contains(now, " m=") {
		t.Errorf("now is %s, with a monotonic reading that the server's clock does not follow", now)
	}
}

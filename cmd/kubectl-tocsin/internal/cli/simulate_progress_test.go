// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
)

// TestProgress: long work says on a terminal how far it is, not at once and not all the time, and takes it back.
func TestProgress(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		width int
		want  string
	}{
		"no terminal":  {0, ""},
		"a terminal":   {80, "\rstep 2\rstep 10\rend    \b\b\b\b\r   \b\b\b\r"},
		"a narrow one": {5, "\rstep\rstep\rend \b\r   \b\b\b\r"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
			p := newProgress(&screen.Screen{Writer: &out, Width: tc.width}, func() time.Time { return now })
			for _, step := range []struct {
				after time.Duration
				text  string
			}{{0, "step 0"}, {patience - 1, "step 1"}, {1, "step 2"}, {heartbeat - 1, "step 3"}, {1, "step 10"}, {time.Hour, "end"}} {
				now = now.Add(step.after)
				p.say("%s", step.text)
			}
			p.clear()
			p.clear()
			if out.String() != tc.want {
				t.Errorf("got %q, want %q", out.String(), tc.want)
			}
		})
	}
}

// SPDX-License-Identifier: Apache-2.0

package screen_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tocsin-dev/tocsin/cmd/kubectl-tocsin/internal/screen"
)

var midnight = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

func TestAChartFitsTheTerminal(t *testing.T) {
	t.Parallel()
	day := midnight.Add(24 * time.Hour)
	happened := []screen.Mark{{At: midnight, Count: 1}, {At: midnight.Add(12 * time.Hour), Count: 1_000_000_000}, {At: day, Count: 3}}
	told := []time.Time{midnight.Add(12 * time.Hour), midnight.Add(12 * time.Hour), day}
	for _, width := range []int{0, 1, 20, 26, 27, 30, 43, 44, 45, 80, 200, 1000} {
		chart := (&screen.Screen{Width: width}).Chart(midnight, day, happened, told)
		if width > 0 && width < 27 {
			if chart != "" {
				t.Errorf("width %d is too narrow:\n%s", width, chart)
			}
			continue
		}
		limit := width
		if width == 0 { // no terminal
			limit = screen.DefaultWidth
		}
		for line := range strings.Lines(chart) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > limit {
				t.Errorf("width %d: a line of %d columns:\n%s", width, n, chart)
			}
		}
		for _, want := range []string{"▁", "█", "2", "▲", "  1000M │", "2026-11-22 00:00Z", "2026-11-23 00:00Z\n"} {
			if !strings.Contains(chart, want) {
				t.Errorf("width %d: %q is not seen:\n%s", width, want, chart)
			}
		}
		if strings.Contains(chart, "\x1b") {
			t.Errorf("width %d: coloured, without being asked", width)
		}
	}
	if chart := (&screen.Screen{}).Chart(midnight, midnight, nil, nil); !strings.Contains(chart, "2026-11-22 00:00Z") {
		t.Errorf("nothing at all:\n%s", chart)
	}
}

func TestTheAxisStaysStraightWhateverTheNumber(t *testing.T) {
	t.Parallel()
	for count, want := range map[int64]string{
		1: "      1 │", 999_999: " 999999 │", 1_000_000: "  1000k │", 2_147_483_647: "  2147M │", 214_748_364_700_000: "214748G │",
	} {
		chart := (&screen.Screen{}).Chart(midnight, midnight.Add(time.Hour), []screen.Mark{{At: midnight, Count: count}}, nil)
		for i, line := range strings.Split(strings.TrimSpace("."+chart), "\n")[:5] {
			line = strings.TrimPrefix(line, ".")
			if at := strings.Index(line, "│"); at != 8 || i == 0 && !strings.HasPrefix(line, want) {
				t.Errorf("%d: line %d is %q, want it to begin with %q", count, i, line, want)
			}
		}
	}
}

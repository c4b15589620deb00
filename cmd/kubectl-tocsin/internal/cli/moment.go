// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
)

var days = regexp.MustCompile(`^([0-9]{1,5})d`)

// ago reads a length of time; days may be given, too.
func ago(value string) (time.Duration, error) {
	var whole time.Duration
	rest := value
	if match := days.FindStringSubmatch(value); match != nil {
		n, err := strconv.Atoi(match[1])
		if err != nil {
			return 0, err
		}
		whole, rest = time.Duration(n)*24*time.Hour, value[len(match[0]):]
		if rest == "" {
			return whole, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no length of time such as 90s, 24h or 7d", value)
	}
	return whole + d, nil
}

// zoned are times that name their zone, local those that mean the zone of the user.
var (
	zoned = []string{time.RFC3339, "2006-01-02T15:04Z07:00"}
	local = []string{"2006-01-02T15:04:05", "2006-01-02T15:04"}
)

// moment reads a time, a day, or a length of time before now. What names no zone is in that of now.
func moment(value string, now time.Time) (time.Time, error) {
	for _, layout := range zoned {
		if at, err := time.Parse(layout, value); err == nil {
			return at, nil
		}
	}
	for _, layout := range local {
		if at, err := time.ParseInLocation(layout, value, now.Location()); err == nil {
			return unambiguous(at, value, layout)
		}
	}
	if at, err := time.ParseInLocation(time.DateOnly, value, now.Location()); err == nil {
		return dawn(at, value), nil
	}
	back, err := ago(value)
	if err != nil {
		return time.Time{}, fmt.Errorf("%q is neither a length of time such as 24h or 7d nor a time such as 2026-11-22T08:30:00Z, "+
			"2026-11-22T08:30 or 2026-11-22", value)
	}
	return now.Add(-back), nil
}

// unambiguous refuses what clocks have not shown, or have shown twice, as they were changed.
func unambiguous(at time.Time, value, layout string) (time.Time, error) {
	switch {
	case at.Format(layout) != value:
		return at, fmt.Errorf("there is no %s in zone %s: clocks were put forward", value, at.Location())
	case !twin(at).Equal(at):
		return at, fmt.Errorf("there are two %s in zone %s, as clocks were put back: add the zone, as in %s",
			value, at.Location(), at.Format(time.RFC3339))
	default:
		return at, nil
	}
}

// twin is the other time for which clocks show the same, or else the time itself.
func twin(at time.Time) time.Time {
	_, offset := at.Zone()
	for _, change := range bounds(at) {
		_, other := change.Zone()
		if candidate := at.Add(time.Duration(offset-other) * time.Second); !candidate.Equal(at) &&
			candidate.Format(time.DateTime) == at.Format(time.DateTime) {
			return candidate
		}
	}
	return at
}

// bounds are times in the zones before and after the one at a time.
func bounds(at time.Time) []time.Time {
	var list []time.Time
	begin, end := at.ZoneBounds()
	if !begin.IsZero() {
		list = append(list, begin.Add(-time.Second))
	}
	if !end.IsZero() {
		list = append(list, end)
	}
	return list
}

// dawn is the beginning of a day, which in some zones some days have at one o'clock, or twice.
func dawn(at time.Time, day string) time.Time {
	begin, end := at.ZoneBounds()
	switch {
	case at.Format(time.DateOnly) < day:
		return end
	case at.Hour() > 0 || at.Minute() > 0:
		return begin
	}
	if other := twin(at); other.Before(at) {
		return other
	}
	return at
}

// utc writes a time as it can be given to --since.
func utc(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// SPDX-License-Identifier: Apache-2.0

package prometheus_test

// story is what Prometheus has scraped within an hour, a sample each minute, and how many alerts of a kind then fire. Series
// are written as promtool's tests have them: 0+1x60 begins at 0 and grows by 1, 60 times.
type story struct {
	series []string
	fires  int
}

const (
	leads       = `leader_election_master_status{name="manager.tocsin.dev", pod="a"} 1x60`
	waits       = `leader_election_master_status{name="manager.tocsin.dev", pod="b"} 0x60`
	otherLeads  = `leader_election_master_status{name="other.example.com", pod="c"} 1x60`
	created     = `apiserver_request_total{group="tocsin.dev", resource="securityevents", verb="POST", code="201", dry_run=""} `
	received    = `tocsin_events_received_total{pod="a"} `
	accepted    = `tocsin_delivery_attempts_total{type="Email", reason="Accepted"} `
	refused     = `tocsin_delivery_attempts_total{type="Email", reason="Refused"} `
	timedOut    = `tocsin_delivery_attempts_total{type="Email", reason="Timeout"} `
	cancelled   = `tocsin_delivery_attempts_total{type="Email", reason="Cancelled"} `
	secondsUpTo = `tocsin_decision_seconds_bucket{pod="a", le=`
)

// stories are those of each alert.
var stories = map[string]map[string]story{
	"TocsinNotLeading": {
		"one leads":                       {[]string{leads, waits}, 0},
		"both wait":                       {[]string{waits}, 1},
		"there is none":                   {nil, 1},
		"another operator's do not count": {[]string{otherLeads}, 1},
		"the leader went away":            {[]string{`leader_election_master_status{name="manager.tocsin.dev", pod="a"} 1x45 _x15`, waits}, 1},
		"another took over":               {[]string{`leader_election_master_status{name="manager.tocsin.dev", pod="b"} 0x57 1x3`}, 0},
	},
	"TocsinEventsNotEvaluated": {
		"events come and are evaluated":         {[]string{created + "0+5x60", received + "0+5x60"}, 0},
		"no events come":                        {[]string{created + "7x60", received + "7x60"}, 0},
		"events come and none is evaluated":     {[]string{created + "0+5x60", received + "7x60"}, 1},
		"one event was not evaluated":           {[]string{created + "7x48 8x12", received + "7x60"}, 1},
		"the manager is gone":                   {[]string{created + "0+5x60"}, 1},
		"the API server is not scraped":         {[]string{received + "7x60"}, 0},
		"the manager was away for five minutes": {[]string{created + "0+5x60", received + "0+5x50 250x5 275+5x5"}, 0},
	},
	"TocsinDecidesLate": {
		"at once":     {[]string{secondsUpTo + `"1"} 0+9x60`, secondsUpTo + `"64"} 0+9x60`, secondsUpTo + `"128"} 0+9x60`, secondsUpTo + `"+Inf"} 0+9x60`}, 0},
		"never":       {[]string{secondsUpTo + `"1"} 9x60`, secondsUpTo + `"64"} 9x60`, secondsUpTo + `"128"} 9x60`, secondsUpTo + `"+Inf"} 9x60`}, 0},
		"minutes":     {[]string{secondsUpTo + `"1"} 0x60`, secondsUpTo + `"64"} 0x60`, secondsUpTo + `"128"} 0+9x60`, secondsUpTo + `"+Inf"} 0+9x60`}, 1},
		"once, after": {[]string{secondsUpTo + `"1"} 0x60`, secondsUpTo + `"64"} 0x60`, secondsUpTo + `"128"} 0x57 99x3`, secondsUpTo + `"+Inf"} 0x57 99x3`}, 0},
	},
	"TocsinEvaluationBusy": {
		"idle":         {[]string{`tocsin_evaluation_seconds_sum{pod="a"} 0+1x60`}, 0},
		"at its limit": {[]string{`tocsin_evaluation_seconds_sum{pod="a"} 0+57x60`, `tocsin_evaluation_seconds_sum{pod="b"} 0x60`}, 1},
	},
	"TocsinEventsUnreadable":  counter("tocsin_events_unreadable_total"),
	"TocsinExpressionErrors":  counter("tocsin_expression_errors_total"),
	"TocsinEventsShed":        counter("tocsin_events_shed_total"),
	"TocsinNotificationsShed": counter("tocsin_notifications_shed_total"),
	"TocsinNotificationsLost": counter("tocsin_notifications_lost_total"),
	"TocsinArchiveLost":       counter("tocsin_archive_lost_total"),
	"TocsinArchiveRefuses":    counter("tocsin_archive_refused_total"),
	"TocsinArchiveAhead": {
		"as far as the cluster": {[]string{`tocsin_archive_ahead{pod="a"} 0x60`, `tocsin_archive_ahead{pod="b"} 0x60`}, 0},
		"for a moment":          {[]string{`tocsin_archive_ahead{pod="a"} 0x50 4x10`}, 0},
		"after etcd was restored": {
			[]string{`tocsin_archive_ahead{pod="a"} 0x30 4x30`, `tocsin_archive_ahead{pod="b"} 0x60`}, 1,
		},
	},
	"TocsinArchiveBehind": {
		"it is written":                  {[]string{`tocsin_archive_failures_total 7x60`, `tocsin_archive_pending 3x60`}, 0},
		"it fails":                       {[]string{`tocsin_archive_failures_total 0+1x60`, `tocsin_archive_pending 0+3x60`}, 1},
		"it failed for ten minutes":      {[]string{`tocsin_archive_failures_total 0x50 0+1x10`, `tocsin_archive_pending 0x50 0+3x10`}, 0},
		"it failed, and has all by now":  {[]string{`tocsin_archive_failures_total 0+1x55 56x5`, `tocsin_archive_pending 0+3x55 0x5`}, 0},
		"another replica does not count": {[]string{`tocsin_archive_failures_total{pod="a"} 0+1x60`, `tocsin_archive_failures_total{pod="b"} 0x60`, `tocsin_archive_pending{pod="a"} 9x60`, `tocsin_archive_pending{pod="b"} 0x60`}, 1},
	},
	"TocsinDeliveriesFailed": {
		"all are delivered": {[]string{`tocsin_deliveries_finished_total{state="Delivered"} 0+9x60`, `tocsin_deliveries_finished_total{state="Failed"} 3x60`}, 0},
		"one fails":         {[]string{`tocsin_deliveries_finished_total{state="Failed"} 0x55 1x5`}, 1},
		"one of each kind":  {[]string{`tocsin_deliveries_finished_total{state="Failed"} 0x55 1x5`, `tocsin_deliveries_finished_total{state="PartlyDelivered"} 0x55 1x5`}, 2},
	},
	"TocsinAttemptsFail": {
		"no attempts":                    {[]string{accepted + "5x60", timedOut + "5x60"}, 0},
		"some fail":                      {[]string{accepted + "0+5x60", timedOut + "0+2x60"}, 0},
		"all fail":                       {[]string{accepted + "0x60", refused + "0+1x60", timedOut + "0+1x60"}, 1},
		"called off as the manager ends": {[]string{accepted + "0+1x60", cancelled + "0+5x60"}, 0},
	},
	"TocsinClockOffset": {
		"as good as none": {[]string{`tocsin_clock_offset_seconds{pod="a"} -0.9x60`}, 0},
		"ahead":           {[]string{`tocsin_clock_offset_seconds{pod="a"} 30x60`, `tocsin_clock_offset_seconds{pod="b"} 0x60`}, 1},
		"behind":          {[]string{`tocsin_clock_offset_seconds{pod="a"} -30x60`, `tocsin_clock_offset_seconds{pod="b"} -30x60`}, 2},
		"for a moment":    {[]string{`tocsin_clock_offset_seconds{pod="a"} 0x57 30x3`}, 0},
	},
}

// counter are the stories of an alert that fires when a counter that should not grow has grown.
func counter(name string) map[string]story {
	return map[string]story{
		"nothing":                {[]string{name + " 3x60"}, 0},
		"something":              {[]string{name + " 0x55 1x5"}, 1},
		"something of each kind": {[]string{name + `{severity="Info"} 0x55 1x5`, name + `{severity="Critical"} 0x55 1x5`}, 1},
		"something an hour ago":  {[]string{name + " 0x10 1x50"}, 0},
		"a manager that began":   {[]string{name + " 7x55 0x5"}, 0},
	}
}

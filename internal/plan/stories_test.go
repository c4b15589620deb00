// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

const (
	anyComputer = v1alpha1.ScopeAnyComputer
	single      = v1alpha1.ScopeSingleComputer
	distinct    = v1alpha1.ScopeDistinctComputers

	perCondition = v1alpha1.DamperPerCondition
	perComputer  = v1alpha1.DamperPerComputer
	perRisk      = v1alpha1.DamperPerRisk

	m, h = time.Minute, time.Hour
)

// every makes n sightings, each on another computer, at a steady rate.
func every(step time.Duration, n int, first time.Duration, from int) []sighting {
	var list []sighting
	for i := range n {
		list = append(list, sighting{arrives: first + time.Duration(i)*step, computer: fmt.Sprintf("ws-%02d", from+i)})
	}
	return list
}

func join(parts ...[]sighting) []sighting {
	var all []sighting
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func stories() map[string]story {
	return map[string]story{
		"outbreak": {
			about: []string{
				"The example of Symantec Endpoint Protection Manager: tell when a virus infects five computers within one hour.",
				"It infects one every ten minutes for two hours and a half, then it slows down, then it comes back.",
			},
			rule: rule{5, "1h", distinct, "Auto", perCondition},
			events: join(
				every(10*m, 16, 0, 1),
				every(25*m, 3, 3*h, 17),
				every(1*m, 5, 6*h, 20),
			),
			until: 8 * h,
		},
		"cleared": {
			about: []string{
				"A note tells when all is quiet: the damper has ended, and for an hour, the window, nothing has happened. A straggler",
				"puts it off. After the note nothing is held back: when it comes again, it is told at once.",
			},
			rule: wish{rule{5, "1h", distinct, "Auto", perCondition}, true, false},
			events: join(
				every(2*m, 7, 0, 1),
				every(0, 1, 1*h+10*m, 8),
				every(1*m, 6, 2*h+20*m, 9),
			),
			until: 5 * h,
		},
		"quiet": {
			about: []string{
				"It goes on and on, and somebody who works on it asks for quiet. From then on all is held. Each time the damper would",
				"end it is looked at whether the threshold is still reached; when it is not any more, the quiet ends. When it comes back,",
				"that is told, and how many were held. Somebody asks for quiet again; this time something more severe ends it.",
			},
			rule: wish{rule{3, "1h", anyComputer, "1h", perCondition}, true, false},
			events: join(
				every(10*m, 20, 0, 1),
				every(20*m, 3, 4*h, 21),
				[]sighting{{arrives: 5 * h, computer: "ws-24", severity: v1alpha1.SeverityCritical}},
				every(1*m, 4, 8*h, 25),
			),
			hushes: []hush{{at: h + 25*m}, {at: 4*h + 50*m}},
			until:  11 * h,
		},
		"new-risk": {
			about: []string{
				"Each risk is told once, whatever its case. What was found before the condition was created is not new.",
			},
			rule: newRisk(1, "1m", anyComputer),
			events: []sighting{
				{arrives: -2 * h, computer: "ws-01", risk: "EICAR"},
				{arrives: 0, computer: "ws-01", risk: "eicar"},
				{arrives: 1 * m, computer: "ws-02", risk: "Trojan.X"},
				{arrives: 2 * m, computer: "ws-03", risk: "TROJAN.x"},
				{arrives: 3 * m, computer: "ws-04"},
				{arrives: 4 * m, computer: "ws-05", risk: "Worm.Y", count: 20},
				{arrives: 5 * m, computer: "ws-06", kind: "SystemError"},
				{arrives: 48 * h, computer: "ws-07", risk: "Worm.Y"},
			},
			until: 50 * h,
		},
		"none": {
			about: []string{
				"Without a damper, what fired is used up and counting starts anew: every third occurrence tells.",
			},
			rule:   rule{3, "1m", anyComputer, "None", perCondition},
			events: join(every(10*time.Second, 7, 0, 1), every(45*time.Second, 4, 5*m, 8)),
			until:  10 * m,
		},
		"per-computer": {
			about: []string{
				"One damper a computer: a busy computer is told of once in 20 minutes and does not hide another one.",
			},
			rule: rule{2, "1m", single, "20m", perComputer},
			events: []sighting{
				{arrives: 0, computer: "ws-01"},
				{arrives: 5 * time.Second, computer: "ws-01"},
				{arrives: 10 * time.Second, computer: "ws-01"},
				{arrives: 15 * time.Second, computer: "ws-02"},
				{arrives: 20 * time.Second, computer: "ws-02"},
				{arrives: 19*m + 40*time.Second, computer: "ws-01"},
				{arrives: 20 * m, computer: "ws-01"},
				{arrives: 21 * m, computer: "ws-02"},
			},
			until: 41 * m,
		},
		"per-risk": {
			about: []string{
				"One damper a risk, and each risk counts by itself: one everywhere does not hide another one.",
			},
			rule: rule{2, "10m", anyComputer, "1h", perRisk},
			events: []sighting{
				{arrives: 0, computer: "ws-01", risk: "EICAR"},
				{arrives: 1 * m, computer: "ws-02", risk: "Trojan.X"},
				{arrives: 2 * m, computer: "ws-03", risk: "EICAR"},
				{arrives: 3 * m, computer: "ws-04", risk: "EICAR"},
				{arrives: 4 * m, computer: "ws-05", risk: "Trojan.X"},
				{arrives: 5 * m, computer: "ws-06"},
			},
			until: 2 * h,
		},
		"late": {
			about: []string{
				"Events that are reported late take their place by time. What nobody was told of yet is told, however late;",
				"what was told is not told again because more of it arrives late. After more than a day they come too late to be",
				"counted together.",
			},
			rule: rule{3, "10m", anyComputer, "30m", perCondition},
			events: []sighting{
				{arrives: 1 * m, computer: "ws-01"},
				{arrives: 2 * m, computer: "ws-02"},
				{arrives: 2 * h, computer: "ws-03", happened: pointer(3 * m)},
				{arrives: 2*h + 5*m, computer: "ws-04", happened: pointer(4 * m)},
				{arrives: 3 * h, computer: "ws-05", happened: pointer(5 * m)},
				{arrives: 5 * h, computer: "ws-06"},
				{arrives: 5*h + 1*m, computer: "ws-07"},
				{arrives: 5*h + 2*m, computer: "ws-08"},
				{arrives: 6 * h, computer: "ws-09", happened: pointer(5*h + 3*m)},
				{arrives: 7 * h, computer: "ws-10", happened: pointer(6 * m)},
				{arrives: 40 * h, computer: "ws-11", happened: pointer(7 * h)},
				{arrives: 40*h + 1*m, computer: "ws-12", happened: pointer(7 * h)},
				{arrives: 40*h + 2*m, computer: "ws-13", happened: pointer(7 * h)},
			},
			until: 41 * h,
		},
		"future": {
			about: []string{
				"Clocks that run ahead are clamped: an event counts when it was created, at the latest.",
			},
			rule: rule{2, "1m", anyComputer, "1h", perCondition},
			events: []sighting{
				{arrives: 0, computer: "ws-01", happened: pointer(24 * h)},
				{arrives: 5 * m, computer: "ws-02", happened: pointer(24 * h)},
				{arrives: 5*m + 30*time.Second, computer: "ws-03", happened: pointer(5 * m), last: pointer(6 * h)},
			},
			until: 2 * h,
		},
		"count": {
			about: []string{
				"An event with count: 14 stands for fourteen occurrences, when it comes and when it is held.",
			},
			rule: rule{15, "1m", anyComputer, "1h", perCondition},
			events: []sighting{
				{arrives: 0, computer: "ws-01", count: 14, happened: pointer(-20 * time.Second), last: pointer(time.Duration(0))},
				{arrives: 59 * time.Second, computer: "ws-02"},
				{arrives: 2 * m, computer: "ws-01", count: 14},
				{arrives: 1*h + 50*time.Second, computer: "ws-01", count: 14},
			},
			until: 3 * h,
		},
		"single-computer": {
			about: []string{
				"With scope SingleComputer each computer counts by itself, but one damper speaks for all of them. When it ends,",
				"the fullest computer is told of.",
			},
			rule: rule{3, "10m", single, "5m", perCondition},
			events: []sighting{
				{arrives: 0, computer: "ws-01"},
				{arrives: 10 * time.Second, computer: "ws-02"},
				{arrives: 20 * time.Second, computer: "ws-03"},
				{arrives: 30 * time.Second, computer: "ws-01"},
				{arrives: 40 * time.Second, computer: "ws-01"},
				{arrives: 50 * time.Second, computer: "ws-02", count: 4},
				{arrives: 1 * m, computer: "ws-03"},
			},
			until: 30 * m,
		},
		"held-and-told-later": {
			about: []string{
				"What was held when the rate fell is not sent for its own sake: the next notification tells how many there were.",
			},
			rule: rule{2, "1m", anyComputer, "Auto", perCondition},
			events: []sighting{
				{arrives: 0, computer: "ws-01"},
				{arrives: 1 * time.Second, computer: "ws-02"},
				{arrives: 30 * m, computer: "ws-03"},
				{arrives: 40 * m, computer: "ws-04"},
				{arrives: 4 * h, computer: "ws-05"},
				{arrives: 4*h + 59*time.Second, computer: "ws-06"},
			},
			until: 6 * h,
		},
		"nobody-there": {
			about: []string{
				"No manager runs from t+30m to t+3h10m. Afterwards everything is told that was due meanwhile, as of its time.",
			},
			rule: rule{3, "2h", anyComputer, "1h", perCondition},
			away: absence{30 * m, 3*h + 10*m},
			events: []sighting{
				{arrives: 0, computer: "ws-01"},
				{arrives: 1 * m, computer: "ws-02"},
				{arrives: 2 * m, computer: "ws-03"},
				{arrives: 20 * m, computer: "ws-04"},
				{arrives: 1*h + 30*m, computer: "ws-05"},
				{arrives: 2*h + 30*m, computer: "ws-06"},
			},
			until: 6 * h,
		},
	}
}

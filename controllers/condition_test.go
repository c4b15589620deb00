// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/controllers"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// The burst of 10 reaches the threshold; the 7 that follow do not.
func TestClearedIsToldAtTheInstantAtWhichAllHasBeenQuiet(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		period v1alpha1.DamperPeriod
		window v1alpha1.Duration
		// lasts is the larger of the two.
		lasts time.Duration
		// ago is how long before it was reported the burst happened.
		ago time.Duration
		// number is which notification tells that it has cleared.
		number int
		held   int64
	}{
		"the damper is longer than the window": {"5s", "2s", 5 * time.Second, 0, 2, 7},
		"the window is longer than the damper, and what fired is out of it when the damper ends": {
			"4s", "6s", 6 * time.Second, 5 * time.Second, 2, 7},
		"the window is longer than the damper, so that it is repeated once": {"4s", "6s", 6 * time.Second, 0, 3, 0},
		"there is no damper": {v1alpha1.DamperNone, "3s", 3 * time.Second, 0, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
			c := damped(condition(ns, "burst", "SingleRiskEvent", "mail"), 10, tc.window, tc.period)
			c.Spec.NotifyWhenCleared = true
			ready(t, mailChannel(ns, "mail", server.Port()), c)

			first, last := burst(ns, "a", 10), burst(ns, "b", 7)
			k8s.Create(t, at(first, time.Now().Add(-tc.ago)))
			awaitTime(t, first.CreationTimestamp.Add(time.Second)) // so that it matters which is the last
			k8s.Create(t, last)
			log := inOrder(awaitNotifications(t, ns, tc.number, v1alpha1.ReasonDelivered))
			fired, cleared := log[tc.number-2].Spec.Trigger, log[tc.number-1].Spec.Trigger
			window, _ := tc.window.Duration()
			want := latest(fired.Time.Add(tc.lasts), last.CreationTimestamp.Add(window))
			if cleared.Reason != v1alpha1.TriggerCleared || !cleared.Time.Time.Equal(want) || cleared.Held != tc.held {
				t.Errorf("the last is %s at %s with %d held, want %s at %s with %d",
					cleared.Reason, cleared.Time, cleared.Held, v1alpha1.TriggerCleared, want, tc.held)
			}
			if cleared.LastFiredTime == nil || !cleared.LastFiredTime.Equal(&fired.Time) || cleared.Sequence != int64(tc.number) {
				t.Errorf("it says number %d, fired at %s, want %d and %s",
					cleared.Sequence, cleared.LastFiredTime, tc.number, fired.Time)
			}
			if got := log[tc.number-1].CreationTimestamp.Time; got.Before(want) {
				t.Errorf("it was written at %s, before %s", got, want)
			}
			mail := awaitMails(t, server, tc.number)[tc.number-1]
			contains(t, headerOf(t, mail, "Subject"), "Cleared: [Info] Malicious object detected on b")
			if tc.held > 0 {
				contains(t, string(mail.Data), "7 further occurrences were held since the last notification.")
			}
			k8s.Until(t, c, func() error { return clearedAt(c, "", cleared.Time.Time) })

			again := burst(ns, "a", 10)
			k8s.Create(t, again)
			next := inOrder(awaitNotifications(t, ns, tc.number+1, v1alpha1.ReasonDelivered))[tc.number].Spec.Trigger
			if next.Reason != v1alpha1.TriggerThresholdReached || !next.Time.Equal(&again.CreationTimestamp) || next.Held != 0 {
				t.Errorf("what happened then is told as %s at %s with %d held, want at once, with none", next.Reason, next.Time, next.Held)
			}
			awaitCondition(t, c, v1alpha1.ReasonReady)
		})
	}
}

// clearedAt says what is wrong with the damper that is to have cleared then.
func clearedAt(c *v1alpha1.NotificationCondition, key string, when time.Time) error {
	i := slices.IndexFunc(c.Status.Dampers, func(d v1alpha1.DamperStatus) bool { return d.Key == key })
	if i < 0 {
		return fmt.Errorf("there is no damper %q", key)
	}
	if d := c.Status.Dampers[i]; d.ClearedTime == nil || !d.ClearedTime.Time.Equal(when) || d.Until != nil {
		return fmt.Errorf("the damper %q cleared at %s and runs until %s, want %s and not to run", key, d.ClearedTime, d.Until, when)
	}
	return nil
}

func TestEachDamperClearsByItself(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	c := damped(condition(ns, "each", "SingleRiskEvent"), 1, "1s", "3s")
	c.Spec.Damper.Per, c.Spec.NotifyWhenCleared = v1alpha1.DamperPerComputer, true
	ready(t, c)
	k8s.Create(t, detection(ns, "A", "Worm"), detection(ns, "b", "Worm"))
	fired := map[string]time.Time{}
	for _, n := range inOrder(awaitNotifications(t, ns, 4, v1alpha1.ReasonLogged)) {
		switch got := n.Spec.Trigger; {
		case got.Reason == v1alpha1.TriggerThresholdReached:
			fired[got.Key] = got.Time.Time
		case got.Reason != v1alpha1.TriggerCleared, !got.Time.Time.Equal(fired[got.Key].Add(3 * time.Second)):
			t.Errorf("%s is told of %q at %s, which fired at %s", got.Reason, got.Key, got.Time, fired[got.Key])
		}
	}
	for key, when := range fired {
		k8s.Until(t, c, func() error { return clearedAt(c, key, when.Add(3*time.Second)) })
	}
	if len(fired) != 2 {
		t.Errorf("fired for %v, want a and b", fired)
	}
	awaitCondition(t, c, v1alpha1.ReasonReady)
}

func TestConditionThatNeedNotSaySoClearsSilently(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	c := damped(condition(ns, "silent", "SingleRiskEvent"), 1, "1s", "4s")
	ready(t, c)
	k8s.Create(t, detection(ns, "a", "Worm"), burst(ns, "b", 7))
	fired := awaitNotifications(t, ns, 1, v1alpha1.ReasonLogged)[0].Spec.Trigger.Time
	k8s.Until(t, c, func() error { return clearedAt(c, "", fired.Add(4*time.Second)) })
	k8s.Create(t, detection(ns, "c", "Worm"))
	second := inOrder(awaitNotifications(t, ns, 2, v1alpha1.ReasonLogged))[1].Spec.Trigger
	if second.Reason != v1alpha1.TriggerThresholdReached || second.Held != 7 {
		t.Errorf("the next is %s with %d held, want %s with the 7 that nobody was told of",
			second.Reason, second.Held, v1alpha1.TriggerThresholdReached)
	}
	awaitCondition(t, c, v1alpha1.ReasonReady)
}

func TestRestartBetweenFiringAndClearing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ back func(*testing.T, time.Time) }{
		"the manager is back before it clears": {func(*testing.T, time.Time) {}},
		"it clears while there is no manager":  {func(t *testing.T, clears time.Time) { awaitTime(t, clears.Add(2*time.Second)) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.enter(t, controllers.Options{})
			c := damped(condition(h.namespace, "burst", "SingleRiskEvent"), 1, "1s", "8s")
			c.Spec.NotifyWhenCleared = true
			h.follow(t, c)
			h.Create(t, detection(h.namespace, "a", "Worm"))
			fired := h.log(t, 1)[0].Spec.Trigger
			h.leave()
			h.Create(t, burst(h.namespace, "b", 7))
			tc.back(t, fired.Time.Add(8*time.Second))
			h.enter(t, controllers.Options{})

			cleared := h.log(t, 2)[1].Spec.Trigger
			want := fired.Time.Add(8 * time.Second)
			if cleared.Reason != v1alpha1.TriggerCleared || !cleared.Time.Time.Equal(want) || cleared.Held != 7 {
				t.Errorf("the second is %s at %s with %d held, want %s at %s with 7",
					cleared.Reason, cleared.Time, cleared.Held, v1alpha1.TriggerCleared, want)
			}
			h.enter(t, controllers.Options{})
			h.Create(t, detection(h.namespace, "c", "Worm"))
			if third := h.log(t, 3)[2].Spec.Trigger; third.Reason != v1alpha1.TriggerThresholdReached || third.Held != 0 || third.Sequence != 3 {
				t.Errorf("the third is number %d, %s with %d held, want what happened after the second restart",
					third.Sequence, third.Reason, third.Held)
			}
			awaitConditionIn(t, h.Cluster, c, v1alpha1.ReasonReady)
		})
	}
}

// discovered checks that the log tells of these risks, once each.
func (h *house) discovered(t *testing.T, risks ...string) {
	t.Helper()
	var told []string
	for _, n := range h.log(t, len(risks)) {
		told = append(told, n.Spec.Trigger.Risks...)
	}
	if !slices.Equal(told, risks) {
		t.Errorf("told of %v, want %v", told, risks)
	}
}

func TestNewRiskIsToldOnce(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	ns := h.namespace
	old := detection(ns, "a", "Old")
	nameless := func() *v1alpha1.SecurityEvent {
		e := detection(ns, "a", "")
		e.Spec.Risk = nil
		return e
	}
	h.Create(t, nameless(), old)
	awaitTime(t, old.CreationTimestamp.Add(time.Second)) // times of creation are whole seconds
	h.enter(t, controllers.Options{})
	c := condition(ns, "new", "NewRiskDetected")
	h.follow(t, c)
	knows := func(risks ...string) {
		t.Helper()
		h.Until(t, c, func() error {
			if !slices.Equal(c.Status.KnownRisks, risks) {
				return fmt.Errorf("knows %v, want %v", c.Status.KnownRisks, risks)
			}
			return nil
		})
		awaitConditionIn(t, h.Cluster, c, v1alpha1.ReasonReady)
	}

	// In whatever case; and what was there before the condition is not new. Each time the last risk shows that the others
	// were looked at.
	h.Create(t, detection(ns, "a", "Worm"), detection(ns, "b", "WORM"), detection(ns, "b", "old"), nameless(), detection(ns, "a", "Trojan"))
	h.discovered(t, "Worm", "Trojan")
	knows("old", "worm", "trojan")

	// Not again after a restart.
	h.enter(t, controllers.Options{})
	h.Create(t, detection(ns, "c", "worm"), detection(ns, "c", "OLD"), detection(ns, "c", "Virus"))
	h.discovered(t, "Worm", "Trojan", "Virus")
	knows("old", "worm", "trojan", "virus")

	// Not again after the condition was changed.
	h.Change(t, c, func() {
		c.Spec.Filter = &v1alpha1.EventFilter{Severities: []v1alpha1.Severity{v1alpha1.SeverityCritical}}
	})
	awaitConditionIn(t, h.Cluster, c, v1alpha1.ReasonReady)
	h.Create(t, detection(ns, "d", "Worm"), detection(ns, "d", "Old"), detection(ns, "d", "Adware"))
	h.discovered(t, "Worm", "Trojan", "Virus", "Adware")
	knows("old", "worm", "trojan", "virus", "adware")

	// Not again after what tells of it was deleted, be it before a restart.
	deleteAll(t, h.Cluster, &v1alpha1.Notification{}, ns)
	h.Create(t, detection(ns, "e", "Worm"), detection(ns, "e", "Rootkit"))
	h.discovered(t, "Rootkit")
	knows("old", "worm", "trojan", "virus", "adware", "rootkit")
	h.leave()
	deleteAll(t, h.Cluster, &v1alpha1.Notification{}, ns)
	deleteAll(t, h.Cluster, &v1alpha1.SecurityEvent{}, ns)
	h.enter(t, controllers.Options{})
	h.Create(t, detection(ns, "f", "Worm"), detection(ns, "f", "Old"), detection(ns, "f", "Rootkit"), detection(ns, "f", "Spyware"))
	h.discovered(t, "Spyware")
	knows("old", "worm", "trojan", "virus", "adware", "rootkit", "spyware")
}

// A manager that died before it wrote the condition's status knows from the log what it told, be the event gone.
func TestNewRiskIsNotToldAgainWhenTheStatusIsLost(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.enter(t, controllers.Options{})
	c := condition(h.namespace, "new", "NewRiskDetected")
	h.follow(t, c)
	h.Create(t, detection(h.namespace, "a", "Worm"))
	h.discovered(t, "Worm")
	h.leave()
	h.Get(t, c)
	c.Status = v1alpha1.NotificationConditionStatus{}
	if err := h.Client.Status().Update(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	deleteAll(t, h.Cluster, &v1alpha1.SecurityEvent{}, h.namespace)
	h.enter(t, controllers.Options{})
	h.Create(t, detection(h.namespace, "b", "WORM"), detection(h.namespace, "b", "Trojan"))
	h.discovered(t, "Worm", "Trojan")
	h.Until(t, c, func() error {
		if s := &c.Status; s.FiredTotal != 2 || !slices.Equal(s.KnownRisks, []string{"worm", "trojan"}) {
			return fmt.Errorf("fired %d times and knows %v, want 2, worm and trojan", s.FiredTotal, s.KnownRisks)
		}
		return nil
	})
	awaitConditionIn(t, h.Cluster, c, v1alpha1.ReasonReady)
}

func thresholdIs(c *v1alpha1.NotificationCondition, count, computers int32) error {
	want := v1alpha1.EffectiveThreshold{Count: count, Window: "1m", Scope: v1alpha1.ScopeAnyComputer, Computers: &computers}
	got := c.Status.Threshold
	if got == nil || got.Computers == nil {
		return fmt.Errorf("the threshold is %+v", got)
	}
	if got.Count != count || got.Window != want.Window || got.Scope != want.Scope || *got.Computers != computers {
		return fmt.Errorf("the threshold is %d in %s (%s) for %d computers, want %d in 1m for %d",
			got.Count, got.Window, got.Scope, *got.Computers, count, computers)
	}
	return nil
}

func TestAutoThresholdGoesByTheComputersThatWereSeen(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	// What the witness tells of was seen by the manager, and all that was created before it.
	witness := condition(ns, "witness", "SingleRiskEvent")
	witness.Spec.Filter = &v1alpha1.EventFilter{Risks: []v1alpha1.Wildcard{"Witnessed"}}
	witness.Spec.Damper = &v1alpha1.Damper{Period: v1alpha1.DamperNone}
	ready(t, witness)
	nowhere := detection(ns, "", "Worm")
	nowhere.Spec.Computer = nil
	k8s.Create(t, nowhere, detection(ns, "ws-1", "Worm"), detection(ns, "WS-1", "Worm"), detection(ns, "ws-2", "Witnessed"))
	awaitNotifications(t, ns, 1, v1alpha1.ReasonLogged)

	c := condition(ns, "auto", "SingleRiskEvent")
	c.Spec.Threshold = &v1alpha1.Threshold{Auto: true}
	ready(t, c)
	k8s.Until(t, c, func() error { return thresholdIs(c, 2, 2) })

	for i := range 98 {
		k8s.Create(t, detection(ns, fmt.Sprintf("ws-%d", 3+i), "Other"))
	}
	k8s.Create(t, detection(ns, "ws-1", "Witnessed"))
	cluster.Eventually(t, "the second witness", func(context.Context) error {
		var told int
		for _, n := range k8s.Notifications(t, ns) {
			if strings.HasPrefix(n.Name, "witness-") {
				told++
			}
		}
		if told != 2 {
			return fmt.Errorf("there are %d", told)
		}
		return nil
	})
	k8s.Change(t, c, func() { c.Spec.Damper = &v1alpha1.Damper{Period: "2h"} })
	k8s.Until(t, c, func() error { return thresholdIs(c, 5, 100) })
	awaitCondition(t, c, v1alpha1.ReasonReady)
}

func TestAutoThresholdGoesByTheManagersFlag(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for _, tc := range []struct{ computers, count int32 }{{1, 2}, {99, 2}, {100, 5}, {1000, 5}, {1001, 10}} {
		h.enter(t, controllers.Options{Computers: tc.computers})
		c := condition(h.namespace, fmt.Sprintf("auto-%d", tc.computers), "SingleRiskEvent")
		c.Spec.Threshold = &v1alpha1.Threshold{Auto: true}
		h.follow(t, c)
		h.Until(t, c, func() error { return thresholdIs(c, tc.count, tc.computers) })
	}
}

// What happened while no manager was running is decided about as the last one would have, and then the choice is made anew.
func TestAutoThresholdIsKeptOverARestart(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.enter(t, controllers.Options{Computers: 100})
	c := condition(h.namespace, "auto", "SingleRiskEvent")
	c.Spec.Threshold = &v1alpha1.Threshold{Auto: true}
	h.follow(t, c)
	h.Until(t, c, func() error { return thresholdIs(c, 5, 100) })
	h.Create(t, burst(h.namespace, "a", 3))
	h.leave()
	h.Create(t, burst(h.namespace, "b", 2))
	h.enter(t, controllers.Options{Computers: 1001})

	n := h.log(t, 1)[0]
	if got := n.Spec.Condition.Threshold; got.Count != 5 || got.Computers == nil || *got.Computers != 100 || n.Spec.Trigger.Occurrences != 5 {
		t.Errorf("%d occurrences fired with the threshold %+v, want 5 with that of 100 computers", n.Spec.Trigger.Occurrences, got)
	}
	h.Change(t, c, func() { c.Spec.Damper = &v1alpha1.Damper{Period: "2h"} })
	h.Until(t, c, func() error { return thresholdIs(c, 10, 1001) })
	awaitConditionIn(t, h.Cluster, c, v1alpha1.ReasonReady)
}

// SPDX-License-Identifier: Apache-2.0

package controllers_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
)

// acknowledged sets an acknowledgement and waits until the status tells of it.
func acknowledged(t *testing.T, n *v1alpha1.Notification, a v1alpha1.Acknowledgement) {
	t.Helper()
	k8s.Change(t, n, func() { n.Spec.Acknowledgement = &a })
	k8s.Until(t, n, func() error {
		if !n.Status.Acknowledged || n.Status.ObservedGeneration != n.Generation {
			return errors.New("the status does not tell of it")
		}
		return nil
	})
}

// hush acknowledges with the wish for quiet, and waits until it is granted.
func hush(t *testing.T, c *v1alpha1.NotificationCondition, n *v1alpha1.Notification) v1alpha1.Acknowledgement {
	t.Helper()
	wish := v1alpha1.Acknowledgement{Comment: "on it", By: "carol", QuietUntilCleared: true}
	acknowledged(t, n, wish)
	k8s.Until(t, c, func() error {
		if d := c.Status.Dampers; len(d) != 1 || d[0].Quiet == nil || !d[0].Quiet.Since.Equal(n.Status.AcknowledgedTime) {
			return fmt.Errorf("it is not quiet: %+v", d)
		}
		return nil
	})
	return wish
}

func TestTheStatusTellsWhoAcknowledgedAndWhen(t *testing.T) {
	t.Parallel()
	yesterday := metav1.NewTime(time.Now().Add(-24 * time.Hour).Truncate(time.Second))
	for name, tc := range map[string]struct {
		a    v1alpha1.Acknowledgement
		want string
	}{
		"the API server wrote both":    {v1alpha1.Acknowledgement{Comment: "seen", By: "carol", Time: &yesterday}, "by carol at "},
		"it did not write when":        {v1alpha1.Acknowledgement{Comment: "seen", By: "carol"}, "by carol at "},
		"there are no policies at all": {v1alpha1.Acknowledgement{Comment: "seen"}, "by somebody for whom nobody vouches at "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ns := k8s.Namespace(t)
			ready(t, condition(ns, "risks", "SingleRiskEvent"))
			k8s.Create(t, detection(ns, "ws", "Worm"))
			n := awaitNotifications(t, ns, 1, v1alpha1.ReasonLogged)[0]
			if n.Status.Acknowledged || n.Status.AcknowledgedTime != nil {
				t.Errorf("it was acknowledged before: %+v", n.Status)
			}
			acknowledged(t, &n, tc.a)
			at := n.Status.AcknowledgedTime
			switch {
			case tc.a.Time != nil && !at.Equal(tc.a.Time):
				t.Errorf("it says at %s, the API server at %s", at, tc.a.Time)
			case tc.a.Time == nil && (at.Time.Before(n.CreationTimestamp.Time) || time.Since(at.Time) > cluster.Patience):
				t.Errorf("it was first seen at %s", at)
			}
			message := status.Message(n.Status.Conditions, v1alpha1.AcknowledgedCondition)
			if want := tc.want + at.UTC().Format(time.RFC3339); message != want {
				t.Errorf("it says %q, want %q", message, want)
			}
			if got := status.Reason(n.Status.Conditions, v1alpha1.AcknowledgedCondition); got != v1alpha1.ReasonAcknowledged {
				t.Errorf("the reason is %q", got)
			}
		})
	}
}

// What is under way is acknowledged like everything else, and goes on.
func TestWhatWaitsForItsChannelIsAcknowledged(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	c := condition(ns, "risks", "SingleRiskEvent", "missing")
	k8s.Create(t, c)
	awaitCondition(t, c, v1alpha1.ReasonChannelNotFound)
	k8s.Create(t, detection(ns, "ws", "Worm"))
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonPending)[0]
	acknowledged(t, &n, v1alpha1.Acknowledgement{Comment: "seen", By: "carol"})
	if got := status.Reason(n.Status.Conditions, v1alpha1.SucceededCondition); got != v1alpha1.ReasonPending {
		t.Errorf("it is %s", got)
	}
}

func TestQuietUntilItHasCleared(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	c := damped(condition(ns, "risks", "SingleRiskEvent"), 1, "15s", v1alpha1.DamperNone)
	ready(t, c)
	k8s.Create(t, detection(ns, "ws", "Worm"))
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonLogged)[0]
	hush(t, c, &n)
	k8s.Create(t, detection(ns, "ws", "Worm"))
	k8s.Until(t, c, func() error {
		if c.Status.MatchedTotal != 2 {
			return fmt.Errorf("%d matched", c.Status.MatchedTotal)
		}
		return nil
	})
	k8s.Until(t, c, func() error {
		if d := c.Status.Dampers[0]; d.ClearedTime == nil || d.Quiet != nil {
			return fmt.Errorf("it has not cleared: %+v", d)
		}
		return nil
	})
	if c.Status.HeldTotal != 1 || len(k8s.Notifications(t, ns)) != 1 {
		t.Errorf("%d held, %d notifications", c.Status.HeldTotal, len(k8s.Notifications(t, ns)))
	}
	k8s.Create(t, detection(ns, "ws", "Worm"))
	for _, n := range awaitNotifications(t, ns, 2, v1alpha1.ReasonLogged) {
		if n.Spec.Trigger.Sequence == 2 && n.Spec.Trigger.Held != 1 {
			t.Errorf("it says %d held", n.Spec.Trigger.Held)
		}
	}
}

// TestQuietIsTakenBack: what was held is told with the next.
func TestQuietIsTakenBack(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	c := damped(condition(ns, "risks", "SingleRiskEvent"), 1, "10m", v1alpha1.DamperNone)
	ready(t, c)
	k8s.Create(t, detection(ns, "ws", "Worm"))
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonLogged)[0]
	wish := hush(t, c, &n)
	k8s.Create(t, detection(ns, "ws", "Worm"))
	k8s.Until(t, c, func() error {
		if c.Status.HeldTotal != 1 {
			return fmt.Errorf("%d held", c.Status.HeldTotal)
		}
		return nil
	})
	wish.QuietUntilCleared = false
	acknowledged(t, &n, wish)
	k8s.Until(t, c, func() error {
		if d := c.Status.Dampers; len(d) != 1 || d[0].Quiet != nil {
			return fmt.Errorf("it is quiet: %+v", d)
		}
		return nil
	})
	k8s.Create(t, detection(ns, "ws", "Worm"))
	for _, n := range awaitNotifications(t, ns, 2, v1alpha1.ReasonLogged) {
		if n.Spec.Trigger.Sequence == 2 && n.Spec.Trigger.Held != 1 {
			t.Errorf("it says %d held", n.Spec.Trigger.Held)
		}
	}
	k8s.Get(t, &n)
	n.Spec.Acknowledgement.QuietUntilCleared = true
	if err := k8s.Client.Update(t.Context(), &n); err == nil || !strings.Contains(err.Error(), "acknowledge the next notification") {
		t.Errorf("asking again ended with %v", err)
	}
}

func TestQuietGoesWithItsNotification(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	c := damped(condition(ns, "risks", "SingleRiskEvent"), 1, "10m", v1alpha1.DamperNone)
	ready(t, c)
	k8s.Create(t, detection(ns, "ws", "Worm"))
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonLogged)[0]
	hush(t, c, &n)
	if err := k8s.Client.Delete(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	k8s.Until(t, c, func() error {
		if d := c.Status.Dampers; len(d) != 1 || d[0].Quiet != nil {
			return fmt.Errorf("it is quiet: %+v", d)
		}
		return nil
	})
	k8s.Create(t, detection(ns, "ws", "Worm"))
	if again := awaitNotifications(t, ns, 1, v1alpha1.ReasonLogged)[0]; again.Spec.Trigger.Sequence != 2 {
		t.Errorf("told is number %d", again.Spec.Trigger.Sequence)
	}
}

func TestQuietIsRefusedWhereItMeansNothing(t *testing.T) {
	t.Parallel()
	ns := k8s.Namespace(t)
	ready(t, condition(ns, "new", "NewRiskDetected"))
	k8s.Create(t, detection(ns, "ws", "Worm"))
	n := awaitNotifications(t, ns, 1, v1alpha1.ReasonLogged)[0]
	n.Spec.Acknowledgement = &v1alpha1.Acknowledgement{Comment: "seen", QuietUntilCleared: true}
	if err := k8s.Client.Update(t.Context(), &n); err == nil || !strings.Contains(err.Error(), "that can fire again") {
		t.Errorf("it ended with %v", err)
	}
}

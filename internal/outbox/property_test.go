// SPDX-License-Identifier: Apache-2.0

package outbox_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/outbox"
)

// TestALifeOfADelivery: whatever servers answer, whatever becomes of the channel, and however often the manager is killed
// during an attempt, a delivery comes to an end in time; once it did nothing changes any more; and whoever was accepted or
// refused is never asked again.
func TestALifeOfADelivery(t *testing.T) {
	t.Parallel()
	ends := map[v1alpha1.DeliveryState]int{}
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 3))
		all := []string{"a@example.com", "b@example.com", "c@example.com"}[:1+r.IntN(3)]
		l := &life{
			t: t, r: r, seed: seed, all: all, asked: all, now: t0,
			d: v1alpha1.DeliveryStatus{Channel: "soc-mail", State: v1alpha1.DeliveryPending},
		}
		for !outbox.Final(l.d.State) {
			l.step()
		}
		ends[l.d.State]++
		l.rest()
	}
	if len(ends) != 3 {
		t.Errorf("the stories are too dull to prove anything: they end as %v", ends)
	}
}

// life is that of one delivery.
type life struct {
	t     *testing.T
	r     *rand.Rand
	seed  uint64
	d     v1alpha1.DeliveryStatus
	now   time.Time
	all   []string
	asked []string
	story []string
}

func (l *life) failIf(is bool, format string, args ...any) {
	l.t.Helper()
	if is {
		l.t.Fatalf("seed %d: %s\n%s", l.seed, fmt.Sprintf(format, args...), strings.Join(l.story, "\n"))
	}
}

// step is one decision, and what comes of it.
func (l *life) step() {
	channel := someChannel(l.r)
	decision := outbox.Next(l.d, channel, false, t0, l.now)
	l.story = append(l.story, fmt.Sprintf("%s %s: %s", l.now.Sub(t0).Round(time.Second), describe(l.d), decision.Verb))
	switch decision.Verb {
	case outbox.Send:
		l.send(channel)
	case outbox.Hold:
		l.d = outbox.Held(l.d, decision)
	case outbox.Expire:
		l.d = outbox.Expired(l.d, decision, l.now)
	case outbox.Wait:
		l.failIf(!decision.At.After(l.now), "it waits until %s, which is past", decision.At)
		l.now = decision.At
	case outbox.Done:
		l.failIf(true, "done in state %s", l.d.State)
	}
	kept := len(l.d.Attempts)
	l.failIf(kept > 10 || kept > 0 && l.d.Attempts[kept-1].Number != l.d.AttemptCount,
		"%d attempts are kept, %d were made", kept, l.d.AttemptCount)
	l.now = l.now.Add(time.Duration(l.r.Int64N(int64(time.Hour))))
	l.failIf(l.now.Sub(t0) > 27*time.Hour, "it goes on for ever")
}

func (l *life) send(channel *v1alpha1.NotificationChannel) {
	l.d = outbox.Begin(l.d, l.all, "id", channel.Status.Revision, l.now)
	still := outbox.Pending(l.d)
	more := slices.ContainsFunc(still, func(a string) bool { return !slices.Contains(l.asked, a) })
	l.failIf(len(still) == 0 || more, "%q are asked, %q were left", still, l.asked)
	l.asked = still
	if killed := l.r.IntN(5) == 0; !killed {
		l.d = outbox.Finish(l.d, someResult(l.r, still), channel.Spec.Retry, l.r.Float64(), l.now)
	}
}

// rest is what comes after the end: nothing.
func (l *life) rest() {
	l.failIf(l.d.FinishedTime == nil || l.d.NextAttemptTime != nil,
		"final, but finished at %v and tried again at %v", l.d.FinishedTime, l.d.NextAttemptTime)
	for range 10 {
		decision := outbox.Next(l.d, someChannel(l.r), false, t0, l.now)
		l.failIf(decision != outbox.Decision{Verb: outbox.Done}, "final, but %+v", decision)
		l.now = l.now.Add(time.Hour)
	}
}

func someChannel(r *rand.Rand) *v1alpha1.NotificationChannel {
	switch r.IntN(8) {
	case 0:
		return nil
	case 1:
		return but(func(c *v1alpha1.NotificationChannel) { c.Spec.Suspend = true })
	case 2:
		return but(func(c *v1alpha1.NotificationChannel) { c.Generation++ })
	case 3:
		return but(func(c *v1alpha1.NotificationChannel) { c.Status.Revision = fmt.Sprint(r.IntN(3)) })
	}
	return ready()
}

func someResult(r *rand.Rand, asked []string) notify.Result {
	reasons := notify.Reasons()
	reason := reasons[r.IntN(len(reasons))]
	result := notify.Result{Reason: reason, Temporary: reason.Temporary() || r.IntN(2) == 0, Message: "so it ended"}
	for _, address := range asked {
		if r.IntN(3) > 0 {
			state := []notify.RecipientState{notify.Accepted, notify.Refused, notify.Deferred}[r.IntN(3)]
			result.Recipients = append(result.Recipients, notify.Recipient{Address: address, State: state})
		}
	}
	return result
}

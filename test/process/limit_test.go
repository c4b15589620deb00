// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/testkit/cluster"
	"github.com/tocsin-dev/tocsin/internal/testkit/fakesmtp"
)

// Whenever it is killed: no more goes out than the limit lets through, and what it holds back is counted exactly, with an entry
// in the log and without.
func TestLimitCountsOnAfterKills(t *testing.T) {
	const through, of = 3, 240
	ns, server := k8s.Namespace(t), fakesmtp.Start(t, fakesmtp.Options{})
	mail := channel(ns, server.Port())
	mail.Spec.Limit = &v1alpha1.Limit{Count: through, Interval: "1h"}
	c := condition(ns, "SingleRiskEvent")
	one := int32(1)
	c.Spec.Threshold = &v1alpha1.Threshold{Count: &one, Window: "1m"}
	c.Spec.Damper = &v1alpha1.Damper{Period: v1alpha1.DamperNone}
	k8s.Create(t, mail, c)
	random := rand.New(rand.NewPCG(rand.Uint64(), 0))
	var writer sync.WaitGroup
	written := make(chan struct{})
	writer.Go(func() {
		defer close(written)
		for n := range of {
			k8s.Create(t, detection(ns, fmt.Sprintf("ws-%d", n)))
			time.Sleep(time.Duration(n%3) * 30 * time.Millisecond)
		}
	})
	defer writer.Wait()
	for done := false; !done; {
		p := start(t)
		select {
		case <-written:
			done = true
		case <-time.After(time.Duration(500+random.IntN(2500)) * time.Millisecond):
		}
		p.kill()
	}
	start(t)
	k8s.Until(t, c, func() error {
		if s := c.Status.Suppressed; c.Status.FiredTotal != of || len(s) != 1 || s[0].Count != of-through {
			return fmt.Errorf("%d fired, suppressed are %+v", c.Status.FiredTotal, s)
		}
		return nil
	})
	sum := c.Status.Suppressed[0]
	cluster.Eventually(t, "the log", func(context.Context) error {
		var entries, places int64
		numbers := map[int32]bool{}
		for _, n := range k8s.Notifications(t, ns) {
			place, d := n.Spec.Deliveries[0].Limit, n.Status.Deliveries
			if place.Number == 0 {
				entries++
				if n.Name == sum.Notification && (len(d) == 0 || d[0].Suppressed == nil || d[0].Suppressed.Count != sum.Count) {
					return fmt.Errorf("the entry speaks for %+v", d)
				}
				continue
			}
			places++
			numbers[place.Number] = true
		}
		if entries != sum.Entries || places != through || len(numbers) != through {
			return fmt.Errorf("%d entries are suppressed, the status tells of %d; %d took the places %v", entries, sum.Entries, places, numbers)
		}
		return nil
	})
	awaitMails(t, server, through)
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
	"github.com/tocsin-dev/tocsin/internal/status"
)

// latencyCase is what of a steady stream of events is told.
type latencyCase struct {
	name   string
	damper v1alpha1.Damper
	// every is of how many events one fires.
	every int
}

var latencyCases = []latencyCase{
	{"typical: one of 10 fires", v1alpha1.Damper{Period: v1alpha1.DamperAuto, Per: v1alpha1.DamperPerComputer}, 10},
	{"worst: each fires", v1alpha1.Damper{Period: v1alpha1.DamperNone}, 1},
}

// timed is what the rounds of one case have taken.
type timed struct {
	// Seconds: of each round the quantile, by its share.
	created, noticed, mailed map[float64]sample
	// cpu is the manager's, in seconds for 1,000 events; total and kinds are what it wrote for each notification.
	cpu, total sample
	kinds      string
}

var shares = []float64{0.5, 0.99}

// latency measures how long after its creation an event is told.
func (b *bench) latency(ctx context.Context) (table, error) {
	c, err := b.connect(ctx)
	if err != nil {
		return table{}, err
	}
	t := table{
		title: fmt.Sprintf("From event to mail, at %d events a second", b.size.rate),
		about: fmt.Sprintf("From the moment before a reporter asks the API server to create the event, by the clock of this program, "+
			"which also watches the notifications and is the mail server. %d rounds of %s; quantiles of each round. Typical is an "+
			"outbreak that always reaches new computers, each of which is told once; the worst is a condition without a damper.",
			b.size.rounds, b.size.steady),
		head: []string{""},
	}
	var results []timed
	for _, l := range latencyCases {
		result, err := b.latencyOf(ctx, l)
		if err != nil {
			return table{}, err
		}
		t.head, results = append(t.head, l.name), append(results, result)
	}
	row := func(name string, text func(timed) string) {
		cells := []string{name}
		for _, r := range results {
			cells = append(cells, text(r))
		}
		t.add(cells...)
	}
	for _, what := range []struct {
		name string
		of   func(timed) map[float64]sample
	}{
		{"create to the API server's answer", func(r timed) map[float64]sample { return r.created }},
		{"create to Notification", func(r timed) map[float64]sample { return r.noticed }},
		{"create to the mail server's acceptance", func(r timed) map[float64]sample { return r.mailed }},
	} {
		for _, share := range shares {
			row(fmt.Sprintf("%s, p%.0f", what.name, 100*share), func(r timed) string { return what.of(r)[share].text(milliseconds) })
		}
	}
	row("the manager's processor time, for 1,000 events", func(r timed) string { return r.cpu.text(milliseconds) })
	row("writes, for each notification", func(r timed) string { return r.total.text(twoDigits) })
	row("… of which, in the last round", func(r timed) string { return r.kinds })
	return t, c.clear(ctx)
}

func (b *bench) latencyOf(ctx context.Context, l latencyCase) (timed, error) {
	result := timed{created: map[float64]sample{}, noticed: map[float64]sample{}, mailed: map[float64]sample{}}
	if err := b.cluster.conditions(ctx, telling("finding", &l.damper)); err != nil {
		return timed{}, err
	}
	if err := b.startWarm(ctx, warming); err != nil {
		return timed{}, err
	}
	defer b.endManager()
	for n := range b.size.rounds {
		b.note("latency: %s, round %d of %d", l.name, n+1, b.size.rounds)
		before, err := b.used(ctx)
		if err != nil {
			return timed{}, err
		}
		s, err := b.stream(ctx, l, fmt.Sprintf("WS-%d-%d-", l.every, n))
		if err != nil {
			return timed{}, err
		}
		after, err := b.used(ctx)
		if err != nil {
			return timed{}, err
		}
		for _, share := range shares {
			result.created[share] = append(result.created[share], s.since(s.answered).quantile(share))
			result.noticed[share] = append(result.noticed[share], s.since(s.noticed).quantile(share))
			result.mailed[share] = append(result.mailed[share], s.since(s.mailed).quantile(share))
		}
		cost, told := after.since(before), float64(len(s.asked))
		result.cpu = append(result.cpu, cost.manager/(told*float64(l.every))*1000)
		result.total = append(result.total, cost.writes.total()/told)
		result.kinds = cost.writes.per(told)
	}
	return result, b.cluster.clearEvents(ctx)
}

// stream is one round: what happened when, by computer.
type stream struct {
	mu                                         sync.Mutex
	asked, answered, noticed, mailed, recorded map[string]time.Time
}

func newStream() *stream {
	return &stream{
		asked: map[string]time.Time{}, answered: map[string]time.Time{}, noticed: map[string]time.Time{},
		mailed: map[string]time.Time{}, recorded: map[string]time.Time{},
	}
}

// note notes that something happened now, unless it did before.
func (s *stream) note(what map[string]time.Time, computer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if what[computer].IsZero() {
		what[computer] = time.Now()
	}
}

// expects says whether the computer is one that was asked about.
func (s *stream) expects(computer string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.asked[computer].IsZero()
}

// since is how long something took from asking, in seconds.
func (s *stream) since(what map[string]time.Time) sample {
	var took sample
	for computer, asked := range s.asked {
		took = append(took, what[computer].Sub(asked).Seconds())
	}
	return took
}

// stream creates events at a steady rate, whatever time the API server takes for its answers, and waits for what is to come
// of them.
func (b *bench) stream(ctx context.Context, l latencyCase, prefix string) (*stream, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	reporter, err := b.cluster.newReporter()
	if err != nil {
		return nil, err
	}
	watcher, err := b.cluster.watchNotifications(ctx)
	if err != nil {
		return nil, err
	}
	s := newStream()
	var running sync.WaitGroup
	running.Go(func() { s.watch(watcher) })
	defer running.Wait()
	defer watcher.Stop()
	b.cluster.mail.take()
	ticker := time.NewTicker(time.Second / time.Duration(b.size.rate))
	defer ticker.Stop()
	var creating sync.WaitGroup
	defer creating.Wait()
	for i := range int(b.size.steady.Seconds() * float64(b.size.rate)) {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-ticker.C:
		}
		creating.Go(func() {
			if err := s.create(ctx, reporter, prefix, i, i%l.every == 0); err != nil {
				cancel(err)
			}
		})
	}
	creating.Wait()
	return s, s.await(ctx, b.cluster)
}

// create creates an event: on a computer that is new, or on one that was told of before the stream began.
func (s *stream) create(ctx context.Context, r *reporter, prefix string, n int, isNew bool) error {
	if !isNew {
		return r.report(ctx, finding(warmed(1+n%warming), found))
	}
	computer := fmt.Sprintf("%s%d", prefix, n)
	s.note(s.asked, computer)
	defer s.note(s.answered, computer)
	return r.report(ctx, finding(computer, found))
}

// watchNotifications watches what comes of notifications from now on, for as long as the context lasts.
func (c *cluster) watchNotifications(ctx context.Context) (watch.Interface, error) {
	var now v1alpha1.NotificationList
	if err := c.client.List(ctx, &now, client.InNamespace(namespace), client.Limit(1)); err != nil {
		return nil, fmt.Errorf("listing the notifications: %w", err)
	}
	watcher, err := watchtools.NewRetryWatcherWithContext(ctx, now.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return c.client.Watch(ctx, &v1alpha1.NotificationList{}, client.InNamespace(namespace), &client.ListOptions{Raw: &options})
		},
	})
	if err != nil {
		return nil, fmt.Errorf("watching the notifications: %w", err)
	}
	return watcher, nil
}

// watch notes when notifications appear, and when it is stored that they were delivered.
func (s *stream) watch(watcher watch.Interface) {
	for change := range watcher.ResultChan() {
		n, ok := change.Object.(*v1alpha1.Notification)
		if !ok || n.Spec.Trigger == nil || n.Spec.Trigger.Event == nil {
			continue
		}
		computer := n.Spec.Trigger.Event.Computer.Name
		if !s.expects(computer) {
			continue
		}
		s.note(s.noticed, computer)
		if status.IsTrue(n.Status.Conditions, v1alpha1.SucceededCondition) {
			s.note(s.recorded, computer)
		}
	}
}

// await returns once all that was asked for is told, and stored as delivered.
func (s *stream) await(ctx context.Context, c *cluster) error {
	return until(ctx, "the mails", func(context.Context) error {
		s.mu.Lock()
		defer s.mu.Unlock()
		maps.Copy(s.mailed, c.mail.take())
		maps.DeleteFunc(s.mailed, func(computer string, _ time.Time) bool { return s.asked[computer].IsZero() })
		if n := len(s.asked); len(s.noticed) < n || len(s.mailed) < n || len(s.recorded) < n {
			return errors.Join(fmt.Errorf("of %d there are %d notifications, %d mails, and %d stored deliveries",
				n, len(s.noticed), len(s.mailed), len(s.recorded)), c.manager.alive())
		}
		return nil
	})
}

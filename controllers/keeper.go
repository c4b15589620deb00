// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/tocsin-dev/tocsin/internal/notify"
	"github.com/tocsin-dev/tocsin/internal/retention"
)

const (
	// deletePace is the time between two deletes for which there is no hurry: at most 20 in a second.
	deletePace = 50 * time.Millisecond
	// shedPause is the time after shedding in which nothing that is in no hurry is deleted: in a storm it would be shed anyway.
	shedPause = 10 * time.Second
	// deleteTimeout is how long a request may take. The API server itself gives up after a minute.
	deleteTimeout = 90 * time.Second
	// deleteRetry is how long the first repetition waits where a delete was refused; it doubles up to deleteRetryMax.
	deleteRetry    = time.Second
	deleteRetryMax = 5 * time.Minute
	// expiredPause is for how long objects are deleted one by one when the API server no longer knows the position up to
	// which events were evaluated: their deletion brings a new one.
	expiredPause = time.Second
	// uselessPause is for how long objects are deleted one by one when a request for many has deleted none.
	uselessPause = time.Minute
)

// keeper applies a policy to what is kept of one kind.
type keeper struct {
	policy retention.Policy
	stock  *stock
	clock  clock.Clock
	log    logr.Logger
	// atLeast is how long each object is kept at least.
	atLeast time.Duration
	// one deletes an object.
	one func(context.Context, retention.Item) error
	// many deletes that many of a key in one request, and returns what it has deleted.
	many func(context.Context, retention.Key, int) ([]types.UID, error)
	// say tells the people of a namespace what was shed.
	say           func(context.Context, retention.Note) error
	expired, shed severityMetric[prometheus.Counter]

	tally retention.Tally
	// before is the decision before this one, and strain was how much there was then.
	before retention.Verb
	strain strain
	// due is when to decide again if nothing happens, and paced when the next delete may be made that is in no hurry.
	due, paced time.Time
	// singly is until when a request for many is of no use.
	singly time.Time
	// refusals are the namespaces in which the last delete was refused.
	refusals map[string]refusal
}

// strain says whether a limit is exceeded, whether by much, and whether there are twice as many.
type strain struct{ over, far, twice bool }

// refusal is that deletes in a namespace are refused.
type refusal struct {
	times int
	until time.Time
}

// run keeps to the policy until the context ends.
func (k *keeper) run(ctx context.Context) {
	for {
		next := earliest(k.step(ctx), k.tell(ctx, k.clock.Now()))
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = k.clock.After(next.Sub(k.clock.Now()))
		}
		select {
		case <-ctx.Done():
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
			defer cancel()
			k.account()
			k.tell(ctx, k.clock.Now().Add(time.Hour))
			return
		case <-k.stock.wake:
		case <-timer:
		}
	}
}

// step does what is due, one request at most, and returns when it is to be called again, or zero for not before something
// happens.
func (k *keeper) step(ctx context.Context) time.Time {
	k.account()
	if ctx.Err() != nil || k.stock.awaits() {
		return time.Time{}
	}
	now := k.clock.Now()
	number, bytes := k.stock.total()
	strain := strain{
		over: k.policy.Over(number, bytes), far: k.policy.FarOver(number, bytes), twice: k.policy.TwiceOver(number, bytes),
	}
	if next, idle := k.idle(strain, now); idle {
		return next
	}
	decision := k.policy.Next(k.groups(), k.before, now)
	k.before, k.strain, k.due = decision.Verb, strain, decision.At
	pause := shedPause
	if decision.Verb != retention.Shed {
		k.stock.settle()
		pause = deletePace
	}
	if decision.Verb == retention.Keep || decision.At.After(now) {
		return k.due
	}
	k.due = now
	if now.Before(k.paced) && decision.Verb != retention.Shed {
		return k.paced
	}
	k.act(ctx, decision)
	k.paced = now.Add(pause)
	return now
}

// idle says that nothing is to be decided, and when it may be. It costs the same however much is kept, as it is asked for
// each object that comes.
func (k *keeper) idle(strain strain, now time.Time) (time.Time, bool) {
	if now.Before(k.paced) && !strain.far && k.before != retention.Shed {
		return k.paced, true
	}
	recent := k.stock.soonest(k.policy.Ages)
	if k.before == retention.Keep && strain.over && !recent.IsZero() { // something can go that could not
		return now, false
	}
	due := earliest(k.due, recent)
	return due, strain == k.strain && (due.IsZero() || now.Before(due))
}

// account counts what has gone. What was shed although it had reached its age has only expired.
func (k *keeper) account() {
	now := k.clock.Now()
	for _, d := range k.stock.take() {
		if d.reason == retention.Age || k.policy.Expired(d.item, now) {
			k.expired.add(d.item.Severity, 1)
			continue
		}
		k.shed.add(d.item.Severity, 1)
		k.tally.Add(retention.Note{
			Namespace: d.item.Namespace, Severity: d.item.Severity, Number: 1, Since: now, Reason: d.reason,
		})
	}
}

// groups sums up what may be deleted, and from when on.
func (k *keeper) groups() []retention.Group {
	groups := k.stock.groups()
	namespaces := map[string]struct{}{}
	for i := range groups {
		g := &groups[i]
		namespaces[g.Namespace] = struct{}{}
		if k.atLeast > 0 {
			g.NotBefore = g.Oldest.Add(k.atLeast)
		}
		g.RefusedUntil = k.refusals[g.Namespace].until
	}
	for namespace := range k.refusals {
		if _, present := namespaces[namespace]; !present {
			delete(k.refusals, namespace)
		}
	}
	return groups
}

// act makes the request that was decided on. Where it is refused, what is to go in the namespace waits.
func (k *keeper) act(ctx context.Context, d retention.Decision) {
	ctx, cancel := context.WithTimeout(ctx, deleteTimeout)
	defer cancel()
	err := k.request(ctx, d)
	if err == nil {
		delete(k.refusals, d.Namespace)
		return
	}
	if k.refusals == nil {
		k.refusals = map[string]refusal{}
	}
	times := k.refusals[d.Namespace].times + 1
	until := k.clock.Now().Add(min(notify.Backoff(deleteRetry, times, rand.Float64()), deleteRetryMax))
	k.refusals[d.Namespace] = refusal{times, until}
	k.log.Error(err, "Not deleted; it will be tried again", "namespace", d.Namespace, "severity", d.Severity,
		"reason", d.Reason, "at", until)
}

func (k *keeper) request(ctx context.Context, d retention.Decision) error {
	if d.Number > 1 && !k.clock.Now().Before(k.singly) {
		return k.requestMany(ctx, d)
	}
	item, found := k.stock.ask(d.Key, d.Reason)
	if !found {
		return nil
	}
	err := k.one(ctx, item)
	if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) { // a conflict: another object has its name
		return nil
	}
	k.stock.refuse(item)
	return fmt.Errorf("deleting one: %w", err)
}

func (k *keeper) requestMany(ctx context.Context, d retention.Decision) error {
	k.stock.askMany(d.Key, d.Reason)
	uids, err := k.many(ctx, d.Key, d.Number)
	progress := k.stock.await(uids)
	switch {
	case apierrors.IsResourceExpired(err), apierrors.IsGone(err):
		k.singly = k.clock.Now().Add(expiredPause)
		return nil
	case err != nil:
		return fmt.Errorf("deleting many: %w", err)
	case !progress:
		k.singly = k.clock.Now().Add(uselessPause)
	}
	k.log.Info("Shed", "namespace", d.Namespace, "severity", d.Severity, "reason", d.Reason, "number", len(uids))
	return nil
}

// tell tells what was shed and may be told by now, and returns when the next may be.
func (k *keeper) tell(ctx context.Context, now time.Time) time.Time {
	for _, note := range k.tally.Due(now) {
		if err := k.say(ctx, note); err != nil {
			k.tally.Add(note)
			k.log.Error(err, "Not told what was shed; it will be tried again", "namespace", note.Namespace)
		}
	}
	return k.tally.Next()
}

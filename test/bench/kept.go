// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// marked is the type of the event that is created last before a start. Nothing holds it.
const marked v1alpha1.EventType = "Marked"

// starts is what some starts have taken: seconds, and bytes.
type starts struct{ took, memory, most sample }

// kept measures what events that are kept cost: memory, and time at a start.
func (b *bench) kept(ctx context.Context) (table, error) {
	c, err := b.connect(ctx)
	if err != nil {
		return table{}, err
	}
	if err := b.holdAll(ctx); err != nil {
		return table{}, err
	}
	if err := c.create(ctx, &v1alpha1.NotificationCondition{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "marked"},
		Spec: v1alpha1.NotificationConditionSpec{
			Type: "Custom", Filter: &v1alpha1.EventFilter{EventTypes: []v1alpha1.Wildcard{v1alpha1.Wildcard(marked)}},
			Damper: &v1alpha1.Damper{Period: v1alpha1.DamperNone},
		},
	}); err != nil {
		return table{}, err
	}
	empty, err := b.starts(ctx, "none kept")
	if err != nil {
		return table{}, err
	}
	came, err := b.fill(ctx)
	if err != nil {
		return table{}, err
	}
	laden, err := b.starts(ctx, whole(float64(b.size.kept))+" kept")
	if err != nil {
		return table{}, err
	}
	return b.keptTable(empty, laden, came), nil
}

// fill creates the events while the manager runs, and returns what that takes of the memory then.
func (b *bench) fill(ctx context.Context) (float64, error) {
	b.note("kept: creating %s events", whole(float64(b.size.kept)))
	if err := b.startWarm(ctx, 0); err != nil {
		return 0, err
	}
	defer b.endManager()
	var n atomic.Int64
	events, err := b.cluster.flood(ctx, b.size.writers, func() (string, bool) {
		i := int(n.Add(1))
		return b.computer(i), i <= b.size.kept
	})
	if err != nil {
		return 0, err
	}
	if err := b.cluster.manager.evaluated(ctx, events+warming); err != nil {
		return 0, err
	}
	now, _, err := b.settled(ctx)
	return now, err
}

// settled is the manager's memory after a while without events.
func (b *bench) settled(ctx context.Context) (now, most float64, err error) {
	if err := pause(ctx, b.size.settling); err != nil {
		return 0, 0, err
	}
	now, most = b.cluster.manager.memory()
	return now, most, b.cluster.manager.alive()
}

// starts starts the manager again and again with the events that there are.
func (b *bench) starts(ctx context.Context, what string) (starts, error) {
	var s starts
	for n := range b.size.restarts {
		b.note("kept: %s, start %d of %d", what, n+1, b.size.restarts)
		took, err := b.start(ctx, fmt.Sprintf("MARKED-%d", n))
		if err != nil {
			return starts{}, err
		}
		now, most, err := b.settled(ctx)
		if err != nil {
			return starts{}, err
		}
		s.took, s.memory, s.most = append(s.took, took), append(s.memory, now), append(s.most, most)
		b.endManager()
	}
	return s, nil
}

// start measures how long after its start the manager has told of an event that was created before.
func (b *bench) start(ctx context.Context, computer string) (float64, error) {
	c := b.cluster
	reporter, err := c.newReporter()
	if err != nil {
		return 0, err
	}
	if err := reporter.report(ctx, finding(computer, marked)); err != nil {
		return 0, err
	}
	c.mail.take()
	started := time.Now()
	if err := b.startManager(); err != nil {
		return 0, err
	}
	var took float64
	return took, until(ctx, "the mail about "+computer, func(context.Context) error {
		accepted, arrived := c.mail.take()[computer]
		if !arrived {
			return errors.Join(errors.New("it has not arrived"), c.manager.alive())
		}
		took = accepted.Sub(started).Seconds()
		return nil
	})
}

func (b *bench) keptTable(empty, laden starts, came float64) table {
	t := table{
		title: "Events that are kept",
		about: fmt.Sprintf("A manager starts, with the conditions as above, and one event that nothing holds was created just "+
			"before: %d starts each. Memory is the process's (RSS), %s later.", b.size.restarts, b.size.settling),
		head: []string{"", "none kept", whole(float64(b.size.kept)) + " kept", "for 1,000", "aim"},
	}
	row := func(name string, empty, laden sample, write func(float64) string, each func(float64) string, aim string) {
		more := (laden.median() - empty.median()) / float64(b.size.kept) * 1000
		t.add(name, empty.text(write), laden.text(write), each(more), aim)
	}
	const allowed = "at most 512 MiB, as `config/manager` allows"
	row("start to mail", empty.took, laden.took, seconds, milliseconds, "–")
	row("memory after the start", empty.memory, laden.memory, mebibytes, kibibytes, allowed)
	row("… at most during the start", empty.most, laden.most, mebibytes, kibibytes, allowed)
	row("memory after they came one by one", empty.memory, sample{came}, mebibytes, kibibytes, allowed)
	return t
}

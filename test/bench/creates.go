// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// calm is how long nothing is written when a manager has started.
const calm = 500 * time.Millisecond

// warming is how many events tell that the manager is at work.
const warming = 10

// used is what was used up to a moment: the processor's time in seconds, and writes.
type used struct {
	apiServer, manager, reporters float64
	writes                        writes
}

// used is what was used up to now.
func (b *bench) used(ctx context.Context) (used, error) {
	server, err := b.cluster.apiServer(ctx)
	if err != nil {
		return used{}, err
	}
	u := used{apiServer: server.cpu(), reporters: cpuTime().Seconds(), writes: server.writes()}
	if b.cluster.manager != nil {
		read, err := b.cluster.manager.read(ctx)
		if err != nil {
			return used{}, err
		}
		u.manager = read.cpu()
	}
	return u, nil
}

func (u used) since(earlier used) used {
	return used{
		u.apiServer - earlier.apiServer, u.manager - earlier.manager, u.reporters - earlier.reporters,
		u.writes.since(earlier.writes),
	}
}

// round is one round of creates.
type round struct {
	events int
	rate   float64
	// behind is how long, in seconds, the manager went on evaluating after the last create.
	behind float64
	used   used
}

// creates measures how many events the API server takes with and without the manager, in turn: what else the machine has
// to do falls on both then.
func (b *bench) creates(ctx context.Context) (table, error) {
	c, err := b.connect(ctx)
	if err != nil {
		return table{}, err
	}
	if err := b.holdAll(ctx); err != nil {
		return table{}, err
	}
	if _, err := b.createFor(ctx, false); err != nil { // an API server that has just started is slow
		return table{}, err
	}
	var without, with []round
	for pair := range b.size.pairs {
		for turn := range 2 {
			withManager := (pair+turn)%2 == 1
			b.note("creates: pair %d of %d, manager: %t", pair+1, b.size.pairs, withManager)
			r, err := b.createFor(ctx, withManager)
			if err != nil {
				return table{}, err
			}
			if withManager {
				with = append(with, r)
			} else {
				without = append(without, r)
			}
		}
	}
	return b.createsTable(without, with), c.clear(ctx)
}

// holdAll declares the typical conditions and has them fire: from then on their dampers hold every finding.
func (b *bench) holdAll(ctx context.Context) error {
	conditions := typical()
	if err := b.cluster.conditions(ctx, conditions...); err != nil {
		return err
	}
	if err := b.startWarm(ctx, firing); err != nil {
		return err
	}
	b.endManager()
	return nil
}

// startWarm starts the manager and returns once it has evaluated the first events, so many mails about them have arrived,
// and it writes no more: what a start costs is not what events cost.
func (b *bench) startWarm(ctx context.Context, mails int) error {
	b.cluster.mail.take()
	if err := b.startManager(); err != nil {
		return err
	}
	n := 0
	if _, err := b.cluster.flood(ctx, 1, func() (string, bool) { n++; return warmed(n), n <= warming }); err != nil {
		return err
	}
	if err := b.cluster.manager.evaluated(ctx, warming); err != nil {
		return err
	}
	arrived := 0
	if err := until(ctx, "the first mails", func(context.Context) error {
		if arrived += len(b.cluster.mail.take()); arrived < mails {
			return errors.Join(fmt.Errorf("%d of %d have arrived", arrived, mails), b.cluster.manager.alive())
		}
		return nil
	}); err != nil {
		return err
	}
	var last writes
	return until(ctx, "the end of the writing", func(ctx context.Context) error {
		now, err := b.used(ctx)
		more := now.writes.since(last).total()
		if last = now.writes; err != nil || more > 0 {
			return errors.Join(fmt.Errorf("%.0f more have been made", more), err, pause(ctx, calm))
		}
		return nil
	})
}

// warmed is the nth computer on which something was found to begin with.
func warmed(n int) string { return fmt.Sprintf("WARM-%d", n) }

// createFor has reporters create events for one round.
func (b *bench) createFor(ctx context.Context, withManager bool) (round, error) {
	if withManager {
		if err := b.startWarm(ctx, 0); err != nil {
			return round{}, err
		}
		defer b.endManager()
	}
	before, err := b.used(ctx)
	if err != nil {
		return round{}, err
	}
	var n atomic.Int64
	started := time.Now()
	events, err := b.cluster.flood(ctx, b.size.writers, func() (string, bool) {
		return b.computer(int(n.Add(1))), time.Since(started) < b.size.round
	})
	if err != nil {
		return round{}, err
	}
	r := round{events: events, rate: float64(events) / time.Since(started).Seconds()}
	if withManager {
		ended := time.Now()
		if err := b.cluster.manager.evaluated(ctx, events+warming); err != nil {
			return round{}, err
		}
		r.behind = time.Since(ended).Seconds()
	}
	after, err := b.used(ctx)
	if err != nil {
		return round{}, err
	}
	r.used = after.since(before)
	return r, b.cluster.clearEvents(ctx)
}

func (b *bench) createsTable(without, with []round) table {
	t := table{
		title: "What the API server takes",
		about: fmt.Sprintf("%d reporters create findings as fast as they can, in rounds of %s, in turn without and with the "+
			"manager: %d pairs of rounds. %d conditions; each finding meets the filters of %d of them, whose dampers hold it. "+
			"etcd, API server, reporters and manager share the machine's cores.",
			b.size.writers, b.size.round, b.size.pairs, len(typical()), firing),
		head: []string{"", "without", "with", "aim"},
	}
	of := func(rounds []round, what func(round) float64) sample {
		var s sample
		for _, r := range rounds {
			s = append(s, what(r))
		}
		return s
	}
	row := func(name string, what func(round) float64, write func(float64) string) {
		t.add(name, of(without, what).text(write), of(with, what).text(write), "–")
	}
	each := func(what func(used) float64) func(round) float64 {
		return func(r round) float64 { return what(r.used) / float64(r.events) * 1000 }
	}
	var ratio sample
	for i := range with {
		ratio = append(ratio, with[i].rate/without[i].rate)
	}
	row("creates/s", func(r round) float64 { return r.rate }, whole)
	t.add("ratio of a pair", "", ratio.text(twoDigits), "at least 0.9")
	t.add("the manager is behind at the end", "", of(with, func(r round) float64 { return r.behind }).text(milliseconds), "–")
	row("processor, for 1,000 events: API server", each(func(u used) float64 { return u.apiServer }), milliseconds)
	row("… reporters", each(func(u used) float64 { return u.reporters }), milliseconds)
	t.add("… manager", "", of(with, each(func(u used) float64 { return u.manager })).text(milliseconds), "–")
	t.add("writes by the manager, for 1,000 events", "",
		of(with, each(func(u used) float64 { return u.writes.total() })).text(twoDigits), "0 where nothing fires")
	last := with[len(with)-1]
	t.add("… in the last round", "", last.used.writes.per(1), "–")
	return t
}

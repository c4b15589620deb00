// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tocsin-dev/tocsin/internal/notify"
)

const (
	// maxIdle is how long a connection waits for the next message. Servers hang up after five minutes at least (RFC 5321,
	// 4.5.3.2.7), many after less.
	maxIdle = 30 * time.Second
	// maxMessages is how many messages go over one connection. Many servers allow a hundred.
	maxMessages = 100
	// maxConnections is how many there are to one server under one key.
	maxConnections = 3
	// resetPatience is how long a server may take to answer on a connection that it may have forgotten.
	resetPatience = 5 * time.Second
)

// Pool keeps connections open for a while, for the next message to the same server under the same key, and bounds how many
// there are. It is safe for concurrent use; the zero value is ready.
type Pool struct {
	mu     sync.Mutex
	closed bool
	lanes  map[laneKey]*lane
	// closing are the connections that are being said goodbye to, on behalf of nobody who waits.
	closing sync.WaitGroup
}

// laneKey is what connections must have in common.
type laneKey struct {
	key, address, domain string
}

// lane is all connections of one kind.
type lane struct {
	// places are as many as there may be connections in use at once. Those that are not leave room for them: a connection is
	// opened only where none is idle.
	places chan struct{}
	// users are those who have a place or wait for one.
	users int
	idle  []*idleConnection
	// retired: the channel has another revision by now.
	retired bool
}

type idleConnection struct {
	*conversation
	timer *time.Timer
}

// place is the right to one connection. A nil place is the right to connections that nobody shares.
type place struct {
	pool *Pool
	key  laneKey
	lane *lane
}

// enter waits for a place.
func (p *Pool) enter(ctx context.Context, key laneKey) (*place, error) {
	if p == nil {
		return nil, nil
	}
	l := p.lane(key)
	pl := &place{pool: p, key: key, lane: l}
	select {
	case l.places <- struct{}{}:
		return pl, nil
	case <-ctx.Done():
		pl.forget()
		return nil, fmt.Errorf("waiting for one of %d connections: %w", maxConnections, context.Cause(ctx))
	}
}

func (p *Pool) lane(key laneKey) *lane {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.lanes[key]
	if l == nil {
		p.retireOthers(key.key)
		l = &lane{places: make(chan struct{}, maxConnections)}
		if p.lanes == nil {
			p.lanes = map[laneKey]*lane{}
		}
		p.lanes[key] = l
	}
	l.users++
	return l
}

// retireOthers closes the connections of other revisions of the same channel.
func (p *Pool) retireOthers(key string) {
	channel, _, _ := strings.Cut(key, "@")
	for other, l := range p.lanes {
		if name, _, _ := strings.Cut(other.key, "@"); name == channel && other.key != key {
			l.retired = true
			p.drain(other, l)
		}
	}
}

// drain closes all idle connections of a lane.
func (p *Pool) drain(key laneKey, l *lane) {
	for _, c := range l.idle {
		c.timer.Stop()
		p.closing.Go(c.close)
	}
	l.idle = nil
	p.tidy(key, l)
}

// tidy forgets a lane that nobody needs.
func (p *Pool) tidy(key laneKey, l *lane) {
	if l.users == 0 && len(l.idle) == 0 && p.lanes[key] == l {
		delete(p.lanes, key)
	}
}

// Close closes all connections that nobody uses, and keeps none from now on. It returns when they are closed.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	for key, l := range p.lanes {
		p.drain(key, l)
	}
	p.mu.Unlock()
	p.closing.Wait()
}

// take returns the connection that was used last, or nil where none is idle.
func (pl *place) take() *conversation {
	if pl == nil {
		return nil
	}
	pl.pool.mu.Lock()
	defer pl.pool.mu.Unlock()
	last := len(pl.lane.idle) - 1
	if last < 0 {
		return nil
	}
	c := pl.lane.idle[last]
	pl.lane.idle = pl.lane.idle[:last]
	c.timer.Stop()
	return c.conversation
}

// finish keeps a connection for the next message, or closes it where both sides may not agree on what comes next.
func (pl *place) finish(c *conversation, verdict notify.Result, failed *failure) {
	if failed != nil || verdict.Reason == notify.ReasonUnknown || pl == nil || c.conn.broken || c.messages >= maxMessages ||
		!c.conn.unbind() || !pl.park(c) {
		c.close()
	}
}

// park says whether the connection may stay open.
func (pl *place) park(c *conversation) bool {
	pl.pool.mu.Lock()
	defer pl.pool.mu.Unlock()
	if pl.pool.closed || pl.lane.retired {
		return false
	}
	idle := &idleConnection{conversation: c}
	idle.timer = time.AfterFunc(maxIdle, func() { pl.expire(idle) })
	pl.lane.idle = append(pl.lane.idle, idle)
	return true
}

// expire closes a connection that was idle for too long, unless it was taken in the same moment.
func (pl *place) expire(idle *idleConnection) {
	if pl.remove(idle) {
		defer pl.pool.closing.Done()
		idle.close()
	}
}

func (pl *place) remove(idle *idleConnection) bool {
	pl.pool.mu.Lock()
	defer pl.pool.mu.Unlock()
	for i, c := range pl.lane.idle {
		if c == idle {
			pl.lane.idle = append(pl.lane.idle[:i], pl.lane.idle[i+1:]...)
			pl.pool.tidy(pl.key, pl.lane)
			pl.pool.closing.Add(1)
			return true
		}
	}
	return false
}

// leave gives the place to the next who waits for one.
func (pl *place) leave() {
	if pl != nil {
		<-pl.lane.places
		pl.forget()
	}
}

func (pl *place) forget() {
	pl.pool.mu.Lock()
	defer pl.pool.mu.Unlock()
	pl.lane.users--
	pl.pool.tidy(pl.key, pl.lane)
}

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
	// maxPerServer is how many there are to one server in all, idle ones included. Servers have a bound for each client.
	maxPerServer = 10
	// resetPatience is how long a server may take to answer on a connection that it may have forgotten.
	resetPatience = 5 * time.Second
)

// Pool keeps connections open for a while, for the next message to the same server under the same key, and bounds how many
// there are. It is safe for concurrent use; the zero value is ready.
type Pool struct {
	mu       sync.Mutex
	closed   bool
	channels map[string]*channel
	lanes    map[laneKey]*lane
	sites    map[string]*site
	// made counts senders, parked connections: each has its turn.
	made, parked uint64
	// closing are the connections that are being said goodbye to, on behalf of nobody who waits.
	closing sync.WaitGroup
}

// channel is one of which there are attempts or connections.
type channel struct {
	// key is of the revision that the sender that was made last, of those that have sent, has. Others are old.
	key  string
	made uint64
	// attempts and lanes that there are.
	attempts, lanes int
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
	// idle are those that nobody uses, the oldest first. Each keeps its seat.
	idle []*idleConnection
}

type idleConnection struct {
	*conversation
	timer *time.Timer
	turn  uint64
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
		l = &lane{places: make(chan struct{}, maxConnections)}
		if p.lanes == nil {
			p.lanes = map[laneKey]*lane{}
		}
		p.lanes[key] = l
		p.channels[channelOf(key.key)].lanes++
	}
	l.users++
	return l
}

func channelOf(key string) string {
	name, _, _ := strings.Cut(key, "@")
	return name
}

// next is the turn of a sender that is being made.
func (p *Pool) next() uint64 {
	if p == nil {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made++
	return p.made
}

// begin says that an attempt of a sender begins, and returns what says that it ends. With a sender of another revision than
// before the connections of all others are closed, unless it is the older one.
func (p *Pool) begin(key string, made uint64) (end func()) {
	if p == nil {
		return func() {}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	name := channelOf(key)
	c := p.channels[name]
	if c == nil {
		c = &channel{}
		if p.channels == nil {
			p.channels = map[string]*channel{}
		}
		p.channels[name] = c
	}
	c.attempts++
	if made > c.made {
		c.key, c.made = key, made
		p.retireOthers(key)
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		c.attempts--
		p.tidyChannel(name, c)
	}
}

// retireOthers closes the connections of other revisions of the same channel.
func (p *Pool) retireOthers(key string) {
	for other, l := range p.lanes {
		if other.key != key && channelOf(other.key) == channelOf(key) {
			p.drain(other, l)
		}
	}
}

// drain closes all idle connections of a lane.
func (p *Pool) drain(key laneKey, l *lane) {
	for len(l.idle) > 0 {
		p.dismiss(key, l)
	}
	p.tidy(key, l)
}

// dismiss closes the oldest idle connection of a lane.
func (p *Pool) dismiss(key laneKey, l *lane) {
	c := l.idle[0]
	l.idle = l.idle[1:]
	c.timer.Stop()
	p.closing.Go(func() {
		c.close()
		p.stand(key.address)
	})
}

// tidy forgets a lane that nobody needs.
func (p *Pool) tidy(key laneKey, l *lane) {
	if l.users == 0 && len(l.idle) == 0 && p.lanes[key] == l {
		delete(p.lanes, key)
		name := channelOf(key.key)
		c := p.channels[name]
		c.lanes--
		p.tidyChannel(name, c)
	}
}

func (p *Pool) tidyChannel(name string, c *channel) {
	if c.attempts == 0 && c.lanes == 0 {
		delete(p.channels, name)
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
		pl.stand()
	}
}

// park says whether the connection may stay open.
func (pl *place) park(c *conversation) bool {
	p := pl.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.channels[channelOf(pl.key.key)].key != pl.key.key || p.sites[pl.key.address].waiting > 0 {
		return false
	}
	p.parked++
	idle := &idleConnection{conversation: c, turn: p.parked}
	idle.timer = time.AfterFunc(maxIdle, func() { pl.expire(idle) })
	pl.lane.idle = append(pl.lane.idle, idle)
	return true
}

// expire closes a connection that was idle for too long, unless it was taken in the same moment.
func (pl *place) expire(idle *idleConnection) {
	if pl.remove(idle) {
		defer pl.pool.closing.Done()
		idle.close()
		pl.stand()
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

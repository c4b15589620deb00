// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"context"
	"fmt"
)

// site is all connections to one server, whatever their keys.
type site struct {
	// seats are as many as there may be connections. Who has a place waits for a seat, never the other way round.
	seats chan struct{}
	// users have a seat or wait for one.
	users, waiting int
}

// sit waits for a seat, which a connection keeps until it is closed. What is idle gives way.
func (pl *place) sit(ctx context.Context) error {
	if pl == nil {
		return nil
	}
	p := pl.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.site(pl.key.address)
	s.users++
	select {
	case s.seats <- struct{}{}:
		return nil
	default:
	}
	s.waiting++
	p.makeRoom(pl.key.address)
	p.mu.Unlock()
	var err error
	select {
	case s.seats <- struct{}{}:
	case <-ctx.Done():
		err = fmt.Errorf("waiting for one of %d connections to the server: %w", maxPerServer, context.Cause(ctx))
	}
	p.mu.Lock()
	s.waiting--
	if err != nil {
		p.forgetSite(pl.key.address, s)
	}
	return err
}

func (p *Pool) site(address string) *site {
	s := p.sites[address]
	if s == nil {
		s = &site{seats: make(chan struct{}, maxPerServer)}
		if p.sites == nil {
			p.sites = map[string]*site{}
		}
		p.sites[address] = s
	}
	return s
}

// makeRoom closes the connection to a server that has been idle longest, if there is one.
func (p *Pool) makeRoom(address string) {
	var of laneKey
	var oldest *lane
	for key, l := range p.lanes {
		if key.address == address && len(l.idle) > 0 && (oldest == nil || l.idle[0].turn < oldest.idle[0].turn) {
			of, oldest = key, l
		}
	}
	if oldest != nil {
		p.dismiss(of, oldest)
		p.tidy(of, oldest)
	}
}

// stand gives up the seat of a connection that was closed, or never came about.
func (pl *place) stand() {
	if pl != nil {
		pl.pool.stand(pl.key.address)
	}
}

func (p *Pool) stand(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.sites[address]
	<-s.seats
	p.forgetSite(address, s)
}

func (p *Pool) forgetSite(address string, s *site) {
	if s.users--; s.users == 0 {
		delete(p.sites, address)
	}
}

// SPDX-License-Identifier: Apache-2.0

package main

import "time"

// size is how much is measured.
type size struct {
	// The engine: so many conditions, of which matching can match an event; batches of so many events, each of which is one
	// measurement; and how many events come to one window.
	conditions, matching, computers int
	batches, batch                  int
	few, many                       int

	// The API server's creates: pairs of rounds, without the manager and with it.
	pairs   int
	round   time.Duration
	writers int

	// The latency: rounds at so many events a second.
	rounds int
	steady time.Duration
	rate   int

	// The events kept, how often the manager is started with them, and how long it gets then to give back memory.
	kept, restarts int
	settling       time.Duration
}

var full = size{
	conditions: 1000, matching: 10, computers: 100_000, batches: 9, batch: 100_000, few: 1000, many: 100_000,
	pairs: 6, round: 8 * time.Second, writers: 8,
	rounds: 3, steady: 20 * time.Second, rate: 100,
	kept: 50_000, restarts: 5, settling: 5 * time.Second,
}

// quick is enough to see that everything works.
var quick = size{
	conditions: 20, matching: 10, computers: 100, batches: 3, batch: 1000, few: 10, many: 1000,
	pairs: 2, round: 300 * time.Millisecond, writers: 2,
	rounds: 1, steady: time.Second, rate: 20,
	kept: 100, restarts: 1, settling: 100 * time.Millisecond,
}

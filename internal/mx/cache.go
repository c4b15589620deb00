// SPDX-License-Identifier: Apache-2.0

package mx

import (
	"maps"
	"sync"
	"time"
)

// maxEntries is how many answers are kept. The servers of one channel, each with ten hosts, have less than 500.
const maxEntries = 500

// cache keeps answers as long as they last.
type cache struct {
	now func() time.Time

	mu      sync.Mutex
	entries map[question]entry
}

type entry struct {
	answer  answer
	expires time.Time
}

func (c *cache) get(q question) (answer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[q]
	return e.answer, ok && c.now().Before(e.expires)
}

// put keeps an answer that has a TTL. Where there is no room, what is old makes some, or else whatever comes first.
func (c *cache) put(q question, a answer) {
	if a.ttl <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if len(c.entries) >= maxEntries {
		maps.DeleteFunc(c.entries, func(_ question, e entry) bool { return !now.Before(e.expires) })
	}
	for old := range c.entries {
		if len(c.entries) < maxEntries {
			break
		}
		delete(c.entries, old)
	}
	c.entries[q] = entry{answer: a, expires: now.Add(a.ttl)}
}

// SPDX-License-Identifier: Apache-2.0

package mx

import (
	"strconv"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func newTestCache(now *time.Time) *cache {
	return &cache{now: func() time.Time { return *now }, entries: map[question]entry{}}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	now := start
	c := newTestCache(&now)
	for i := range 2 * maxEntries {
		c.put(question{name: strconv.Itoa(i)}, answer{ttl: time.Minute})
		if _, ok := c.get(question{name: strconv.Itoa(i)}); !ok {
			t.Fatalf("answer %d was not kept", i)
		}
	}
	if len(c.entries) != maxEntries {
		t.Errorf("%d entries, want %d", len(c.entries), maxEntries)
	}
}

func TestOldAnswersMakeRoom(t *testing.T) {
	t.Parallel()
	now := start
	c := newTestCache(&now)
	for i := range maxEntries - 1 {
		c.put(question{name: strconv.Itoa(i)}, answer{ttl: time.Minute})
	}
	c.put(question{name: "lasting"}, answer{ttl: time.Hour})
	now = now.Add(time.Minute)
	c.put(question{name: "new"}, answer{ttl: time.Minute})
	if _, ok := c.get(question{name: "lasting"}); !ok || len(c.entries) != 2 {
		t.Errorf("%d entries, want the lasting one and the new one", len(c.entries))
	}
}

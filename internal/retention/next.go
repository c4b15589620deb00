// SPDX-License-Identifier: Apache-2.0

package retention

import (
	"cmp"
	"slices"
	"time"
)

// Verb says what is to be done.
type Verb string

const (
	// Keep: there is nothing that could be deleted, now or later.
	Keep Verb = "Keep"
	// Expire: the oldest of the key is deleted as it has reached its age.
	Expire Verb = "Expire"
	// Trim: the oldest of the key is deleted as there are a few too many. There is no hurry.
	Trim Verb = "Trim"
	// Shed: a batch of the key is deleted as there are far too many.
	Shed Verb = "Shed"
)

// Reason says why something is deleted.
type Reason string

const (
	// Age: it was kept as long as its severity is to be kept.
	Age Reason = "Age"
	// Number: more than the limit are kept.
	Number Reason = "Number"
	// Memory: those that are kept take more of the manager's memory than the limit.
	Memory Reason = "Memory"
)

// Decision is what is to be done next.
type Decision struct {
	Key

	Verb   Verb
	Reason Reason
	// Number is how many of the key are to be deleted.
	Number int
	// At is when. It may lie ahead.
	At time.Time
}

// Next decides what is to be done next about the groups. The verb that was done before tells whether shedding has begun:
// it begins a tenth above a limit and goes on as long as whole batches are too many.
//
// When there are too many, what goes first is of the lowest severity; of those, of the namespace that holds most, so that
// one namespace's storm does not push out what another one holds; there, what is finished; then the oldest. What may not be
// deleted yet is waited for; nothing else goes in its stead, unless its deletion was refused.
func (p Policy) Next(groups []Group, before Verb, now time.Time) Decision {
	next := p.expire(groups)
	if thin := p.thin(groups, before, now); thin.Verb != Keep {
		hurried := thin.Verb == Shed && !thin.At.After(now)
		if hurried || next.Verb == Keep || next.At.After(now) && thin.At.Before(next.At) {
			return thin
		}
	}
	return next
}

// expire finds what reaches its age first.
func (p Policy) expire(groups []Group) Decision {
	next := Decision{Verb: Keep}
	for _, g := range groups {
		at := later(g.Oldest.Add(p.Ages.Of(g.Severity)), g.when())
		if g.Stage == Finished && (next.Verb == Keep || at.Before(next.At)) {
			next = Decision{Verb: Expire, Reason: Age, Key: g.Key, Number: 1, At: at}
		}
	}
	return next
}

// thin finds what goes when there are too many.
func (p Policy) thin(groups []Group, before Verb, now time.Time) Decision {
	var number int
	var bytes int64
	for _, g := range groups {
		number += g.Number
		bytes += g.Bytes
	}
	if !p.Over(number, bytes) {
		return Decision{Verb: Keep}
	}
	reason := Number
	if number <= p.Limit {
		reason = Memory
	}
	far := p.FarOver(number, bytes)
	first, found := goesFirst(groups, reason, now)
	if !found || !p.mayGo(first.Stage, number, bytes) {
		return Decision{Verb: Keep}
	}
	excess := number - p.Limit
	if reason == Memory {
		excess = int((bytes - p.MemoryLimit) * int64(first.Number) / max(1, first.Bytes))
	}
	d := Decision{Verb: Trim, Reason: reason, Key: first.Key, Number: 1, At: later(now, first.when())}
	if far || before == Shed && excess >= p.Batch {
		d.Verb, d.Number = Shed, p.batch(first, excess)
	}
	return d
}

// Over says whether that many are too many.
func (p Policy) Over(number int, bytes int64) bool {
	return number > p.Limit || p.MemoryLimit > 0 && bytes > p.MemoryLimit
}

// FarOver says whether that many are more than a tenth too many.
func (p Policy) FarOver(number int, bytes int64) bool {
	return number > p.Limit+p.Limit/10 || p.MemoryLimit > 0 && bytes > p.MemoryLimit+p.MemoryLimit/10
}

// mayGo says whether what is at a stage may go when that many are too many.
func (p Policy) mayGo(stage Stage, number int, bytes int64) bool {
	switch stage {
	case Unfinished:
		return p.FarOver(number, bytes)
	case Unarchived:
		return p.TwiceOver(number, bytes)
	default:
		return true
	}
}

// TwiceOver says whether that many are twice too many.
func (p Policy) TwiceOver(number int, bytes int64) bool {
	return number > 2*p.Limit || p.MemoryLimit > 0 && bytes > 2*p.MemoryLimit
}

// batch is how many of a group go at once when that many are too many. What is not finished, or not archived, goes one after
// the other, as it goes only while there are far too many.
func (p Policy) batch(g Group, excess int) int {
	if g.Stage != Finished {
		return 1
	}
	return max(1, min(excess, p.Batch, g.Number))
}

// goesFirst finds the group that goes first, among those whose deletion was not refused, or of them the one that may be tried
// again first. Where memory is short, what counts is the bytes that a namespace holds.
func goesFirst(groups []Group, reason Reason, now time.Time) (Group, bool) {
	holds := func(g Group) (sum int64) {
		for _, other := range groups {
			switch {
			case other.Severity != g.Severity || other.Namespace != g.Namespace:
			case reason == Memory:
				sum += other.Bytes
			default:
				sum += int64(other.Number)
			}
		}
		return sum
	}
	oldest := func(g Group) time.Time {
		first := g.Oldest
		for _, other := range groups {
			if other.Severity == g.Severity && other.Namespace == g.Namespace && other.Oldest.Before(first) {
				first = other.Oldest
			}
		}
		return first
	}
	refused := func(g Group) int {
		if g.RefusedUntil.After(now) {
			return 1
		}
		return 0
	}
	if len(groups) == 0 {
		return Group{}, false
	}
	return slices.MinFunc(groups, func(a, b Group) int {
		return cmp.Or(cmp.Compare(refused(a), refused(b)), cmp.Compare(a.Severity.Number(), b.Severity.Number()),
			cmp.Compare(holds(b), holds(a)), oldest(a).Compare(oldest(b)), cmp.Compare(a.Namespace, b.Namespace),
			cmp.Compare(a.Stage, b.Stage))
	}), true
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

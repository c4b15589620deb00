// SPDX-License-Identifier: Apache-2.0

package retention

import (
	"container/list"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tocsin-dev/tocsin/api/v1alpha1"
)

// Stage says how far an object is.
type Stage int

const (
	// Finished objects have done what they are for: an event was evaluated, a notification has no delivery under way.
	Finished Stage = iota
	// Unarchived objects are finished and wait to be archived. They never go by age, and by number only when nothing else is
	// left and there are twice too many.
	Unarchived
	// Unfinished objects have not. They never go by age, and by number only when nothing else is left.
	Unfinished
)

// Key names what goes in one order, the oldest first.
type Key struct {
	Stage     Stage
	Severity  v1alpha1.Severity
	Namespace string
}

// Item is one object that is kept.
type Item struct {
	Key

	UID  types.UID
	Name string
	// Place orders the items of a key by their creation.
	Place   uint64
	Created time.Time
	// Bytes is what it takes of the manager's memory.
	Bytes int64
}

// Group is what is kept under one key.
type Group struct {
	Key

	Number int
	Bytes  int64
	// Oldest is when the oldest of them was created.
	Oldest time.Time
	// NotBefore is the earliest time at which one of them may be deleted. Zero: at any.
	NotBefore time.Time
	// RefusedUntil is until when it makes no sense to try, as a deletion was refused. Zero: none was.
	RefusedUntil time.Time
}

// when is the earliest time at which one of the group may be deleted.
func (g Group) when() time.Time { return later(g.NotBefore, g.RefusedUntil) }

// Ledger lists what is kept. Nothing that it does costs more the more is kept.
type Ledger struct {
	items   map[types.UID]*list.Element
	shelves map[Key]*shelf
	number  int
	bytes   int64
}

// shelf holds items in the order of their creation.
type shelf struct {
	items list.List
	bytes int64
}

// NewLedger returns an empty Ledger.
func NewLedger() *Ledger {
	return &Ledger{items: map[types.UID]*list.Element{}, shelves: map[Key]*shelf{}}
}

// Put adds an item, or moves it to the key that it has now. It looks for the item's place from the latest on, where that
// nearly always is.
func (l *Ledger) Put(i Item) {
	if element, known := l.items[i.UID]; known {
		if itemOf(element).Key == i.Key {
			return
		}
		l.Remove(i.UID)
	}
	s := l.shelves[i.Key]
	if s == nil {
		s = &shelf{}
		l.shelves[i.Key] = s
	}
	after := s.items.Back()
	for after != nil && itemOf(after).Place > i.Place {
		after = after.Prev()
	}
	if after == nil {
		l.items[i.UID] = s.items.PushFront(i)
	} else {
		l.items[i.UID] = s.items.InsertAfter(i, after)
	}
	s.bytes += i.Bytes
	l.number++
	l.bytes += i.Bytes
}

// Remove forgets an item and says what it was.
func (l *Ledger) Remove(uid types.UID) (Item, bool) {
	element, known := l.items[uid]
	if !known {
		return Item{}, false
	}
	i := itemOf(element)
	s := l.shelves[i.Key]
	s.items.Remove(element)
	s.bytes -= i.Bytes
	if s.items.Len() == 0 {
		delete(l.shelves, i.Key)
	}
	delete(l.items, uid)
	l.number--
	l.bytes -= i.Bytes
	return i, true
}

// Has says whether an item is kept.
func (l *Ledger) Has(uid types.UID) bool {
	_, known := l.items[uid]
	return known
}

// Oldest returns the oldest item of a key.
func (l *Ledger) Oldest(key Key) (Item, bool) {
	s := l.shelves[key]
	if s == nil {
		return Item{}, false
	}
	return itemOf(s.items.Front()), true
}

// Total is how many are kept, and how many bytes they take.
func (l *Ledger) Total() (number int, bytes int64) { return l.number, l.bytes }

// Groups sums up what is kept, in no particular order.
func (l *Ledger) Groups() []Group {
	groups := make([]Group, 0, len(l.shelves))
	for key, s := range l.shelves {
		groups = append(groups, Group{
			Key: key, Number: s.items.Len(), Bytes: s.bytes, Oldest: itemOf(s.items.Front()).Created,
		})
	}
	return groups
}

func itemOf(e *list.Element) Item {
	i, _ := e.Value.(Item)
	return i
}

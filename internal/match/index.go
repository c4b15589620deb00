// SPDX-License-Identifier: Apache-2.0

package match

import "slices"

// Index finds the conditions that could match an event, so that an event costs nothing for all the others. C is what
// stands for a condition. It is not safe for concurrent use.
type Index[C comparable] struct {
	byType  map[indexKey][]C
	anyType map[string][]C
	where   map[C]func()
}

type indexKey struct{ namespace, eventType string }

// NewIndex returns an empty index.
func NewIndex[C comparable]() *Index[C] {
	return &Index[C]{
		byType:  map[indexKey][]C{},
		anyType: map[string][]C{},
		where:   map[C]func(){},
	}
}

// Put makes the condition a candidate for the namespaces' events that its filter's event types allow.
func (x *Index[C]) Put(condition C, namespaces []string, filter *Filter) {
	x.Delete(condition)
	for _, namespace := range namespaces {
		if len(filter.exactTypes) == 0 {
			add(x.anyType, namespace, condition)
		}
		for _, t := range filter.exactTypes {
			add(x.byType, indexKey{namespace, t}, condition)
		}
	}
	x.where[condition] = func() {
		for _, namespace := range namespaces {
			remove(x.anyType, namespace, condition)
			for _, t := range filter.exactTypes {
				remove(x.byType, indexKey{namespace, t}, condition)
			}
		}
	}
}

// Delete forgets the condition.
func (x *Index[C]) Delete(condition C) {
	if forget, ok := x.where[condition]; ok {
		forget()
		delete(x.where, condition)
	}
}

// Candidates calls yield for each condition that could match an event of this type in this namespace.
func (x *Index[C]) Candidates(namespace, eventType string, yield func(C)) {
	for _, c := range x.byType[indexKey{namespace, key(eventType)}] {
		yield(c)
	}
	for _, c := range x.anyType[namespace] {
		yield(c)
	}
}

func add[K, C comparable](m map[K][]C, k K, c C) {
	if !slices.Contains(m[k], c) {
		m[k] = append(m[k], c)
	}
}

func remove[K, C comparable](m map[K][]C, k K, c C) {
	if at := slices.Index(m[k], c); at >= 0 {
		m[k] = slices.Delete(m[k], at, at+1)
	}
	if len(m[k]) == 0 {
		delete(m, k)
	}
}

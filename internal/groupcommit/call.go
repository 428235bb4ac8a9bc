package groupcommit

import (
	"context"
	"slices"
)

// call is one Do.
type call[K comparable, T Item[K]] struct {
	ctx  context.Context //nolint:containedctx // what a batch takes from its calls
	item T
	keys []K
	size Size
	// detached says that the item was detached.
	detached bool
	// done is closed when the call is settled; err is written before, and read after.
	done chan struct{}
	err  error

	// The group's mu guards what follows.

	// number is the call's place in the order of arrival.
	number int64
	state  state
	// tried is when it was last found locked, by Group.tries.
	tried int64
	// flight is what the call is in flight with; nil while it is in the queue.
	flight *flight[K, T]
	// left says that its caller waits no more.
	left bool
}

// state is how a call in the queue may be sent.
type state int

const (
	// ready calls go with the next batch.
	ready state = iota
	// suspect calls were in a batch that met a lock.
	suspect
	// locked calls touch a key that somebody has locked.
	locked
)

func (c *call[K, T]) detach() {
	if !c.detached {
		c.detached = true
		c.item.Detach()
	}
}

// divide tells calls that have a key in common with others, or with such a call before them, from the rest; both in their order.
func divide[K comparable, T Item[K]](calls, others []*call[K, T]) (among, rest []*call[K, T]) {
	keys := keySet[K]{}
	for _, c := range others {
		keys.add(c.keys)
	}
	for _, c := range calls {
		if keys.hasAny(c.keys) {
			keys.add(c.keys)
			among = append(among, c)
		} else {
			rest = append(rest, c)
		}
	}
	return among, rest
}

// keySet is a set of keys.
type keySet[K comparable] map[K]struct{}

func newKeySet[K comparable](keys []K) keySet[K] {
	s := make(keySet[K], len(keys))
	s.add(keys)
	return s
}

func (s keySet[K]) hasAny(keys []K) bool {
	return slices.ContainsFunc(keys, func(k K) bool { _, has := s[k]; return has })
}

func (s keySet[K]) hasAll(keys []K) bool {
	return !slices.ContainsFunc(keys, func(k K) bool { _, has := s[k]; return !has })
}

func (s keySet[K]) add(keys []K) {
	for _, k := range keys {
		s[k] = struct{}{}
	}
}

func (s keySet[K]) remove(keys []K) {
	for _, k := range keys {
		delete(s, k)
	}
}

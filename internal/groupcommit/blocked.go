package groupcommit

import (
	"slices"
	"time"
)

const (
	// probe is how long a statement that finds out what is locked waits for a lock. Whoever is in a batch with what is locked waits for as
	// many probes as it takes, and a key that is thought to be locked for no reason has a turn soon: it is short.
	probe = time.Millisecond
	// shortest is how long a turn is at least.
	shortest = 10 * time.Millisecond
	// round is about how long it takes until each locked key has had its turn.
	round = time.Second
)

// blocked is what a Group knows of its calls that met locks. A call that is suspect was in a batch that met one; one statement at a time
// tells by halves which are locked. A locked call stands for a line: it and those behind it that touch nothing else wait together, without
// end in one of the slots for that while there is one, else by turns in the slot beside these.
type blocked struct {
	// endless is how many flights wait for locks without end.
	endless int
	// probing says that suspects are being told apart, borrowed that this takes a place in flight.
	probing, borrowed bool
	// beside says that the slot for turns is in use.
	beside bool
	// lines is how many locked calls there are.
	lines int
	// tries numbers the turns.
	tries int64
}

// mayWaitEndlessly leaves one slot, for turns.
func (g *Group[K, T]) mayWaitEndlessly() bool { return g.endless < g.config.Blocked-1 }

// dispatchSuspect finds out who is locked: in the slot for turns, or else in the place of a batch, since a turn may last long, and who
// was in a batch with what is locked does not wait for its end. The caller holds mu.
func (g *Group[K, T]) dispatchSuspect() {
	if g.probing || g.beside && g.flying >= g.config.InFlight {
		return
	}
	calls := g.take(func(c *call[K, T]) bool { return c.state == suspect })
	if len(calls) == 0 {
		return
	}
	g.probing, g.borrowed, g.beside = true, g.beside, true
	g.launch(g.newFlight(calls, probing, probe))
}

// dispatchLocked lets lines wait for their locks. The caller holds mu.
func (g *Group[K, T]) dispatchLocked() {
	for g.lines > 0 && (g.mayWaitEndlessly() || !g.beside) {
		first := g.nextLine()
		turn := max(round/time.Duration(g.lines), shortest)
		keys := newKeySet(first.keys)
		calls := g.take(func(c *call[K, T]) bool { return keys.hasAll(c.keys) })
		if g.mayWaitEndlessly() {
			g.launch(g.newFlight(calls, waiting, 0))
		} else {
			g.beside = true
			g.launch(g.newFlight(calls, turning, turn))
		}
	}
}

// nextLine gives the locked call that has waited longest for its turn. None is behind another call: it was in flight, and those that came
// meanwhile stayed behind it. The caller holds mu.
func (g *Group[K, T]) nextLine() (next *call[K, T]) {
	for _, c := range g.queue {
		if c.state == locked && (next == nil || c.tried < next.tried) {
			next = c
		}
	}
	return next
}

// leaveBlocked gives back what slots a flight has. The caller holds mu.
func (g *Group[K, T]) leaveBlocked(f *flight[K, T]) {
	if f.wait == 0 {
		g.endless--
	}
	switch f.kind {
	case probing:
		g.beside = g.beside && g.borrowed
		g.probing, g.borrowed = false, false
	case turning:
		g.beside = false
	case usual, waiting:
	}
}

// putBack puts calls that met a lock into the queue again, but for those whose callers have left. After a usual flight it is not known
// which of them are locked. The caller holds mu.
func (g *Group[K, T]) putBack(late []*call[K, T], kind kind) {
	g.tries++
	slices.SortFunc(late, func(a, b *call[K, T]) int { return int(a.number - b.number) })
	seen := keySet[K]{}
	for _, c := range late {
		if c.left {
			continue
		}
		switch {
		case kind == usual:
			c.state = suspect
		case seen.hasAny(c.keys):
			c.state = ready // behind the first of its line
		default:
			c.state, c.tried = locked, g.tries
		}
		seen.add(c.keys)
		g.enqueue(c)
	}
}

// isLine says whether calls touch nothing but what the first one does: whatever is locked, all of them have to wait.
func isLine[K comparable, T Item[K]](calls []*call[K, T]) bool {
	keys := newKeySet(calls[0].keys)
	return !slices.ContainsFunc(calls, func(c *call[K, T]) bool { return !keys.hasAll(c.keys) })
}

package groupcommit

import (
	"slices"
	"time"
)

const (
	// probe is how long the slot that finds out what is locked waits for a lock. Whoever is in a batch with what is locked waits for as
	// many probes as it takes, and a key that is thought to be locked for no reason has a turn soon: it is short.
	probe = 2 * time.Millisecond
	// shortest is how long a turn is at least.
	shortest = 10 * time.Millisecond
	// round is about how long it takes until each locked key has had its turn.
	round = time.Second
)

// blocked is what a Group knows of its calls that met locks. A call that is suspect was in a batch that met one; the probing slot tells by
// halves which are locked. A locked call stands for a line: it and those behind it that touch nothing else wait together, without end in
// one of the slots for that while there is one, else by turns in the probing slot.
type blocked struct {
	// endless is how many flights wait for locks without end.
	endless int
	// probing says that the slot for that is in use.
	probing bool
	// lines is how many locked calls there are.
	lines int
	// tries numbers the turns.
	tries int64
}

// mayWaitEndlessly leaves one slot, for turns.
func (g *Group[K, T]) mayWaitEndlessly() bool { return g.endless < g.config.Blocked-1 }

// dispatchBlocked fills the slots of those who met locks. The caller holds mu.
func (g *Group[K, T]) dispatchBlocked() {
	if !g.probing {
		if calls := g.take(func(c *call[K, T]) bool { return c.state == suspect }); len(calls) > 0 {
			g.flyBlocked(calls, probing, probe)
		}
	}
	for g.lines > 0 && (g.mayWaitEndlessly() || !g.probing) {
		first := g.nextLine()
		turn := max(round/time.Duration(g.lines), shortest)
		keys := newKeySet(first.keys)
		calls := g.take(func(c *call[K, T]) bool { return keys.hasAll(c.keys) })
		if g.mayWaitEndlessly() {
			g.flyBlocked(calls, waiting, 0)
		} else {
			g.flyBlocked(calls, probing, turn)
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

// flyBlocked takes the slot of a kind. The caller holds mu.
func (g *Group[K, T]) flyBlocked(calls []*call[K, T], kind kind, wait time.Duration) {
	g.probing = g.probing || kind == probing
	g.launch(g.newFlight(calls, kind, wait))
}

// leaveBlocked gives back what slots a flight has. The caller holds mu.
func (g *Group[K, T]) leaveBlocked(f *flight[K, T]) {
	if f.wait == 0 {
		g.endless--
	}
	if f.kind == probing {
		g.probing = false
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

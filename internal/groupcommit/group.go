package groupcommit

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Config bounds what a Group has under way. Each number is at least 1.
type Config struct {
	// InFlight is how many batches may be in flight; with those that wait for strangers' locks, InFlight + Blocked.
	InFlight int
	// Blocked is how many more may wait for keys that strangers have locked. One of them takes turns, so each locked key is looked at
	// again about once a second; the others wait for one key each, for as long as it takes. With 1, there are no others. While a key has
	// its turn, what else met a lock is looked at in one of InFlight.
	Blocked int
	// Max bounds a batch; an item above it goes alone.
	Max Size
	// Company is how much, by Size.Count, must wait before a batch flies beside another one: below, it costs less together.
	Company int
}

// Size says how large an item is, or how large a batch may be.
type Size struct{ Count, Bytes int }

// Item is what is put into batches.
type Item[K comparable] interface {
	// Keys are what the item touches, at least one.
	Keys() []K
	// Size is how much of a batch the item takes.
	Size() Size
	// Detach makes the item independent of what its caller may change. It is called once at most, before the item waits for others:
	// a caller may leave while its item is being sent.
	Detach()
}

// Run sends items as one statement and notes in each what became of it, which is Settled, or says why it could not. Their order is
// that in which they came. A wait above 0 is how long it may wait for a lock.
type Run[T any] func(ctx context.Context, items []T, wait time.Duration) (Verdict, error)

// Verdict is what a Run says of all items together.
type Verdict int

const (
	// Settled says that each item knows what became of it. The error is nil.
	Settled Verdict = iota
	// Failed says that the error is that of each item. They may have been applied or not.
	Failed
	// Suspect says that nothing was applied, because of an error that may concern only one of the items: they are tried apart.
	Suspect
	// Blocked says that nothing was applied, because a lock could not be had in time: what it is that is locked is found out, and waited
	// for apart.
	Blocked
)

// CanceledError says that the context of a Do ended while it waited.
type CanceledError struct {
	// Sent says that the item was being sent, and may have been applied.
	Sent bool
	// Err is the error of the context.
	Err error
}

// Error says what ended, and whether the item was sent.
func (e *CanceledError) Error() string { return fmt.Sprintf("%v (sent: %t)", e.Err, e.Sent) }

// Unwrap gives the error of the context.
func (e *CanceledError) Unwrap() error { return e.Err }

// Group is what calls that share statements have in common.
type Group[K comparable, T Item[K]] struct {
	config Config
	run    Run[T]
	// arrived counts the calls that had to wait, ever.
	arrived atomic.Int64

	mu sync.Mutex
	// queue are calls that are not in flight, in order of arrival.
	queue []*call[K, T]
	// calls numbers the calls.
	calls int64
	// ready is the count of those in the queue that may go with the next batch.
	ready int
	// busy are the keys of what is in flight.
	busy keySet[K]
	// flying is how many batches are in flight, but for those that wait for strangers' locks.
	flying int
	pace   pace
	blocked
}

// New returns a group that sends items with run.
func New[K comparable, T Item[K]](config Config, run Run[T]) *Group[K, T] {
	return &Group[K, T]{config: config, run: run, busy: keySet[K]{}, pace: newPace()}
}

// Do has an item sent, alone or with others, and returns once it is settled, or with the error of what it was sent with. At the end of
// ctx it returns a *CanceledError at once; what became of the item must not be read then.
func (g *Group[K, T]) Do(ctx context.Context, item T) error {
	if err := ctx.Err(); err != nil {
		return &CanceledError{Err: err}
	}
	c := &call[K, T]{ctx: ctx, item: item, keys: item.Keys(), size: item.Size(), done: make(chan struct{})}
	g.mu.Lock()
	g.calls++
	c.number = g.calls
	if g.mayFly() && !g.busy.hasAny(c.keys) && !g.isQueued(c.keys) {
		f := g.takeOff([]*call[K, T]{c})
		g.mu.Unlock()
		f.ctx = ctx // its own, deadline and all
		g.fly(f)
	} else {
		g.mu.Unlock()
		c.detach()
		g.mu.Lock()
		g.enqueue(c)
		g.arrived.Add(1)
		g.dispatch()
		g.mu.Unlock()
	}
	return g.wait(ctx, c)
}

// wait waits for what becomes of a call, or for the end of its context.
func (g *Group[K, T]) wait(ctx context.Context, c *call[K, T]) error {
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return g.leave(ctx, c)
	}
}

// leave ends the wait of a call whose context has ended.
func (g *Group[K, T]) leave(ctx context.Context, c *call[K, T]) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-c.done:
		return c.err
	default:
	}
	canceled := &CanceledError{Sent: c.flight != nil, Err: ctx.Err()}
	c.left = true
	if c.flight != nil {
		c.flight.leave(1)
		return canceled
	}
	i := slices.Index(g.queue, c)
	g.queue = slices.Delete(g.queue, i, i+1)
	g.count(c, -1)
	g.dispatch() // those behind it may go
	return canceled
}

// isQueued says whether a call in the queue touches one of the keys. The caller holds mu.
func (g *Group[K, T]) isQueued(keys []K) bool {
	if len(g.queue) == 0 {
		return false
	}
	set := newKeySet(keys)
	return slices.ContainsFunc(g.queue, func(c *call[K, T]) bool { return set.hasAny(c.keys) })
}

// enqueue puts a call behind those that came before it. The caller holds mu.
func (g *Group[K, T]) enqueue(c *call[K, T]) {
	i, _ := slices.BinarySearchFunc(g.queue, c, func(a, b *call[K, T]) int { return int(a.number - b.number) })
	g.queue = slices.Insert(g.queue, i, c)
	g.count(c, 1)
}

// count keeps the numbers of what is in the queue. The caller holds mu.
func (g *Group[K, T]) count(c *call[K, T], sign int) {
	switch c.state {
	case ready:
		g.ready += sign * c.size.Count
	case locked:
		g.lines += sign
	}
}

// dispatch starts batches while there is room and somebody may go. First go those who met locks: they have waited longest. The caller
// holds mu.
func (g *Group[K, T]) dispatch() {
	g.dispatchSuspect()
	g.dispatchLocked()
	for g.mayFly() {
		calls := g.take(func(c *call[K, T]) bool { return c.state == ready })
		if len(calls) == 0 {
			break
		}
		g.launch(g.takeOff(calls))
	}
}

// mayFly says whether there is room for a batch, and whether it need not wait for company. The caller holds mu.
func (g *Group[K, T]) mayFly() bool {
	places := g.config.InFlight
	if g.borrowed {
		places--
	}
	return g.flying < places && (g.flying == 0 || g.ready >= g.config.Company)
}

// take gives the next batch: in order of arrival, up to the bounds, those in the queue that are wanted and touch nothing that is in flight
// or that somebody before them waits for. The caller holds mu.
func (g *Group[K, T]) take(wanted func(*call[K, T]) bool) []*call[K, T] {
	var calls []*call[K, T]
	var size Size
	claimed := keySet[K]{}
	rest := g.queue[:0]
	for i, c := range g.queue {
		busy := g.busy.hasAny(c.keys)
		if busy || claimed.hasAny(c.keys) || !wanted(c) {
			if !busy || len(c.keys) > 1 {
				claimed.add(c.keys)
			}
			rest = append(rest, c)
			continue
		}
		size.Count += c.size.Count
		size.Bytes += c.size.Bytes
		if len(calls) > 0 && (size.Count > g.config.Max.Count || size.Bytes > g.config.Max.Bytes) {
			rest = append(rest, g.queue[i:]...)
			break
		}
		calls = append(calls, c)
		g.count(c, -1)
	}
	clear(g.queue[len(rest):])
	g.queue = rest
	return calls
}

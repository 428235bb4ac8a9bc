package subscription

import (
	"cmp"
	"context"
	"time"
)

// awaitEnd waits until a worker that was told to end has done so, and returns false if its handler does not come to an end in time.
func (w *shardWorker) awaitEnd(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-w.done:
		return true
	case <-timer.C:
		w.tell(HandlerLate{Subscription: w.sub.name, Shard: w.shard, Limit: limit, Abandoned: true})
		return false
	}
}

// overdue lets a worker finish what it does and go. If that takes too long, its handler's context ends; if that does not help either,
// nobody waits for it any longer. The caller holds the hub's mu.
func (w *shardWorker) overdue() bool {
	if w.drainedAt.IsZero() {
		w.drainedAt = time.Now()
		w.drain()
	}
	limit, since := w.sub.config.StopTimeout, time.Since(w.drainedAt)
	if since < limit {
		return false
	}
	abandoned := since >= 2*limit
	if !w.late || abandoned {
		w.late = true
		w.cancel()
		w.tell(HandlerLate{Subscription: w.sub.name, Shard: w.shard, Limit: limit, Abandoned: abandoned})
	}
	return abandoned
}

// tell tells the run's observer; a replay has none.
func (w *shardWorker) tell(o Observation) {
	if w.run != nil {
		w.run.tell(o)
	}
}

// ending returns why the worker ends, if it does. A handler sees the context that Run was given end before the worker's own does.
func (w *shardWorker) ending(ctx context.Context) error {
	return cmp.Or(ctx.Err(), w.run.outer.Err())
}

// pause waits between two tries, unless the worker is to go.
func (w *shardWorker) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-w.draining:
		return errDrained
	case <-ctx.Done():
		return ctx.Err()
	}
}

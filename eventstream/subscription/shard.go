package subscription

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/puddle/v2"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/apart"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/logend"
	"github.com/gaplesspg/gapless/internal/pause"
	"github.com/gaplesspg/gapless/internal/readbudget"
	"github.com/gaplesspg/gapless/internal/shown"
)

// pagesAhead is how many batches are fetched while the handler works on another.
const pagesAhead = 2 * batchesPerFetch

// errDrained ends a worker that was asked to finish what it does and go.
var errDrained = errors.New("shard is given to another process")

// shardWorker hands the events of one shard to the handler, while this process owns it.
type shardWorker struct {
	hub   *hub
	run   *run
	sub   *Subscription
	shard int
	epoch int64
	// before is the worker that owned the shard until now; it may still be at work.
	before *shardWorker

	cancel   context.CancelFunc
	draining chan struct{}
	drain    func()
	done     chan struct{}
	// lent is the memory of what a handler is looking at.
	lent []eventstream.LogEvent
	// checkpoint is the position last written; idle is one up to which everything is handled, for the poller to write.
	checkpoint, idle atomic.Int64
	// drainedAt is when the worker was told to finish what it does, late that it did not in time. The hub's mu guards them.
	drainedAt time.Time
	late      bool

	// What follows belongs to the worker's own goroutine, and is read anew in each session.
	filter eventstream.LogFilter
	// same knows the connections that go to the server that has this process's lock.
	same logend.Same
	// nothing says that no partition of the shard passes the subscription's filter.
	nothing bool
	// share is made anew in each session.
	share  *readbudget.Share
	ahead  apart.Positions
	skips  map[int64]bool
	parked bool
}

// page is a part of the log: the events of it that are for the shard, and up to where it goes.
type page struct {
	events []eventstream.LogEvent
	upto   int64
	// bytes is what they take in memory.
	bytes int64
	// whole is the memory of all that was fetched at once, with the last batch of it.
	whole []eventstream.LogEvent
	// unreadable says that the one event of the page cannot be read, so that no handler gets it.
	unreadable *eventstream.UnreadableEventError
}

// startWorker starts a worker, which begins once the one before it has ended.
func startWorker(h *hub, r *run, shard int, epoch int64, before *shardWorker) *shardWorker {
	ctx, cancel := context.WithCancel(r.ctx)
	draining := make(chan struct{})
	w := &shardWorker{
		hub: h, run: r, sub: r.sub, shard: shard, epoch: epoch,
		before:   before,
		cancel:   cancel,
		draining: draining,
		drain:    sync.OnceFunc(func() { close(draining) }),
		done:     make(chan struct{}),
	}
	go w.work(ctx)
	return w
}

// shardFilter is a subscription's filter on the partitions of one shard. Of several shards, one without partitions gets nothing.
func shardFilter(filter eventstream.LogFilter, shard, shards, partitions int) eventstream.LogFilter {
	if shards == 1 {
		return filter
	}
	all := filter.Partitions
	if len(all) == 0 {
		all = make([]int, partitions)
		for i := range all {
			all[i] = i
		}
	}
	filter.Partitions = slices.DeleteFunc(slices.Clone(all), func(p int) bool { return p%shards != shard })
	return filter
}

func (w *shardWorker) ended() bool { return isClosed(w.done) }

// work runs sessions, until the shard is no longer this process's, the run ends, or it failed for good.
func (w *shardWorker) work(ctx context.Context) {
	returned := false
	defer func() {
		if !returned {
			w.run.fail(fmt.Errorf("subscription %s, shard %d: %w", shown.Quote(w.sub.name), w.shard, ErrHandlerExited))
		}
		w.cancel()
		close(w.done)
	}()
	w.own(ctx)
	returned = true
}

// own waits for the worker before it, works, and says how that ended.
func (w *shardWorker) own(ctx context.Context) {
	if w.before != nil {
		w.before.cancel()
		w.before.awaitEnd(w.sub.config.StopTimeout)
		w.before = nil
	}
	w.tell(ShardClaimed{Subscription: w.sub.name, Shard: w.shard, Epoch: w.epoch})
	err := w.sessions(ctx)
	switch {
	case cmp.Or(w.run.ctx.Err(), w.run.outer.Err()) != nil: // the shard is given back once all workers have ended
	case isFinal(err):
		w.run.fail(err)
	case errors.Is(err, errDrained):
		w.hub.release(ctx, w.run, w.shard, w.epoch)
	case w.sub.ends.Load(): // another subscription goes on for it
	default:
		if !errors.Is(err, ErrShardLost) {
			err = ErrShardLost // as the list of owners says
		}
		w.tell(ShardLost{Subscription: w.sub.name, Shard: w.shard, Epoch: w.epoch, Err: err})
		w.hub.claimSoon.Store(true)
		w.hub.wake()
	}
}

// sessions runs one session after the other, and returns why there is no further one.
func (w *shardWorker) sessions(ctx context.Context) error {
	again := pause.NewBackoff(w.sub.config.MinBackoff, w.sub.config.MaxBackoff)
	for {
		began := w.checkpoint.Load()
		err := w.session(ctx)
		switch {
		case w.ending(ctx) != nil:
			return w.ending(ctx)
		case isFinal(err), errors.Is(err, errDrained), errors.Is(err, ErrShardLost):
			return err
		case errors.Is(err, errRewind):
			continue
		}
		w.tell(Interrupted{Subscription: w.sub.name, Shard: w.shard, Err: err})
		if w.checkpoint.Load() > began {
			again.Reset()
		}
		if err := again.Wait(ctx); err != nil {
			return err
		}
	}
}

// isFinal reports whether trying again cannot help.
func isFinal(err error) bool {
	var own handlersError
	return errors.As(err, &own) || errors.Is(err, eventstream.ErrTxEnded) || errors.Is(err, ErrMismatch) ||
		errors.Is(err, eventstream.ErrBeyondLog) || errors.Is(err, eventstream.ErrNotMigrated) || errors.Is(err, eventstream.ErrSessionFormat) ||
		errors.Is(err, puddle.ErrClosedPool)
}

// session reads where the shard stands and goes on from there, until something goes wrong.
func (w *shardWorker) session(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	position, err := w.resume(ctx)
	if err != nil {
		return explain(w.sub.core, err)
	}
	pages := make(chan page, pagesAhead)
	fetched := make(chan struct{})
	w.share = w.hub.core.Budget().Share()
	defer func() { cancel(nil); <-fetched; w.share.Close() }() // a handler may end the goroutine
	go func() {
		defer close(fetched)
		cancel(w.fetch(ctx, position, w.share, pages))
	}()
	err = w.process(ctx, pages)
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	cancel(nil)
	<-fetched
	return explain(w.sub.core, err)
}

// resume reads what a session starts with: the checkpoint, partitions that are further, what was skipped by hand, and whether
// anything is parked.
func (w *shardWorker) resume(ctx context.Context) (int64, error) {
	conn, release, err := w.hub.acquireOne(ctx, w.sub.slots)
	if err != nil {
		return 0, err
	}
	defer release()
	row, err := w.shardRow(ctx, conn)
	switch {
	case err != nil:
		return 0, err
	case !row.AsDescribed: // by now; this names the difference
		err := isolation.ReadCommitted(ctx, conn, func(tx db.DBTX) error {
			_, err := db.New().SubscriptionSubscribe(ctx, tx, w.sub.subscribeParams())
			return err
		})
		if err == nil { // it is as described again, and the shards are others
			err = &ShardLostError{Subscription: w.sub.name, Shard: w.shard, Epoch: w.epoch}
		}
		return 0, err
	case row.Position > row.LastPosition:
		return 0, &eventstream.BeyondLogError{Field: "checkpoint", Value: row.Position, Last: row.LastPosition}
	}
	w.filter = shardFilter(w.sub.filter, w.shard, w.sub.config.Shards, int(row.PartitionCount))
	w.nothing = w.sub.config.Shards > 1 && len(w.filter.Partitions) == 0
	if w.ahead, err = apart.Parse(row.PartitionPositions); err != nil {
		return 0, err
	}
	if err := w.readSkips(ctx, conn, row.Position); err != nil {
		return 0, err
	}
	streams, err := db.New().ParkedStreams(ctx, conn, db.ParkedStreamsParams{Subscription: w.sub.name, StreamIds: []string{}})
	if err != nil {
		return 0, err
	}
	w.parked = len(streams) > 0
	w.same = logend.Same{}
	w.same.Add(conn.Conn())
	w.checkpoint.Store(row.Position)
	w.idle.Store(row.Position)
	return row.Position, nil
}

// shardRow is the shard as the server has it that a connection goes to, if that is the one that has this process's lock: after a failover
// it is another, and so it is for a connection that goes to a standby.
func (w *shardWorker) shardRow(ctx context.Context, h db.DBTX) (db.ShardGetRow, error) {
	described := w.sub.subscribeParams()
	row, err := db.New().ShardGet(ctx, h, db.ShardGetParams{
		Subscription: w.sub.name, Shard: int32(w.shard), Epoch: w.epoch,
		ShardCount: described.ShardCount, Delivery: described.Delivery, Filter: described.Filter,
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return row, &ShardLostError{Subscription: w.sub.name, Shard: w.shard, Epoch: w.epoch}
	case err == nil && !row.Held:
		return row, errNotMember
	}
	return row, err
}

func (w *shardWorker) readSkips(ctx context.Context, h db.DBTX, after int64) error {
	positions, err := db.New().SubscriptionSkipped(ctx, h, db.SubscriptionSkippedParams{
		Subscription: w.sub.name, After: after,
	})
	if err != nil {
		return err
	}
	w.skips = make(map[int64]bool, len(positions))
	for _, p := range positions {
		w.skips[p] = true
	}
	return nil
}

// due returns the events of a page that are to be handled: not those that were before, nor those skipped by hand.
func (w *shardWorker) due(events []eventstream.LogEvent) []eventstream.LogEvent {
	if len(w.ahead) == 0 && len(w.skips) == 0 {
		return events
	}
	return slices.DeleteFunc(events, func(e eventstream.LogEvent) bool {
		return w.ahead.Passed(e.PartitionID, e.Position) || w.skips[e.Position]
	})
}

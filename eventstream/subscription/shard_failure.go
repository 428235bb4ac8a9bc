package subscription

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/isolation"
)

// deliverFailed sees a part through that the handler failed on. Where the failure speaks against an event, the part is divided until that
// event is alone, and the others go through; where it does not, the same part is tried again.
func (w *shardWorker) deliverFailed(ctx context.Context, b part, failure *handlerFailure) error {
	pause := w.sub.config.MinBackoff
	tries, again := 0, false
	for {
		if err := w.ending(ctx); err != nil {
			w.keepHandled(ctx, b, failure) // it ended since it was told to
			return err
		}
		alone := len(b.events) == 1
		if !failure.placed {
			n, cause, known := partOf(failure.err, len(b.handed))
			if known && !alone {
				return w.deliverAfter(ctx, b, n, cause, failure.lost)
			}
			failure = &handlerFailure{err: cause, lost: failure.lost, placed: true}
		}
		cause := failure.err
		v := w.judge(ctx, failure, alone)
		if alone && v.counts {
			tries++
		}
		w.tellFailed(ctx, b, tries, v.counts, cause)
		switch {
		case alone && (v.permanent || tries >= w.sub.config.MaxTries && v.counts):
			return w.giveUp(ctx, b.events[0], b.upto, tries, cause)
		case !alone && (v.counts || again && !v.asked):
			return w.deliverHalves(ctx, b.page)
		}
		again = true
		wait := v.after
		if wait <= 0 {
			wait, pause = pause, min(2*pause, w.sub.config.MaxBackoff)
		}
		if err := w.pause(ctx, wait); err != nil {
			return err
		}
		err := w.attempt(ctx, b)
		if !errors.As(err, &failure) {
			return err
		}
	}
}

// deliverHalves looks for the events at fault.
func (w *shardWorker) deliverHalves(ctx context.Context, p page) error {
	half := len(p.events) / 2
	if err := w.deliverPart(ctx, page{events: p.events[:half], upto: p.events[half-1].Position}); err != nil {
		return err
	}
	return w.deliverPart(ctx, page{events: p.events[half:], upto: p.upto})
}

// deliverAfter goes on after the first n events, which the handler says that it got through: with a cause, the next one is at fault.
func (w *shardWorker) deliverAfter(ctx context.Context, b part, n int, cause error, lost bool) error {
	first, rest := b.divide(n)
	if err := w.settlePart(ctx, first); err != nil {
		return err
	}
	if cause == nil {
		return w.deliverPart(ctx, rest)
	}
	next := page{events: rest.events[:1], upto: rest.events[0].Position}
	rest.events = rest.events[1:]
	if len(rest.events) == 0 {
		next.upto = rest.upto
	}
	err := w.deliverFailed(ctx, part{page: next, handed: next.events}, &handlerFailure{err: cause, lost: lost, placed: true})
	if err != nil || len(rest.events) == 0 {
		return err
	}
	return w.deliverPart(ctx, rest)
}

// divide separates what comes before the event that the handler got after n others, what waits included, from that event on.
func (b part) divide(n int) (first part, rest page) {
	at := b.handed[n].Position
	i := 0
	for b.events[i].Position < at {
		i++
	}
	first = part{page: page{events: b.events[:i]}, handed: b.handed[:n]}
	if i > 0 {
		first.upto = b.events[i-1].Position
	}
	for j := range b.behind {
		if b.behind[j].Position < at {
			first.behind = append(first.behind, b.behind[j])
		}
	}
	return first, page{events: b.events[i:], upto: b.upto}
}

// settlePart moves the checkpoint over what is handled of a part; for a TxHandler, whose writes were rolled back, it is handled once more.
func (w *shardWorker) settlePart(ctx context.Context, first part) error {
	switch {
	case len(first.events) == 0:
		return nil
	case w.sub.handler.delivery() == deliveryTransaction:
		return w.deliverPart(ctx, first.page)
	}
	return w.checkpointAt(ctx, first, time.Now())
}

// keepHandled moves the checkpoint over what a handler got through before it was told to end, so that it does not come again. If that is
// not possible any more, it does.
func (w *shardWorker) keepHandled(ctx context.Context, b part, failure *handlerFailure) {
	n, _, known := partOf(failure.err, len(b.handed))
	if failure.placed || !known || n == 0 || w.sub.handler.delivery() == deliveryTransaction {
		return
	}
	first, _ := b.divide(n)
	_ = w.settlePart(ctx, first)
}

// tellFailed tells the observer of a failed try, and whoever looks at eventstream.audit_subscriptions.
func (w *shardWorker) tellFailed(ctx context.Context, b part, tries int, counted bool, cause error) {
	w.tell(TryFailed{
		Subscription: w.sub.name, Shard: w.shard, First: refTo(&b.handed[0]), Last: refTo(&b.handed[len(b.handed)-1]),
		Events: len(b.handed), Tries: tries, Counted: counted, Err: cause,
	})
	w.record(ctx, b, tries, cause)
}

// record notes in the database what a shard fails on. That it cannot is no failure of the shard's.
func (w *shardWorker) record(ctx context.Context, b part, tries int, cause error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	conn, release, err := w.hub.acquireOne(ctx, w.sub.slots)
	if err == nil {
		defer release()
		params := db.ShardRecordFailureParams{
			Subscription: w.sub.name, Shard: int32(w.shard), Epoch: w.epoch, Position: b.events[0].Position,
			Tries: int32(tries), Error: storable(cause.Error()),
		}
		if len(b.events) == 1 {
			params.EventID = &b.events[0].ID
		}
		err = isolation.OrReadCommitted(ctx, conn, func(h db.DBTX) error { return db.New().ShardRecordFailure(ctx, h, params) })
	}
	if err != nil && ctx.Err() == nil {
		w.tell(Interrupted{Subscription: w.sub.name, Shard: w.shard, Err: explain(w.sub.core, err)})
	}
}

// giveUp does what the policy says about an event that cannot be handled.
func (w *shardWorker) giveUp(ctx context.Context, e eventstream.LogEvent, upto int64, tries int, cause error) error {
	if w.sub.config.OnFailure == Stop {
		return &HandlerError{Subscription: w.sub.name, Shard: w.shard, Event: e, Tries: tries, Err: cause}
	}
	err := w.inTx(ctx, 0, upto, func(tx pgx.Tx) error {
		return w.park(ctx, tx, []eventstream.LogEvent{e}, tries, cause.Error())
	})
	if err == nil {
		w.tell(EventParked{Subscription: w.sub.name, Shard: w.shard, Event: refTo(&e), Tries: tries, Err: cause})
	}
	return err
}

// giveUpUnreadable does what the policy says about an event that no handler can get: no further try would help.
func (w *shardWorker) giveUpUnreadable(ctx context.Context, p page) error {
	w.record(ctx, part{page: p, handed: p.events}, 0, p.unreadable)
	return w.giveUp(ctx, p.events[0], p.upto, 0, p.unreadable)
}

// park puts events aside.
func (w *shardWorker) park(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent, tries int, reason string) error {
	if len(events) == 0 {
		return nil
	}
	positions := make([]int64, len(events))
	for i := range events {
		positions[i] = events[i].Position
	}
	w.parked = true
	return db.New().ParkedPark(ctx, tx, db.ParkedParkParams{
		Subscription: w.sub.name, Positions: positions, Tries: int32(tries), Error: storable(reason),
	})
}

// storable is a handler's error as PostgreSQL can store it: valid UTF-8 without NUL, and of bounded length.
func storable(reason string) string {
	const longest = 8 << 10
	if len(reason) > longest {
		reason = reason[:longest]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(reason, "\ufffd"), "\x00", "\ufffd")
}

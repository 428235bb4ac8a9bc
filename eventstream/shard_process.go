package eventstream

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/db"
)

// waitsBehind is what parked_events says of an event that the handler did not get.
const waitsBehind = "waits behind a parked event of its stream"

// handlerFailure is an error of the handler, as opposed to one of the database.
type handlerFailure struct{ err error }

func (f *handlerFailure) Error() string { return f.err.Error() }
func (f *handlerFailure) Unwrap() error { return f.err }

// process hands pages to the handler, in order.
func (w *shardWorker) process(ctx context.Context, pages <-chan page) error {
	if w.sub.handler.delivery() == deliveryAcknowledged {
		return w.processAcknowledged(ctx, pages)
	}
	for {
		select {
		case <-w.draining:
			return errDrained
		case <-ctx.Done():
			return ctx.Err()
		case p := <-pages:
			if err := w.deliver(ctx, p); err != nil {
				return err
			}
			w.recycle(p)
		}
	}
}

// deliver sees a page through: all of it is handled, parked or skipped when it returns nil.
func (w *shardWorker) deliver(ctx context.Context, p page) error {
	if p.events = w.due(p.events); len(p.events) == 0 {
		w.idle.Store(p.upto)
		return nil
	}
	if p.unreadable != nil {
		return w.giveUpUnreadable(ctx, p)
	}
	return w.deliverPart(ctx, p)
}

// deliverPart sees events through that are due.
func (w *shardWorker) deliverPart(ctx context.Context, p page) error {
	events, behind, err := w.admit(ctx, p.events)
	if err != nil {
		return err
	}
	err = w.attempt(ctx, events, behind, p.upto)
	var failure *handlerFailure
	if !errors.As(err, &failure) {
		return err
	}
	if err := w.ending(ctx); err != nil {
		return err // which is why it failed
	}
	return w.deliverApart(ctx, p, failure.err)
}

// admit separates what is to be handled from what has to wait behind a parked event of its stream.
func (w *shardWorker) admit(ctx context.Context, due []LogEvent) (free, behind []LogEvent, err error) {
	if !w.parked || w.sub.config.OnFailure != ParkStream || len(due) == 0 {
		return due, nil, nil
	}
	conn, release, err := w.hub.acquire(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	ids := make([]string, len(due))
	for i := range due {
		ids[i] = string(due[i].StreamID)
	}
	parked, err := w.hub.repo.queries.ParkedStreams(ctx, conn, db.ParkedStreamsParams{Subscription: w.sub.name, StreamIds: ids})
	if err != nil {
		return nil, nil, err
	}
	waits := make(map[StreamID]bool, len(parked))
	for _, id := range parked {
		waits[StreamID(id)] = true
	}
	free = make([]LogEvent, 0, len(due))
	for _, e := range due {
		if waits[e.StreamID] {
			behind = append(behind, e)
		} else {
			free = append(free, e)
		}
	}
	return free, behind, nil
}

// attempt hands events to the handler once, parks those that wait behind others, and moves the checkpoint.
func (w *shardWorker) attempt(ctx context.Context, events, behind []LogEvent, upto int64) error {
	if h, ok := w.sub.handler.(TxHandler); ok {
		return w.inTx(ctx, len(events), upto, func(tx pgx.Tx) error {
			if err := w.park(ctx, tx, behind, 0, waitsBehind); err != nil {
				return err
			}
			if len(events) == 0 {
				return nil
			}
			// A copy: it may sort or change what it got, and what fails is split and tried again.
			return call(func() error { return h(ctx, batchTx{tx}, w.lend(events)) })
		})
	}
	if len(events) > 0 {
		if err := w.callAndWait(ctx, events); err != nil {
			return err
		}
	}
	return w.checkpointAt(ctx, len(events), behind, upto)
}

// checkpointAt parks those that wait behind others, and moves the checkpoint.
func (w *shardWorker) checkpointAt(ctx context.Context, events int, behind []LogEvent, upto int64) error {
	return w.inTx(ctx, events, upto, func(tx pgx.Tx) error {
		return w.park(ctx, tx, behind, 0, waitsBehind)
	})
}

// inTx does something in a transaction that also moves the checkpoint, if this process still owns the shard by then.
func (w *shardWorker) inTx(ctx context.Context, events int, upto int64, do func(pgx.Tx) error) error {
	conn, release, err := w.hub.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	token := fmt.Sprintf("%d.%d.%d", w.shard, w.epoch, upto)
	tx, err := conn.BeginTx(ctx, w.hub.batchOptions(token))
	if err != nil {
		return err
	}
	defer rollback(tx)
	if err := do(tx); err != nil {
		return endedAnyway(tx, err)
	}
	err = w.hub.repo.queries.ShardMoveCheckpoint(ctx, tx, db.ShardMoveCheckpointParams{
		Subscription: w.sub.name, Shard: int32(w.shard), Epoch: w.epoch, Position: upto, Events: int64(events), Token: &token,
	})
	if err != nil {
		return swallowed(err)
	}
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	w.checkpoint.Store(upto)
	w.idle.Store(upto)
	return nil
}

// batchOptions begins a transaction for a handler. A hung process must not hold it for longer than its shard. The token tells it from
// another one that the handler may have begun.
func (h *hub) batchOptions(token string) pgx.TxOptions {
	return pgx.TxOptions{BeginQuery: fmt.Sprintf(
		"BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = %d; SET LOCAL eventstream.batch = '%s'",
		h.repo.config.Lease.Milliseconds(), token)}
}

// endedAnyway adds to a handler's error that it has ended its transaction: a further try would do the committed part twice.
func endedAnyway(tx pgx.Tx, err error) error {
	var failure *handlerFailure
	if conn := tx.Conn().PgConn(); errors.As(err, &failure) && !conn.IsClosed() && conn.TxStatus() == 'I' {
		return fmt.Errorf("%w; it returned: %w", ErrTxEnded, failure.err)
	}
	return err
}

// swallowed turns the error of a transaction that had failed before into the handler's: it must have returned nil all the same.
func swallowed(err error) error {
	var cause *pgconn.PgError
	if errors.As(err, &cause) && cause.Code == "25P02" {
		return &handlerFailure{errors.New("handler returned nil although a statement in its transaction had failed: return the error, or use a savepoint")}
	}
	return mapError(err)
}

// call runs a handler, and turns its error or panic into a handlerFailure.
func call(handler func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &handlerFailure{&HandlerPanicError{Value: value, Stack: debug.Stack()}}
		}
	}()
	if err := handler(); err != nil {
		return &handlerFailure{err}
	}
	return nil
}

// batchTx is the transaction of a batch, which the handler must not end.
type batchTx struct{ pgx.Tx }

// Commit is refused: returning nil from the handler commits.
func (batchTx) Commit(context.Context) error { return ErrTxEnded }

// Rollback is refused: returning an error from the handler rolls back.
func (batchTx) Rollback(context.Context) error { return ErrTxEnded }

// lend gives a handler events to look at until it returns: a copy, since a handler that fails may have changed it, whose memory serves
// the next call.
func (w *shardWorker) lend(events []LogEvent) []LogEvent {
	w.lent = append(w.lent[:0], events...)
	return w.lent
}

package subscription

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/lenttx"
	"github.com/gaplesspg/gapless/internal/outlast"
)

// errSwallowed is the failure of a handler that kept a failure to itself.
var errSwallowed = errors.New(
	"handler returned nil although a statement in its transaction had failed: return the error, or use a savepoint")

// inTx does something in a transaction that also moves the checkpoint, if this process still owns the shard by then.
func (w *shardWorker) inTx(ctx context.Context, events int, upto int64, do func(pgx.Tx) error) error {
	conn, release, err := w.hub.acquireOne(ctx, w.sub.slots)
	if err != nil {
		return err
	}
	defer release()
	token := fmt.Sprintf("%d.%d.%d", w.shard, w.epoch, upto)
	began := time.Now()
	handled := events > 0 && w.sub.handler.delivery() == deliveryTransaction
	limit := time.Duration(0)
	if handled {
		limit = w.sub.config.HandlerTimeout
	}
	tx, err := conn.BeginTx(ctx, batchOptions(token, w.sub.config.IdleTimeout, limit))
	if err != nil {
		return err
	}
	defer rollback(tx)
	if err := do(tx); err != nil {
		return w.sub.failedIn(tx, err, began)
	}
	if handled && tx.Conn().IsClosed() {
		return &handlerFailure{err: errSwallowed}
	}
	// The end of Run does not cut a checkpoint off halfway, so that what is done is told, and does not come again.
	lasting, done := outlast.Context(ctx)
	defer done()
	err = w.move(lasting, tx, events, upto, &token)
	if err != nil && handled {
		return w.sub.swallowed(tx, err, began)
	}
	if err != nil {
		return explain(w.sub.core, err)
	}
	if err := tx.Commit(lasting); err != nil {
		return w.sub.failedCommit(err, events)
	}
	w.moved(upto)
	return nil
}

// moveAlone moves the checkpoint in a statement that is a transaction of its own: a round trip in place of three.
func (w *shardWorker) moveAlone(ctx context.Context, events int, upto int64) error {
	conn, release, err := w.hub.acquireOne(ctx, w.sub.slots)
	if err != nil {
		return err
	}
	defer release()
	err = isolation.OrReadCommitted(ctx, conn, func(h db.DBTX) error { return w.move(ctx, h, events, upto, nil) })
	if err != nil {
		return explain(w.sub.core, err)
	}
	w.moved(upto)
	return nil
}

func (w *shardWorker) move(ctx context.Context, h db.DBTX, events int, upto int64, token *string) error {
	return db.New().ShardMoveCheckpoint(ctx, h, db.ShardMoveCheckpointParams{
		Subscription: w.sub.name, Shard: int32(w.shard), Epoch: w.epoch, Position: upto, Events: int64(events), Token: token,
	})
}

func (w *shardWorker) moved(upto int64) {
	w.checkpoint.Store(upto)
	w.idle.Store(upto)
	w.sub.reached(upto)
}

// batchOptions begins a transaction for a handler. A hung process must not hold it for longer than its shard. The token tells it from
// another one that the handler may have begun.
func batchOptions(token string, idle, limit time.Duration) pgx.TxOptions {
	return pgx.TxOptions{BeginQuery: fmt.Sprintf("%s; SET LOCAL eventstream.batch = '%s'", lenttx.BeginQuery(idle, limit), token)}
}

// failedIn completes a handler's error by what has become of its transaction. If the handler has ended it, a further try would do the
// committed part twice.
func (s *Subscription) failedIn(tx pgx.Tx, err error, began time.Time) error {
	var failure *handlerFailure
	if !errors.As(err, &failure) {
		return err
	}
	conn := tx.Conn().PgConn()
	if !conn.IsClosed() && conn.TxStatus() == 'I' {
		return &txEndedError{failure.err}
	}
	if conn.IsClosed() {
		return s.lost(failure.err, began)
	}
	return failure
}

// lost is the failure of a handler whose transaction is gone with its connection.
func (s *Subscription) lost(err error, began time.Time) *handlerFailure {
	var cause *pgconn.PgError
	idle := time.Since(began) >= s.config.IdleTimeout
	if errors.As(err, &cause) {
		idle = cause.Code == "25P03"
	}
	if idle && !errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%w (%s): %w", ErrTxIdle, s.config.IdleTimeout, err)
	}
	return &handlerFailure{err: err, lost: true}
}

// swallowed turns the error of the last statement of a batch into the handler's where it shows what the handler has kept to itself: that
// its transaction had failed before, or was lost while it did other things.
func (s *Subscription) swallowed(tx pgx.Tx, err error, began time.Time) error {
	var cause *pgconn.PgError
	known := errors.As(err, &cause)
	switch {
	case known && cause.Code == "25P02":
		return &handlerFailure{err: errSwallowed}
	case known && cause.Code == "25P03", !known && tx.Conn().IsClosed() && time.Since(began) >= s.config.IdleTimeout:
		return s.lost(err, began)
	}
	return explain(s.core, err)
}

// failedCommit is why a batch could not be committed. What the server refuses then, as a deferred constraint, is what the handler wrote;
// if the connection was lost, nobody knows what has become of the batch.
func (s *Subscription) failedCommit(err error, events int) error {
	var cause *pgconn.PgError
	if errors.As(err, &cause) && cause.SeverityUnlocalized == "ERROR" && events > 0 && s.handler.delivery() == deliveryTransaction {
		return &handlerFailure{err: err}
	}
	return err
}

// txEndedError is ErrTxEnded with the error that the handler returned all the same.
type txEndedError struct{ err error }

func (e *txEndedError) Error() string {
	return eventstream.ErrTxEnded.Error() + "; it returned: " + e.err.Error()
}
func (e *txEndedError) Unwrap() []error { return []error{eventstream.ErrTxEnded, e.err} }
func (e *txEndedError) ofTheHandler()   {}

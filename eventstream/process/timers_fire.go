package process

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/internal/invalid"
	"github.com/gaplesspg/gapless/internal/lenttx"
)

// fire handles a timer, if it is still there to be taken, and says whether it got through it: there may be another one to come. An error is
// one of the database; what the handler failed with is noted, and told.
func (t *Timers) fire(ctx context.Context, ref TimerRef) (fired bool, err error) {
	timer, err := t.inTx(ctx, ref)
	var failure *handlerError
	switch {
	case timer == nil || ctx.Err() != nil:
		return false, err
	case errors.As(err, &failure):
		err := t.failed(ctx, *timer, failure)
		return err == nil, err
	}
	return err == nil, err
}

// inTx takes a timer and handles it in one transaction. It returns nil if there is none to be taken.
func (t *Timers) inTx(ctx context.Context, ref TimerRef) (*Timer, error) {
	conn, err := t.core.Pool().Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: t.beginQuery()})
	if err != nil {
		return nil, explain(t.core, err)
	}
	defer rollback(tx)
	timer, err := take(ctx, tx, ref)
	if err != nil || timer == nil {
		return nil, explain(t.core, err)
	}
	if err := t.call(ctx, tx, *timer); err != nil {
		if !tx.Conn().IsClosed() && tx.Conn().PgConn().TxStatus() == 'I' {
			return timer, fmt.Errorf("timer %q of %q: %w: %w", ref.Name, ref.Key, eventstream.ErrTxEnded, err)
		}
		return timer, &handlerError{err: err, lost: tx.Conn().IsClosed()}
	}
	return timer, t.commit(ctx, tx, ref)
}

// beginQuery begins a transaction for a handler. A process that hangs must not hold the timer for ever, nor may a statement go on at the server
// for long after the handler's time is over.
func (t *Timers) beginQuery() string {
	begin := fmt.Sprintf("BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL idle_in_transaction_session_timeout = %d",
		t.config.IdleTimeout.Milliseconds())
	if t.config.HandlerTimeout == 0 {
		return begin
	}
	return begin + fmt.Sprintf("; SET LOCAL statement_timeout = %d", min(t.config.HandlerTimeout+statementMargin, invalid.LongestTimeout).Milliseconds())
}

// statementMargin lets the handler's context end first, which says what happened.
const statementMargin = 200 * time.Millisecond

// commit commits what a handler did. A transaction that a statement of it had failed in, which the handler kept to itself, is its failure.
func (t *Timers) commit(ctx context.Context, tx pgx.Tx, ref TimerRef) error {
	if !tx.Conn().IsClosed() && tx.Conn().PgConn().TxStatus() == 'I' {
		return fmt.Errorf("timer %q of %q: %w", ref.Name, ref.Key, eventstream.ErrTxEnded)
	}
	err := tx.Commit(ctx)
	if errors.Is(err, pgx.ErrTxCommitRollback) {
		return &handlerError{err: errSwallowed}
	}
	return explain(t.core, err)
}

// errSwallowed is the failure of a handler that kept a failure to itself.
var errSwallowed = errors.New(
	"handler returned nil although a statement in its transaction had failed: return the error, or use a savepoint")

func take(ctx context.Context, tx pgx.Tx, ref TimerRef) (*Timer, error) {
	row, err := db.New().TimerTake(ctx, tx, db.TimerTakeParams{Process: ref.Process, Key: ref.Key, Name: ref.Name})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &Timer{
		TimerRef: ref, ID: row.TimerID, DueAt: row.DueAt.UTC(), SetAt: row.SetAt.UTC(), FiredAt: row.TakenAt.UTC(),
		Tries: int(row.Tries), Payload: row.Payload,
	}, nil
}

// call runs the handler, and turns a panic into an error.
func (t *Timers) call(ctx context.Context, tx pgx.Tx, timer Timer) (err error) {
	limited := ctx
	if t.config.HandlerTimeout > 0 {
		var cancel context.CancelFunc
		limited, cancel = context.WithTimeout(ctx, t.config.HandlerTimeout)
		defer cancel()
	}
	defer func() {
		if value := recover(); value != nil {
			err = &PanicError{Value: value, Stack: debug.Stack()}
		}
		if err != nil && ctx.Err() == nil && limited.Err() != nil {
			err = fmt.Errorf("%w (%s): %w", subscription.ErrHandlerTimeout, t.config.HandlerTimeout, err)
		}
	}()
	return t.handle(limited, lenttx.Tx{Tx: tx, Refusal: eventstream.ErrTxEnded}, timer)
}

// failed notes that the handler failed on a timer, which is rolled back by now: it comes again after a pause, or is parked.
func (t *Timers) failed(ctx context.Context, timer Timer, cause *handlerError) error {
	verdict := subscription.JudgeError(cause.err, cause.lost)
	failure := &TimerError{Timer: timer, Tries: timer.Tries, Err: cause.err}
	counted := 0
	if verdict.Counts {
		counted = 1
		failure.Tries++
	}
	failure.Parked = verdict.Permanent || verdict.Counts && failure.Tries >= t.config.MaxTries
	wait := verdict.After
	if wait <= 0 {
		wait = t.backoff(failure.Tries)
	}
	err := db.New().TimerFail(ctx, t.core.Pool(), db.TimerFailParams{
		Process: timer.Process, Key: timer.Key, Name: timer.Name, TimerID: timer.ID.String(),
		Error: storable(cause), Tries: int32(counted), Pause: interval(wait), Park: failure.Parked,
	})
	t.config.OnError(failure)
	return explain(t.core, err)
}

// backoff is the pause after so many tries that failed.
func (t *Timers) backoff(tries int) time.Duration {
	wait := t.config.MinBackoff
	for i := 1; i < tries && wait < t.config.MaxBackoff; i++ {
		wait *= 2
	}
	return min(wait, t.config.MaxBackoff)
}

func rollback(tx pgx.Tx) {
	// The context of the caller may have ended, and the transaction must not outlive this.
	ctx, cancel := context.WithTimeout(context.Background(), rollbackTimeout)
	defer cancel()
	_ = tx.Rollback(ctx)
}

const rollbackTimeout = 5 * time.Second

package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/internal/lenttx"
	"github.com/gaplesspg/gapless/internal/outlast"
)

// timerBatch is timers that are to be handled in one transaction.
type timerBatch struct {
	run  *timersRun
	refs []TimerRef
	// at is the one whose handler was called last; nil before the first. The run's mu guards it.
	at *TimerRef
}

// fire handles timers, as far as they are still there to be taken, and says whether it got through some: there may be another one to come. An
// error is one of the database; what the handler failed with is noted, and told.
func (t *Timers) fire(ctx context.Context, batch *timerBatch) (fired bool, err error) {
	taken, err := t.inTx(ctx, batch)
	var failure *handlerError
	switch {
	case len(taken) == 0 || ctx.Err() != nil:
		return false, err
	case !errors.As(err, &failure):
		return err == nil, err
	case len(taken) == 1:
		err := t.failed(ctx, taken[0], failure)
		return err == nil, err
	}
	// Nothing of the batch is left. Each by itself, the others get through, and the one at fault has failed.
	for _, timer := range taken {
		batch.refs = []TimerRef{timer.TimerRef}
		one, err := t.fire(ctx, batch)
		if fired = fired || one; err != nil {
			return fired, err
		}
	}
	return fired, nil
}

// inTx takes timers and handles them in one transaction. It returns none if there is none to be taken, or if another worker's handler is at one
// of them, whose transaction the server has ended: that one would hang here too.
func (t *Timers) inTx(ctx context.Context, batch *timerBatch) ([]Timer, error) {
	conn, err := t.core.Pool().Acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{BeginQuery: lenttx.BeginQuery(t.config.IdleTimeout, t.config.HandlerTimeout)})
	if err != nil {
		return nil, explain(t.core, err)
	}
	defer rollback(tx)
	timers, err := t.take(ctx, tx, batch.refs)
	if err != nil || len(timers) == 0 {
		return nil, explain(t.core, err)
	}
	began := time.Now()
	for _, timer := range timers {
		if !batch.reach(timer.TimerRef) {
			return nil, nil
		}
		if err := t.handleIn(ctx, tx, timer); err != nil {
			return timers, err
		}
	}
	t.pace.Store(int64(time.Since(began)) / int64(len(timers)))
	return timers, t.commit(ctx, tx)
}

// handleIn handles a timer in a transaction, which it must leave as it found it.
func (t *Timers) handleIn(ctx context.Context, tx pgx.Tx, timer Timer) error {
	err := t.call(ctx, tx, timer)
	status := byte(0)
	if !tx.Conn().IsClosed() {
		status = tx.Conn().PgConn().TxStatus()
	}
	switch {
	case status == 'I':
		return errors.Join(fmt.Errorf("timer %q of %q: %w", timer.Name, timer.Key, eventstream.ErrTxEnded), err)
	case err != nil:
		return &handlerError{err: err, lost: tx.Conn().IsClosed()}
	case status == 'E':
		return &handlerError{err: errSwallowed}
	}
	return nil
}

// commit commits what handlers did, also if Run is told to end meanwhile. A transaction that a statement of theirs had failed in was noticed before.
func (t *Timers) commit(ctx context.Context, tx pgx.Tx) error {
	lasting, done := outlast.Context(ctx)
	defer done()
	err := tx.Commit(lasting)
	if errors.Is(err, pgx.ErrTxCommitRollback) {
		return &handlerError{err: errSwallowed}
	}
	return explain(t.core, err)
}

// errSwallowed is the failure of a handler that kept a failure to itself.
var errSwallowed = errors.New(
	"handler returned nil although a statement in its transaction had failed: return the error, or use a savepoint")

// take takes those of the timers that are there to be taken, in order of key and name: who appends to streams of their keys meets others, who do
// the same, in one order.
func (t *Timers) take(ctx context.Context, tx pgx.Tx, refs []TimerRef) ([]Timer, error) {
	params := db.TimerTakeParams{Process: t.name}
	for _, ref := range refs {
		params.Keys, params.Names = append(params.Keys, ref.Key), append(params.Names, ref.Name)
	}
	rows, err := db.New().TimerTake(ctx, tx, params)
	if err != nil {
		return nil, err
	}
	timers := make([]Timer, len(rows))
	for i, row := range rows {
		timers[i] = Timer{
			TimerRef: TimerRef{Process: t.name, Key: row.Key, Name: row.Name}, ID: row.TimerID, DueAt: row.DueAt.UTC(), SetAt: row.SetAt.UTC(),
			FiredAt: row.TakenAt.UTC(), Tries: int(row.Tries), Payload: row.Payload, Metadata: row.Metadata,
		}
	}
	slices.SortFunc(timers, func(a, b Timer) int { return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.Name, b.Name)) })
	return timers, nil
}

// call runs the handler, and turns a panic into an error.
func (t *Timers) call(ctx context.Context, tx pgx.Tx, timer Timer) (err error) {
	ctx, ended := t.trace(ctx, timer)
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
		ended(err)
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

package eventstream

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
)

const (
	// keepEvery is how often the stable position is kept in log_state, while it moves.
	keepEvery = 100 * time.Millisecond
	// countable is how many positions without marks a reader counts rather than waits for.
	countable = 20_000
	// keepPatience is how long a reader waits for another session that writes marks, without seeing it get on.
	keepPatience = time.Second
	// beginKeep opens the transaction that keeps the stable position. READ COMMITTED, whatever the default, since marks are counted over
	// what the latest snapshot sees. What is kept can be found out again, so its commit waits for no disk. The function takes a
	// quarter of the time that its statement may.
	beginKeep = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off; SET LOCAL statement_timeout = '2s'"
)

// lookAtLog says how far the log can be read by a later statement, and how far that is kept. Outside a transaction of the caller it is the
// live position in any isolation: the statement is a transaction of its own, and what is read later has a later snapshot.
func (r *Repository) lookAtLog(ctx context.Context, h Handle) (db.LogLookRow, error) {
	look, err := r.queries.LogLook(ctx, h)
	if _, ok := aloneOn(h); !ok || err == nil && !look.OneSnapshot || err != nil && !hasSQLState(err, serializationFailure) {
		return look, err
	}
	err = readCommitted(ctx, h, func(h Handle) (err error) {
		look, err = r.queries.LogLook(ctx, h)
		return err
	})
	return look, err
}

// stableToRead returns the stable position, by a statement of its own before the first that reads events. Outside a transaction of the
// caller, it is kept too if that was not done for a while: what is not kept has no marks, and numbering it means counting it. level waits
// until all but a few events have marks, for who does not begin where they begin.
//
// Keeping is housekeeping: where it fails, or is not permitted, the reader counts.
func (r *Repository) stableToRead(ctx context.Context, h Handle, level bool) (int64, error) {
	look, err := r.lookAtLog(ctx, h)
	if err != nil {
		return 0, err
	}
	patience := time.Duration(0)
	if level {
		patience = math.MaxInt64
	}
	r.bringMarks(ctx, h, look, patience)
	return look.StablePosition, ctx.Err()
}

// marksForLag lets marks come near the stable position, for a bounded time: without any, a backlog is counted.
func (r *Repository) marksForLag(ctx context.Context, h Handle) error {
	look, err := r.lookAtLog(ctx, h)
	if err == nil {
		r.bringMarks(ctx, h, look, keepPatience)
	}
	return errorsFirst(err, ctx.Err())
}

// bringMarks keeps the stable position that was seen if that is due, and waits so long until all but a few events below it have marks.
func (r *Repository) bringMarks(ctx context.Context, h Handle, seen db.LogLookRow, patience time.Duration) {
	begins, alone := aloneOn(h)
	if !alone || seen.Due && r.keep(ctx, begins, keepEvery) != nil {
		return
	}
	r.awaitMarks(ctx, h, begins, seen, patience)
}

// awaitMarks keeps on until marks are near the stable position that was seen, as long as anybody gets on with it. It counts the time by
// itself: a context that ends under way costs a connection.
func (r *Repository) awaitMarks(ctx context.Context, h Handle, begins importHandle, seen db.LogLookRow, patience time.Duration) {
	began := time.Now()
	kept, moved := seen.KeptPosition, began
	for seen.StablePosition-kept > countable && time.Since(moved) < keepPatience && time.Since(began) < patience {
		look, err := r.lookAtLog(ctx, h)
		if err != nil {
			return
		}
		if look.KeptPosition > kept {
			kept, moved = look.KeptPosition, time.Now()
			continue
		}
		if r.keep(ctx, begins, 0) != nil || sleep(ctx, shortestPoll) != nil {
			return
		}
	}
}

// keep stores the stable position for standbys and for numbering, unless that was done more recently than minAge.
func (r *Repository) keep(ctx context.Context, begins importHandle, minAge time.Duration) error {
	return pgx.BeginTxFunc(ctx, begins, pgx.TxOptions{BeginQuery: beginKeep}, func(tx pgx.Tx) error {
		_, err := r.queries.LogAdvance(ctx, tx, minAge.Milliseconds())
		return err
	})
}

package eventstream

import (
	"context"
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
	// what the latest snapshot sees. What is kept can be found out again, so its commit waits for no disk. The function bounds its own time.
	beginKeep = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off; SET LOCAL statement_timeout = '10s'"
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
	begins, alone := aloneOn(h)
	if err != nil || !alone || !look.Due {
		return look.StablePosition, err
	}
	if r.keep(ctx, begins, keepEvery) == nil && level {
		r.awaitMarks(ctx, h, begins, look)
	}
	return look.StablePosition, ctx.Err()
}

// marksForLag lets marks come near the stable position, for a bounded time: without any, a backlog is counted.
func (r *Repository) marksForLag(ctx context.Context, h Handle) error {
	if _, alone := aloneOn(h); !alone {
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, keepPatience)
	defer cancel()
	_, err := r.stableToRead(limited, h, true)
	if ctx.Err() == nil && limited.Err() != nil {
		return nil
	}
	return err
}

// awaitMarks keeps on until marks are near the stable position that was seen, as long as anybody gets on with it.
func (r *Repository) awaitMarks(ctx context.Context, h Handle, begins importHandle, seen db.LogLookRow) {
	kept, moved := seen.KeptPosition, time.Now()
	for seen.StablePosition-kept > countable && time.Since(moved) < keepPatience {
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

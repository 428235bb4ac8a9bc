// Package logend finds out how far the log can be read, and keeps it for standbys and for numbering.
package logend

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gaplesspg/gapless/db"
	"github.com/gaplesspg/gapless/internal/isolation"
	"github.com/gaplesspg/gapless/internal/pause"
	"github.com/gaplesspg/gapless/internal/pgerr"
)

const (
	// KeepEvery is how often the stable position is kept in log_state, while it moves.
	KeepEvery = 100 * time.Millisecond
	// countable is how many positions without marks a reader counts rather than waits for.
	countable = 20_000
	// keepPatience is how long a reader waits for another session that writes marks, without seeing it get on.
	keepPatience = time.Second
	// shortestPoll is the pause between two looks at what another session keeps.
	shortestPoll = 5 * time.Millisecond
	// beginKeep opens the transaction that keeps the stable position. READ COMMITTED, whatever the default, since marks are counted over
	// what the latest snapshot sees. What is kept can be found out again, so its commit waits for no disk. The function takes a
	// quarter of the time that its statement may.
	beginKeep = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL synchronous_commit = off; SET LOCAL statement_timeout = '2s'"
)

// Look says how far the log can be read by a later statement, and how far that is kept. Outside a transaction of the caller it is the
// live position in any isolation: the statement is a transaction of its own, and what is read later has a later snapshot.
func Look(ctx context.Context, h db.DBTX) (db.LogLookRow, error) {
	look, err := db.New().LogLook(ctx, h)
	if _, ok := isolation.AloneOn(h); !ok || err == nil && !look.OneSnapshot || err != nil && !pgerr.HasState(err, pgerr.SerializationFailure) {
		return look, err
	}
	err = isolation.ReadCommitted(ctx, h, func(h db.DBTX) (err error) {
		look, err = db.New().LogLook(ctx, h)
		return err
	})
	return look, err
}

// ToRead returns the stable position, by a statement of its own before the first that reads events. Outside a transaction of the
// caller, it is kept too if that was not done for a while: what is not kept has no marks, and numbering it means counting it. level waits
// until all but a few events have marks, for who does not begin where they begin.
//
// Keeping is housekeeping: where it fails, or is not permitted, the reader counts.
func ToRead(ctx context.Context, h db.DBTX, level bool) (int64, error) {
	look, err := Look(ctx, h)
	if err != nil {
		return 0, err
	}
	patience := time.Duration(0)
	if level {
		patience = math.MaxInt64
	}
	bringMarks(ctx, h, look, patience)
	return look.StablePosition, ctx.Err()
}

// ForLag lets marks come near the stable position, for a bounded time: without any, a backlog is counted.
func ForLag(ctx context.Context, h db.DBTX) error {
	look, err := Look(ctx, h)
	if err == nil {
		bringMarks(ctx, h, look, keepPatience)
	}
	return cmp.Or(err, ctx.Err())
}

// bringMarks keeps the stable position that was seen if that is due, and waits so long until all but a few events below it have marks.
func bringMarks(ctx context.Context, h db.DBTX, seen db.LogLookRow, patience time.Duration) {
	begins, alone := isolation.AloneOn(h)
	if !alone || seen.Due && Keep(ctx, begins, KeepEvery) != nil {
		return
	}
	awaitMarks(ctx, h, begins, seen, patience)
}

// awaitMarks keeps on until marks are near the stable position that was seen, as long as anybody gets on with it. It counts the time by
// itself: a context that ends under way costs a connection.
func awaitMarks(ctx context.Context, h db.DBTX, begins isolation.Beginner, seen db.LogLookRow, patience time.Duration) {
	began := time.Now()
	kept, moved := seen.KeptPosition, began
	for seen.StablePosition-kept > countable && time.Since(moved) < keepPatience && time.Since(began) < patience {
		look, err := Look(ctx, h)
		if err != nil {
			return
		}
		if look.KeptPosition > kept {
			kept, moved = look.KeptPosition, time.Now()
			continue
		}
		if Keep(ctx, begins, 0) != nil || pause.For(ctx, shortestPoll) != nil {
			return
		}
	}
}

// Keep stores the stable position for standbys and for numbering, unless that was done more recently than minAge.
func Keep(ctx context.Context, begins isolation.Beginner, minAge time.Duration) error {
	return pgx.BeginTxFunc(ctx, begins, pgx.TxOptions{BeginQuery: beginKeep}, func(tx pgx.Tx) error {
		_, err := db.New().LogAdvance(ctx, tx, minAge.Milliseconds())
		return err
	})
}

// Same tells a reader on a pool which connections go to the log that it reads: after a failover others do, where what the reader knows of
// the end of the log means nothing. The zero value knows none.
type Same struct{ conns []*pgx.Conn }

// maxSame bounds how many connections a reader remembers.
const maxSame = 64

// Add remembers a connection.
func (s *Same) Add(conn *pgx.Conn) {
	if len(s.conns) == maxSame {
		s.conns = s.conns[:0]
	}
	s.conns = append(s.conns, conn)
}

// Knows says whether a connection is remembered.
func (s *Same) Knows(conn *pgx.Conn) bool { return slices.Contains(s.conns, conn) }

package integration_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// The server commits, and its answer is lost: the caller tries again and gets the first result, in every expectation mode,
// also when the stream has moved on meanwhile.
func TestLostAnswerThenRetry(t *testing.T) {
	t.Parallel()
	for before, modes := range []map[string]eventstream.Expected{onNew, onOne} {
		for name, expected := range modes {
			for moved, others := range map[string]int{"": 0, "StreamMovedOn": 2} {
				t.Run([]string{"New", "One"}[before]+name+moved, func(t *testing.T) {
					t.Parallel()
					b := setup(t)
					var want []eventstream.Event
					if before > 0 {
						want = given(t, b, "order-1", before)
					}
					w := &wire{}
					repo := repoOn(t, w.pool(t, b))
					_, err := repo.Append(b.ctx, "warm-1", eventstream.Any, someEvents(t, 3)...) // prepares the statement
					require.NoError(t, err)

					events := someEvents(t, 3)
					w.lose.Store(true)
					_, err = repo.Append(b.ctx, "order-1", expected, events...)
					require.Error(t, err)
					require.Equal(t, int64(1), w.lost.Load())
					require.True(t, eventstream.SafeToRetry(err), "%v", err)
					requireHolds(t, b, "order-1", append(want, events...)...)
					for range others {
						more := anEvent(t, 9)
						_, err := b.repo.Append(b.ctx, "order-1", eventstream.Any, more)
						require.NoError(t, err)
					}

					unchanged := unwritten(t, b)
					again, err := repo.Append(b.ctx, "order-1", expected, events...)
					require.NoError(t, err)
					position := number(t, b.ctx, b.pool, `SELECT position FROM eventstream.events WHERE event_id = $1`, events[2].ID)
					require.Equal(t, eventstream.AppendResult{
						FirstVersion: int64(before + 1), LastVersion: int64(before + 3), LastPosition: position,
						CurrentVersion: int64(before + 3 + others), Duplicate: true,
					}, again)
					unchanged()
					requireAuditClean(t, b)
				})
			}
		}
	}
}

// The same for the other writes: a batch, an ingest, a Save, and the COMMIT of the caller's own transaction.
func TestLostAnswerOfOtherWrites(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := &wire{}
	pool := w.pool(t, b)
	repo := repoOn(t, pool)
	lose := func(call func() error) {
		t.Helper()
		require.NoError(t, call(), "the first time prepares the statements")
		w.lose.Store(true)
	}
	lost := func(err error) {
		t.Helper()
		require.Error(t, err)
		require.False(t, w.lose.Load(), "the answer was lost")
		require.True(t, eventstream.SafeToRetry(err), "%v", err)
	}

	many := func(suffix string) func() ([]eventstream.AppendResult, error) {
		requests := []eventstream.AppendRequest{
			{StreamID: eventstream.StreamID("b-" + suffix), Expected: eventstream.Empty, Events: someEvents(t, 2)},
			{StreamID: eventstream.StreamID("a-" + suffix), Expected: eventstream.Empty, Events: someEvents(t, 1)},
		}
		return func() ([]eventstream.AppendResult, error) { return repo.AppendMany(b.ctx, requests...) }
	}
	lose(func() error { _, err := many("1")(); return err })
	batch := many("2")
	_, err := batch()
	lost(err)
	results, err := batch()
	require.NoError(t, err)
	require.True(t, results[0].Duplicate && results[1].Duplicate)

	events := numbered(t, 3)
	lose(func() error { _, err := repo.Ingest(b.ctx, "in-1", events[0]); return err })
	_, err = repo.Ingest(b.ctx, "in-1", events[2])
	lost(err)
	ingested, err := repo.Ingest(b.ctx, "in-1", events[2])
	require.NoError(t, err)
	require.Equal(t, eventstream.IngestResult{Duplicates: 1, Watermark: 1, CurrentVersion: 3}, ingested)
	_, err = repo.Ingest(b.ctx, "in-1", events...)
	require.NoError(t, err)

	stream, err := repo.GetOrCreate(b.ctx, "save-1")
	require.NoError(t, err)
	_, err = stream.AppendEvent(anEvent(t, 1))
	require.NoError(t, err)
	lose(func() error { _, err := repo.Append(b.ctx, "warm-1", eventstream.Any, anEvent(t, 1)); return err })
	_, err = repo.Save(b.ctx, stream)
	lost(err)
	require.Len(t, stream.NewEvents(), 1)
	saved, err := repo.Save(b.ctx, stream)
	require.NoError(t, err)
	require.True(t, saved.Duplicate)
	require.Empty(t, stream.NewEvents())
	require.Equal(t, int64(1), stream.Watermark())

	mine := anEvent(t, 1)
	inTransaction := func() error {
		return pgx.BeginFunc(b.ctx, pool, func(tx pgx.Tx) error {
			if _, err := repo.WithTx(tx).Append(b.ctx, "tx-1", eventstream.Empty, mine); err != nil {
				return err
			}
			w.lose.Store(true)
			return nil
		})
	}
	lost(inTransaction())
	requireHolds(t, b, "tx-1", mine)
	result, err := repo.Append(b.ctx, "tx-1", eventstream.Empty, mine)
	require.NoError(t, err)
	require.True(t, result.Duplicate)
	requireAuditClean(t, b)
}

// The backend is ended in the middle of an append: nothing is left of it, and trying again appends.
func TestLostBackendInTheMiddle(t *testing.T) {
	t.Parallel()
	b := setup(t)
	old := given(t, b, "order-1", 1)
	holder := newActor(t, b)
	_, err := holder.repo.Append(b.ctx, "order-1", eventstream.Any, anEvent(t, 2))
	require.NoError(t, err)

	conn := session(t, b)
	events := someEvents(t, 2)
	waiting := start(func() ([]eventstream.AppendResult, error) {
		return repoOn(t, conn).AppendMany(b.ctx,
			eventstream.AppendRequest{StreamID: "aaa-new", Expected: eventstream.Empty, Events: events[:1]},
			eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Any, Events: events[1:]})
	})
	waitBlocked(t, b, conn.PgConn().PID(), holder.pid())
	execSQL(t, b.ctx, b.pool, `SELECT pg_terminate_backend($1)`, conn.PgConn().PID())
	got := <-waiting
	requireSQLState(t, got.err, "57P01")
	require.True(t, eventstream.SafeToRetry(got.err))
	holder.end(t, b, false)
	_, err = b.repo.Stream(b.ctx, "aaa-new")
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound)

	results, err := b.repo.AppendMany(b.ctx,
		eventstream.AppendRequest{StreamID: "aaa-new", Expected: eventstream.Empty, Events: events[:1]},
		eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Any, Events: events[1:]})
	require.NoError(t, err)
	require.False(t, results[0].Duplicate || results[1].Duplicate)
	requireHolds(t, b, "order-1", old[0], events[1])
	requireAuditClean(t, b)
	require.False(t, eventstream.SafeToRetry(context.Canceled))
}

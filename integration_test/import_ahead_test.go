package integration_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// On a pool the source is read on while a chunk is written, by one chunk and not more.
func TestImportReadsOnWhileAChunkIsWritten(t *testing.T) {
	t.Parallel()
	const chunk = eventstream.MaxImportEvents
	b := setup(t)
	var reached atomic.Int64
	whole := history{events: 3*chunk + 5, perStream: 40}
	h := whole
	h.before = func(n int) error {
		reached.Store(int64(n))
		return nil
	}
	tx, err := session(t, b).Begin(b.ctx)
	require.NoError(t, err)
	_, err = repoOn(t, tx).Append(b.ctx, h.event(0).StreamID, eventstream.Empty, anEvent(t, 1))
	require.NoError(t, err)
	done := start(func() (eventstream.ImportResult, error) { return b.repo.Import(b.ctx, h.all()) })
	waitFor(t, func() bool { return reached.Load() == 2*chunk-1 }, func() string { return fmt.Sprintf("event %d was reached", reached.Load()) })
	require.Zero(t, eventsIn(t, b), "the first chunk waits for another writer of its first version")
	require.Equal(t, int64(2*chunk-1), reached.Load(), "a third chunk would be one too many in memory")
	require.NoError(t, tx.Rollback(b.ctx))
	got := <-done
	require.NoError(t, got.err)
	require.Equal(t, eventstream.ImportResult{Imported: int64(h.events), LastPosition: lastPosition(t, b)}, got.value)
	requireHistory(t, b, whole)
}

// asSource gives the events of a log as another store's.
func asSource(log iter.Seq2[eventstream.LogEvent, error]) iter.Seq2[eventstream.Event, error] {
	return func(yield func(eventstream.Event, error) bool) {
		for e, err := range log {
			if !yield(e.Event, err) {
				return
			}
		}
	}
}

// A source may read by the import's own connection, or by its pool, however small that is.
func TestImportSharesItsConnectionWithTheSource(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := history{events: 2*eventstream.MaxImportEvents + 5, perStream: 40, numbered: true}
	_, err := b.repo.Import(b.ctx, h.all())
	require.NoError(t, err)
	for name, repo := range map[string]*eventstream.Repository{
		"connection": repoOn(t, session(t, b)), "pool of one": repoOn(t, newPool(t, b.dsn, withMaxConns(1))),
	} {
		result, err := repo.Import(b.ctx, asSource(repo.ReadLog(b.ctx, eventstream.LogOptions{})))
		require.NoError(t, err, name)
		require.Equal(t, eventstream.ImportResult{Skipped: int64(h.events)}, result, name)
	}
	requireHistory(t, b, h)
}

// rollbacks counts those that were done.
type rollbacks struct{ atomic.Int64 }

func (r *rollbacks) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, r, data.SQL == "rollback")
}

func (r *rollbacks) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if is, _ := ctx.Value(r).(bool); is {
		r.Add(1)
	}
}

// refusedHistory is a history whose first chunk is refused: the store has another event at the place of its first.
func refusedHistory(t *testing.T, b *bundle) history {
	t.Helper()
	h := history{events: 2*eventstream.MaxImportEvents - 1, perStream: 40, numbered: true}
	given(t, b, h.event(0).StreamID, 1)
	return h
}

func requireRefusedFirst(t *testing.T, b *bundle, result eventstream.ImportResult, err error) {
	t.Helper()
	var refused *eventstream.ImportError
	require.ErrorAs(t, err, &refused)
	require.Zero(t, refused.Index)
	var conflict *eventstream.IngestConflictError
	require.ErrorAs(t, err, &conflict)
	require.Zero(t, result)
	require.Equal(t, int64(1), eventsIn(t, b))
}

// What was refused ends an import when that is known, not when a slow source has filled another chunk.
func TestImportEndsOnceAChunkIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	undone := &rollbacks{}
	h := refusedHistory(t, b)
	h.before = func(n int) error {
		if n <= eventstream.MaxImportEvents {
			return nil
		}
		// It is looked at twice. Then a query makes the source slow, while the error is on its way.
		waitFor(t, func() bool { return undone.Load() == 2 }, func() string { return fmt.Sprintf("%d tries were undone", undone.Load()) })
		require.Less(t, n, h.events-1, "the source was read to its end")
		return b.pool.Ping(b.ctx)
	}
	result, err := repoOn(t, tracedPool(t, b, undone)).Import(b.ctx, h.all())
	requireRefusedFirst(t, b, result, err)
}

// The refusal comes first in the source, so it is what the import returns, whatever comes of the source meanwhile.
func TestImportReportsTheRefusalBeforeTheSourcesError(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := refusedHistory(t, b)
	h.before = failAt(eventstream.MaxImportEvents + 1)
	result, err := b.repo.Import(b.ctx, h.all())
	requireRefusedFirst(t, b, result, err)
	h.before = nil
	result, err = b.repo.Import(b.ctx, func(yield func(eventstream.Event, error) bool) {
		for e := range h.all() {
			if e.ID == h.event(eventstream.MaxImportEvents+1).ID {
				e.Type = "" // which is seen before it is written
			}
			if !yield(e, nil) {
				return
			}
		}
	})
	requireRefusedFirst(t, b, result, err)
}

// errPanic is what a source panics with.
var errPanic = errors.New("the source panics")

// A source that panics does not leave a chunk half written, nor a transaction behind: what was being written is there when the panic passes.
func TestImportOfASourceThatPanics(t *testing.T) {
	t.Parallel()
	b := setup(t)
	h := history{events: 2 * eventstream.MaxImportEvents, perStream: 40}
	h.before = func(n int) error {
		if n == inSecondChunk {
			panic(errPanic)
		}
		return nil
	}
	require.PanicsWithError(t, errPanic.Error(), func() { _, _ = b.repo.Import(b.ctx, h.all()) })
	require.Equal(t, int64(eventstream.MaxImportEvents), eventsIn(t, b))
	requireHistory(t, b, history{events: eventstream.MaxImportEvents, perStream: 40})
}

package integration_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// inSecondChunk is the number of an event in the middle of the second chunk.
const inSecondChunk = eventstream.MaxImportEvents + 4321

// The source fails wherever it likes: the chunks before it stay, the chunk in hand leaves nothing, and the next import brings the
// rest.
func TestImportGoesOnWhereTheSourceFailed(t *testing.T) {
	t.Parallel()
	const chunk = eventstream.MaxImportEvents
	for _, numbered := range []bool{false, true} {
		t.Run(fmt.Sprintf("Numbered=%t", numbered), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			whole := history{events: 2*chunk + 77, perStream: 40, numbered: numbered}
			for _, at := range []int{0, 1, chunk - 1, chunk, chunk + 1, inSecondChunk, 2 * chunk, 2*chunk + 76} {
				h, had, position := whole, eventsIn(t, b), lastPosition(t, b)
				h.before = failAt(at)
				result, err := b.repo.Import(b.ctx, h.all())
				require.ErrorIs(t, err, errSource)
				require.Contains(t, err.Error(), fmt.Sprintf("after %d events", at))
				require.Equal(t, int64(at/chunk*chunk), result.Imported+result.Skipped, "whole chunks before event %d", at)
				require.Equal(t, had+result.Imported, eventsIn(t, b))
				if result.Imported > 0 {
					require.Greater(t, result.LastPosition, position)
					require.Equal(t, lastPosition(t, b), result.LastPosition)
				} else {
					require.Zero(t, result.LastPosition)
				}
			}
			result, err := b.repo.Import(b.ctx, whole.all())
			require.NoError(t, err)
			require.Equal(t, eventstream.ImportResult{Imported: 77, Skipped: 2 * chunk, LastPosition: lastPosition(t, b)}, result)
			requireHistory(t, b, whole)
		})
	}
}

// The context ends between two events, or while a chunk waits for another writer.
func TestImportEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := history{events: eventstream.MaxImportEvents + 5000, perStream: 40}
	ctx, cancel := context.WithCancel(b.ctx)
	h := whole
	h.before = func(n int) error {
		require.LessOrEqual(t, n, inSecondChunk, "the source is not read on")
		if n == inSecondChunk {
			waitFor(t, func() bool { return eventsIn(t, b) == eventstream.MaxImportEvents }, func() string { return "the first chunk is not written" })
			cancel()
		}
		return nil
	}
	result, err := b.repo.Import(ctx, h.all())
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, eventstream.SafeToRetry(err))
	require.Equal(t, int64(eventstream.MaxImportEvents), result.Imported)
	require.Equal(t, result.Imported, eventsIn(t, b))

	importer, other := session(t, b), session(t, b)
	tx, err := other.Begin(b.ctx)
	require.NoError(t, err)
	last := whole.event(whole.events - 1)
	_, err = repoOn(t, tx).Append(b.ctx, last.StreamID, eventstream.Any, anEvent(t, 1))
	require.NoError(t, err)
	ctx, cancel = context.WithCancel(b.ctx)
	repo := repoOn(t, importer)
	done := start(func() (eventstream.ImportResult, error) { return repo.Import(ctx, whole.all()) })
	waitBlocked(t, b, importer.PgConn().PID(), other.PgConn().PID())
	cancel()
	got := <-done
	require.ErrorIs(t, got.err, context.Canceled)
	require.Equal(t, eventstream.ImportResult{Skipped: eventstream.MaxImportEvents}, got.value)
	require.NoError(t, tx.Rollback(b.ctx))

	_, err = b.repo.Import(b.ctx, whole.all())
	require.NoError(t, err)
	requireHistory(t, b, whole)
}

// endedAtCommit has a process of its own do what takes several transactions, ends its context before the first commit, lets it go on, and gives
// what it returns beside the error.
func endedAtCommit[T any](t *testing.T, b *bundle, do func(ctx context.Context, repo *eventstream.Repository) (T, error)) (result T) {
	t.Helper()
	at := pauseBefore(0, "commit")
	a := anotherProcess(t, b, nil, tracedBy(at))
	goOn := resumed(t, at)
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	ended := inBackground(func() (err error) { result, err = do(ctx, a.repo); return err })
	at.await(t, ended)
	cancel()
	goOn()
	require.ErrorIs(t, <-ended, context.Canceled)
	return result
}

// The context ends while the commit of a chunk is on its way: the chunk is there, and is counted.
func TestImportCountsTheChunkWhoseCommitTheEndMeets(t *testing.T) {
	t.Parallel()
	b := setup(t)
	whole := history{events: eventstream.MaxImportEvents + 1, perStream: 40}
	result := endedAtCommit(t, b, func(ctx context.Context, repo *eventstream.Repository) (eventstream.ImportResult, error) {
		return repo.Import(ctx, whole.all())
	})
	require.Equal(t, int64(eventstream.MaxImportEvents), eventsIn(t, b))
	require.Equal(t, eventsIn(t, b), result.Imported)
	require.NotZero(t, result.LastPosition)
}

// The server ends the import's session in the middle of a COPY. Nothing of the chunk is left, and the next import brings the rest.
func TestImportGoesOnAfterItsSessionWasKilled(t *testing.T) {
	t.Parallel()
	for _, numbered := range []bool{false, true} {
		t.Run(fmt.Sprintf("Numbered=%t", numbered), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			h := history{events: 2 * eventstream.MaxImportEvents, perStream: 20, numbered: numbered}
			importer, other := session(t, b), session(t, b)
			// An event of the second chunk is in a transaction that has not ended: the COPY comes to it, and waits.
			tx, err := other.Begin(b.ctx)
			require.NoError(t, err)
			_, err = repoOn(t, tx).Append(b.ctx, h.event(inSecondChunk).StreamID, eventstream.Empty, anEvent(t, 1))
			require.NoError(t, err)
			repo, pid := repoOn(t, importer), importer.PgConn().PID()
			done := start(func() (eventstream.ImportResult, error) { return repo.Import(b.ctx, h.all()) })
			waitBlocked(t, b, pid, other.PgConn().PID())
			_, err = b.pool.Exec(b.ctx, `SELECT pg_terminate_backend($1)`, int32(pid))
			require.NoError(t, err)
			killed := <-done
			require.Error(t, killed.err)
			require.True(t, eventstream.SafeToRetry(killed.err), "%v", killed.err)
			require.Equal(t, int64(eventstream.MaxImportEvents), killed.value.Imported)
			require.Equal(t, killed.value.Imported, eventsIn(t, b))
			require.NoError(t, tx.Rollback(b.ctx))

			result, err := b.repo.Import(b.ctx, h.all())
			require.NoError(t, err)
			require.Equal(t, []int64{eventstream.MaxImportEvents, eventstream.MaxImportEvents}, []int64{result.Imported, result.Skipped})
			requireHistory(t, b, h)
		})
	}
}

// All sessions are ended while the source makes the second chunk.
func TestImportFindsItsSessionGoneBetweenChunks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	importer := session(t, b)
	whole := history{events: eventstream.MaxImportEvents + 50, perStream: 20}
	h := whole
	h.before = func(n int) error {
		if n == eventstream.MaxImportEvents+10 {
			_, err := b.pool.Exec(b.ctx, `SELECT pg_terminate_backend($1, 10000)`, int32(importer.PgConn().PID()))
			require.NoError(t, err)
		}
		return nil
	}
	result, err := repoOn(t, importer).Import(b.ctx, h.all())
	require.Error(t, err)
	require.True(t, eventstream.SafeToRetry(err), "%v", err)
	require.Equal(t, int64(eventstream.MaxImportEvents), result.Imported)
	_, err = b.repo.Import(b.ctx, whole.all())
	require.NoError(t, err)
	requireHistory(t, b, whole)
}

// loseCommit loses the answer to a COMMIT.
type loseCommit struct{ wire *wire }

func (l loseCommit) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if data.SQL == "commit" {
		l.wire.lose.Store(true)
	}
	return ctx
}

func (l loseCommit) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// The chunk is committed and its answer lost: the result does not count it, and the next import skips it.
func TestImportSkipsAChunkWhoseCommitWasNotHeard(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := &wire{}
	config := b.pool.Config()
	config.ConnConfig.DialFunc = w.dial
	config.ConnConfig.Tracer = loseCommit{w}
	pool, err := pgxpool.NewWithConfig(b.ctx, config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	h := history{events: 100, perStream: 10}
	result, err := repoOn(t, pool).Import(b.ctx, h.all())
	require.Error(t, err)
	require.True(t, eventstream.SafeToRetry(err), "%v", err)
	require.Equal(t, int64(1), w.lost.Load())
	require.Zero(t, result)
	requireHistory(t, b, h)

	result, err = b.repo.Import(b.ctx, h.all())
	require.NoError(t, err)
	require.Equal(t, eventstream.ImportResult{Skipped: 100}, result)
	requireHistory(t, b, h)
}

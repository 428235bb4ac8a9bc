package integration_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// Decide under a lock: A locks the stream, reads it, decides and appends; B, who appends meanwhile, waits for A, and is judged by what A did.
func TestLockStreamThenDecideThenAppend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expected eventstream.Expected
		commit   bool
		err      error
		after    int
	}{
		"AnyAfterACommit":     {eventstream.Any, true, nil, 4},
		"ExactAfterACommit":   {eventstream.Exact(2), true, eventstream.ErrVersionConflict, 3},
		"ExactAfterARollback": {eventstream.Exact(2), false, nil, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "order-1", 2)
			a, other := newActor(t, b), newActor(t, b)
			execSQL(t, b.ctx, a.tx, `SELECT eventstream.lock_stream('order-1')`)
			waiting := start(func() (eventstream.AppendResult, error) {
				return other.repo.Append(b.ctx, "order-1", c.expected, anEvent(t, 9))
			})
			waitBlocked(t, b, other.pid(), a.pid())

			// Nobody else waits: neither readers, nor who appends to another stream.
			require.Len(t, readAll(t, b.repo.Read(b.ctx, "order-1", eventstream.ReadOptions{})), 2)
			given(t, b, "order-2", 1)

			stream, err := a.repo.Load(b.ctx, "order-1")
			require.NoError(t, err)
			require.EqualValues(t, 2, stream.CurrentVersion(), "the decision is made on what is there")
			_, err = a.repo.Append(b.ctx, "order-1", eventstream.Exact(stream.CurrentVersion()), anEvent(t, 3))
			require.NoError(t, err, "its own lock holds nobody back")
			a.end(t, b, c.commit)
			got := <-waiting
			require.ErrorIs(t, got.err, c.err)
			other.end(t, b, true)
			require.Len(t, readAll(t, b.repo.Read(b.ctx, "order-1", eventstream.ReadOptions{})), c.after)
			requireAuditClean(t, b)
		})
	}
}

// Who waits for a stream gets in in order of arrival: each of eight is seen to wait before the next one comes.
func TestAppendersOfAStreamComeInInOrderOfArrival(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "hot-1", 1)
	first := newActor(t, b)
	_, err := first.repo.Append(b.ctx, "hot-1", eventstream.Any, anEvent(t, 1))
	require.NoError(t, err)
	var waiters []*actor
	var appended []<-chan result[eventstream.AppendResult]
	for range 8 {
		next := newActor(t, b)
		waiters = append(waiters, next)
		appended = append(appended, start(func() (eventstream.AppendResult, error) {
			return next.repo.Append(b.ctx, "hot-1", eventstream.Any, anEvent(t, 1))
		}))
		waitBlocked(t, b, next.pid(), first.pid())
	}
	first.end(t, b, true)
	for i, waiter := range waiters {
		select {
		case got := <-appended[i]:
			require.NoError(t, got.err)
			require.EqualValues(t, 3+i, got.value.LastVersion)
			waiter.end(t, b, true)
		case <-time.After(blockTimeout):
			t.Fatalf("waiter %d of %d is not the next to get in", i+1, len(waiters))
		}
	}
}

// Who decides under the lock is never refused by another who does the same: ten at once, each reads the last number and appends the next.
func TestLockStreamSerializesDecisions(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(12))
	given(t, b, "counter-1", 1)
	done := make(chan error, 10)
	for range cap(done) {
		go func() {
			done <- pgx.BeginFunc(b.ctx, b.pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(b.ctx, `SELECT eventstream.lock_stream('counter-1')`); err != nil {
					return err
				}
				stream, err := b.repo.WithTx(tx).Load(b.ctx, "counter-1")
				if err != nil {
					return err
				}
				_, err = b.repo.WithTx(tx).Append(b.ctx, "counter-1", eventstream.Exact(stream.CurrentVersion()), anEvent(t, 1))
				return err
			})
		}()
	}
	for range cap(done) {
		require.NoError(t, <-done)
	}
	stream, err := b.repo.Load(b.ctx, "counter-1")
	require.NoError(t, err)
	require.EqualValues(t, 11, stream.CurrentVersion())
	requireAuditClean(t, b)
}

// streamLocks is how many locks of streams the transaction of an actor holds.
func streamLocks(t *testing.T, b *bundle, a *actor) int64 {
	t.Helper()
	return number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_locks AS k
		WHERE k.locktype = 'advisory' AND k.classid::bigint = 1163097202 AND k.objsubid = 2 AND k.pid = $1`, int64(a.pid()))
}

// numberedStreams are count streams in byte order of their names.
func numberedStreams(count int) []string {
	streams := make([]string, count)
	for i := range streams {
		streams[i] = fmt.Sprintf("many-%03d", i)
	}
	return streams
}

// toEach is a request for one event to each of the streams, whatever their versions.
func toEach(t *testing.T, streams []string) []request {
	t.Helper()
	requests := make([]request, len(streams))
	for i, stream := range streams {
		requests[i] = request{stream: stream, expected: anyVersion, events: someEvents(t, 1)}
	}
	return requests
}

// Locks live in memory that all sessions share: a batch over more streams than 64, and a transaction of more appends than 32, take none.
func TestLocksOfStreamsAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, c := range []struct{ streams, locks int }{{1, 1}, {2, 2}, {64, 64}, {65, 0}, {500, 0}} {
		a := newActor(t, b)
		_, err := appendBatch(b.ctx, a.tx, true, toEach(t, numberedStreams(c.streams))...)
		require.NoError(t, err)
		require.EqualValues(t, c.locks, streamLocks(t, b, a), "%d streams", c.streams)
		a.end(t, b, true)
	}
	a := newActor(t, b)
	for i, stream := range numberedStreams(80) {
		_, err := a.repo.Append(b.ctx, eventstream.StreamID(stream), eventstream.Any, anEvent(t, 1))
		require.NoError(t, err)
		require.EqualValues(t, min(i+1, 64), streamLocks(t, b, a))
	}
	a.end(t, b, true)
	requireAuditClean(t, b)
}

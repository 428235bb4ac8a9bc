package integration_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

// A batch over too many streams to lock meets another appender at the primary key: it waits there, and is judged again by what the
// other did. Steps: A appends to one of the streams and is not over; the batch waits for A; A ends.
func TestUnlockedBatchAgainstAnAppender(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		expected int64
		commit   bool
		outcome  string
	}{
		"AnyAfterACommit":     {anyVersion, true, "appended 2..2 at 2/2"},
		"AnyAfterARollback":   {anyVersion, false, "appended 1..1 at 1/1"},
		"EmptyAfterACommit":   {empty, true, "stream_exists -..- at 1/1"},
		"EmptyAfterARollback": {empty, false, "appended 1..1 at 1/1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			a, second := newActor(t, b), newActor(t, b)
			_, err := a.repo.Append(b.ctx, "many-040", eventstream.Any, anEvent(t, 1))
			require.NoError(t, err)
			requests := toEach(t, numberedStreams(70))
			requests[40].expected = c.expected
			slices.Reverse(requests)
			waiting := start(func() ([]string, error) { return appendBatch(b.ctx, second.tx, false, requests...) })
			waitBlocked(t, b, second.pid(), a.pid())
			require.Zero(t, streamLocks(t, b, second))
			a.end(t, b, c.commit)
			got := <-waiting
			require.NoError(t, got.err)
			for i, line := range got.value {
				want := "appended 1..1 at 1/1"
				if requests[i].stream == "many-040" {
					want = c.outcome
				}
				require.Equal(t, fmt.Sprintf("%d %s", i+1, want), line)
			}
			second.end(t, b, true)
			requireAuditClean(t, b)
		})
	}
}

// Such a batch inserts in order of the streams, whatever its own order: who waits for a row holds none that comes after it, so that who
// appends to streams in that order never waits for it.
func TestUnlockedBatchHoldsNothingAfterWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first, second := newActor(t, b), newActor(t, b)
	_, err := first.repo.Append(b.ctx, "many-040", eventstream.Any, anEvent(t, 1))
	require.NoError(t, err)
	streams := numberedStreams(70)
	slices.Reverse(streams)
	waiting := start(func() ([]string, error) { return appendBatch(b.ctx, second.tx, true, toEach(t, streams)...) })
	waitBlocked(t, b, second.pid(), first.pid())
	for _, id := range []eventstream.StreamID{"many-041", "many-060", "many-069"} {
		_, err = first.repo.Append(b.ctx, id, eventstream.Any, anEvent(t, 1))
		require.NoError(t, err)
	}
	first.end(t, b, true)
	got := <-waiting
	require.NoError(t, got.err)
	second.end(t, b, true)
	require.EqualValues(t, 4, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.streams WHERE watermark = 2`))
	require.EqualValues(t, 70, number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.streams`))
	requireAuditClean(t, b)
}

// A transaction that has locked 64 streams locks no further one. Another appender of that stream meets its row, waits, and looks again.
func TestUnlockedAppendOfALongTransaction(t *testing.T) {
	t.Parallel()
	b := setup(t)
	long, other := newActor(t, b), newActor(t, b)
	for _, stream := range numberedStreams(65) {
		_, err := long.repo.Append(b.ctx, eventstream.StreamID(stream), eventstream.Any, anEvent(t, 1))
		require.NoError(t, err)
	}
	waiting := start(func() (eventstream.AppendResult, error) {
		return other.repo.Append(b.ctx, "many-064", eventstream.Any, anEvent(t, 2))
	})
	waitBlocked(t, b, other.pid(), long.pid())
	require.EqualValues(t, 1, streamLocks(t, b, other), "it has its own lock, and waits for a row")
	long.end(t, b, true)
	got := <-waiting
	require.NoError(t, got.err)
	require.EqualValues(t, 2, got.value.FirstVersion)

	// The other way round: the long one waits for who came first, and looks again.
	long = newActor(t, b)
	for _, stream := range numberedStreams(64) {
		_, err := long.repo.Append(b.ctx, eventstream.StreamID(stream), eventstream.Any, anEvent(t, 1))
		require.NoError(t, err)
	}
	_, err := other.repo.Append(b.ctx, "many-064", eventstream.Exact(2), anEvent(t, 3))
	require.NoError(t, err)
	waiting = start(func() (eventstream.AppendResult, error) {
		return long.repo.Append(b.ctx, "many-064", eventstream.Exact(1), anEvent(t, 4))
	})
	waitBlocked(t, b, long.pid(), other.pid())
	other.end(t, b, true)
	got = <-waiting
	require.ErrorIs(t, got.err, eventstream.ErrVersionConflict)
	_, err = long.repo.Append(b.ctx, "many-064", eventstream.Exact(3), anEvent(t, 5))
	require.NoError(t, err, "the loser's transaction goes on")
	long.end(t, b, true)
	requireAuditClean(t, b)
}

// All of it at once: batches over 70 of 80 streams in any order, transactions of 70 appends, and single appends. Nobody deadlocks, and each
// event that was acknowledged is there. Each append by itself: those of a group hold several streams' locks for a moment, in an order that is
// not the transactions' (TestGroupABatchGivesWayToATransaction).
func TestHammerAppendsWithoutLocks(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(12))
	alone := withoutGroup(t, b.pool)
	streams := numberedStreams(80)
	var acknowledged atomic.Int64
	end := time.Now().Add(hammerTime() / 2)
	group, ctx := errgroup.WithContext(b.ctx)
	hammer := func(seed uint64, step func(ctx context.Context, random *rand.Rand) (int, error)) {
		random := rand.New(rand.NewPCG(seed, 3))
		group.Go(func() error {
			for n := 0; n < 2 || time.Now().Before(end); n++ {
				events, err := step(ctx, random)
				if err != nil {
					return err
				}
				acknowledged.Add(int64(events))
			}
			return nil
		})
	}
	for n := range uint64(3) {
		hammer(n, func(ctx context.Context, random *rand.Rand) (int, error) {
			mine := slices.Clone(streams)
			random.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
			_, err := appendBatch(ctx, b.pool, true, toEach(t, mine[:70])...)
			return 70, err
		})
		hammer(10+n, func(ctx context.Context, random *rand.Rand) (int, error) {
			_, err := alone.Append(ctx, eventstream.StreamID(streams[random.IntN(len(streams))]), eventstream.Any, someEvents(t, 2)...)
			return 2, err
		})
	}
	for n := range uint64(2) {
		hammer(20+n, func(ctx context.Context, random *rand.Rand) (int, error) {
			// In one order, as every program that appends to several streams in several calls has to.
			first := random.IntN(10)
			return 70, pgx.BeginFunc(ctx, b.pool, func(tx pgx.Tx) error {
				for _, stream := range streams[first : first+70] {
					if _, err := b.repo.WithTx(tx).Append(ctx, eventstream.StreamID(stream), eventstream.Any, anEvent(t, 1)); err != nil {
						return err
					}
				}
				return nil
			})
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, acknowledged.Load(), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events`))
	require.Greater(t, acknowledged.Load(), int64(500))
	requireAuditClean(t, b)
}

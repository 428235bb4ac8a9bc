package integration_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gaplesspg/gapless/eventstream"
)

// paged reads a part of the log in pages of so many events at most, each as large as the caller draws, and demands that the end is told with
// the last event or after it, and never before.
func paged(t tester, ctx context.Context, repo *eventstream.Repository, opts eventstream.LogOptions, limit func() int) []eventstream.LogEvent { //nolint:revive // t first, as elsewhere
	t.Helper()
	cursor, err := repo.OpenLog(ctx, opts)
	require.NoError(t, err)
	defer cursor.Close()
	var all []eventstream.LogEvent
	for {
		n := limit()
		events, atEnd, err := cursor.Next(ctx, n)
		require.NoError(t, err)
		require.True(t, n == 0 || len(events) <= n, "%d events, %d asked for", len(events), n)
		require.True(t, atEnd || len(events) > 0, "nothing, and not the end")
		all = append(all, events...)
		if atEnd {
			events, atEnd, err = cursor.Next(ctx, n)
			require.NoError(t, err)
			require.True(t, atEnd)
			require.Empty(t, events)
			return all
		}
	}
}

// Whatever the options, the sizes of pages, and whether on a pool, a connection or in a transaction: what a cursor gives is what the model has.
func TestLogCursorReadsLikeTheModel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	appendRandom(t, b, rand.New(rand.NewPCG(3, 9)), 300)
	m := modelOf(t, b)
	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(b.ctx) }()
	repos := []*eventstream.Repository{b.repo, sizedRepo(t, b.pool, 7), sizedRepo(t, session(t, b), 13), sizedRepo(t, b.pool, 50).WithTx(tx)}
	rapid.Check(t, func(t *rapid.T) {
		start := drawStart(t, m)
		opts := eventstream.LogOptions{
			From: start.start, Filter: drawFilter(t), Backwards: start.downFrom != nil && rapid.Bool().Draw(t, "backwards"),
			Limit: rapid.SampledFrom([]int{0, 0, 1, 5, 100}).Draw(t, "all"),
		}
		limit := rapid.SampledFrom([]int{0, 1, 3, 64, 1000})
		got := paged(t, b.ctx, rapid.SampledFrom(repos).Draw(t, "repo"), opts, func() int { return limit.Draw(t, "limit") })
		want := m.wants(start, opts)
		require.Equal(t, len(want), len(got))
		for i := range got {
			require.Equal(t, want[i], got[i])
		}
	})
}

// A call whose context ends costs nothing: the next one gives what it would have given. Nobody else's connection is held in between.
func TestLogCursorGoesOnAfterAnError(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(1))
	given(t, b, "order-1", 300)
	ended, cancel := context.WithCancel(b.ctx)
	cancel()
	cursor, err := b.repo.OpenLog(b.ctx, eventstream.LogOptions{})
	require.NoError(t, err)
	defer cursor.Close()
	for next := int64(1); next <= 300; {
		_, _, err := cursor.Next(b.ctx, -1)
		require.ErrorIs(t, err, eventstream.ErrInvalidValue)
		if (next-1)%7 == 0 { // which is not always where a page begins: what is in hand is given whatever the context
			events, _, err := cursor.Next(ended, 1)
			require.True(t, err == nil && events[0].Position == next || errors.Is(err, context.Canceled), "%v", err)
			next += int64(len(events))
		}
		require.NoError(t, b.pool.Ping(b.ctx), "the pool's only connection is free")
		events, _, err := cursor.Next(b.ctx, 5)
		require.NoError(t, err)
		for _, e := range events {
			require.Equal(t, next, e.Position)
			next++
		}
	}
}

// An event that cannot be read comes as an error in its place, and those after it follow.
func TestLogCursorPassesUnreadableEvents(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 10)
	makeUnreadable(t, b, 1, 6, 10)
	for _, limit := range []int{0, 1, 3} {
		cursor, err := b.repo.OpenLog(b.ctx, eventstream.LogOptions{})
		require.NoError(t, err)
		var got []int64
		for atEnd := false; !atEnd; {
			var events []eventstream.LogEvent
			events, atEnd, err = cursor.Next(b.ctx, limit)
			var unreadable *eventstream.UnreadableEventError
			if errors.As(err, &unreadable) {
				require.Empty(t, events)
				got = append(got, -unreadable.Event.Position)
				continue
			}
			require.NoError(t, err)
			for _, e := range events {
				got = append(got, e.Position)
			}
		}
		require.Equal(t, []int64{-1, 2, 3, 4, 5, -6, 7, 8, 9, -10}, got)
		cursor.Close()
	}
}

// What a cursor ends with: the log as it stood when it was opened, and an error once it is closed, or for what cannot be opened.
func TestLogCursorEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 3)
	cursor, err := b.repo.OpenLog(b.ctx, eventstream.LogOptions{})
	require.NoError(t, err)
	given(t, b, "order-2", 1)
	events, atEnd, err := cursor.Next(b.ctx, 10)
	require.NoError(t, err)
	require.True(t, atEnd)
	require.Len(t, events, 3)
	last := events[2]

	cursor.Close()
	cursor.Close()
	for _, closed := range []*eventstream.LogCursor{cursor, {}} {
		_, atEnd, err = closed.Next(b.ctx, 10)
		require.ErrorIs(t, err, eventstream.ErrCursorClosed)
		require.True(t, atEnd)
	}
	next, err := b.repo.OpenLog(b.ctx, eventstream.LogOptions{From: eventstream.After(last)})
	require.NoError(t, err)
	defer next.Close()
	events, atEnd, err = next.Next(b.ctx, 1)
	require.NoError(t, err)
	require.True(t, atEnd)
	require.Equal(t, eventstream.StreamID("order-2"), events[0].StreamID)

	_, err = b.repo.OpenLog(b.ctx, eventstream.LogOptions{Limit: -1})
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, err = b.repo.OpenLog(b.ctx, eventstream.LogOptions{From: eventstream.FromPosition(100)})
	require.ErrorIs(t, err, eventstream.ErrBeyondLog)
}

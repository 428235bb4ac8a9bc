package integration_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

func closeStream(t testing.TB, b *bundle, id eventstream.StreamID) int64 {
	t.Helper()
	version, err := b.repo.CloseStream(b.ctx, id, eventstream.Exists, "done")
	require.NoError(t, err)
	return version
}

// A closed stream takes nothing, by no door; the error says so, and a retry of what was there before is still a duplicate.
func TestNothingFollowsWhatClosesAStream(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 2)
	require.Equal(t, int64(3), closeStream(t, b, "order-1"))
	require.Equal(t, int64(3), closeStream(t, b, "order-1"), "closed is closed")
	stream := mustLoad(t, b, "order-1")
	require.True(t, stream.IsClosed())
	require.JSONEq(t, `{"reason": "done"}`, string(stream.EventsFrom(3)[0].Payload))

	for name, expected := range map[string]eventstream.Expected{
		"any": eventstream.Any, "exists": eventstream.Exists, "empty": eventstream.Empty, "exact": eventstream.Exact(3), "stale": eventstream.Exact(2),
	} {
		_, err := b.repo.Append(b.ctx, "order-1", expected, anEvent(t, 4))
		var closed *eventstream.StreamClosedError
		require.ErrorAs(t, err, &closed, name)
		require.Equal(t, eventstream.StreamClosedError{StreamID: "order-1", Version: 3}, *closed)
		require.NotErrorIs(t, err, eventstream.ErrVersionConflict)
		require.False(t, eventstream.SafeToRetry(err))
		_, err = b.repo.Append(b.ctx, "order-1", expected, someEvents(t, 3)...)
		require.ErrorIs(t, err, eventstream.ErrStreamClosed, name)
	}
	_, err := b.repo.AppendMany(b.ctx,
		eventstream.AppendRequest{StreamID: "order-2", Expected: eventstream.Any, Events: someEvents(t, 1)},
		eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Any, Events: someEvents(t, 1)},
		eventstream.AppendRequest{StreamID: "order-1", Expected: eventstream.Any, Events: someEvents(t, 1)})
	require.ErrorIs(t, err, eventstream.ErrStreamClosed)
	_, err = stream.AppendEvent(anEvent(t, 4))
	require.ErrorIs(t, err, eventstream.ErrStreamClosed)
	for _, version := range []int64{4, 7} {
		late := anEvent(t, 4)
		late.Version = version
		_, err = b.repo.Ingest(b.ctx, "order-1", late)
		require.ErrorIs(t, err, eventstream.ErrStreamClosed)
	}
	_, err = b.pool.Exec(b.ctx, `INSERT INTO eventstream.events (stream_id, version, type, partition_id, payload)
		SELECT stream_id, 4, 'a', partition_id, '{}' FROM eventstream.events WHERE version = 1`)
	requireSQLState(t, err, "ES017")
	_, err = b.pool.Exec(b.ctx, `SELECT eventstream.append('order-1', 'a')`)
	requireSQLState(t, err, "ES017")

	again, err := b.repo.Append(b.ctx, "order-1", eventstream.Any, events...)
	require.NoError(t, err)
	require.True(t, again.Duplicate)
	require.Equal(t, int64(3), mustLoad(t, b, "order-1").CurrentVersion())
	requireAuditClean(t, b)
}

// Requests of others in the statement go through: nobody notices that one meets a closed stream, or tries to close one on the way.
func TestAClosedStreamRefusesItsOwnRequestsAlone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 1)
	closeStream(t, b, "order-1")
	got, err := appendBatch(b.ctx, b.pool, false,
		request{stream: "order-1", expected: -1, events: someEvents(t, 1)}, request{stream: "order-2", expected: -1, events: someEvents(t, 1)},
		request{stream: "order-1", expected: 2, events: someEvents(t, 1)})
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.Contains(t, got[0], "closed")
	require.Contains(t, got[1], "appended")
	require.Contains(t, got[2], "closed")
	closing := anEvent(t, 1)
	closing.Type = eventstream.ClosedType
	_, err = b.repo.Append(b.ctx, "order-3", eventstream.Any, closing)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue, "left to CloseStream")
	_, err = b.pool.Exec(b.ctx, `SELECT eventstream.append_batch(ARRAY['order-4', 'order-5'], ARRAY[-1, -1], ARRAY[1, 1],
		ARRAY[NULL, NULL]::uuid[], ARRAY['$closed', 'a'], ARRAY['{}', '{}']::jsonb[])`)
	requireSQLState(t, err, "ES008")
	_, err = b.pool.Exec(b.ctx, `SELECT eventstream.append_batch(ARRAY['order-4'], ARRAY[-1], ARRAY[2],
		ARRAY[NULL, NULL]::uuid[], ARRAY['$closed', 'a'], ARRAY['{}', '{}']::jsonb[])`)
	requireSQLState(t, err, "ES017")
	requireAuditClean(t, b)
}

func TestCloseStreamRefusals(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 2)
	ahead := anEvent(t, 9)
	ahead.Version = 4
	_, err := b.repo.Ingest(b.ctx, "order-2", ahead)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		id       eventstream.StreamID
		expected eventstream.Expected
		reason   string
		want     error
	}{
		"no stream":       {"order-9", eventstream.Exists, "done", eventstream.ErrStreamMissing},
		"another version": {"order-1", eventstream.Exact(1), "done", eventstream.ErrVersionConflict},
		"empty expected":  {"order-1", eventstream.Empty, "done", eventstream.ErrStreamExists},
		"a hole":          {"order-2", eventstream.Any, "done", eventstream.ErrGap},
		"no reason":       {"order-1", eventstream.Any, " ", eventstream.ErrInvalidValue},
		"no id":           {"", eventstream.Any, "done", eventstream.ErrInvalidValue},
	} {
		_, err := b.repo.CloseStream(b.ctx, c.id, c.expected, c.reason)
		require.ErrorIs(t, err, c.want, name)
	}
	_, err = b.pool.Exec(b.ctx, `SELECT eventstream.close_stream('order-1', NULL)`)
	requireSQLState(t, err, "ES008")
	require.False(t, mustLoad(t, b, "order-1").IsClosed())
}

// A copy of a closed stream is closed; a history in which something follows is refused, and says where.
func TestClosedStreamsTravelAsTheyAre(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 2)
	closeStream(t, b, "order-1")
	events := mustLoad(t, b, "order-1").EventsFrom(1)
	from := func(events []eventstream.Event) func(func(eventstream.Event, error) bool) {
		return func(yield func(eventstream.Event, error) bool) {
			for _, e := range events {
				if !yield(e, nil) {
					return
				}
			}
		}
	}
	to := setup(t)
	_, err := to.repo.Import(to.ctx, from(events))
	require.NoError(t, err)
	require.True(t, mustLoad(t, to, "order-1").IsClosed())
	ingested, err := to.repo.Ingest(to.ctx, "order-1", events...)
	require.NoError(t, err)
	require.Equal(t, int64(3), ingested.Duplicates)
	late := anEvent(t, 4)
	late.StreamID, late.Version = "order-1", 4
	_, err = to.repo.Import(to.ctx, from([]eventstream.Event{late}))
	require.ErrorIs(t, err, eventstream.ErrStreamClosed)
	// Erased, it still closes.
	_, err = to.repo.Erase(to.ctx, eventstream.Erasure{StreamID: "order-1", From: 1, Reason: "request"})
	require.NoError(t, err)
	_, err = to.repo.Append(to.ctx, "order-1", eventstream.Any, anEvent(t, 5))
	require.ErrorIs(t, err, eventstream.ErrStreamClosed)
	requireAuditClean(t, to)

	other := setup(t)
	_, err = other.repo.Import(other.ctx, from(append(events, late)))
	require.True(t, errors.Is(err, eventstream.ErrStreamClosed), "%v", err)
}

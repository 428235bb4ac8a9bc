package integration_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

// Another program holds 50 streams, and the pool has 4 connections: no more than half of these wait for it, whoever appends to another
// stream goes on, and so do the calls for the held ones as soon as these are free.
func TestGroupManyHeldStreamsOnASmallPool(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(4))
	repo := groupRepo(t, b, eventstream.Config{})
	held := make([]eventstream.StreamID, 50)
	for i := range held {
		held[i] = eventstream.StreamID(fmt.Sprintf("held-%d", i))
		given(t, b, held[i], 1)
	}
	given(t, b, "free-0", 1)
	h := hold(t, b, held...)
	results := make([]<-chan appended, len(held))
	for i, id := range held {
		results[i] = start(func() (eventstream.AppendResult, error) {
			return repo.Append(b.ctx, id, eventstream.Exact(1), anEvent(t, i))
		})
	}
	watcher := session(t, b)
	for round := range 30 {
		var group errgroup.Group
		for i := range 8 {
			group.Go(func() error {
				_, err := repo.Append(b.ctx, eventstream.StreamID(fmt.Sprintf("free-%d", 1+i)), eventstream.Exact(int64(round)), anEvent(t, i))
				return err
			})
		}
		group.Go(func() error {
			_, err := repo.AppendMany(b.ctx, eventstream.AppendRequest{
				StreamID: "free-0", Expected: eventstream.Exact(int64(1 + round)), Events: someEvents(t, 1),
			}, eventstream.AppendRequest{StreamID: "free-9", Expected: eventstream.Any, Events: someEvents(t, 2)})
			return err
		})
		require.NoError(t, group.Wait(), "they end while the others are held")
		var waiting int
		require.NoError(t, watcher.QueryRow(b.ctx, `SELECT count(*) FROM pg_catalog.pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&waiting))
		require.LessOrEqual(t, waiting, 4)
	}
	for _, done := range results {
		require.Empty(t, done)
	}
	h.end(t, b)
	for _, done := range results {
		got := <-done
		require.NoError(t, got.err)
		require.Equal(t, int64(2), got.value.LastVersion)
	}
	requireAuditClean(t, b)
}

// AppendMany keeps to the order of arrival on each of its streams, stays all or nothing, and is told what was wrong with which request.
func TestGroupAppendManyTakesItsTurnOnEachStream(t *testing.T) {
	t.Parallel()
	s := newScene(t, eventstream.Config{})
	many := func(expected eventstream.Expected) <-chan result[[]eventstream.AppendResult] {
		s.gathered++
		done := make(chan result[[]eventstream.AppendResult], 1)
		s.call(func() (eventstream.AppendResult, error) {
			results, err := s.repo.AppendMany(s.b.ctx,
				eventstream.AppendRequest{StreamID: "cold-1", Expected: eventstream.Any, Events: someEvents(t, 1)},
				eventstream.AppendRequest{StreamID: hot, Expected: expected, Events: someEvents(t, 2)})
			done <- result[[]eventstream.AppendResult]{value: results, err: err}
			return eventstream.AppendResult{}, nil
		})
		s.waitGathered(s.gathered)
		return done
	}
	before := s.gatherAppend(s.b.ctx, eventstream.Exact(2), anEvent(t, 1))
	good := many(eventstream.Exact(3))
	bad := many(eventstream.Exact(3))
	behind := s.gather(func() (eventstream.AppendResult, error) {
		return s.repo.Append(s.b.ctx, "cold-1", eventstream.Exact(1), anEvent(t, 3))
	})
	s.release()
	require.NoError(t, (<-before).err)
	got := <-good
	require.NoError(t, got.err)
	require.Equal(t, int64(5), got.value[1].LastVersion)
	var refused *eventstream.BatchError
	require.ErrorAs(t, (<-bad).err, &refused)
	require.Equal(t, 1, refused.Refused[0].Index)
	require.NoError(t, (<-behind).err, "nothing of the bad one is in its way")
	requireAuditClean(t, s.b)
}

// A caller of AppendMany leaves with its context as one of Append does.
func TestGroupAppendManyLeavesWithItsContext(t *testing.T) {
	t.Parallel()
	s := newScene(t, eventstream.Config{})
	ctx, cancel := context.WithCancel(s.b.ctx)
	e := anEvent(t, 9)
	leaves := s.gather(func() (eventstream.AppendResult, error) {
		_, err := s.repo.AppendMany(ctx,
			eventstream.AppendRequest{StreamID: hot, Expected: eventstream.Any, Events: []eventstream.Event{e}},
			eventstream.AppendRequest{StreamID: "cold-1", Expected: eventstream.Any, Events: someEvents(t, 1)})
		return eventstream.AppendResult{}, err
	})
	cancel()
	requireCanceled(t, <-leaves, false)
	_, err := s.repo.Append(s.b.ctx, "cold-1", eventstream.Empty, anEvent(t, 1))
	require.NoError(t, err, "nobody waits behind who has left")
	s.release()
	require.False(t, hasEvent(t, s.b, e))
	requireAuditClean(t, s.b)
}

// All places for who waits without end are taken, so the next call is sent with a lock timeout, on another path: an AppendMany is all or
// nothing there too.
func TestGroupAppendManyWithALockTimeoutIsAllOrNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(24))
	given(t, b, "held-1", 1)
	given(t, b, "held-2", 1)
	s := &scene{t: t, b: b, repo: groupRepo(t, b, eventstream.Config{}), holder: hold(t, b, "held-1", "held-2")}
	first := s.append(b.ctx, "held-1", eventstream.Any, anEvent(t, 1))
	s.waitLocked(1)
	second := s.append(b.ctx, "held-2", eventstream.Any, anEvent(t, 1))
	s.waitLocked(2)
	_, err := s.repo.AppendMany(b.ctx,
		eventstream.AppendRequest{StreamID: "free-1", Expected: eventstream.Any, Events: someEvents(t, 1)},
		eventstream.AppendRequest{StreamID: "free-2", Expected: eventstream.Exact(9), Events: someEvents(t, 1)})
	var refused *eventstream.BatchError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 1, refused.Refused[0].Index)
	results, err := s.repo.AppendMany(b.ctx,
		eventstream.AppendRequest{StreamID: "free-1", Expected: eventstream.Empty, Events: someEvents(t, 1)},
		eventstream.AppendRequest{StreamID: "free-2", Expected: eventstream.Empty, Events: someEvents(t, 2)})
	require.NoError(t, err, "nothing of the refused one is there")
	require.Equal(t, int64(2), results[1].LastVersion)
	s.holder.end(t, b)
	require.NoError(t, (<-first).err)
	require.NoError(t, (<-second).err)
	requireAuditClean(t, b)
}

// A batch locks its streams in an order that callers know nothing of. With a transaction that takes them the other way round it would
// deadlock, where neither the callers nor the transaction have done anything wrong: the batch gives way.
func TestGroupABatchGivesWayToATransaction(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(24))
	repo := groupRepo(t, b, oneInFlight)
	streams := texts(t, b, `SELECT v FROM (SELECT 'order-' || n AS v FROM generate_series(1, 20) AS n) AS s ORDER BY eventstream.stream_key(v) DESC`)
	for range 5 {
		other := hold(t, b, eventstream.StreamID(streams[0]))
		appends := make([]<-chan appended, len(streams))
		for i, id := range slices.Backward(streams) { // the one that is held is not the first, which would go by itself
			appends[i] = start(func() (eventstream.AppendResult, error) {
				return repo.Append(b.ctx, eventstream.StreamID(id), eventstream.Any, anEvent(t, i))
			})
		}
		for _, id := range streams[1:] {
			require.NoError(t, other.lock(b.ctx, eventstream.StreamID(id)))
		}
		require.Empty(t, appends[0], "waits for the transaction")
		other.end(t, b)
		for _, done := range appends {
			require.NoError(t, (<-done).err)
		}
	}
	requireAuditClean(t, b)
}

package integration_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

// oneInFlight makes calls share as much as they can.
var oneInFlight = eventstream.Config{Group: eventstream.GroupConfig{InFlight: 1}}

// Calls that wait for a busy stream are applied in the order they came, in one transaction together.
func TestGroupAppliesInOrderOfArrivalInOneTransaction(t *testing.T) {
	t.Parallel()
	s := newScene(t, eventstream.Config{})
	const calls = 8
	var waiting []<-chan appended
	for i := range calls {
		waiting = append(waiting, s.gatherAppend(s.b.ctx, eventstream.Exact(int64(2+i)), anEvent(t, i)))
	}
	s.release()
	for i, done := range waiting {
		got := <-done
		require.NoError(t, got.err, "call %d", i)
		version := int64(3 + i)
		require.Equal(t, eventstream.AppendResult{
			FirstVersion: version, LastVersion: version, LastPosition: version, CurrentVersion: version,
		}, got.value)
	}
	require.Equal(t, int64(3), transactionsOf(t, s.b, hot), "the given event, the first call, and the batch")
	requireAuditClean(t, s.b)
}

// A stream that somebody else holds keeps nobody waiting but its own callers, be these in batches with others or not.
func TestGroupOneHeldStreamKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	s := newScene(t, oneInFlight)
	shared := false
	for round := range 10 {
		var held []<-chan appended
		var group errgroup.Group
		for i := range 16 {
			if i%4 == 1 {
				held = append(held, s.append(s.b.ctx, hot, eventstream.Any, anEvent(t, i)))
				continue
			}
			id := eventstream.StreamID(fmt.Sprintf("free-%d", i))
			group.Go(func() error {
				_, err := s.repo.Append(s.b.ctx, id, eventstream.Exact(int64(round)), anEvent(t, i))
				return err
			})
		}
		require.NoError(t, group.Wait(), "they end while the hot stream is held")
		for _, done := range held {
			require.Empty(t, done)
		}
		shared = shared || number(t, s.b.ctx, s.b.pool, `SELECT count(*) - count(DISTINCT xmin::text) FROM eventstream.events
			WHERE stream_id LIKE 'free-%'`) > 0
		if round == 9 {
			s.release()
		}
		defer func() {
			for _, done := range held {
				require.NoError(t, (<-done).err)
			}
			requireAuditClean(t, s.b)
		}()
	}
	require.True(t, shared, "some of them went together")
}

// The same for a stream that gets held while a batch with it and others is about to go: several batches, each with held streams.
func TestGroupHeldStreamsInABatchOfMany(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(24))
	repo := groupRepo(t, b, oneInFlight)
	streams := make([]eventstream.StreamID, 20)
	for i := range streams {
		streams[i] = eventstream.StreamID(fmt.Sprintf("s-%d", i))
		given(t, b, streams[i], 1)
	}
	for round := range int64(5) {
		h := hold(t, b, streams[3], streams[11])
		results := make([]<-chan appended, len(streams))
		for i, id := range streams {
			results[i] = start(func() (eventstream.AppendResult, error) {
				return repo.Append(b.ctx, id, eventstream.Exact(1+round), anEvent(t, i))
			})
		}
		for i, done := range results {
			if i != 3 && i != 11 {
				got := <-done
				require.NoError(t, got.err)
				require.Equal(t, 2+round, got.value.LastVersion)
			}
		}
		require.Empty(t, results[3])
		require.Empty(t, results[11])
		h.end(t, b)
		for _, i := range []int{3, 11} {
			got := <-results[i]
			require.NoError(t, got.err)
			require.Equal(t, 2+round, got.value.LastVersion)
		}
	}
	requireAuditClean(t, b)
}

// Save shares as Append does; a transaction of the caller shares nothing, and waits in the database.
func TestGroupSaveSharesAndAppendTxDoesNot(t *testing.T) {
	t.Parallel()
	s := newScene(t, eventstream.Config{})
	stream, err := s.repo.Load(s.b.ctx, hot)
	require.NoError(t, err)
	_, err = stream.AppendEvent(anEvent(t, 3))
	require.NoError(t, err)
	// The stream as it will be after the first call.
	append2 := s.gatherAppend(s.b.ctx, eventstream.Any, anEvent(t, 4))
	save := s.gather(func() (eventstream.AppendResult, error) { return s.repo.Save(s.b.ctx, stream) })
	append3 := s.gatherAppend(s.b.ctx, eventstream.Any, anEvent(t, 5))

	actor := newActor(t, s.b)
	tx := start(func() (eventstream.AppendResult, error) {
		return s.repo.WithTx(actor.tx).Append(s.b.ctx, hot, eventstream.Any, anEvent(t, 6))
	})
	s.waitLocked(2)
	s.waitGathered(3)
	s.holder.end(t, s.b)
	require.NoError(t, (<-s.first).err)
	require.NoError(t, (<-tx).err)
	actor.end(t, s.b, true)
	require.NoError(t, (<-append2).err)
	var conflict *eventstream.VersionConflictError
	require.ErrorAs(t, (<-save).err, &conflict, "the stream moved on since it was read")
	require.NoError(t, (<-append3).err)
	require.Equal(t, int64(4), transactionsOf(t, s.b, hot), "given, first, the transaction, and one batch")
	requireAuditClean(t, s.b)

	// And a Save that is not refused.
	stream, err = s.repo.Load(s.b.ctx, hot)
	require.NoError(t, err)
	_, err = stream.AppendEvent(anEvent(t, 7))
	require.NoError(t, err)
	saved, err := s.repo.Save(s.b.ctx, stream)
	require.NoError(t, err)
	require.Equal(t, int64(6), saved.LastVersion)
	require.Empty(t, stream.NewEvents())
}

// One process tries the same append again while its first try still waits: one is the duplicate of the other.
func TestGroupAnAppendAndItsRetryInOneBatch(t *testing.T) {
	t.Parallel()
	s := newScene(t, eventstream.Config{})
	events := someEvents(t, 2)
	first := s.gatherAppend(s.b.ctx, eventstream.Any, events...)
	beside := s.gatherAppend(s.b.ctx, eventstream.Any, anEvent(t, 9))
	again := s.gatherAppend(s.b.ctx, eventstream.Any, events...)
	s.release()
	want := <-first
	require.NoError(t, want.err)
	require.Equal(t, int64(3), want.value.FirstVersion)
	require.NoError(t, (<-beside).err)
	got := <-again
	require.NoError(t, got.err)
	require.True(t, got.value.Duplicate)
	require.Equal(t, []int64{3, 4}, []int64{got.value.FirstVersion, got.value.LastVersion})
	require.Equal(t, int64(5), number(t, s.b.ctx, s.b.pool, `SELECT count(*) FROM eventstream.events`))
	requireAuditClean(t, s.b)
}

package integration_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// requireCanceled demands that a call left because its context ended, and says whether it may be written.
func requireCanceled(t *testing.T, got appended, sent bool) {
	t.Helper()
	require.Zero(t, got.value)
	require.ErrorIs(t, got.err, context.Canceled)
	var canceled *eventstream.AppendCanceledError
	require.ErrorAs(t, got.err, &canceled)
	require.Equal(t, hot, canceled.StreamID)
	require.Equal(t, sent, canceled.Sent)
	require.False(t, eventstream.SafeToRetry(got.err))
}

// hasEvent says whether an event is in the table.
func hasEvent(t *testing.T, b *bundle, e eventstream.Event) bool {
	t.Helper()
	return number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.events WHERE event_id = $1`, e.ID) == 1
}

// A caller whose context ends before its batch leaves at once, and nothing of it is written; the others get their results.
func TestGroupCallerLeavesBeforeItsBatch(t *testing.T) {
	t.Parallel()
	s := newScene(t, eventstream.Config{})
	ctx, cancel := context.WithCancel(s.b.ctx)
	kept, gone := someEvents(t, 2), anEvent(t, 9)
	before := s.gatherAppend(s.b.ctx, eventstream.Exact(2), kept[0])
	leaves := s.gatherAppend(ctx, eventstream.Any, gone)
	after := s.gatherAppend(s.b.ctx, eventstream.Exact(3), kept[1])
	cancel()
	requireCanceled(t, <-leaves, false)
	s.release()
	require.NoError(t, (<-before).err)
	require.NoError(t, (<-after).err)
	require.False(t, hasEvent(t, s.b, gone))
	requireAuditClean(t, s.b)
}

// A caller whose context ends while its batch is under way leaves at once, and is told that it may be written; the others get their
// results, and what became of it is found out by the same append again.
func TestGroupCallerLeavesItsBatch(t *testing.T) {
	t.Parallel()
	s := newScene(t, eventstream.Config{})
	ctx, cancel := context.WithCancel(s.b.ctx)
	e := anEvent(t, gated)
	before := s.gatherAppend(s.b.ctx, eventstream.Any, anEvent(t, 3))
	leaves := s.gatherAppend(ctx, eventstream.Any, e)
	after := s.gatherAppend(s.b.ctx, eventstream.Any, anEvent(t, 4))
	next := s.releaseInto()
	cancel()
	requireCanceled(t, <-leaves, true)
	next.end(t, s.b)
	require.NoError(t, (<-before).err)
	require.NoError(t, (<-after).err)
	there := hasEvent(t, s.b, e)
	again, err := s.repo.Append(s.b.ctx, hot, eventstream.Any, e)
	require.NoError(t, err)
	require.Equal(t, there, again.Duplicate)
	require.True(t, hasEvent(t, s.b, e))
	requireAuditClean(t, s.b)
}

// When every caller of a batch has left, the batch is given up: its session no longer waits in the database, and its streams are free
// for those who come later.
func TestGroupEveryCallerLeaves(t *testing.T) {
	t.Parallel()
	s := newScene(t, eventstream.Config{})
	ctx, cancel := context.WithCancel(s.b.ctx)
	events := append(someEvents(t, 3), anEvent(t, gated))
	var leaving []<-chan appended
	for _, e := range events {
		leaving = append(leaving, s.gatherAppend(ctx, eventstream.Any, e))
	}
	next := s.releaseInto()
	cancel()
	for _, done := range leaving {
		requireCanceled(t, <-done, true)
	}
	s.waitLocked(0)
	late, err := s.repo.Append(s.b.ctx, hot, eventstream.Any, anEvent(t, 5))
	require.NoError(t, err)
	require.Equal(t, int64(3), late.LastVersion)
	next.end(t, s.b)
	for _, e := range events {
		require.False(t, hasEvent(t, s.b, e), "the batch was given up while it waited")
	}
	requireAuditClean(t, s.b)
}

// A call that runs by itself ends with its own context, and those who gathered behind it go on.
func TestGroupFirstCallerLeaves(t *testing.T) {
	t.Parallel()
	b := setup(t, withMaxConns(24))
	given(t, b, hot, 1)
	ctx, cancel := context.WithCancel(b.ctx)
	s := &scene{t: t, b: b, repo: groupRepo(t, b, eventstream.Config{}), holder: hold(t, b, hot)}
	e := anEvent(t, 2)
	s.first = s.append(ctx, hot, eventstream.Any, e)
	s.waitLocked(1)
	after := s.gatherAppend(b.ctx, eventstream.Any, anEvent(t, 3))
	cancel()
	requireCanceled(t, <-s.first, true)
	s.holder.end(t, b)
	require.NoError(t, (<-after).err)
	// The server may get the lock before it hears of the end, so either of the two writes it, and never both.
	again, err := s.repo.Append(b.ctx, hot, eventstream.Any, e)
	require.NoError(t, err)
	require.Equal(t, again.FirstVersion, again.LastVersion)
	require.True(t, hasEvent(t, b, e))
	requireAuditClean(t, b)
}

// A context that has ended already: the call leaves at once, with nothing written, whether the stream is busy or not.
func TestGroupContextThatHasEnded(t *testing.T) {
	t.Parallel()
	s := newScene(t, eventstream.Config{})
	ctx, cancel := context.WithCancel(s.b.ctx)
	cancel()
	for _, id := range []eventstream.StreamID{hot, "free-1"} {
		e := anEvent(t, 1)
		_, err := s.repo.Append(ctx, id, eventstream.Any, e)
		require.ErrorIs(t, err, context.Canceled)
		var canceled *eventstream.AppendCanceledError
		require.ErrorAs(t, err, &canceled)
		require.Equal(t, id, canceled.StreamID)
		require.False(t, hasEvent(t, s.b, e))
	}
	s.release()
}

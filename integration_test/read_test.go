package integration_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// pagedRepo reads in pages of three.
func pagedRepo(t *testing.T, handle eventstream.Handle) *eventstream.Repository {
	t.Helper()
	repo, err := eventstream.NewRepository(handle, &eventstream.Config{PageSize: 3})
	require.NoError(t, err)
	return repo
}

// Read goes up or down, from a version, for a number of events, whatever the pages.
func TestRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 10)
	given(t, b, "order-10", 2)
	repo := pagedRepo(t, b.pool)
	up := []int64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	down := []int64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}
	for _, c := range []struct {
		opts eventstream.ReadOptions
		want []int64
	}{
		{eventstream.ReadOptions{}, up},
		{eventstream.ReadOptions{From: 1}, up},
		{eventstream.ReadOptions{From: 4}, up[3:]},
		{eventstream.ReadOptions{From: 10}, up[9:]},
		{eventstream.ReadOptions{From: 11}, []int64{}},
		{eventstream.ReadOptions{From: 1 << 62}, []int64{}},
		{eventstream.ReadOptions{Limit: 1}, up[:1]},
		{eventstream.ReadOptions{Limit: 3}, up[:3]},
		{eventstream.ReadOptions{Limit: 4}, up[:4]},
		{eventstream.ReadOptions{Limit: 100}, up},
		{eventstream.ReadOptions{From: 5, Limit: 3}, up[4:7]},
		{eventstream.ReadOptions{Backwards: true}, down},
		{eventstream.ReadOptions{Backwards: true, From: 100}, down},
		{eventstream.ReadOptions{Backwards: true, From: 6}, down[4:]},
		{eventstream.ReadOptions{Backwards: true, From: 1}, down[9:]},
		{eventstream.ReadOptions{Backwards: true, From: 9}, down[1:]},
		{eventstream.ReadOptions{Backwards: true, Limit: 4}, down[:4]},
		{eventstream.ReadOptions{Backwards: true, From: 3, Limit: 3}, down[7:]},
	} {
		require.Equal(t, c.want, versionsOf(readAll(t, repo.Read(b.ctx, "order-1", c.opts))), "%+v", c.opts)
	}
}

// A loop may end early, and its body may use the same connection.
func TestReadLoopBodyUsesTheSameConnection(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := given(t, b, "order-1", 8)
	repo := pagedRepo(t, session(t, b))
	seen := 0
	for e, err := range repo.Read(b.ctx, "order-1", eventstream.ReadOptions{}) {
		require.NoError(t, err)
		again, err := repo.Event(b.ctx, e.ID)
		require.NoError(t, err)
		require.Equal(t, events[seen].ID, again.ID)
		if seen++; seen == 5 {
			break
		}
	}
	require.Equal(t, 5, seen)
	for e, err := range repo.Read(b.ctx, "order-1", eventstream.ReadOptions{}) {
		require.NoError(t, err)
		if e.Version <= 2 {
			_, err = repo.Append(b.ctx, "order-1", eventstream.Any, anEvent(t, 9))
			require.NoError(t, err)
		}
		seen = int(e.Version)
	}
	require.Equal(t, 10, seen, "events appended meanwhile are seen")
	for range repo.Streams(b.ctx, eventstream.StreamFilter{}) {
		break
	}
	require.NoError(t, repo.VerifyGapless(b.ctx, "order-1"))

	// On a pool of one connection, a reading that is not over holds none.
	one := newPool(t, b.dsn, withMaxConns(1))
	for range pagedRepo(t, one).Read(b.ctx, "order-1", eventstream.ReadOptions{}) {
		require.Zero(t, one.Stat().AcquiredConns())
	}
}

// What cannot be read comes as one error, the last pair.
func TestReadErrors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 5)
	repo := pagedRepo(t, b.pool)
	only := func(id eventstream.StreamID, opts eventstream.ReadOptions) error {
		t.Helper()
		var got []error
		for e, err := range repo.Read(b.ctx, id, opts) {
			require.Zero(t, e)
			got = append(got, err)
		}
		require.Len(t, got, 1)
		return got[0]
	}
	require.ErrorIs(t, only("order-2", eventstream.ReadOptions{}), eventstream.ErrStreamNotFound)
	require.ErrorIs(t, only("order-2", eventstream.ReadOptions{Backwards: true, From: 3}), eventstream.ErrStreamNotFound)
	require.ErrorIs(t, only(" order-2", eventstream.ReadOptions{}), eventstream.ErrInvalidValue)
	require.ErrorIs(t, only("order-1", eventstream.ReadOptions{From: -1}), eventstream.ErrInvalidValue)
	require.ErrorIs(t, only("order-1", eventstream.ReadOptions{Limit: -1}), eventstream.ErrInvalidValue)

	// Cancelled after the first page: its events, then the error.
	ctx, cancel := context.WithCancel(b.ctx)
	defer cancel()
	var versions []int64
	for e, err := range repo.Read(ctx, "order-1", eventstream.ReadOptions{}) {
		cancel()
		if err != nil {
			require.ErrorIs(t, err, context.Canceled)
			break
		}
		versions = append(versions, e.Version)
	}
	require.Equal(t, []int64{1, 2, 3}, versions)

	_, err := b.repo.Event(b.ctx, uuid.New())
	require.ErrorIs(t, err, eventstream.ErrEventNotFound)
	for _, call := range []func() error{
		func() error { _, err := b.repo.Stream(b.ctx, "order-2"); return err },
		func() error { _, err := b.repo.Watermark(b.ctx, "order-2"); return err },
		func() error { _, err := b.repo.Load(b.ctx, "order-2"); return err },
		func() error { return b.repo.VerifyGapless(b.ctx, "order-2") },
	} {
		require.ErrorIs(t, call(), eventstream.ErrStreamNotFound)
	}
}

// An event that waits behind a hole is not read, by stream or by id.
func TestReadNeverShowsWhatWaits(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := numbered(t, 3)
	_, err := b.repo.Ingest(b.ctx, "edge-1", events[0], events[2])
	require.NoError(t, err)
	requireHolds(t, b, "edge-1", events[0])
	require.Len(t, readAll(t, b.repo.Read(b.ctx, "edge-1", eventstream.ReadOptions{Backwards: true})), 1)
	_, err = b.repo.Event(b.ctx, events[2].ID)
	require.ErrorIs(t, err, eventstream.ErrEventNotFound)
}

// VerifyGapless and Load look at what is there, and say which version is missing; only a superuser can take one away.
func TestVerifyGaplessFindsAHole(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ removed, missing int64 }{
		"AtTheStart": {1, 1}, "InTheMiddle": {3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "order-1", 5)
			given(t, b, "order-2", 5)
			require.NoError(t, b.repo.VerifyGapless(b.ctx, "order-1"))
			execSQL(t, b.ctx, b.pool, `ALTER TABLE eventstream.events DISABLE TRIGGER USER`)
			execSQL(t, b.ctx, b.pool, `DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = $1`, c.removed)
			execSQL(t, b.ctx, b.pool, `ALTER TABLE eventstream.events ENABLE TRIGGER USER`)
			err := b.repo.VerifyGapless(b.ctx, "order-1")
			var gap *eventstream.GapError
			require.ErrorAs(t, err, &gap)
			require.Equal(t, eventstream.GapError{StreamID: "order-1", FirstMissing: c.missing, CurrentVersion: 5}, *gap)
			_, err = b.repo.Load(b.ctx, "order-1")
			require.ErrorIs(t, err, eventstream.ErrReconstruct)
			require.NoError(t, b.repo.VerifyGapless(b.ctx, "order-2"))
			findings, err := b.repo.Audit(b.ctx)
			require.NoError(t, err)
			require.NotEmpty(t, findings)
			for _, f := range findings {
				require.Equal(t, eventstream.StreamID("order-1"), f.StreamID)
				require.Equal(t, eventstream.SeverityError, f.Severity)
				require.NotEmpty(t, f.Detail)
			}
		})
	}
}

// A tail that somebody removed: the stream itself cannot know, the numbers of the log do.
func TestARemovedTailIsFoundByTheAudit(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 5)
	execSQL(t, b.ctx, b.pool, `SELECT eventstream.advance_stable_position()`) // numbers them
	requireAuditClean(t, b)
	execSQL(t, b.ctx, b.pool, `ALTER TABLE eventstream.events DISABLE TRIGGER USER`)
	execSQL(t, b.ctx, b.pool, `DELETE FROM eventstream.events WHERE stream_id = 'order-1' AND version = 5`)
	execSQL(t, b.ctx, b.pool, `ALTER TABLE eventstream.events ENABLE TRIGGER USER`)
	require.NoError(t, b.repo.VerifyGapless(b.ctx, "order-1"))
	findings, err := b.repo.Audit(b.ctx)
	require.NoError(t, err)
	require.NotEmpty(t, findings)
	for _, f := range findings {
		require.Equal(t, []any{"sequences", eventstream.SeverityError}, []any{f.Check, f.Severity}, "%s", f.Detail)
	}
}

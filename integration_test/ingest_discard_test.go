package integration_test

import (
	"math"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// discardedEvents is what is on record of events that never entered the log.
func discardedEvents(t *testing.T, b *bundle) []string {
	t.Helper()
	rows, err := b.pool.Query(b.ctx, `SELECT format('%s %s: %s', stream_id, version, reason) FROM eventstream.discarded_events ORDER BY stream_id, version`)
	require.NoError(t, err)
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return lines
}

// What waits for a hole that nothing will ever fill is given up, from a version on: on record, with who and why, and for good. The stream goes on.
func TestIngestDiscardPending(t *testing.T) {
	t.Parallel()
	b := setup(t)
	events := numbered(t, 9)
	_, err := b.repo.Ingest(b.ctx, "edge-1", events[0], events[2], events[3], events[8])
	require.NoError(t, err)

	// It takes a reason, and a version.
	unchanged := untouched(t, b)
	for _, reason := range []string{"", " \t\n"} {
		_, err = b.repo.DiscardPending(b.ctx, "edge-1", reason, 1)
		var invalid *eventstream.InvalidValueError
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, "reason", invalid.Field)
	}
	_, err = b.repo.DiscardPending(b.ctx, "edge-1", "why", 0)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	_, err = b.repo.DiscardPending(b.ctx, "", "why", 1)
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	unchanged()

	count, err := b.repo.DiscardPending(b.ctx, "edge-1", "sender 7 was scrapped", 5)
	require.NoError(t, err)
	require.Equal(t, int64(1), count)
	head, err := b.repo.Stream(b.ctx, "edge-1")
	require.NoError(t, err)
	require.Equal(t, []int64{1, 4}, []int64{head.Watermark, head.CurrentVersion}, "versions 3 and 4 wait still")
	inTx(t, b, func(tx pgx.Tx) {
		count, err = b.repo.WithTx(tx).DiscardPending(b.ctx, "edge-1", "and so was its log", 1)
		require.NoError(t, err)
		require.Equal(t, int64(2), count)
	})
	count, err = b.repo.DiscardPending(b.ctx, "edge-1", "again", 1)
	require.NoError(t, err)
	require.Zero(t, count, "nothing waits any more")

	result, err := b.repo.Append(b.ctx, "edge-1", eventstream.Exact(1), anEvent(t, 2))
	require.NoError(t, err)
	require.Equal(t, int64(2), result.LastVersion)
	require.Equal(t, []string{
		"edge-1 3: and so was its log", "edge-1 4: and so was its log", "edge-1 9: sender 7 was scrapped",
	}, discardedEvents(t, b))
	require.Equal(t, int64(3), number(t, b.ctx, b.pool, `SELECT count(*) FROM eventstream.discarded_events
		WHERE discarded_by = session_user AND discarded_at BETWEEN received_at AND clock_timestamp()`))
	for _, sql := range []string{
		`DELETE FROM eventstream.discarded_events`, `UPDATE eventstream.discarded_events SET reason = 'none'`, `TRUNCATE eventstream.discarded_events`,
	} {
		_, err = b.pool.Exec(b.ctx, sql)
		requireSQLState(t, err, "ES004")
	}
	// What was given up may still arrive, in its place.
	_, err = b.repo.Ingest(b.ctx, "edge-1", events[2])
	require.NoError(t, err)
	requireAuditClean(t, b)
}

// Giving up is a right of its own.
func TestIngestDiscardPendingNeedsARight(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := b.repo.Ingest(b.ctx, "edge-1", numbered(t, 3)[2])
	require.NoError(t, err)
	role := newRole(t, b)
	execSQL(t, b.ctx, b.pool, `GRANT USAGE ON SCHEMA eventstream TO `+role+`; GRANT SELECT ON ALL TABLES IN SCHEMA eventstream TO `+role+`;
		GRANT EXECUTE ON FUNCTION eventstream.append_batch, eventstream.ingest, eventstream.advance_watermark TO `+role)
	conn := connect(t, b.dsn, role)
	_, err = repoOn(t, conn).DiscardPending(b.ctx, "edge-1", "why", 1)
	requireSQLState(t, err, "42501")
	execSQL(t, b.ctx, b.pool, `GRANT EXECUTE ON FUNCTION eventstream.discard_pending TO `+role)
	count, err := repoOn(t, conn).DiscardPending(b.ctx, "edge-1", "why", 1)
	require.NoError(t, err)
	require.Equal(t, int64(1), count)
	var by string
	require.NoError(t, b.pool.QueryRow(b.ctx, `SELECT discarded_by FROM eventstream.discarded_events`).Scan(&by))
	require.Equal(t, role, by, "who did it, not whose function it is")
}

// A version absurdly far ahead would end a stream: it is refused by a bound. With a larger bound it is taken, and can be given up.
func TestIngestOfAVersionFarAhead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "edge-1", 3)
	ahead := func(version int64) eventstream.Event {
		e := anEvent(t, 1)
		e.Version = version
		return e
	}
	repo := func(bound int64) *eventstream.Repository {
		repo, err := eventstream.NewRepository(b.pool, &eventstream.Config{MaxAhead: bound})
		require.NoError(t, err)
		return repo
	}
	for _, c := range [][3]int64{{0, 1_000_003, 1_000_004}, {10, 13, 14}, {2, 5, 6}} {
		bound, versions := c[0], c[1:]
		unchanged := untouched(t, b)
		_, err := repo(bound).Ingest(b.ctx, "edge-1", ahead(versions[1]))
		require.ErrorIs(t, err, eventstream.ErrInvalidValue, "%d of %d", versions[1], bound)
		pgErr := requireSQLState(t, err, "ES008")
		require.Contains(t, pgErr.Message, "ahead of the stream's watermark, which is 3")
		unchanged()
		_, err = repo(bound).Ingest(b.ctx, "edge-1", ahead(versions[0]))
		require.NoError(t, err, "%d of %d", versions[0], bound)
		_, err = b.repo.DiscardPending(b.ctx, "edge-1", "a try", 1)
		require.NoError(t, err)
	}
	for _, version := range []int64{4_000_000_000_000_000_000, math.MaxInt64} {
		_, err := b.repo.Ingest(b.ctx, "edge-1", ahead(version))
		requireSQLState(t, err, "ES008")
		_, err = repo(math.MaxInt64).Ingest(b.ctx, "edge-1", ahead(version))
		require.NoError(t, err)
		_, err = b.repo.Append(b.ctx, "edge-1", eventstream.Any, anEvent(t, 4))
		require.ErrorIs(t, err, eventstream.ErrGap)
		count, err := b.repo.DiscardPending(b.ctx, "edge-1", "a mistake", 1)
		require.NoError(t, err)
		require.Equal(t, int64(1), count)
		_, err = b.repo.Append(b.ctx, "edge-1", eventstream.Any, anEvent(t, 4))
		require.NoError(t, err)
	}
	_, err := eventstream.NewRepository(b.pool, &eventstream.Config{MaxAhead: -1})
	var invalid *eventstream.InvalidValueError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "Config.MaxAhead", invalid.Field)
	requireAuditClean(t, b)
}

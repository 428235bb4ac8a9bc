package database

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestStoresHoldTheSameAndGoAtTheEnd(t *testing.T) {
	t.Parallel()
	var dsn string
	require.NoError(t, With(t.Context(), io.Discard, func(ctx context.Context, d *Databases) error {
		settings, err := d.Settings(ctx)
		require.NoError(t, err)
		require.Contains(t, settings, "with fsync=")
		s, drop, err := d.Store(ctx, 1, nil)
		require.NoError(t, err)
		require.NoError(t, s.Seed(ctx, 3, 2, 4))
		require.NoError(t, HoldAutovacuum(ctx, s.Raw))
		require.NoError(t, Vacuum(ctx, s.Raw))
		for _, query := range []string{
			`SELECT count(*) FROM eventstream.events`,
			`SELECT count(*) FROM bare.events`,
			`SELECT count(*) FROM eventstream.events JOIN bare.events USING (stream_id, version, partition_id, type, payload)`,
			`SELECT sum(current_version) FROM eventstream.streams`,
			`SELECT 6 * count(*) FROM pg_class WHERE oid = 'bare.events'::regclass AND reltuples = 6 AND reloptions IS NOT NULL`,
		} {
			require.Equal(t, 6, number(t, s, query), query)
		}
		dsn = s.DSN
		return drop()
	}))
	_, err := pgx.Connect(t.Context(), dsn)
	require.Error(t, err)
}

func TestReconnectWaitsForSessionsToEnd(t *testing.T) {
	t.Parallel()
	require.NoError(t, With(t.Context(), io.Discard, func(ctx context.Context, d *Databases) error {
		s, drop, err := d.Store(ctx, 1, nil)
		require.NoError(t, err)
		require.NoError(t, s.Seed(ctx, 3, 2, 4))
		other, err := pgx.Connect(ctx, s.DSN)
		require.NoError(t, err)
		short, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, s.Reconnect(short), context.DeadlineExceeded)
		require.NoError(t, other.Close(ctx))
		require.NoError(t, s.Reconnect(ctx))
		require.Equal(t, 12, number(t, s, `SELECT sum(n_tup_ins) FROM pg_stat_user_tables WHERE relname = 'events'`), "of both sides")
		return drop()
	}))
}

func TestCopiedHasTheIndexesOfEventsAndBareThoseOfAnyStore(t *testing.T) {
	t.Parallel()
	require.NoError(t, With(t.Context(), io.Discard, func(ctx context.Context, d *Databases) error {
		s, drop, err := d.Store(ctx, 1, nil)
		require.NoError(t, err)
		const definitions = `
SELECT count(DISTINCT definition)
FROM (
    SELECT regexp_replace(pg_get_indexdef(indexrelid), 'INDEX .* ON \S+ ', '') AS definition
    FROM pg_index
    WHERE indrelid = ANY ($1::text[]::regclass[])
) AS i`
		for _, tables := range [][]string{{"eventstream.events"}, {"bare.copied"}, {"eventstream.events", "bare.copied"}} {
			require.Equal(t, number(t, s, `SELECT count(*) FROM pg_index WHERE indrelid = 'eventstream.events'::regclass`),
				number(t, s, definitions, tables), tables)
		}
		require.Equal(t, 2, number(t, s, `SELECT count(*) FROM pg_index WHERE indrelid = 'bare.events'::regclass AND indisunique`))
		return drop()
	}))
}

func number(t *testing.T, s *Store, query string, arguments ...any) int {
	t.Helper()
	var n int
	require.NoError(t, s.Raw.QueryRow(t.Context(), query, arguments...).Scan(&n), query)
	return n
}

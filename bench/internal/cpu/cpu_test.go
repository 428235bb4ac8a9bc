package cpu

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gaplesspg/gapless/bench/internal/database"
	"github.com/gaplesspg/gapless/bench/internal/schedstat"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestRunMeasuresEveryCase(t *testing.T) {
	t.Parallel()
	require.NoError(t, database.With(t.Context(), io.Discard, func(ctx context.Context, d *database.Databases) error {
		var log bytes.Buffer
		o := &Options{streams: 230, rounds: 2, calls: 10, states: allStates(), modes: allModes()}
		r, err := o.Run(ctx, d, &log)
		require.NoError(t, err)
		require.Contains(t, log.String(), "grown: 230 streams, 2 rounds")
		names := map[string]bool{}
		for _, x := range r.Results.([]result) {
			names[x.Case] = true
			require.Positive(t, x.US, x.Case)
			require.Positive(t, x.Ratio, x.Case)
		}
		require.Len(t, names, 3*2*14)
		require.Len(t, r.Tables, 3*2)

		log.Reset()
		o = &Options{streams: 100, rounds: 1, calls: 1, states: []string{installed}, modes: []string{transaction}}
		r, err = o.Run(ctx, d, &log)
		require.NoError(t, err)
		require.Len(t, r.Tables, 1)
		require.Len(t, r.Results, 14)
		return nil
	}))
}

func TestStoreStaysSoundAndPlansStayCached(t *testing.T) {
	t.Parallel()
	onConnection(t, func(ctx context.Context, conn *pgx.Conn) {
		b, err := newBenchmark(ctx, conn, &Options{streams: 120, rounds: 1, calls: 2, modes: allModes()}, io.Discard)
		require.NoError(t, err)
		require.NoError(t, b.cachePlans(ctx))
		require.Zero(t, count(t, conn, `SELECT count(*) FROM eventstream.streams`), "caching leaves nothing behind")
		require.NoError(t, b.growTo(ctx, 120))
		_, err = b.measureState(ctx, installed)
		require.NoError(t, err)

		require.Zero(t, count(t, conn, `SELECT count(*) FROM eventstream.audit()`))
		require.Zero(t, count(t, conn, `SELECT count(*) FROM pg_prepared_statements
			WHERE statement LIKE '%append_batch%' AND generic_plans = 0`), "the plan no longer depends on the values")
		require.Equal(t, 2*(2+1+2*100+2*100), count(t, conn, `SELECT count(*) FROM bare.events`)-120)
		require.Zero(t, count(t, conn, `SELECT count(*) FROM pg_class
			WHERE oid IN ('eventstream.events'::regclass, 'bare.events'::regclass) AND reltuples >= 0`), "never analyzed")
	})
}

func TestCPUTimeNeedsASuperuser(t *testing.T) {
	t.Parallel()
	onConnection(t, func(ctx context.Context, conn *pgx.Conn) {
		before, err := cpuTime(ctx, conn)
		require.NoError(t, err)
		_, err = conn.Exec(ctx, `SELECT count(*) FROM generate_series(1, 100000)`)
		require.NoError(t, err)
		after, err := cpuTime(ctx, conn)
		require.NoError(t, err)
		require.Greater(t, after, before)

		_, err = conn.Exec(ctx, `SET ROLE pg_monitor`)
		require.NoError(t, err)
		_, err = cpuTime(ctx, conn)
		require.ErrorIs(t, err, errMayNotRead)
		_, err = conn.Exec(ctx, `RESET ROLE`)
		require.NoError(t, err)
		err = conn.QueryRow(ctx, `SELECT pg_read_file('/proc/self/none', 0, 100)`).Scan(new(string))
		require.ErrorIs(t, explain(err), schedstat.ErrNone)
	})
}

// onConnection lets do work on a database of its own.
func onConnection(t *testing.T, do func(context.Context, *pgx.Conn)) {
	t.Helper()
	require.NoError(t, database.With(t.Context(), io.Discard, func(ctx context.Context, d *database.Databases) error {
		dsn, drop, err := d.New(ctx)
		require.NoError(t, err)
		conn, err := pgx.Connect(ctx, dsn)
		require.NoError(t, err)
		do(ctx, conn)
		require.NoError(t, conn.Close(ctx))
		return drop()
	}))
}

func count(t *testing.T, conn *pgx.Conn, query string) int {
	t.Helper()
	var n int
	require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&n))
	return n
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gaplesspg/gapless/internal/pgserver"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestRunMeasuresEveryCase(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "results.json")
	var stdout, stderr bytes.Buffer
	require.NoError(t, run(t.Context(), options{out: out, streams: 230, rounds: 2, calls: 10}, &stdout, &stderr))
	require.Contains(t, stdout.String(), "append_batch: 100 requests, 100 streams")
	require.Contains(t, stderr.String(), "grown: 230 streams, 2 rounds")

	content, err := os.ReadFile(out)
	require.NoError(t, err)
	var results []result
	require.NoError(t, json.Unmarshal(content, &results))
	names := map[string]bool{}
	for _, r := range results {
		names[r.Case] = true
		require.Positive(t, r.US, r.Case)
		require.Positive(t, r.Ratio, r.Case)
	}
	require.Len(t, names, 3*2*10)
}

func TestRunRefusesBeforeItStartsAServer(t *testing.T) {
	t.Parallel()
	valid := options{streams: 100, rounds: 1, calls: 1}
	unwritable, few, none := valid, valid, valid
	unwritable.out, few.streams, none.rounds = t.TempDir(), 99, 0
	for _, o := range []options{unwritable, few, none} {
		var stdout, stderr bytes.Buffer
		require.Error(t, run(t.Context(), o, &stdout, &stderr))
		require.Empty(t, stdout.String()+stderr.String())
	}
}

func TestStoreStaysSoundAndPlansStayCached(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server, err := pgserver.Start(ctx, pgserver.Options{NeedSuperuser: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()
	conn, drop, err := openDatabase(ctx, server)
	require.NoError(t, err)
	defer func() { require.NoError(t, drop()) }()

	b := newBenchmark(conn, options{streams: 120, rounds: 1, calls: 2}, &bytes.Buffer{})
	require.NoError(t, b.cachePlans(ctx))
	require.Zero(t, count(t, conn, `SELECT count(*) FROM eventstream.streams`), "caching leaves nothing behind")
	require.NoError(t, b.growTo(ctx, 120))
	_, err = b.measureState(ctx, "installed")
	require.NoError(t, err)

	require.Zero(t, count(t, conn, `SELECT count(*) FROM eventstream.audit()`))
	require.Zero(t, count(t, conn, `SELECT count(*) FROM pg_prepared_statements
		WHERE statement LIKE '%append_batch%' AND generic_plans = 0`), "the plan no longer depends on the values")
	require.Equal(t, count(t, conn, `SELECT count(*) FROM bare.events`)-120, 2*(2+100+100))
	require.Zero(t, count(t, conn, `SELECT count(*) FROM pg_class
		WHERE oid IN ('eventstream.events'::regclass, 'bare.events'::regclass) AND reltuples >= 0`), "never analyzed")
}

func TestCPUTimeNeedsASuperuser(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	server, err := pgserver.Start(ctx, pgserver.Options{NeedSuperuser: true})
	require.NoError(t, err)
	defer func() { require.NoError(t, server.Stop()) }()
	conn, err := pgx.Connect(ctx, server.DSN(""))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.WithoutCancel(ctx))) }()

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
	require.ErrorIs(t, explain(err), errNoSchedstat)
}

func count(t *testing.T, conn *pgx.Conn, query string) int {
	t.Helper()
	var n int
	require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&n))
	return n
}

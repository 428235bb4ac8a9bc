package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/internal/pgserver"
	"github.com/gaplesspg/gapless/migrations"
)

// server is the one that all tests share; each has a database of its own.
var server *pgserver.Server

func TestMain(m *testing.M) {
	var err error
	if server, err = pgserver.Start(context.Background(), pgserver.Options{Log: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := server.Stop(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// database is an empty one.
func database(t *testing.T) string {
	t.Helper()
	name := "fromtable_" + strings.ReplaceAll(uuid.NewString(), "-", "")
	conn, err := pgx.Connect(t.Context(), server.DSN(""))
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	_, err = conn.Exec(t.Context(), "CREATE DATABASE "+name+" ENCODING 'UTF8' TEMPLATE template0")
	require.NoError(t, err)
	return server.DSN(name)
}

// aService has a table with so many events.
func aService(t *testing.T, events int) *service {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), database(t)+"&pool_max_conns=12")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	require.NoError(t, migrations.Up(t.Context(), pool, nil))
	repo, err := eventstream.NewRepository(pool, nil)
	require.NoError(t, err)
	s := &service{pool: pool, repo: repo}
	_, err = pool.Exec(t.Context(), oldTables)
	require.NoError(t, err)
	require.NoError(t, s.fill(t.Context(), events))
	return s
}

// What was confirmed to somebody while the service moved is in the store, once and in order, whichever side of the switch it was written on.
func TestMovingWhileTheServiceRuns(t *testing.T) {
	t.Parallel()
	s := aService(t, 12_000)
	var out strings.Builder
	require.NoError(t, s.move(t.Context(), 4, &out))
	t.Log(out.String())
	require.Contains(t, out.String(), "Differences: 0. Findings of the audit: 0.")
	var perWriter, stored, twice, recorded int64
	require.NoError(t, s.pool.QueryRow(t.Context(), `
		WITH told AS (
			SELECT (payload ->> 'writer')::int AS writer, (payload ->> 'n')::int AS n, position
			FROM eventstream.events WHERE payload ? 'writer'
		)
		SELECT count(*), (SELECT sum(m) FROM (SELECT max(n) + 1 AS m FROM told GROUP BY writer) AS t), count(*) - count(DISTINCT (writer, n)),
			count(DISTINCT writer)
		FROM told`).Scan(&stored, &recorded, &twice, &perWriter))
	require.Equal(t, int64(4), perWriter)
	require.Equal(t, recorded, stored, "each writer counts from 0, so none of its numbers is missing")
	require.Zero(t, twice)
	require.Greater(t, stored, int64(after))
}

// The moment of the switch: a writer that is at work is waited for, and one that comes waits; what the first wrote is moved, and the second finds
// the switch turned.
func TestTheSwitchWaitsForWritersAndTheyForIt(t *testing.T) {
	t.Parallel()
	s, ctx := aService(t, 10), t.Context()
	_, err := s.repo.Import(ctx, s.history(ctx, 0, new(int64)))
	require.NoError(t, err)
	atWork, err := s.pool.Begin(ctx)
	require.NoError(t, err)
	require.NoError(t, s.recordIn(ctx, atWork, "race", "PLACED", 1))
	turned := make(chan error, 1)
	go func() {
		_, err := s.turn(ctx, 0)
		turned <- err
	}()
	waiting := func(least int) {
		t.Helper()
		require.Eventually(t, func() bool {
			var n int
			err := s.pool.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
				WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%event_switch%'`).Scan(&n)
			return err == nil && n >= least
		}, time.Minute, time.Millisecond)
	}
	waiting(1)
	written := make(chan error, 1)
	go func() { written <- s.record(ctx, "race", "PAID", 2) }()
	waiting(2)
	require.NoError(t, atWork.Commit(ctx))
	require.NoError(t, <-turned)
	require.NoError(t, <-written)
	stream, err := s.repo.Load(ctx, streamOf("race"))
	require.NoError(t, err)
	require.Equal(t, int64(2), stream.CurrentVersion())
	var old int
	require.NoError(t, s.pool.QueryRow(ctx, `SELECT count(*) FROM public.order_events WHERE order_no = 'race'`).Scan(&old))
	require.Equal(t, 1, old)
}

// One that fails leaves the service where it was, and the next one brings the rest. Here an event of the table cannot be imported.
func TestAMigrationThatFailsSwitchesNothing(t *testing.T) {
	t.Parallel()
	s, ctx := aService(t, 100), t.Context()
	_, err := s.pool.Exec(ctx, `INSERT INTO public.order_events (order_no, version, kind, body) VALUES ('hole', 2, 'NOTED', '{}')`)
	require.NoError(t, err)
	_, err = s.migrate(ctx, io.Discard)
	require.ErrorIs(t, err, eventstream.ErrGap)
	require.NoError(t, s.record(ctx, "old-1", "NOTED", 1))
	var old int
	require.NoError(t, s.pool.QueryRow(ctx, `SELECT count(*) FROM public.order_events WHERE order_no = 'old-1'`).Scan(&old))
	require.Equal(t, 11, old)
	_, err = s.pool.Exec(ctx, `UPDATE public.order_events SET version = 1 WHERE order_no = 'hole'`)
	require.NoError(t, err)
	m, err := s.migrate(ctx, io.Discard)
	require.NoError(t, err)
	require.Equal(t, int64(102), m.imported)
	require.NoError(t, s.record(ctx, "old-1", "NOTED", 1))
	require.NoError(t, s.repo.VerifyGapless(ctx, streamOf("old-1")))
}

// A row that a transaction committed later than its number says is found at the switch, however far back it is.
func TestARowThatComesLateIsFound(t *testing.T) {
	t.Parallel()
	s, ctx := aService(t, 100), t.Context()
	late, err := s.pool.Begin(ctx)
	require.NoError(t, err)
	_, err = late.Exec(ctx, `INSERT INTO public.order_events (order_no, version, kind, body) VALUES ('late', 1, 'NOTED', '{}')`)
	require.NoError(t, err)
	require.NoError(t, s.fill(ctx, 20_000))
	last := int64(0)
	_, err = s.repo.Import(ctx, s.history(ctx, 0, &last))
	require.NoError(t, err)
	require.NoError(t, late.Commit(ctx))
	imported, err := s.turn(ctx, last-margin)
	require.NoError(t, err)
	require.Equal(t, int64(1), imported)
}

func TestTheProgram(t *testing.T) {
	t.Parallel()
	dsn := database(t)
	var out strings.Builder
	require.NoError(t, run(t.Context(), dsn, 500, 2, &out))
	require.Contains(t, out.String(), "pass 1: ")
	require.NoError(t, run(t.Context(), dsn, 500, 2, &out), "after the switch, there is nothing to move")
	require.ErrorContains(t, run(t.Context(), dsn, 0, 2, &out), "-events 0")
}

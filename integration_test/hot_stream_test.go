package integration_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
)

const (
	hotProcesses = 4
	hotCallers   = 16
	// hotAppends is how many appends each caller makes: enough for one that starves to fall behind.
	hotAppends = 25
)

// Many processes append to one stream at any version. Whoever comes gets in in turn: the lock of the stream is a queue. A caller that had to
// try again and again, as one that only meets the primary key, would wait longest when all are at it.
func TestHotStreamStarvesNobody(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]bool{"GroupOn": false, "GroupOff": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "hot-1", 1)
			var repos []*eventstream.Repository
			counts := &queryCounter{}
			for range hotProcesses {
				config := &eventstream.Config{}
				config.Group.Off = off
				pool := newPool(t, b.dsn, withMaxConns(hotCallers), func(c *pgxpool.Config) { c.ConnConfig.Tracer = counts })
				warmUp(t, b, pool)
				repo, err := eventstream.NewRepository(pool, config)
				require.NoError(t, err)
				repos = append(repos, repo)
			}
			before, asked := drawn(t, b), counts.count()
			began := time.Now()
			run := appendAll(t, b, repos)
			took := time.Since(began)

			appends := len(run.waits)
			require.Equal(t, int64(appends), drawn(t, b)-before, "a position an event: nobody tried in vain")
			require.LessOrEqual(t, counts.count()-asked, appends, "a statement an append at most: nobody asked twice")
			require.Equal(t, int64(appends+1), number(t, b.ctx, b.pool, `SELECT watermark FROM eventstream.streams WHERE stream_id = 'hot-1'`))
			slices.Sort(run.waits)
			slices.Sort(run.lags)
			t.Logf("%d appends by %d callers in %d processes in %v (%.0f a second): half within %v, 99 %% within %v, the longest wait %v; "+
				"overtaken by %d at most in the queue; the log behind by %d events at most, half of the time by %d",
				appends, hotProcesses*hotCallers, hotProcesses, took.Round(time.Millisecond), float64(appends)/took.Seconds(),
				run.waits[appends/2], run.waits[appends*99/100], run.waits[appends-1], slices.Max(run.queued),
				run.lags[len(run.lags)-1], run.lags[len(run.lags)/2])
			// In turn, whoever waits lets each of the others in once, whether a process sends one at a time or all that wait there, in order.
			// Counted in events, since a machine that stalls lets everybody wait; and from when the server has it in the queue, since a process
			// that the machine forgets before it has asked is nobody's victim.
			require.LessOrEqual(t, slices.Max(run.queued), int64(hotProcesses*hotCallers))
			requireAuditClean(t, b)
		})
	}
}

// warmUp opens all connections of a pool, and lets each of these append to another stream: what a session does once, as to compile the
// functions, is nobody's turn.
func warmUp(t *testing.T, b *bundle, pool *pgxpool.Pool) {
	t.Helper()
	var conns []*pgxpool.Conn
	for range pool.Config().MaxConns {
		conn, err := pool.Acquire(b.ctx)
		require.NoError(t, err)
		defer conn.Release()
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		_, err := repoOn(t, conn).Append(b.ctx, "warm-1", eventstream.Any, anEvent(t, 1))
		require.NoError(t, err)
	}
}

// hotRun is what became of the appends: how long each took, how many events came while a statement stood in the queue, and by how many events
// the log was behind meanwhile.
type hotRun struct {
	waits        []time.Duration
	queued, lags []int64
}

// appendAll lets all callers append, and goes on until enough of them were seen in the queue, or all have appended ten times as often.
func appendAll(t *testing.T, b *bundle, repos []*eventstream.Repository) hotRun {
	t.Helper()
	var done, seen atomic.Bool
	behind, queued := make(chan []int64, 1), make(chan []int64, 1)
	go func() { behind <- watchLag(b.ctx, b.pool, &done) }()
	go func() { queued <- watchQueue(b.ctx, b.pool, &done, &seen) }()
	group, ctx := errgroup.WithContext(b.ctx)
	each := make([][]time.Duration, len(repos)*hotCallers)
	for i, repo := range repos {
		for caller := range hotCallers {
			at := i*hotCallers + caller
			group.Go(func() error {
				for n := 0; n < hotAppends || n < 10*hotAppends && !seen.Load(); n++ {
					began := time.Now()
					_, err := repo.Append(ctx, "hot-1", eventstream.Any, anEvent(t, n))
					if err != nil {
						return fmt.Errorf("append %d: %w", n, err)
					}
					each[at] = append(each[at], time.Since(began))
				}
				return nil
			})
		}
	}
	err := group.Wait()
	done.Store(true)
	run := hotRun{waits: slices.Concat(each...), lags: <-behind, queued: <-queued}
	require.NoError(t, err)
	require.NotEmpty(t, run.queued)
	return run
}

// enoughQueued is how many sessions have to be seen in the queue more than once.
const enoughQueued = 10

// watchQueue looks, again and again, at which statements wait for the lock of a stream, and returns for each that waited the last time too how
// many events came meanwhile: from the version read after it was first seen to that read before it was seen again, so none that came before it
// had asked. A statement is known by its session and its start, so that one that gives up and asks anew keeps what it has waited.
func watchQueue(ctx context.Context, pool *pgxpool.Pool, done, seen *atomic.Bool) []int64 {
	type statement struct {
		pid   int64
		began time.Time
	}
	from := map[statement]int64{}
	var overtaken []int64
	for !done.Load() {
		var version int64
		if pool.QueryRow(ctx, `SELECT watermark FROM eventstream.streams WHERE stream_id = 'hot-1'`).Scan(&version) != nil {
			break
		}
		for s, first := range from {
			if first == 0 {
				from[s] = version
			}
		}
		// The locks first: a session whose statement began before the wait that was seen is still at that statement.
		rows, err := pool.Query(ctx, `
			WITH waits AS MATERIALIZED (
				SELECT k.pid, k.waitstart FROM pg_catalog.pg_locks AS k
				WHERE k.locktype = 'advisory' AND k.classid::bigint = 1163097202 AND k.objsubid = 2 AND NOT k.granted
					AND k.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
			)
			SELECT w.pid, a.query_start
			FROM waits AS w CROSS JOIN LATERAL pg_catalog.pg_stat_get_activity(w.pid) AS a
			WHERE a.query_start <= w.waitstart`)
		if err != nil {
			break
		}
		waiting, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s statement, err error) { return s, row.Scan(&s.pid, &s.began) })
		if err != nil {
			break
		}
		for _, s := range waiting {
			first, again := from[s]
			if again {
				overtaken = append(overtaken, version-first)
			} else {
				from[s] = 0
			}
		}
		seen.Store(len(overtaken) >= enoughQueued)
	}
	seen.Store(true)
	return overtaken
}

// watchLag reads, again and again, how many positions are drawn that cannot be read yet.
func watchLag(ctx context.Context, pool *pgxpool.Pool, done *atomic.Bool) []int64 {
	lags := []int64{0}
	for !done.Load() {
		var lag int64
		if pool.QueryRow(ctx, `SELECT behind FROM eventstream.audit_log LIMIT 1`).Scan(&lag) != nil {
			break
		}
		lags = append(lags, lag)
	}
	return lags
}

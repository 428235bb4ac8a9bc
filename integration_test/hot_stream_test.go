package integration_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

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
			for range hotProcesses {
				config := &eventstream.Config{}
				config.Group.Off = off
				pool := newPool(t, b.dsn, withMaxConns(hotCallers))
				warmUp(t, b, pool)
				repo, err := eventstream.NewRepository(pool, config)
				require.NoError(t, err)
				repos = append(repos, repo)
			}
			before := drawn(t, b)
			began := time.Now()
			waits, overtaken, lags := appendAll(t, b, repos)
			took := time.Since(began)

			const appends = hotProcesses * hotCallers * hotAppends
			require.Equal(t, int64(appends), drawn(t, b)-before, "a position an event: nobody tried in vain")
			require.Equal(t, int64(appends+1), number(t, b.ctx, b.pool, `SELECT watermark FROM eventstream.streams WHERE stream_id = 'hot-1'`))
			slices.Sort(waits)
			slices.Sort(lags)
			t.Logf("%d appends by %d callers in %d processes in %v (%.0f a second): half within %v, 99 %% within %v, the longest wait %v; "+
				"overtaken by %d at most; the log behind by %d events at most, half of the time by %d",
				appends, hotProcesses*hotCallers, hotProcesses, took.Round(time.Millisecond), appends/took.Seconds(),
				waits[len(waits)/2], waits[len(waits)*99/100], waits[len(waits)-1], slices.Max(overtaken), lags[len(lags)-1], lags[len(lags)/2])
			// In turn, a caller lets each of the others in once or twice; a third of the whole would be starvation. Counted in events, since a
			// machine that stalls lets everybody wait.
			require.Less(t, slices.Max(overtaken), int64(appends/3))
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

// appendAll lets all callers append, and returns how long each append took, how many events of others came between two of one caller, and by
// how many events the log was behind meanwhile.
func appendAll(t *testing.T, b *bundle, repos []*eventstream.Repository) (waits []time.Duration, overtaken, lags []int64) {
	t.Helper()
	var done atomic.Bool
	behind := make(chan []int64, 1)
	go func() { behind <- watchLag(b.ctx, b.pool, &done) }()
	group, ctx := errgroup.WithContext(b.ctx)
	each, others := make([][]time.Duration, len(repos)*hotCallers), make([][]int64, len(repos)*hotCallers)
	for i, repo := range repos {
		for caller := range hotCallers {
			at := i*hotCallers + caller
			group.Go(func() error {
				last := int64(1)
				for n := range hotAppends {
					began := time.Now()
					result, err := repo.Append(ctx, "hot-1", eventstream.Any, anEvent(t, n))
					if err != nil {
						return fmt.Errorf("append %d: %w", n, err)
					}
					each[at] = append(each[at], time.Since(began))
					others[at] = append(others[at], result.LastVersion-last-1)
					last = result.LastVersion
				}
				return nil
			})
		}
	}
	err := group.Wait()
	done.Store(true)
	lags = <-behind
	require.NoError(t, err)
	return slices.Concat(each...), slices.Concat(others...), lags
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

package integration_test

import (
	"context"
	"runtime/pprof"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
)

// pageWatch counts the queries of a pool that read a page of the log, and how many of them ran at the same time. before may end one.
type pageWatch struct {
	begun, running, most atomic.Int32
	before               func(ctx context.Context, page int32) context.Context
}

type pageOfLog struct{}

func (w *pageWatch) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !strings.Contains(data.SQL, "-- name: LogList") {
		return ctx
	}
	page := w.begun.Add(1)
	w.most.Store(max(w.most.Load(), w.running.Add(1)))
	if w.before != nil {
		ctx = w.before(ctx, page)
	}
	return context.WithValue(ctx, pageOfLog{}, page)
}

func (w *pageWatch) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryEndData) {
	if ctx.Value(pageOfLog{}) != nil {
		w.running.Add(-1)
	}
}

// watched is a repository on a pool of its own, whose pages of the log are watched and have up to 8 times pageSize events.
func (w *pageWatch) watched(t *testing.T, b *bundle, pageSize int) (*eventstream.Repository, *pgxpool.Pool) {
	t.Helper()
	pool := newPool(t, b.dsn, func(c *pgxpool.Config) { c.ConnConfig.Tracer = w })
	return sizedRepo(t, pool, pageSize), pool
}

// On a pool, the next page is under way while the loop is in the last one, and no other is. Who breaks off is spared all further ones.
func TestLogReadsAPageAhead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 100)
	for _, backwards := range []bool{false, true} {
		w := &pageWatch{}
		repo, _ := w.watched(t, b, 1)
		seen := 0
		for _, err := range repo.ReadLog(b.ctx, eventstream.LogOptions{Backwards: backwards}) {
			require.NoError(t, err)
			// Waits at the first event of a page of 8: the one after it comes all the same.
			next := int32(min(seen/8+2, 13))
			require.Eventually(t, func() bool { return w.begun.Load() == next }, blockTimeout, time.Millisecond)
			if seen++; seen == 90 {
				break
			}
		}
		require.Equal(t, int32(13), w.begun.Load())
		require.Equal(t, int32(1), w.most.Load())
	}
}

// A reader that has not come far enough, one with a limit, and one in a transaction read what they need and nothing ahead.
func TestLogReadsNothingAheadThatNobodyWants(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 100)
	readEight := func(repo *eventstream.Repository, tx pgx.Tx, limit int) {
		seen := 0
		log := repo.ReadLog(b.ctx, eventstream.LogOptions{Limit: limit})
		if tx != nil {
			log = repo.WithTx(tx).ReadLog(b.ctx, eventstream.LogOptions{Limit: limit})
		}
		for _, err := range log {
			require.NoError(t, err)
			if seen++; seen == 8 {
				break
			}
		}
	}
	small, large := &pageWatch{}, &pageWatch{}
	repo, pool := small.watched(t, b, 1)
	readEight(repo, nil, 8)
	require.Equal(t, int32(1), small.begun.Load(), "a limit that the first page meets")
	require.NoError(t, pgx.BeginFunc(b.ctx, pool, func(tx pgx.Tx) error {
		readEight(repo, tx, 0)
		return nil
	}))
	require.Equal(t, int32(2), small.begun.Load(), "a transaction has one connection")
	repo, _ = large.watched(t, b, 50)
	readEight(repo, nil, 0)
	require.Equal(t, int32(1), large.begun.Load(), "pages that are still growing")
}

// When a loop is left, its connection is back in the pool; a page ahead that fails then is nobody's error, and one that is needed is an error
// after the events before it.
func TestLogAheadLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "order-1", 100)
	w := &pageWatch{before: func(ctx context.Context, page int32) context.Context {
		if page%4 != 0 {
			return ctx
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		return ended
	}}
	repo, pool := w.watched(t, b, 1)
	for _, stop := range []int{24, 100} {
		w.begun.Store(0)
		seen, failed := 0, 0
		for _, err := range repo.ReadLog(b.ctx, eventstream.LogOptions{}) {
			if err != nil {
				require.ErrorIs(t, err, context.Canceled)
				failed++
				continue
			}
			require.Zero(t, failed)
			if seen++; seen == stop {
				break
			}
		}
		// A query whose context has ended is not sent, so its connection is not closed either.
		require.Zero(t, pool.Stat().AcquiredConns())
		require.Zero(t, w.running.Load())
		require.Equal(t, 24, seen, "three pages")
		require.Equal(t, stop > seen, failed == 1)
	}
}

// However a loop is left while the next page is being read, and be that held up by a lock: it is cancelled. No goroutine, no connection
// and no statement is left, and the loop does not wait for it.
func TestLogCancelsWhatIsReadAheadWhenItsLoopIsLeft(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(cancel func()) bool{
		"break":   func(func()) bool { return false },
		"panic":   func(func()) bool { panic("of the loop's body") },
		"context": func(cancel func()) bool { cancel(); return true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "order-1", 100)
			locker, application := session(t, b), "left "+name
			w := &pageWatch{before: func(ctx context.Context, page int32) context.Context {
				if page == 3 {
					_, err := locker.Exec(b.ctx, `BEGIN; LOCK TABLE eventstream.events IN ACCESS EXCLUSIVE MODE`)
					require.NoError(t, err)
				}
				return ctx
			}}
			pool := newPool(t, b.dsn, named(application), func(c *pgxpool.Config) { c.ConnConfig.Tracer = w })
			repo := sizedRepo(t, pool, 1)
			ctx, cancel := context.WithCancel(b.ctx)
			defer cancel()
			const blocked = `SELECT count(*)::text FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database() AND wait_event_type = 'Lock'`
			left := make(chan error, 1)
			go pprof.Do(ctx, pprof.Labels("test", t.Name()), func(ctx context.Context) {
				defer func() { _ = recover(); close(left) }()
				seen := 0
				for _, err := range repo.ReadLog(ctx, eventstream.LogOptions{}) {
					if err != nil {
						left <- err
						return
					}
					// In the second page, of 8 events as the first one: the third is being read.
					if seen++; seen == 16 {
						awaitSQL(t, b, "1", blocked, application)
						if !leave(cancel) {
							return
						}
					}
				}
			})
			select {
			case err := <-left:
				if name == "context" {
					require.ErrorIs(t, err, context.Canceled)
				} else {
					require.NoError(t, err)
				}
			case <-time.After(blockTimeout):
				t.Fatalf("the loop was not left\n%s", sessionsOf(b))
			}
			requireNoGoroutine(t)
			awaitSQL(t, b, "0", blocked, application)
			awaitSQL(t, b, "0", `SELECT count(*)::text FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database() AND state <> 'idle'`,
				application)
			require.Eventually(t, func() bool { return pool.Stat().AcquiredConns() == 0 }, closeTimeout, time.Millisecond)
			require.Zero(t, w.running.Load())
			_, err := locker.Exec(b.ctx, `ROLLBACK`)
			require.NoError(t, err)
			require.Len(t, readAll(t, repo.ReadLog(b.ctx, eventstream.LogOptions{})), 100)
		})
	}
}

package integration_test

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/internal/leftout"
)

// With Notify the poller of a process that appends wakes those of others.
func TestSubscriptionNotify(t *testing.T) {
	t.Parallel()
	b := setup(t)
	config := &eventstream.Config{Notify: true}
	a, other := anotherProcess(t, b, config, named("a")), anotherProcess(t, b, config, named("b"))
	mine, theirs := newJournal(), newJournal()
	keepRunning(t, a, subscribe(t, a, "mine", subscription.EffectHandler(mine.effect), nil))
	keepRunning(t, other, subscribe(t, other, "theirs", subscription.EffectHandler(theirs.effect), nil))
	awaitSQL(t, b, "2", `SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN eventstream_log'`)
	listener := session(t, b)
	execSQL(t, b.ctx, listener, `LISTEN eventstream_log`)
	for i := range 10 {
		_, err := a.repo.Append(b.ctx, "a-1", eventstream.Any, anEvent(t, i))
		require.NoError(t, err)
		mine.waitCount(t, b.ctx, i+1)
		theirs.waitCount(t, b.ctx, i+1)
	}
	notification, err := listener.WaitForNotification(b.ctx)
	require.NoError(t, err)
	require.Empty(t, notification.Payload)

	// A listener whose connection is lost listens again.
	execSQL(t, b.ctx, b.pool, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'b'
		AND query = 'LISTEN eventstream_log'`)
	awaitSQL(t, b, "2", `SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND query = 'LISTEN eventstream_log'
		AND application_name <> $1`, t.Name())
	given(t, b, "b-1", 1)
	theirs.waitCount(t, b.ctx, 11)
}

// Without Notify nobody sends or listens, and an append never does.
func TestSubscriptionWithoutNotify(t *testing.T) {
	t.Parallel()
	b := setup(t)
	listener := session(t, b)
	execSQL(t, b.ctx, listener, `LISTEN eventstream_log`)
	j := newJournal()
	keepRunning(t, b, subscribe(t, b, "reader", subscription.EffectHandler(j.effect), nil))
	given(t, b, "a-1", 5)
	j.waitCount(t, b.ctx, 5)
	_, err := listener.Exec(b.ctx, `SELECT pg_notify('eventstream_log', 'the first')`)
	require.NoError(t, err)
	notification, err := listener.WaitForNotification(b.ctx)
	require.NoError(t, err)
	require.Equal(t, "the first", notification.Payload)
}

// Twenty subscriptions of one process use no more connections than the config says, from their start to their end, and leave no goroutine.
func TestSubscriptionConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		config eventstream.Config
		bound  int
	}{
		"Default": {eventstream.Config{}, 5},
		"Three":   {eventstream.Config{Connections: 3}, 3},
		"Notify":  {eventstream.Config{Notify: true}, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := withHandled(t, setup(t))
			const application = "twenty"
			p := anotherProcess(t, b, &c.config, withMaxConns(30), named(application))
			counted, stopCounting := countSessions(t, b, application)
			ctx, cancel := context.WithCancel(b.ctx)
			defer cancel()
			ended := make(chan error, 20)
			for i := range 20 {
				kind := []string{"tx", "async", "effect"}[i%3]
				s := subscribe(t, p, fmt.Sprintf("reader-%d", i), handlerKinds[kind](b, nil), &subscription.Config{Shards: 1 + i%4})
				go pprof.Do(ctx, pprof.Labels("run", t.Name()), func(ctx context.Context) { ended <- s.Run(ctx) })
			}
			awaitSQL(t, b, "20", `SELECT count(*)::text FROM eventstream.subscriptions`)
			rounds(t, b, 5, "a-1", "b-1", "c-1", "d-1")
			awaitSQL(t, b, "400", `SELECT count(*)::text FROM (SELECT DISTINCT a.subscription, e.position FROM eventstream.audit_subscriptions AS a
				JOIN eventstream.events AS e ON e.position <= a.position AND e.partition_id % a.shard_count = a.shard) AS d`)
			cancel()
			for range 20 {
				require.NoError(t, <-ended)
			}
			requireNoGoroutine(t)
			// pgxpool closes a connection that was interrupted beside us.
			require.Eventually(t, func() bool { return p.pool.Stat().AcquiredConns() == 0 }, closeTimeout, time.Millisecond)
			stopCounting()
			require.LessOrEqual(t, counted(), c.bound)
			require.Positive(t, counted())
		})
	}
}

// requireNoGoroutine demands that nothing of the product is left of what the test started under its name, but for goroutines that have
// told of their end and are about to.
func requireNoGoroutine(t *testing.T) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		var stacks strings.Builder
		require.NoError(c, pprof.Lookup("goroutine").WriteTo(&stacks, 1))
		for _, stack := range strings.Split(stacks.String(), "\n\n") {
			if strings.Contains(stack, fmt.Sprintf("%q", t.Name())) {
				require.NotContains(c, stack, "gapless/eventstream.", "left behind")
			}
		}
	}, blockTimeout, time.Millisecond)
}

// countSessions watches how many sessions of an application there are at a time.
func countSessions(t *testing.T, b *bundle, application string) (most func() int, stop func()) {
	t.Helper()
	conn := session(t, b)
	ctx, cancel := context.WithCancel(b.ctx)
	highest, done := 0, make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			var count int
			err := conn.QueryRow(context.Background(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1`,
				application).Scan(&count)
			if err != nil {
				done <- err
				return
			}
			highest = max(highest, count)
		}
		done <- nil
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return func() int { return highest }, stop
}

// Behind PgBouncer in transaction mode everything works: shards, exactly once, waiting, parking and replaying; nothing is kept in a session.
func TestSubscriptionBehindPgBouncer(t *testing.T) {
	t.Parallel()
	bin, err := findPgBouncer()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		leftout.Skip(t, err)
	}
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(mode.String(), func(t *testing.T) {
			t.Parallel()
			b := withHandled(t, setup(t))
			// One connection of the server for each process that is a member, and some that all share.
			dsn := startPgBouncer(t, b, bin, 5)
			join := func() *bundle {
				config, err := pgxpool.ParseConfig(dsn)
				require.NoError(t, err)
				config.ConnConfig.DefaultQueryExecMode = mode
				config.MaxConns = 6
				pool, err := pgxpool.NewWithConfig(b.ctx, config)
				require.NoError(t, err)
				t.Cleanup(func() { closePool(t, pool) })
				repo, err := eventstream.NewRepository(pool, lively)
				require.NoError(t, err)
				return &bundle{ctx: b.ctx, dsn: dsn, pool: pool, repo: repo}
			}
			p := poisoned(-1, 4)
			config := quick(subscription.ParkStream)
			config.Shards = 4
			var runs []*running
			var s *subscription.Subscription
			for range 2 {
				process := join()
				s = subscribe(t, process, "reader", handlerKinds["tx"](process, p.decide), config)
				runs = append(runs, run1(t, process, s))
			}
			awaitSQL(t, b, "2 2", shares, "reader")
			rounds(t, b, 20, "a-1", "b-1", "c-1", "d-1")
			awaitCheckpoint(t, b, s)
			require.Len(t, parkedPositions(t, b, "reader"), 20, "all of d-1")
			p.cure(4)
			handled, err := s.ReplayParked(b.ctx)
			require.NoError(t, err)
			require.Equal(t, 20, handled)
			runs[0].stop(t)
			awaitSQL(t, b, "4", shares, "reader")
			rounds(t, b, 5, "a-1", "b-1", "c-1", "d-1")
			awaitCheckpoint(t, b, s)
			requireHandledOnce(t, b)
		})
	}
}

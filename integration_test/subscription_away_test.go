package integration_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// network is what lies between a process and the database: while it is away, nothing connects, and what was connected is lost.
type network struct {
	away  atomic.Bool
	tries atomic.Int64
}

func (n *network) on(config *pgxpool.Config) {
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if n.away.Load() {
			n.tries.Add(1)
			return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
		}
		return dial(ctx, network, address)
	}
}

// cut ends all sessions of an application; none of them can come back until the network is there again.
func (n *network) cut(t testing.TB, b *bundle, application string) {
	t.Helper()
	n.away.Store(true)
	execSQL(t, b.ctx, b.pool, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()`, application)
	awaitSQL(t, b, "0", `SELECT count(*)::text FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()`, application)
}

// countErrors counts the errors that the observer is told of.
func countErrors(config *subscription.Config) (count func() int64) {
	var errs atomic.Int64
	config.Observer = errorsTold(func(error) { errs.Add(1) })
	return errs.Load
}

// A subscription that starts while the database is away waits, tells of it, and goes on; and so does one whose database goes away for
// long: with each kind of handler.
func TestSubscriptionWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 3, "a-1", "b-1")
		n := &network{}
		n.away.Store(true)
		p := anotherProcess(t, b, &eventstream.Config{Notify: kind == "tx"}, n.on, named("away"))
		config := quick(subscription.Stop)
		errs := countErrors(config)
		s := subscribe(t, p, "reader", handlerKinds[kind](b, nil), config)
		run := run1(t, p, s)
		require.Eventually(t, func() bool { return errs() >= 2 && n.tries.Load() >= 2 }, blockTimeout, time.Millisecond)
		n.away.Store(false)
		awaitCheckpoint(t, b, subscribe(t, b, "reader", handlerKinds[kind](b, nil), nil))

		before, tries := errs(), n.tries.Load()
		n.cut(t, b, "away")
		rounds(t, b, 3, "a-1", "b-1")
		require.Eventually(t, func() bool { return errs() >= before+3 && n.tries.Load() >= tries+3 }, blockTimeout, time.Millisecond)
		n.away.Store(false)
		awaitCheckpoint(t, b, subscribe(t, b, "reader", handlerKinds[kind](b, nil), nil))
		requireHandledOnce(t, b)
		run.stop(t)
	})
}

// A Run that waits for the database ends with its context, without an error.
func TestSubscriptionThatWaitsEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := setup(t)
	n := &network{}
	n.away.Store(true)
	p := anotherProcess(t, b, nil, n.on)
	config := quick(subscription.Stop)
	errs := countErrors(config)
	run := run1(t, p, subscribe(t, p, "reader", nothing, config))
	require.Eventually(t, func() bool { return errs() > 0 }, blockTimeout, time.Millisecond)
	run.stop(t)
}

// A projector waits as well, makes its tables then, and an error of Setup stays an error, whatever its type.
func TestProjectionWaitsForTheDatabase(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rounds(t, b, 3, "a-1", "b-1")
	n := &network{}
	n.away.Store(true)
	p := anotherProcess(t, b, nil, n.on)
	config := quick(subscription.Stop)
	errs := countErrors(config)
	projection, err := subscription.NewProjector(p.repo, counts(config))
	require.NoError(t, err)
	run := run1(t, p, projection)
	require.Eventually(t, func() bool { return errs() >= 2 }, blockTimeout, time.Millisecond)
	n.away.Store(false)
	awaitCheckpoint(t, b, projector(t, b, counts(nil)).Subscription)
	requireCounted(t, b, "counts.streams")
	run.stop(t)

	broken := counts(nil)
	broken.Name = "broken"
	mine := &net.OpError{Op: "dial", Err: errors.New("my own service is away")}
	broken.Setup = func(context.Context, pgx.Tx, string) error { return mine }
	require.ErrorIs(t, run1(t, b, projector(t, b, broken)).wait(t, b), mine)
}

// What no waiting mends ends Run at once: a database that is not there, a pool that is closed.
func TestSubscriptionDoesNotWaitInVain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := anotherProcess(t, b, nil, func(c *pgxpool.Config) { c.ConnConfig.Database = "there_is_no_such_database" })
	requireSQLState(t, run1(t, p, subscribe(t, p, "reader", nothing, nil)).wait(t, b), "3D000")

	p = anotherProcess(t, b, nil)
	p.pool.Close()
	require.ErrorContains(t, run1(t, p, subscribe(t, p, "reader", nothing, nil)).wait(t, b), "closed pool")

	p = anotherProcess(t, b, nil)
	s := subscribe(t, p, "reader", subscription.EffectHandler(newJournal().effect), nil)
	run := run1(t, p, s)
	given(t, b, "a-1", 1)
	awaitCheckpoint(t, b, s)
	p.pool.Close() // does not wait for Run, which has no connection of it
	given(t, b, "a-2", 1)
	require.ErrorContains(t, run.wait(t, b), "closed pool")
}

// A pool that others have used up for longer than the lease costs a process none of its shards: nobody else gets them, and it goes on where it
// was once there is a connection.
func TestSubscriptionKeepsItsShardsWhileThePoolIsUsedUp(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 3, "a-1", "b-1")
		a := anotherProcess(t, b, &eventstream.Config{Lease: time.Second}, withMaxConns(3), named("a"))
		config := &subscription.Config{Shards: 4}
		s := subscribe(t, a, "reader", handlerKinds[kind](b, nil), config)
		run := run1(t, a, s)
		awaitSQL(t, b, "4", shares, "reader")
		awaitCheckpoint(t, b, s)
		epochs := number(t, b.ctx, b.pool, `SELECT sum(epoch) FROM eventstream.subscription_shards`)
		var taken []*pgxpool.Conn
		for range 3 {
			conn, err := a.pool.Acquire(b.ctx)
			require.NoError(t, err)
			taken = append(taken, conn)
		}
		release := sync.OnceFunc(func() {
			for _, conn := range taken {
				conn.Release()
			}
		})
		defer release()
		lease := number(t, b.ctx, b.pool, `SELECT (extract(epoch FROM max(lease_until) + interval '3 s') * 1000)::bigint FROM eventstream.subscription_members`)
		rounds(t, b, 3, "a-1", "b-1")
		awaitSQL(t, b, "true", `SELECT (extract(epoch FROM max(lease_until)) * 1000 > $1)::text FROM eventstream.subscription_members`, lease)
		require.Equal(t, epochs, number(t, b.ctx, b.pool, `SELECT sum(epoch) FROM eventstream.subscription_shards`))
		awaitSQL(t, b, "4", shares, "reader")
		release()
		awaitCheckpoint(t, b, subscribe(t, b, "reader", handlerKinds[kind](b, nil), config))
		requireHandledOnce(t, b)
		require.Equal(t, epochs, number(t, b.ctx, b.pool, `SELECT sum(epoch) FROM eventstream.subscription_shards`))
		run.stop(t)
	})
}

// The connections that are none of the pool's are opened with its hooks: what these set holds for each of them.
func TestSubscriptionConnectsWithThePoolsHooks(t *testing.T) {
	t.Parallel()
	b := setup(t)
	port := b.pool.Config().ConnConfig.Port
	p := anotherProcess(t, b, &eventstream.Config{Notify: true}, named("bare"), func(c *pgxpool.Config) {
		c.ConnConfig.Port = 1 // where nobody listens
		c.BeforeConnect = func(_ context.Context, config *pgx.ConnConfig) error {
			config.Port = port
			return nil
		}
		c.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `SET application_name = 'hooked'`)
			return err
		}
	})
	j := newJournal()
	run := run1(t, p, subscribe(t, p, "reader", subscription.EffectHandler(j.effect), nil))
	given(t, b, "a-1", 3)
	j.waitCount(t, b.ctx, 3)
	awaitSQL(t, b, "hooked", `SELECT a.application_name FROM pg_stat_activity AS a JOIN (`+keeper+`) AS k ON k.pid = a.pid`, "hooked")
	awaitSQL(t, b, "hooked", `SELECT application_name FROM pg_stat_activity WHERE query = 'LISTEN eventstream_log' AND datname = current_database()`)
	require.Zero(t, number(t, b.ctx, b.pool, `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bare' AND datname = current_database()`))
	run.stop(t)
	awaitSQL(t, b, "0", `SELECT count(*)::text FROM pg_stat_activity WHERE query = 'LISTEN eventstream_log' AND datname = current_database()`)
}

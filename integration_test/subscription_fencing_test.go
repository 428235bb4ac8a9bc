package integration_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// keeper is the session by which others see that a process lives.
const keeper = `SELECT k.pid FROM pg_locks AS k JOIN pg_stat_activity AS a ON a.pid = k.pid
	WHERE k.locktype = 'advisory' AND k.objsubid = 1 AND k.classid::bigint >> 16 = 17741 AND a.datname = current_database()
		AND a.application_name = $1`

// stuck is a TxHandler that writes, and then waits for as long as the test says, whatever its context says.
type stuck struct {
	entered, leave chan struct{}
	ctx            atomic.Value
}

func newStuck() *stuck { return &stuck{entered: make(chan struct{}, 1), leave: make(chan struct{})} }

func (s *stuck) handle(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
	if err := writeHandled(context.Background(), tx, events); err != nil {
		return err
	}
	s.ctx.Store(ctx)
	s.entered <- struct{}{}
	<-s.leave
	return nil
}

// claimStall is a tracer that, once it stalls, lets no claim of shards through, as if the process hung there.
type claimStall struct {
	stalled atomic.Bool
	resume  chan struct{}
}

func (c *claimStall) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if c.stalled.Load() && strings.Contains(data.SQL, "-- name: ShardClaim") {
		select {
		case <-c.resume:
		case <-ctx.Done():
		}
	}
	return ctx
}

func (c *claimStall) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (c *claimStall) on(config *pgxpool.Config) { config.ConnConfig.Tracer = c }

func (c *claimStall) stop() { c.stalled.Store(true) }

func (c *claimStall) goOn() {
	c.stalled.Store(false)
	close(c.resume)
}

func named(name string) bundleOption {
	return func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["application_name"] = name }
}

// A process whose connection dies loses its shards at once, long before its lease ends; it joins again and gets its share back.
func TestSubscriptionLostConnectionLosesShards(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	config := &subscription.Config{Shards: 4}
	patient := &eventstream.Config{Lease: time.Hour}
	a, other := anotherProcess(t, b, patient, named("a")), anotherProcess(t, b, patient, named("b"))
	run1(t, a, subscribe(t, a, "reader", handlerKinds["tx"](b, nil), config))
	awaitSQL(t, b, "4", shares, "reader")
	run1(t, other, subscribe(t, other, "reader", handlerKinds["tx"](b, nil), config))
	awaitSQL(t, b, "2 2", shares, "reader")
	stopWriting := writeUntil(t, b, 2, 20)
	for range 3 {
		before := number(t, b.ctx, b.pool, `SELECT sum(epoch) FROM eventstream.subscription_shards`)
		var pid int64
		require.Eventually(t, func() bool { return b.pool.QueryRow(b.ctx, keeper, "a").Scan(&pid) == nil }, blockTimeout, time.Millisecond)
		execSQL(t, b.ctx, b.pool, `SELECT pg_terminate_backend($1)`, pid)
		awaitSQL(t, b, "true", `SELECT (sum(epoch) >= $1 + 2)::text FROM eventstream.subscription_shards`, before)
		awaitSQL(t, b, "2 2", shares, "reader")
	}
	stopWriting()
	awaitCheckpoint(t, b, subscribe(t, b, "reader", handlerKinds["tx"](b, nil), config))
	requireHandledOnce(t, b)
}

// A handler learns at once that its process has lost its shards.
func TestSubscriptionLostConnectionEndsTheHandler(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	rounds(t, b, 3, "a-1")
	a := anotherProcess(t, b, nil, named("a"))
	var calls atomic.Int64
	entered := make(chan struct{})
	handler := subscription.TxHandler(func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
		if calls.Add(1) == 1 {
			close(entered)
			<-ctx.Done()
			return ctx.Err()
		}
		return writeHandled(ctx, tx, events)
	})
	s := subscribe(t, a, "reader", handler, nil)
	run1(t, a, s)
	<-entered
	killMember(t, b, "a")
	awaitCheckpoint(t, b, s)
	requireHandledOnce(t, b)
}

// A process that hangs loses its shards when its lease ends; the other one takes over in a higher epoch; what the first one commits late is
// refused, and its writes are not there.
func TestSubscriptionHungProcessIsFenced(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	rounds(t, b, 5, "a-1")
	stall := &claimStall{resume: make(chan struct{})}
	a := anotherProcess(t, b, &eventstream.Config{Lease: time.Hour, Connections: 3}, withMaxConns(3), stall.on)
	late := newStuck()
	config := quick(subscription.Stop)
	told := newWitness()
	config.Observer = told.observe
	s, err := subscription.New(a.repo, "reader", subscription.TxHandler(late.handle), config)
	require.NoError(t, err)
	hung := run1(t, a, s)
	<-late.entered
	stall.stop()
	epoch := number(t, b.ctx, b.pool, `SELECT epoch FROM eventstream.subscription_shards`)

	other := anotherProcess(t, b, lively)
	taker := subscribe(t, other, "reader", handlerKinds["tx"](b, nil), nil)
	run1(t, other, taker)
	awaitSQL(t, b, "2", `SELECT count(*)::text FROM eventstream.live_members()`)
	require.Equal(t, epoch, number(t, b.ctx, b.pool, `SELECT epoch FROM eventstream.subscription_shards`), "the lease lasts")
	execSQL(t, b.ctx, b.pool, `UPDATE eventstream.subscription_members SET lease_until = clock_timestamp() WHERE lease_until > clock_timestamp() + '1 minute'`)
	awaitCheckpoint(t, b, taker)
	require.Greater(t, number(t, b.ctx, b.pool, `SELECT epoch FROM eventstream.subscription_shards`), epoch)
	requireHandledOnce(t, b)

	require.NoError(t, late.ctx.Load().(context.Context).Err(), "the hung process does not know")
	close(late.leave)
	var lost *subscription.ShardLostError
	require.ErrorAs(t, awaitTold[subscription.ShardLost](t, b, told).Err, &lost)
	require.Equal(t, []any{"reader", 0, epoch}, []any{lost.Subscription, lost.Shard, lost.Epoch})
	require.Greater(t, lost.CurrentEpoch, epoch)
	requireHandledOnce(t, b)

	stall.goOn()
	awaitSQL(t, b, "2", `SELECT count(*)::text FROM eventstream.live_members()`)
	given(t, b, "b-1", 1)
	awaitCheckpoint(t, b, taker)
	requireHandledOnce(t, b)
	hung.stop(t)
}

// The same without a hand from the test: the lease ends, the hung process sees that it could not keep it, and gives up by itself.
func TestSubscriptionLeaseEnds(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	rounds(t, b, 5, "a-1")
	stall := &claimStall{resume: make(chan struct{})}
	a := anotherProcess(t, b, &eventstream.Config{Lease: time.Second, Connections: 3}, withMaxConns(3), stall.on)
	late := newStuck()
	s, err := subscription.New(a.repo, "reader", subscription.TxHandler(late.handle), quick(subscription.Stop))
	require.NoError(t, err)
	run1(t, a, s)
	<-late.entered
	stall.stop()
	other := anotherProcess(t, b, lively)
	taker := subscribe(t, other, "reader", handlerKinds["tx"](b, nil), nil)
	run1(t, other, taker)
	awaitCheckpoint(t, b, taker)
	<-late.ctx.Load().(context.Context).Done()
	close(late.leave)
	requireHandledOnce(t, b)
	stall.goOn()
	given(t, b, "b-1", 1)
	awaitCheckpoint(t, b, taker)
	requireHandledOnce(t, b)
}

// A transaction that a hung handler leaves open ends with the lease, so that its locks do not hold up whoever takes over.
func TestSubscriptionHungTransactionEnds(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	rounds(t, b, 1, "a-1")
	a := anotherProcess(t, b, &eventstream.Config{Lease: time.Second})
	late := newStuck()
	told := newWitness()
	config := quick(subscription.Stop)
	config.Observer = told.observe
	s, err := subscription.New(a.repo, "reader", subscription.TxHandler(late.handle), config)
	require.NoError(t, err)
	run1(t, a, s)
	<-late.entered
	awaitSQL(t, b, "0", `SELECT count(*)::text FROM pg_stat_activity
		WHERE datname = current_database() AND query ~ 'INSERT INTO public.handled' AND state = 'idle in transaction'`)
	close(late.leave)
	require.ErrorIs(t, awaitTold[subscription.TryFailed](t, b, told).Err, subscription.ErrTxIdle)
	awaitCheckpoint(t, b, s)
	requireHandledOnce(t, b)
}

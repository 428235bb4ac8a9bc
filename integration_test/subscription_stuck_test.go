package integration_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// deaf is a handler that does not listen to its context: it waits for as long as the test says, on some events.
type deaf struct {
	entered chan struct{}
	leave   chan struct{}
	stuckOn func(e eventstream.LogEvent) bool
	// on says whether it is deaf; then it writes.
	on   atomic.Bool
	then func(ctx context.Context, events []eventstream.LogEvent) error
}

func newDeaf(stuckOn func(e eventstream.LogEvent) bool) *deaf {
	d := &deaf{
		entered: make(chan struct{}, 100), leave: make(chan struct{}), stuckOn: stuckOn,
		then: func(context.Context, []eventstream.LogEvent) error { return nil },
	}
	d.on.Store(true)
	return d
}

func (d *deaf) effect(ctx context.Context, events []eventstream.LogEvent) error {
	for _, e := range events {
		if d.on.Load() && d.stuckOn(e) {
			d.entered <- struct{}{}
			<-d.leave
		}
	}
	return d.then(ctx, events)
}

func anyEvent(eventstream.LogEvent) bool { return true }

// killMember ends the connection by which others see that a process lives, and returns once it has joined again.
func killMember(t testing.TB, b *bundle, application string) {
	t.Helper()
	var pid int64
	require.Eventually(t, func() bool { return b.pool.QueryRow(b.ctx, keeper, application).Scan(&pid) == nil }, blockTimeout, time.Millisecond)
	execSQL(t, b.ctx, b.pool, `SELECT pg_terminate_backend($1)`, pid)
	require.Eventually(t, func() bool {
		var again int64
		return b.pool.QueryRow(b.ctx, keeper, application).Scan(&again) == nil && again != pid
	}, blockTimeout, time.Millisecond)
}

// A handler that ignores its context while the connection of its process is lost stops nobody else: other subscriptions, and other shards
// of the same one, go on while it is stuck.
func TestSubscriptionDeafHandlerStopsOnlyItself(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	rounds(t, b, 3, "a-1", "b-1", "c-1", "d-1")
	partition := number(t, b.ctx, b.pool, `SELECT partition_id FROM eventstream.events WHERE stream_id = 'a-1' LIMIT 1`)
	a := anotherProcess(t, b, nil, named("a"))
	d := newDeaf(func(e eventstream.LogEvent) bool { return e.PartitionID == int(partition) })
	leave := sync.OnceFunc(func() { close(d.leave) })
	t.Cleanup(leave)
	d.then = func(ctx context.Context, events []eventstream.LogEvent) error {
		return writeHandled(ctx, b.pool, events)
	}
	told := newWitness()
	stuck := subscribe(t, a, "stuck", subscription.EffectHandler(d.effect), &subscription.Config{
		Shards: 32, StopTimeout: 300 * time.Millisecond, Observer: told.observe,
	})
	run1(t, a, stuck)
	healthy := subscribe(t, a, "healthy", handlerKinds["tx"](b, nil), nil)
	run1(t, a, healthy)
	awaitCheckpoint(t, b, healthy)
	<-d.entered
	for range 3 {
		killMember(t, b, "a")
		rounds(t, b, 3, "a-1", "b-1", "c-1", "d-1")
		awaitCheckpoint(t, b, healthy)
	}
	awaitSQL(t, b, "1", `SELECT count(*)::text FROM eventstream.audit_subscriptions WHERE subscription = 'stuck' AND lag_events > 0`)
	late := awaitToldThat(t, b, told, func(l subscription.HandlerLate) bool { return l.Shard == int(partition) })
	require.Equal(t, []any{"stuck", 300 * time.Millisecond, true}, []any{late.Subscription, late.Limit, late.Abandoned})

	// It comes to its senses: the shard goes on, in a new epoch.
	d.on.Store(false)
	leave()
	awaitCheckpoint(t, b, stuck)
}

// A Run whose context has ended waits for its handler no longer than StopTimeout, says so, and keeps no shard.
func TestSubscriptionRunLeavesADeafHandler(t *testing.T) {
	t.Parallel()
	for kind, handler := range map[string]func(b *bundle, d *deaf) subscription.Handler{
		"effect": func(_ *bundle, d *deaf) subscription.Handler { return subscription.EffectHandler(d.effect) },
		"tx": func(_ *bundle, d *deaf) subscription.Handler {
			return subscription.TxHandler(func(ctx context.Context, _ pgx.Tx, events []eventstream.LogEvent) error { return d.effect(ctx, events) })
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			rounds(t, b, 3, "a-1")
			d := newDeaf(anyEvent)
			told := newWitness()
			config := quick(subscription.Stop)
			config.StopTimeout, config.Observer = 100*time.Millisecond, told.observe
			a := anotherProcess(t, b, nil)
			ctx, cancel := context.WithCancel(b.ctx)
			ended := make(chan error, 1)
			s := subscribe(t, a, "reader", handler(b, d), config)
			go func() { ended <- s.Run(ctx) }()
			<-d.entered
			cancel()
			var stuck *subscription.HandlerStuckError
			require.ErrorAs(t, <-ended, &stuck)
			require.Equal(t, subscription.HandlerStuckError{Subscription: "reader", Limit: 100 * time.Millisecond}, *stuck)
			require.Len(t, toldOf[subscription.HandlerLate](told), 1)
			require.Len(t, toldOf[subscription.RunStopped](told), 1)
			requireFree(t, b, "reader")

			// Another one does the work meanwhile, and what the first one does late is without effect.
			j := newJournal()
			other := anotherProcess(t, b, nil)
			taker := subscribe(t, other, "reader", map[string]subscription.Handler{
				"effect": subscription.EffectHandler(j.effect), "tx": subscription.TxHandler(j.tx),
			}[kind], quick(subscription.Stop))
			keepRunning(t, b, taker)
			awaitCheckpoint(t, b, taker)
			close(d.leave)
			require.Len(t, j.all(), 3)
			require.Equal(t, int64(3), number(t, b.ctx, b.pool, `SELECT events FROM eventstream.subscription_shards`))
		})
	}
}

// An AsyncHandler that never acknowledges, and an EffectHandler that never returns, do not keep a shard from a process that joins.
func TestSubscriptionDeafHandlerGivesItsShardAway(t *testing.T) {
	t.Parallel()
	for kind, handler := range map[string]func(d *deaf) subscription.Handler{
		"effect": func(d *deaf) subscription.Handler { return subscription.EffectHandler(d.effect) },
		"async": func(d *deaf) subscription.Handler {
			return subscription.AsyncHandler(func(context.Context, []eventstream.LogEvent, func(error)) { d.entered <- struct{}{} })
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			rounds(t, b, 3, "a-1", "b-1", "c-1", "d-1", "e-1", "f-1")
			d := newDeaf(anyEvent)
			t.Cleanup(func() { close(d.leave) })
			told := newWitness()
			config := func(o subscription.Observer) *subscription.Config {
				return &subscription.Config{Shards: 2, StopTimeout: 200 * time.Millisecond, Observer: o}
			}
			a, other := anotherProcess(t, b, lively, named("a")), anotherProcess(t, b, lively, named("b"))
			ctx, cancel := context.WithCancel(b.ctx)
			ended := make(chan error, 1)
			s := subscribe(t, a, "reader", handler(d), config(told.observe))
			go func() { ended <- s.Run(ctx) }()
			<-d.entered
			<-d.entered
			awaitSQL(t, b, "2", shares, "reader")
			run1(t, other, subscribe(t, other, "reader", subscription.EffectHandler(newJournal().effect), config(nil)))
			awaitSQL(t, b, "1 1", shares, "reader")
			late := awaitTold[subscription.HandlerLate](t, b, told)
			require.Equal(t, 200*time.Millisecond, late.Limit)
			awaitSQL(t, b, "1", `SELECT count(*)::text FROM eventstream.audit_subscriptions WHERE lag_events = 0`)
			cancel()
			err := <-ended
			if kind == "effect" {
				var stuck *subscription.HandlerStuckError
				require.ErrorAs(t, err, &stuck)
			}
		})
	}
}

// A reshard is not held up by a handler that ignores its context: who runs it with the old number is told, and others have the new shards.
func TestSubscriptionReshardBesideADeafHandler(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rounds(t, b, 3, "a-1", "b-1")
	d := newDeaf(anyEvent)
	t.Cleanup(func() { close(d.leave) })
	a, other := anotherProcess(t, b, lively, named("a")), anotherProcess(t, b, lively, named("b"))
	config := &subscription.Config{StopTimeout: 200 * time.Millisecond}
	old := make(chan error, 1)
	s := subscribe(t, a, "reader", subscription.EffectHandler(d.effect), config)
	go func() { old <- s.Run(b.ctx) }()
	<-d.entered
	require.NoError(t, subscription.Reshard(b.ctx, b.repo, "reader", 4))
	taker := subscribe(t, other, "reader", subscription.EffectHandler(newJournal().effect), &subscription.Config{Shards: 4})
	keepRunning(t, b, taker)
	awaitCheckpoint(t, b, taker)
	require.ErrorIs(t, <-old, subscription.ErrMismatch)
}

// A handler that lets its transaction wait for too long is told so, and healthy events are not parked for it.
func TestSubscriptionIdleTransactionParksNothing(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error{
		"and goes on": func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
			return writeHandled(ctx, tx, events)
		},
		"and is done": func(context.Context, pgx.Tx, []eventstream.LogEvent) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := withHandled(t, setup(t))
			given(t, b, "a-1", 1)
			var calls atomic.Int64
			handler := subscription.TxHandler(func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
				if calls.Add(1) > 3 { // more often than MaxTries
					return writeHandled(ctx, tx, events)
				}
				pid := tx.Conn().PgConn().PID()
				awaitSQL(t, b, "0", `SELECT count(*)::text FROM pg_stat_activity WHERE pid = $1`, pid)
				return after(ctx, tx, events)
			})
			told := newWitness()
			config := quick(subscription.Park)
			config.MaxTries, config.IdleTimeout, config.Observer = 1, time.Second, told.observe
			s := subscribe(t, b, "reader", handler, config)
			stop := keepRunning(t, b, s)
			awaitCheckpoint(t, b, s)
			stop() // by then, all is told
			require.Empty(t, parkedPositions(t, b, "reader"))
			requireHandledOnce(t, b)
			failed := toldOf[subscription.TryFailed](told)
			require.GreaterOrEqual(t, len(failed), 3)
			for _, f := range failed {
				require.ErrorIs(t, f.Err, subscription.ErrTxIdle)
				require.ErrorContains(t, f.Err, "1s")
				require.False(t, f.Counted)
			}
		})
	}
}

// A batch that takes longer than HandlerTimeout has failed, and that counts; an acknowledgement that comes later is ignored.
func TestSubscriptionHandlerTimeout(t *testing.T) {
	t.Parallel()
	for kind, handler := range map[string]func(slow func(context.Context, eventstream.LogEvent) error) subscription.Handler{
		"tx": func(slow func(context.Context, eventstream.LogEvent) error) subscription.Handler {
			return subscription.TxHandler(func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
				if slow(ctx, events[0]) != nil {
					_, err := tx.Exec(ctx, `SELECT pg_sleep(60)`)
					return err
				}
				return nil
			})
		},
		"effect": func(slow func(context.Context, eventstream.LogEvent) error) subscription.Handler {
			return subscription.EachEvent(slow)
		},
		"async": func(slow func(context.Context, eventstream.LogEvent) error) subscription.Handler {
			late := func(error) {}
			return subscription.AsyncHandler(func(ctx context.Context, events []eventstream.LogEvent, ack func(error)) {
				late(nil) // while the next batch is under way
				late = func(error) {}
				if slow(ctx, events[0]) == nil {
					ack(nil)
				} else {
					late = ack
				}
			})
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			given(t, b, "a-1", 3)
			told := newWitness()
			config := quick(subscription.Park)
			config.BatchSize, config.Window, config.HandlerTimeout, config.Observer = 1, 1, 2*time.Second, told.observe
			s := subscribe(t, b, "reader", handler(func(ctx context.Context, e eventstream.LogEvent) error {
				if e.Position != 2 {
					return nil
				}
				<-ctx.Done()
				return ctx.Err()
			}), config)
			keepRunning(t, b, s)
			awaitCheckpoint(t, b, s)
			require.Equal(t, []int64{2}, parkedPositions(t, b, "reader"))
			// The checkpoint is there before the observer is told.
			awaitToldThat(t, b, told, func(f subscription.TryFailed) bool { return f.Tries == 3 })
			failed := toldOf[subscription.TryFailed](told)
			require.Len(t, failed, 3)
			for i, f := range failed {
				require.ErrorIs(t, f.Err, subscription.ErrHandlerTimeout)
				require.True(t, f.Counted)
				require.Equal(t, i+1, f.Tries)
			}
			require.NotEmpty(t, toldOf[subscription.HandlerLate](told))
		})
	}
}

// Timeouts out of bounds are refused, and named.
func TestSubscriptionTimeoutsOutOfBounds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for field, config := range map[string]subscription.Config{
		"subscription.Config.HandlerTimeout": {HandlerTimeout: -1},
		"subscription.Config.StopTimeout":    {StopTimeout: time.Microsecond},
		"subscription.Config.IdleTimeout":    {IdleTimeout: 1 << 62},
	} {
		_, err := subscription.New(b.repo, "reader", subscription.EffectHandler(newJournal().effect), &config)
		var invalid *eventstream.InvalidValueError
		require.True(t, errors.As(err, &invalid), "%v", err)
		require.Equal(t, field, invalid.Field)
	}
}

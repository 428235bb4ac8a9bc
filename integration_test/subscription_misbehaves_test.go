package integration_test

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

func panicOnSecond(events []eventstream.LogEvent) error {
	for _, e := range events {
		if e.Position == 2 {
			panic("boom")
		}
	}
	return nil
}

// A panic is the handler's error: with its value and its stack, tried again, and then as the policy says. The process lives on.
func TestSubscriptionHandlerPanics(t *testing.T) {
	t.Parallel()
	for kind, handler := range map[string]func(b *bundle) subscription.Handler{
		"tx":     func(b *bundle) subscription.Handler { return handlerKinds["tx"](b, panicOnSecond) },
		"effect": func(b *bundle) subscription.Handler { return handlerKinds["effect"](b, panicOnSecond) },
		"async": func(b *bundle) subscription.Handler {
			return subscription.AsyncHandler(func(ctx context.Context, events []eventstream.LogEvent, ack func(error)) {
				ack(decideAndWrite(ctx, b.pool, panicOnSecond, events))
			})
		},
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := withHandled(t, setup(t))
			rounds(t, b, 3, "a-1")
			err := run1(t, b, subscribe(t, b, "stops", handler(b), quick(subscription.Stop))).wait(t, b)
			var stopped *subscription.HandlerError
			require.ErrorAs(t, err, &stopped)
			require.Equal(t, []any{int64(2), 3}, []any{stopped.Event.Position, stopped.Tries})
			var panicked *subscription.HandlerPanicError
			require.ErrorAs(t, err, &panicked)
			require.Equal(t, "boom", panicked.Value)
			require.Contains(t, string(panicked.Stack), "panicOnSecond")

			execSQL(t, b.ctx, b.pool, `TRUNCATE public.handled`)
			s := subscribe(t, b, "parks", handler(b), quick(subscription.Park))
			keepRunning(t, b, s)
			awaitCheckpoint(t, b, s)
			requireHandledOnce(t, b, 2)
			parked := readAll(t, subscription.ParkedEvents(b.ctx, b.repo, "parks"))
			require.Len(t, parked, 1)
			require.Contains(t, parked[0].Error, "handler panicked: boom")
			_, err = s.ReplayParked(b.ctx)
			require.ErrorAs(t, err, &panicked)
			require.Equal(t, []int64{2}, parkedPositions(t, b, "parks"))
		})
	}
}

// A handler that ends its goroutine, as t.FailNow would, ends Run with an error, and the process lives on.
func TestSubscriptionHandlerExits(t *testing.T) {
	t.Parallel()
	for kind, handler := range map[string]subscription.Handler{
		"tx":     subscription.TxHandler(func(context.Context, pgx.Tx, []eventstream.LogEvent) error { runtime.Goexit(); return nil }),
		"effect": subscription.EffectHandler(func(context.Context, []eventstream.LogEvent) error { runtime.Goexit(); return nil }),
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			rounds(t, b, 3, "a-1")
			err := run1(t, b, subscribe(t, b, "reader", handler, quick(subscription.Park))).wait(t, b)
			require.ErrorIs(t, err, subscription.ErrHandlerExited)
			requireFree(t, b, "reader")
			require.Zero(t, number(t, b.ctx, b.pool, `SELECT position FROM eventstream.subscription_shards`))
		})
	}
}

// Commit and Rollback of the transaction that a handler was given are refused and change nothing.
func TestSubscriptionHandlerMayNotEndItsTransaction(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	rounds(t, b, 5, "a-1")
	s := subscribe(t, b, "reader", subscription.TxHandler(func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
		if err := tx.Commit(ctx); !errors.Is(err, eventstream.ErrTxEnded) {
			return errors.New("Commit was not refused")
		}
		if err := writeHandled(ctx, tx, events); err != nil {
			return err
		}
		if err := tx.Rollback(ctx); !errors.Is(err, eventstream.ErrTxEnded) {
			return errors.New("Rollback was not refused")
		}
		return nil
	}), quick(subscription.Stop))
	keepRunning(t, b, s)
	awaitCheckpoint(t, b, s)
	requireHandledOnce(t, b)
}

// A handler that ends its transaction behind the subscription's back ends Run, at once and whatever it returns: the checkpoint has not
// moved, and what it committed is its own affair.
func TestSubscriptionHandlerEndsItsTransaction(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed too")
	for name, c := range map[string]struct {
		sql    string
		result error
	}{
		"Commit":           {sql: "COMMIT"},
		"Rollback":         {sql: "ROLLBACK"},
		"CommitBegin":      {sql: "COMMIT; BEGIN"},
		"RollbackBegin":    {sql: "ROLLBACK; BEGIN"},
		"CommitAndChain":   {sql: "COMMIT AND CHAIN"},
		"CommitAndFail":    {sql: "COMMIT", result: failed},
		"RollbackAndFail":  {sql: "ROLLBACK", result: failed},
		"CommitAndNoEnd":   {sql: "COMMIT; SET eventstream.batch = 'none'"},
		"ErrorAndRollback": {sql: "SAVEPOINT s; ROLLBACK TO s; ROLLBACK"},
		"CommitBeginOther": {sql: "COMMIT; START TRANSACTION ISOLATION LEVEL SERIALIZABLE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := withHandled(t, setup(t))
			rounds(t, b, 3, "a-1")
			var calls atomic.Int64
			ends := subscription.TxHandler(func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
				calls.Add(1)
				if err := writeHandled(ctx, tx, events); err != nil {
					return err
				}
				if _, err := tx.Exec(ctx, c.sql); err != nil {
					return err
				}
				return c.result
			})
			err := run1(t, b, subscribe(t, b, "reader", ends, quick(subscription.Park))).wait(t, b)
			require.ErrorIs(t, err, eventstream.ErrTxEnded)
			if c.result != nil {
				require.ErrorIs(t, err, c.result)
			}
			require.Equal(t, int64(1), calls.Load(), "a further try would do the committed part twice")
			require.Zero(t, number(t, b.ctx, b.pool, `SELECT position FROM eventstream.subscription_shards`))
			require.Empty(t, parkedPositions(t, b, "reader"))
			requireFree(t, b, "reader")

			// The connection does not go back into the pool in a state that harms others.
			execSQL(t, b.ctx, b.pool, `TRUNCATE public.handled`)
			s := subscribe(t, b, "reader", handlerKinds["tx"](b, nil), nil)
			keepRunning(t, b, s)
			awaitCheckpoint(t, b, s)
			requireHandledOnce(t, b)
		})
	}
}

// The same in a replay: the event stays parked.
func TestSubscriptionReplayThatEndsItsTransaction(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{"Commit": "COMMIT", "Rollback": "ROLLBACK", "CommitBegin": "COMMIT; BEGIN"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := withHandled(t, setup(t))
			rounds(t, b, 1, "a-1")
			s := subscribe(t, b, "reader", handlerKinds["tx"](b, poisoned(-1, 1).decide), quick(subscription.Park))
			keepRunning(t, b, s)
			awaitCheckpoint(t, b, s)
			ends := subscribe(t, b, "reader", subscription.TxHandler(func(ctx context.Context, tx pgx.Tx, _ []eventstream.LogEvent) error {
				_, err := tx.Exec(ctx, sql)
				return err
			}), nil)
			handled, err := ends.ReplayParked(b.ctx)
			require.ErrorIs(t, err, eventstream.ErrTxEnded)
			require.Zero(t, handled)
			require.Equal(t, []int64{1}, parkedPositions(t, b, "reader"))
		})
	}
}

// A handler that returns nil although a statement of it failed has handled nothing: it is told so, and the event counts as failed.
func TestSubscriptionHandlerSwallowsAnError(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	rounds(t, b, 3, "a-1")
	swallows := subscription.TxHandler(func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
		if err := writeHandled(ctx, tx, events); err != nil {
			return err
		}
		if events[0].Position == 2 || len(events) > 1 {
			_, _ = tx.Exec(ctx, `SELECT 1 / 0`)
		}
		return nil
	})
	err := run1(t, b, subscribe(t, b, "reader", swallows, quick(subscription.Stop))).wait(t, b)
	var stopped *subscription.HandlerError
	require.ErrorAs(t, err, &stopped)
	require.Equal(t, int64(2), stopped.Event.Position)
	require.ErrorContains(t, err, "returned nil although a statement in its transaction had failed")
	require.Equal(t, upTo(1), handledVersions(t, b, "a-1"))

	s := subscribe(t, b, "reader", swallows, quick(subscription.Park))
	keepRunning(t, b, s)
	awaitCheckpoint(t, b, s)
	requireHandledOnce(t, b, 2)
	_, err = s.ReplayParked(b.ctx)
	require.ErrorContains(t, err, "returned nil although")
	require.Equal(t, []int64{2}, parkedPositions(t, b, "reader"))
}

// A handler may use savepoints: what it rolls back to one is not there, all else is, once.
func TestSubscriptionHandlerUsesSavepoints(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	rounds(t, b, 20, "a-1", "b-1")
	s := subscribe(t, b, "reader", subscription.TxHandler(func(ctx context.Context, tx pgx.Tx, events []eventstream.LogEvent) error {
		for _, e := range events {
			err := pgx.BeginFunc(ctx, tx, func(inner pgx.Tx) error {
				if err := writeHandled(ctx, inner, []eventstream.LogEvent{e}); err != nil {
					return err
				}
				if e.Position%3 == 0 {
					_, err := inner.Exec(ctx, `SELECT 1 / 0`)
					return err
				}
				return nil
			})
			if err != nil && e.Position%3 != 0 {
				return err
			}
		}
		return nil
	}), quick(subscription.Stop))
	keepRunning(t, b, s)
	awaitCheckpoint(t, b, s)
	var thirds []int64
	for p := int64(3); p <= 40; p += 3 {
		thirds = append(thirds, p)
	}
	requireHandledOnce(t, b, thirds...)
}

// That a Run is told to end is nobody's failure: the observer hears nothing of it, and no try is counted.
func TestSubscriptionEndIsNoFailure(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 3, "a-1")
		entered := make(chan struct{}, 1)
		var ctx context.Context
		decide := func([]eventstream.LogEvent) error {
			entered <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		config := quick(subscription.Park)
		config.MaxTries = 1
		config.Observer = func(o subscription.Observation) {
			switch o.(type) {
			case subscription.ShardClaimed, subscription.ShardReleased:
			default:
				t.Errorf("told of %T: %v", o, o)
			}
		}
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(b.ctx)
		ended := make(chan error, 1)
		go func() { ended <- subscribe(t, b, "reader", handlerKinds[kind](b, decide), config).Run(ctx) }()
		<-entered
		cancel()
		require.NoError(t, <-ended)
		require.Empty(t, parkedPositions(t, b, "reader"))
		require.Zero(t, number(t, b.ctx, b.pool, `SELECT position FROM eventstream.subscription_shards`))
		requireFree(t, b, "reader")
	})
}

package integration_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// A process that runs with the old number loses its shards and is told; another count under the same name is refused until then.
func TestSubscriptionReshardTellsWhoRuns(t *testing.T) {
	t.Parallel()
	eachKind(t, func(t *testing.T, b *bundle, kind string) {
		rounds(t, b, 5, "a-1", "b-1", "c-1")
		s := subscribe(t, b, "reader", handlerKinds[kind](b, nil), nil)
		old := run1(t, b, s)
		awaitCheckpoint(t, b, s)
		require.NoError(t, subscription.Reshard(b.ctx, b.repo, "reader", 4))
		rounds(t, b, 5, "a-1", "b-1", "c-1")
		var mismatch *subscription.MismatchError
		require.ErrorAs(t, old.wait(t, b), &mismatch)
		require.Equal(t, subscription.MismatchError{Name: "reader", Difference: "shard count 4, now 1"}, *mismatch)
		require.ErrorIs(t, s.Run(b.ctx), subscription.ErrMismatch)

		config := &subscription.Config{Shards: 4}
		keepRunning(t, b, subscribe(t, b, "reader", handlerKinds[kind](b, nil), config))
		awaitSQL(t, b, "4", shares, "reader")
		awaitCheckpoint(t, b, s)
		if kind == "tx" {
			requireHandledOnce(t, b)
		} else { // whose effects the old owner may have begun
			requireNoRow(t, b, `SELECT position FROM eventstream.events EXCEPT SELECT position FROM public.handled`)
		}
	})
}

// From 1 to 4 to 3 and back while two processes run it and events come in: nothing is skipped, and nothing is there twice.
func TestSubscriptionReshardWhileRunning(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	ctx, cancel := context.WithCancel(b.ctx)
	ended := make(chan error, 2)
	for range 2 {
		p := anotherProcess(t, b, lively)
		go func() { ended <- followShards(ctx, t, p, b) }()
	}
	stopWriting := writeUntil(t, b, 2, 40)
	awaitSQL(t, b, "1", shares, "reader")
	for _, shards := range []int{4, 3, 1, 32, 2} {
		at := drawn(t, b) + 30
		awaitSQL(t, b, "true", `SELECT (min(position) > $1)::text FROM eventstream.subscription_shards`, at)
		require.NoError(t, subscription.Reshard(b.ctx, b.repo, "reader", shards))
	}
	stopWriting()
	awaitCheckpoint(t, b, subscribe(t, b, "reader", handlerKinds["tx"](b, nil), nil))
	awaitSQL(t, b, "1 1", shares, "reader")
	cancel()
	require.NoError(t, errors.Join(<-ended, <-ended))
	requireHandledOnce(t, b)
}

// followShards runs the subscription with the number of shards that it has, and again with the new one once it is told.
func followShards(ctx context.Context, t *testing.T, p, b *bundle) error {
	for {
		shards := 0
		err := p.pool.QueryRow(ctx, `SELECT coalesce(max(shard_count), 1) FROM eventstream.subscriptions`).Scan(&shards)
		if err == nil {
			err = subscribe(t, p, "reader", handlerKinds["tx"](b, nil), &subscription.Config{Shards: shards}).Run(ctx)
		}
		if ctx.Err() != nil {
			return nil
		}
		if !errors.Is(err, subscription.ErrMismatch) {
			return err
		}
	}
}

// From 4 to 3 and to 1 with shards at very different places: each partition goes on where it was.
func TestSubscriptionReshardWhileStopped(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	var streams []eventstream.StreamID
	for i := range 40 {
		streams = append(streams, streamName(i))
	}
	rounds(t, b, 2, streams...)
	name := "reader"
	for round, shards := range []int{4, 3, 1, 5} {
		if round > 0 {
			require.NoError(t, subscription.Reshard(b.ctx, b.repo, name, shards))
		}
		// One shard cannot get beyond its first new event, the others go to the end.
		sick := number(t, b.ctx, b.pool, `SELECT min(position) FROM eventstream.events
			WHERE partition_id % $1 = $1 - 1 AND position NOT IN (SELECT position FROM public.handled)`, shards)
		config := quick(subscription.Park)
		config.Shards, config.MaxTries = shards, 1_000_000
		stuckThere := run1(t, b, subscribe(t, b, name, handlerKinds["tx"](b, poisoned(-1, sick).decide), config))
		awaitSQL(t, b, "true", `SELECT (count(*) = $1 AND coalesce(bool_and(position >= $2) FILTER (WHERE shard <> $1 - 1), true))::text
			FROM eventstream.subscription_shards`, shards, drawn(t, b))
		stuckThere.stop(t)
		rounds(t, b, 1, streams...)
	}
	require.NoError(t, subscription.Reshard(b.ctx, b.repo, name, 2))
	s := subscribe(t, b, name, handlerKinds["tx"](b, nil), &subscription.Config{Shards: 2})
	keepRunning(t, b, s)
	awaitCheckpoint(t, b, s)
	requireHandledOnce(t, b)
	lag, err := s.Lag(b.ctx)
	require.NoError(t, err)
	for _, shard := range lag {
		require.Zero(t, shard.Events)
	}
}

// A reshard in a transaction that stays open holds up its subscription, and no other one of the process.
func TestSubscriptionReshardHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	held := subscribe(t, b, "held", nothing, nil)
	free := subscribe(t, b, "free", handlerKinds["tx"](b, nil), nil)
	keepRunning(t, b, held)
	keepRunning(t, b, free)
	given(t, b, "a-1", 5)
	awaitCheckpoint(t, b, held)
	tx, err := session(t, b).Begin(b.ctx)
	require.NoError(t, err)
	require.NoError(t, subscription.Reshard(b.ctx, b.repo.WithTx(tx), "held", 2))
	for i := range 5 {
		given(t, b, streamName(i), 5)
		awaitCheckpoint(t, b, free)
		execSQL(t, b.ctx, b.pool, `SELECT nextval('eventstream.events_position_seq')`) // a position without an event: an idle move
		awaitCheckpoint(t, b, free)
	}
	requireHandledOnce(t, b)
	require.NoError(t, tx.Rollback(b.ctx))
	awaitCheckpoint(t, b, held)
}

// Pausing takes the shards from whoever runs the subscription, resuming gives them back; a reset starts anew.
func TestSubscriptionPauseAndReset(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	rounds(t, b, 5, "a-1", "b-1")
	s := subscribe(t, b, "reader", handlerKinds["tx"](b, nil), &subscription.Config{Shards: 2})
	keepRunning(t, b, s)
	awaitCheckpoint(t, b, s)
	require.NoError(t, subscription.Pause(b.ctx, b.repo, "reader"))
	rounds(t, b, 5, "a-1", "b-1")
	awaitSQL(t, b, "paused paused", `SELECT string_agg(state, ' ') FROM eventstream.audit_subscriptions`)
	ctx, cancel := context.WithTimeout(b.ctx, 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, s.WaitFor(ctx, drawn(t, b)), context.DeadlineExceeded)
	require.Equal(t, int64(10), number(t, b.ctx, b.pool, `SELECT count(*) FROM public.handled`))
	require.NoError(t, subscription.Resume(b.ctx, b.repo, "reader"))
	awaitCheckpoint(t, b, s)
	requireHandledOnce(t, b)

	tx, err := b.pool.Begin(b.ctx)
	require.NoError(t, err)
	execSQL(t, b.ctx, tx, `DELETE FROM public.handled`)
	require.NoError(t, subscription.Reset(b.ctx, b.repo.WithTx(tx), "reader", eventstream.FromBeginning))
	require.NoError(t, tx.Commit(b.ctx))
	awaitCheckpoint(t, b, s)
	requireHandledOnce(t, b)
}

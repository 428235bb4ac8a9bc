package integration_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// Whoever appended something and waits for it finds it in the projection, with several shards and several callers, in the process that
// runs the subscription and in another one.
func TestSubscriptionWaitForReadsYourWrites(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t, withMaxConns(12)))
	config := &subscription.Config{Shards: 4}
	s := subscribe(t, b, "reader", handlerKinds["tx"](b, nil), config)
	keepRunning(t, b, s)
	other := anotherProcess(t, b, nil)
	away := subscribe(t, other, "reader", handlerKinds["tx"](b, nil), config)
	group, ctx := errgroup.WithContext(b.ctx)
	for caller := range 6 {
		waiter := []*subscription.Subscription{s, away}[caller%2]
		group.Go(func() error {
			for i := range 15 {
				id := eventstream.StreamID(fmt.Sprintf("own-%d-%d", caller, i%5))
				result, err := b.repo.Append(ctx, id, eventstream.Any, someEvents(t, 2)...)
				if err != nil {
					return err
				}
				if err := waiter.WaitFor(ctx, result.LastPosition); err != nil {
					return err
				}
				var seen int64
				err = b.pool.QueryRow(ctx, `SELECT max(version) FROM public.handled WHERE stream_id = $1`, string(id)).Scan(&seen)
				if err != nil {
					return err
				}
				if seen != result.LastVersion {
					return fmt.Errorf("%s: version %d was appended, %d is seen", id, result.LastVersion, seen)
				}
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	requireHandledOnce(t, b)
}

// WaitFor waits for what is in flight and for what nobody handles, until its context ends; what was never drawn it refuses; what was rolled
// back it does not wait for.
func TestSubscriptionWaitForItsEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	given(t, b, "a-1", 3)
	s := subscribe(t, b, "reader", nothing, nil)
	stop := keepRunning(t, b, s)
	require.NoError(t, s.WaitFor(b.ctx, 0))
	require.NoError(t, s.WaitFor(b.ctx, 3))
	var beyond *eventstream.BeyondLogError
	require.ErrorAs(t, s.WaitFor(b.ctx, 4), &beyond)
	require.Equal(t, eventstream.BeyondLogError{Field: "position", Value: 4, Last: 3}, *beyond)

	writer := newActor(t, b)
	result, err := writer.repo.Append(b.ctx, "slow-1", eventstream.Empty, anEvent(t, 1))
	require.NoError(t, err)
	waiting := start(func() (any, error) { return nil, s.WaitFor(b.ctx, result.LastPosition) })
	given(t, b, "fast-1", 1)
	ended, cancel := context.WithCancel(b.ctx)
	cancelled := start(func() (any, error) { return nil, s.WaitFor(ended, 5) })
	cancel()
	require.ErrorIs(t, (<-cancelled).err, context.Canceled)
	select {
	case got := <-waiting:
		t.Fatalf("WaitFor did not wait for what is in flight: %v", got.err)
	default:
	}
	writer.end(t, b, false)
	require.NoError(t, (<-waiting).err, "what was rolled back is passed")
	stop()

	last := given(t, b, "late-1", 1)
	require.Len(t, last, 1)
	ended, cancel = context.WithCancel(b.ctx)
	left := start(func() (any, error) { return nil, s.WaitFor(ended, drawn(t, b)) })
	cancel()
	require.ErrorIs(t, (<-left).err, context.Canceled, "nobody runs it")
}

// Lag is a count of the events that are not handled, in Go and in audit_subscriptions, for each shard, and seconds are the age of the
// oldest one.
func TestSubscriptionLagIsACount(t *testing.T) {
	t.Parallel()
	for _, shards := range []int{1, 4} {
		t.Run(fmt.Sprint(shards), func(t *testing.T) {
			t.Parallel()
			b := withHandled(t, setup(t))
			var streams []eventstream.StreamID
			for i := range 20 {
				streams = append(streams, streamName(i))
			}
			rounds(t, b, 3, streams...)
			execSQL(t, b.ctx, b.pool, `SELECT nextval('eventstream.events_position_seq') FROM generate_series(1, 5)`)
			sick := positionOf(t, b, streams[7], 2)
			config := quick(subscription.Stop)
			config.Shards, config.BatchSize = shards, 7
			s := subscribe(t, b, "reader", handlerKinds["tx"](b, poisoned(-1, sick).decide), config)
			var failed *subscription.HandlerError
			require.ErrorAs(t, run1(t, b, s).wait(t, b), &failed)
			rounds(t, b, 2, streams...)
			requireLagIsACount(t, b, s)
			require.NoError(t, subscription.SkipEvent(b.ctx, b.repo, "reader", sick, "of no use"))
			s = subscribe(t, b, "reader", handlerKinds["tx"](b, nil), config)
			keepRunning(t, b, s)
			awaitCheckpoint(t, b, s)
			requireLagIsACount(t, b, s)
			requireHandledOnce(t, b, sick)
		})
	}
}

func requireLagIsACount(t *testing.T, b *bundle, s *subscription.Subscription) {
	t.Helper()
	const fields = `format('%s/%s of %s: %s of %s, %s behind, %s handled, %s', a.subscription, a.shard, a.shard_count, a.position, `
	const counted = `SELECT ` + fields + `eventstream.stable_position(), c.behind, c.handled, a.state)
		FROM eventstream.audit_subscriptions AS a
		CROSS JOIN LATERAL (
			SELECT count(*) FILTER (WHERE e.position > a.position) AS behind,
				(SELECT count(*) FROM public.handled AS h JOIN eventstream.events AS x USING (position) WHERE x.partition_id % a.shard_count = a.shard) AS handled
			FROM eventstream.events AS e WHERE e.partition_id % a.shard_count = a.shard) AS c
		ORDER BY a.shard`
	read := func(sql string) []string {
		rows, err := b.pool.Query(b.ctx, sql)
		require.NoError(t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		return lines
	}
	want := read(counted)
	require.Equal(t, want, read(`SELECT `+fields+`a.stable_position, a.lag_events, a.events, a.state) FROM eventstream.audit_subscriptions AS a ORDER BY a.shard`))
	lags, err := s.Lag(b.ctx)
	require.NoError(t, err)
	all, err := subscription.List(b.ctx, b.repo)
	require.NoError(t, err)
	require.Len(t, all, len(lags))
	var lines []string
	for _, l := range lags {
		lines = append(lines, fmt.Sprintf("%s/%d of %d: %d of %d, %d behind, %d handled, %s",
			l.Subscription, l.Shard, l.Shards, l.Position, l.StablePosition, l.Events, l.Handled, l.State))
		require.Equal(t, l.Events > 0, l.Age > 0, "%v", l)
		oldest := number(t, b.ctx, b.pool, `SELECT coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)) * 1000, 0)::bigint
			FROM eventstream.events WHERE partition_id % $1 = $2 AND position > $3`, l.Shards, l.Shard, l.Position)
		require.LessOrEqual(t, l.Age.Milliseconds(), oldest+1)
	}
	require.Equal(t, want, lines)
}

package integration_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// unhealthy gives what a runner says that is not well.
func unhealthy(t testing.TB, b *bundle, r *subscription.Runner, maxLag time.Duration) []subscription.Problem {
	t.Helper()
	var problems *subscription.UnhealthyError
	require.ErrorAs(t, r.Healthy(b.ctx, maxLag), &problems)
	return problems.Problems
}

// A subscription that fails for good does not take the others of the process down: a subscription and a projection go on, and health tells
// which one it is. When the process ends, Run says why it failed, and no shard is left with an owner.
func TestSubscriptionRunnerGoesOnWithTheOthers(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	given(t, b, "order-1", 20)
	good := subscribe(t, b, "good", handlerKinds["tx"](b, nil), nil)
	bad := subscribe(t, b, "bad", subscription.EachEvent(func(_ context.Context, e eventstream.LogEvent) error {
		if e.Position == 7 {
			return subscription.Permanent(errPoison)
		}
		return nil
	}), quick(subscription.Stop))
	stock := projector(t, b, counts(nil))
	givenUp := make(chan error, 1)
	r := &subscription.Runner{Jobs: []subscription.Job{bad, good, stock}, Observer: func(o subscription.Observation) {
		if o, ok := o.(subscription.RunGivenUp); ok && o.Subscription == "bad" {
			givenUp <- o.Err
		}
	}}
	runner := run1(t, b, r)
	require.ErrorIs(t, <-givenUp, errPoison)
	given(t, b, "order-2", 20)
	awaitCheckpoint(t, b, good)
	awaitCheckpoint(t, b, stock.Subscription)
	requireHandledOnce(t, b)
	problems := unhealthy(t, b, r, time.Hour)
	require.Len(t, problems, 1)
	require.Equal(t, []any{subscription.ProblemGivenUp, "bad"}, []any{problems[0].Kind, problems[0].Job})

	runner.cancel()
	var failed *subscription.HandlerError
	require.ErrorAs(t, runner.wait(t, b), &failed)
	require.Equal(t, []any{"bad", int64(7)}, []any{failed.Subscription, failed.Event.Position})
	for _, name := range []string{"good", "bad", stock.Name()} {
		requireFree(t, b, name)
	}
}

// One whose handler failed too often is restarted where it stopped: nothing is left out, nothing comes twice, and all is well again.
func TestSubscriptionRunnerRestartsWhereItStopped(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	given(t, b, "order-1", 10)
	bad := poisoned(-1, 4)
	s := subscribe(t, b, "reader", handlerKinds["tx"](b, bad.decide), quick(subscription.Stop))
	restarts := make(chan subscription.RunRestarts, 100)
	r := &subscription.Runner{
		Jobs: []subscription.Job{s}, MinBackoff: time.Millisecond, MaxBackoff: 5 * time.Millisecond,
		Observer: func(o subscription.Observation) {
			if o, ok := o.(subscription.RunRestarts); ok {
				select {
				case restarts <- o:
				default:
				}
			}
		},
	}
	runner := run1(t, b, r)
	for i := 1; i <= 3; i++ {
		told := <-restarts
		require.Equal(t, []any{"reader", i}, []any{told.Subscription, told.Restarts})
		require.ErrorIs(t, told.Err, errPoison)
	}
	require.ErrorIs(t, r.Healthy(b.ctx, 0), subscription.ErrUnhealthy)
	bad.cure(4)
	awaitCheckpoint(t, b, s)
	requireHandledOnce(t, b)
	require.NoError(t, r.Healthy(b.ctx, time.Hour))
	runner.stop(t)
	require.Equal(t, subscription.ProblemNotRunning, unhealthy(t, b, r, time.Hour)[0].Kind)
}

// A process that has no shard itself tells that one is stuck in another process, on which event and why.
func TestSubscriptionRunnerTellsWhichShardIsStuck(t *testing.T) {
	t.Parallel()
	b := withHandled(t, setup(t))
	given(t, b, "order-1", 10)
	bad := poisoned(-1, 4)
	config := quick(subscription.Stop)
	config.MaxTries = 1_000_000
	other := anotherProcess(t, b, nil)
	stuck := run1(t, other, subscribe(t, other, "reader", handlerKinds["tx"](b, bad.decide), config))
	awaitSQL(t, b, "4", `SELECT coalesce(max(failing_position) FILTER (WHERE tries > 0), 0)::text FROM eventstream.audit_subscriptions`)

	r := &subscription.Runner{Jobs: []subscription.Job{subscribe(t, b, "reader", handlerKinds["tx"](b, nil), config)}}
	runner := run1(t, b, r)
	require.Eventually(t, func() bool { return unhealthy(t, b, r, 0)[0].Kind == subscription.ProblemStuck }, blockTimeout, time.Millisecond)
	problem := unhealthy(t, b, r, 0)[0]
	require.Equal(t, []any{subscription.ProblemStuck, "reader", 0, int64(4)},
		[]any{problem.Kind, problem.Job, problem.Lag.Shard, problem.Lag.FailingPosition})
	require.Contains(t, problem.String(), "cannot digest it")
	require.NoError(t, r.Healthy(b.ctx, time.Hour), "not for long enough")

	bad.cure(4)
	awaitSQL(t, b, "0", `SELECT sum(lag_events)::text FROM eventstream.audit_subscriptions`)
	require.NoError(t, r.Healthy(b.ctx, 0))
	stuck.stop(t)
	runner.stop(t)
}

package otelgapless_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/process"
)

// fire runs timers until their handler has been called so often.
func (o *observed) fire(t *testing.T, count int, handler process.TimerHandler) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	calls := make(chan struct{}, 100)
	timers, err := process.NewTimers(o.repo, "reminders", func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		calls <- struct{}{}
		return handler(ctx, tx, timer)
	}, &process.TimersConfig{
		PollInterval: 10 * time.Millisecond, MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond, OnError: func(error) {},
	})
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- timers.Run(ctx) }()
	for range count {
		<-calls
	}
	require.Eventually(t, func() bool { return len(o.named("timer reminders")) == count }, time.Minute, time.Millisecond)
	for more := true; more; {
		more = false
		for _, err := range process.List(t.Context(), o.repo, "reminders") {
			require.NoError(t, err)
			more = true
		}
	}
	cancel()
	require.NoError(t, <-ended)
}

// The span of a timer that fires links to the one in which it was set, through the database, and what its handler does is below it.
func TestTimersSpanLinksToWhatSetIt(t *testing.T) {
	t.Parallel()
	o := setup(t)
	ctx, root := o.root(t, "request")
	require.NoError(t, process.After(ctx, o.repo, process.TimerRef{Process: "reminders", Key: "order-1", Name: "unpaid"}, time.Millisecond, 7))
	root.End()
	failure, tries := errors.New("no route to the mail server"), 0
	o.fire(t, 2, func(ctx context.Context, tx pgx.Tx, timer process.Timer) error {
		if tries++; tries == 1 {
			return failure
		}
		require.JSONEq(t, "7", string(timer.Payload))
		_, err := o.repo.WithTx(tx).Append(ctx, "order-1", eventstream.Any, eventstream.EventOf("order.overdue", 1))
		return err
	})
	spans := o.named("timer reminders")
	for i, span := range spans {
		require.Equal(t, trace.SpanKindConsumer, span.SpanKind())
		require.False(t, span.Parent().IsValid(), "a trace of its own")
		require.Len(t, span.Links(), 1)
		require.True(t, linksTo(span, root.SpanContext()))
		require.True(t, span.Links()[0].SpanContext.IsRemote())
		require.Equal(t, []string{"reminders", "order-1", "unpaid", []string{"error", "done"}[i]}, []string{
			attributeOf(span, "gapless.process.name"), attributeOf(span, "gapless.timer.key"), attributeOf(span, "gapless.timer.name"),
			attributeOf(span, "gapless.outcome"),
		})
	}
	require.Equal(t, codes.Error, spans[0].Status().Code)
	require.Equal(t, failure.Error(), spans[0].Status().Description)
	require.Equal(t, spans[1].SpanContext().SpanID(), o.one(t, "append").Parent().SpanID())
}

// A timer that was set without a span has nothing to link to, and keeps nothing.
func TestTimersWithoutASpan(t *testing.T) {
	t.Parallel()
	o := setup(t)
	require.NoError(t, process.At(t.Context(), o.repo, process.TimerRef{Process: "reminders", Key: "order-1", Name: "unpaid"}, time.Now(), nil))
	var kept int
	require.NoError(t, o.pool.QueryRow(t.Context(), `SELECT count(metadata) FROM eventstream.timers`).Scan(&kept))
	require.Zero(t, kept)
	o.fire(t, 1, func(_ context.Context, _ pgx.Tx, timer process.Timer) error {
		require.Nil(t, timer.Metadata)
		return nil
	})
	require.Empty(t, o.one(t, "timer reminders").Links())
}

// What a step of a process sets links to the span of its handler.
func TestTimersOfAProcessLinkToItsHandler(t *testing.T) {
	t.Parallel()
	o := setup(t)
	fired := make(chan struct{})
	m, err := process.NewManager(o.repo, process.Process[int]{
		Name: "fulfilment", Key: func(event eventstream.LogEvent) string { return string(event.StreamID) },
		On: func(ctx context.Context, step *process.Step[int], _ eventstream.LogEvent) error {
			return step.After(ctx, "unpaid", time.Millisecond, nil)
		},
		OnTimer: func(context.Context, *process.Step[int], process.Timer) error { close(fired); return nil },
		Timers:  &process.TimersConfig{PollInterval: 10 * time.Millisecond},
	})
	require.NoError(t, err)
	o.append(t.Context(), t, "order-1")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	<-fired
	require.Eventually(t, func() bool { return len(o.named("timer fulfilment")) == 1 }, time.Minute, time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	require.True(t, linksTo(o.one(t, "timer fulfilment"), o.one(t, "process fulfilment").SpanContext()))
}

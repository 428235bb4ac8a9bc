package integration_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// keepingTracer keeps what it is told of groups and handlers.
type keepingTracer struct {
	mu       sync.Mutex
	batches  map[context.Context]eventstream.BatchStart
	results  map[context.Context]eventstream.BatchEnd
	appends  map[context.Context]eventstream.AppendEnd
	handlers []subscription.HandlerEnd
	events   []eventstream.LogEvent
}

func newKeepingTracer() *keepingTracer {
	return &keepingTracer{
		batches: map[context.Context]eventstream.BatchStart{}, results: map[context.Context]eventstream.BatchEnd{},
		appends: map[context.Context]eventstream.AppendEnd{},
	}
}

type tracedKey struct{}

// mark is a context that is told from every other one.
func mark(ctx context.Context, what string) context.Context {
	return context.WithValue(ctx, tracedKey{}, &what)
}

func (k *keepingTracer) TraceAppendStart(ctx context.Context, _ eventstream.AppendStart) context.Context {
	return mark(ctx, "append")
}

func (k *keepingTracer) TraceAppendEnd(ctx context.Context, end eventstream.AppendEnd) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.appends[ctx] = end
}

func (k *keepingTracer) TraceBatchStart(ctx context.Context, start eventstream.BatchStart) context.Context {
	ctx = mark(ctx, "batch")
	k.mu.Lock()
	defer k.mu.Unlock()
	k.batches[ctx] = start
	return ctx
}

func (k *keepingTracer) TraceBatchEnd(ctx context.Context, end eventstream.BatchEnd) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.results[ctx] = end
}

func (k *keepingTracer) TraceHandlerStart(ctx context.Context, start subscription.HandlerStart) context.Context {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.events = append(k.events, start.Events...)
	return mark(ctx, "handler")
}

func (k *keepingTracer) TraceHandlerEnd(ctx context.Context, end subscription.HandlerEnd) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if *ctx.Value(tracedKey{}).(*string) == "handler" {
		k.handlers = append(k.handlers, end)
	}
}

// Each append of a group is told with the statement that settled it, also one that is refused; those that go by themselves with none.
func TestTracerKnowsTheStatementOfEachAppend(t *testing.T) {
	t.Parallel()
	s := setup(t)
	tracer := newKeepingTracer()
	repo, err := eventstream.NewRepository(s.pool, &eventstream.Config{Tracer: tracer, Group: eventstream.GroupConfig{InFlight: 1}})
	require.NoError(t, err)
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			expected := eventstream.Expected(eventstream.Any)
			if i%4 == 0 {
				expected = eventstream.Exact(7)
			}
			_, err := repo.Append(t.Context(), eventstream.StreamID(fmt.Sprint("order-", i)), expected, eventstream.EventOf("a.b", i))
			require.Equal(t, i%4 == 0, errors.Is(err, eventstream.ErrVersionConflict), "%v", err)
		})
	}
	all.Wait()
	require.Len(t, tracer.appends, 40)
	calls := map[context.Context]int{}
	for ctx, end := range tracer.appends {
		require.NotNil(t, end.Batch)
		require.Contains(t, tracer.batches[end.Batch].Calls, ctx)
		require.NoError(t, tracer.results[end.Batch].Err)
		calls[end.Batch]++
	}
	for batch, start := range tracer.batches {
		require.Len(t, start.Calls, start.Events)
		require.Equal(t, len(start.Calls), calls[batch])
	}
	require.NoError(t, pgx.BeginFunc(t.Context(), s.pool, func(tx pgx.Tx) error {
		_, err := repo.WithTx(tx).Append(t.Context(), "order-x", eventstream.Any, eventstream.EventOf("a.b", 1))
		return err
	}))
	require.Len(t, tracer.appends, 41)
	alone := 0
	for _, end := range tracer.appends {
		if end.Batch == nil {
			alone++
		}
	}
	require.Equal(t, 1, alone)
}

// A caller who leaves hears nothing of a statement that may still be under way.
func TestTracerHearsOfACallerWhoLeaves(t *testing.T) {
	t.Parallel()
	s := setup(t)
	tracer := newKeepingTracer()
	repo, err := eventstream.NewRepository(s.pool, &eventstream.Config{Tracer: tracer})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = repo.Append(ctx, "order-1", eventstream.Any, eventstream.EventOf("a.b", 1))
	require.ErrorIs(t, err, context.Canceled)
	require.Len(t, tracer.appends, 1)
	for _, end := range tracer.appends {
		require.ErrorIs(t, end.Err, context.Canceled)
		require.Nil(t, end.Batch)
	}
}

// A HandlerTracer is told of every call of every kind of handler, with what it got, how it ended, and the context that the handler had.
func TestHandlerTracerIsToldOfEveryCall(t *testing.T) {
	t.Parallel()
	s := setup(t)
	plain, err := eventstream.NewRepository(s.pool, nil)
	require.NoError(t, err)
	for i := range 3 {
		_, err := plain.Append(t.Context(), "order-1", eventstream.Any, eventstream.EventOf("a.b", i))
		require.NoError(t, err)
	}
	failure := errors.New("not today")
	first := true
	fails := func(ctx context.Context) error {
		if ctx.Value(tracedKey{}) == nil {
			return errors.New("the handler has another context")
		}
		if first {
			first = false
			return failure
		}
		return nil
	}
	for name, handler := range map[string]subscription.Handler{
		"tx":     subscription.TxHandler(func(ctx context.Context, _ pgx.Tx, _ []eventstream.LogEvent) error { return fails(ctx) }),
		"effect": subscription.EffectHandler(func(ctx context.Context, _ []eventstream.LogEvent) error { return fails(ctx) }),
		"async": subscription.AsyncHandler(func(ctx context.Context, _ []eventstream.LogEvent, ack func(error)) {
			go func() { ack(fails(ctx)) }()
		}),
		"each": subscription.EachEvent(func(ctx context.Context, _ eventstream.LogEvent) error { return fails(ctx) }),
	} {
		first = true
		tracer := newKeepingTracer()
		repo, err := eventstream.NewRepository(s.pool, &eventstream.Config{Tracer: tracer})
		require.NoError(t, err)
		sub, err := subscription.New(repo, name, handler, &subscription.Config{MinBackoff: 1, Observer: func(subscription.Observation) {}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- sub.Run(ctx) }()
		require.NoError(t, sub.Create(t.Context()))
		require.NoError(t, sub.WaitFor(t.Context(), 3), name)
		cancel()
		require.NoError(t, <-ended, name)
		require.Greater(t, len(tracer.handlers), 1, name)
		failed, events := 0, 0
		for _, end := range tracer.handlers {
			require.Equal(t, name, end.Subscription)
			events += end.Events
			if end.Err != nil {
				require.ErrorIs(t, end.Err, failure, name)
				failed++
			}
		}
		require.Equal(t, 1, failed, name)
		require.Len(t, tracer.events, events)
	}
}

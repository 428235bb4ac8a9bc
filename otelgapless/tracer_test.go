package otelgapless_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/otelgapless"
)

// The producer's span is in the event, and the consumer's links to it: through the database. What the handler appends is in its own trace.
func TestConsumersSpanLinksToTheProducers(t *testing.T) {
	t.Parallel()
	o := setup(t)
	ctx, root := o.root(t, "request")
	event := o.append(ctx, t, "order-1")
	root.End()
	produced := o.one(t, "append")
	require.Equal(t, root.SpanContext().SpanID(), produced.Parent().SpanID())
	require.Equal(t, trace.SpanKindProducer, produced.SpanKind())
	require.Equal(t, "appended", attributeOf(produced, "gapless.outcome"))
	require.Equal(t, "1", attributeOf(produced, "gapless.stream.version"))
	require.Nil(t, event.Metadata, "the caller's event stays as it is")

	require.NoError(t, o.handle(t, "mail", 1, func(ctx context.Context, _ []eventstream.LogEvent) error {
		o.append(ctx, t, "mail-1")
		return nil
	}))
	consumed := o.one(t, "process mail")
	require.Equal(t, trace.SpanKindConsumer, consumed.SpanKind())
	require.False(t, consumed.Parent().IsValid(), "a trace of its own")
	require.Len(t, consumed.Links(), 1)
	require.True(t, linksTo(consumed, produced.SpanContext()))
	require.True(t, consumed.Links()[0].SpanContext.IsRemote())
	reaction := o.named("append")[1]
	require.Equal(t, consumed.SpanContext().SpanID(), reaction.Parent().SpanID())
}

// Each event of a batch gives a link, those of one append together one.
func TestHandlersSpanLinksToEachAppend(t *testing.T) {
	t.Parallel()
	o := setup(t)
	for i := range 3 {
		_, err := o.repo.Append(t.Context(), "order-1", eventstream.Any,
			eventstream.EventOf("order.placed", i), eventstream.EventOf("order.paid", i))
		require.NoError(t, err)
	}
	require.NoError(t, o.handle(t, "mail", 6, func(context.Context, []eventstream.LogEvent) error { return nil }))
	consumed := o.one(t, "process mail")
	require.Equal(t, "6", attributeOf(consumed, "gapless.events"))
	require.Len(t, consumed.Links(), 3)
	for _, produced := range o.named("append") {
		require.True(t, linksTo(consumed, produced.SpanContext()))
	}
}

func TestContextWithEventGoesOnWithItsTrace(t *testing.T) {
	t.Parallel()
	o := setup(t)
	written := o.append(t.Context(), t, "order-1")
	read, err := o.repo.Event(t.Context(), written.ID)
	require.NoError(t, err)
	_, span := o.provider.Tracer("test").Start(otelgapless.ContextWithEvent(t.Context(), read), "one event")
	span.End()
	require.Equal(t, o.one(t, "append").SpanContext().SpanID(), o.one(t, "one event").Parent().SpanID())
	require.Equal(t, t.Context(), otelgapless.ContextWithEvent(t.Context(), eventstream.Event{Metadata: []byte(`{"traceparent": 7}`)}))
}

// Calls that share a statement link to its span, which links to them, and which is in the trace of one of them.
func TestSpansOfAGroupLinkToTheSharedStatement(t *testing.T) {
	t.Parallel()
	o := setup(t, func(c *eventstream.Config) { c.Group.InFlight = 1 })
	// Callers come until some have come together.
	together := make(chan struct{})
	end := sync.OnceFunc(func() { close(together) })
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for {
				select {
				case <-together:
					return
				default:
				}
				_, err := o.repo.Append(t.Context(), eventstream.StreamID(fmt.Sprint("order-", i)), eventstream.Any, eventstream.EventOf("a.b", 1))
				if !assert.NoError(t, err) || len(o.named("append batch")) > 2 {
					end()
				}
			}
		})
	}
	all.Wait()
	linked := 0
	for _, batch := range o.named("append batch") {
		require.Greater(t, len(batch.Links()), 1)
		require.Equal(t, fmt.Sprint(len(batch.Links())), attributeOf(batch, "gapless.calls"))
		require.Equal(t, batch.Links()[0].SpanContext.SpanID(), batch.Parent().SpanID())
		if batch.Status().Code == codes.Error {
			continue // its calls were sent again
		}
		for _, call := range o.named("append") {
			require.Equal(t, linksTo(batch, call.SpanContext()), linksTo(call, batch.SpanContext()))
			linked += len(call.Links())
			require.LessOrEqual(t, len(call.Links()), 1)
		}
	}
	require.Greater(t, linked, 1)
}

// The shared statement is in the trace of a call that is sampled, if there is one.
func TestSharedStatementIsSampledIfOneOfItsCallsIs(t *testing.T) {
	t.Parallel()
	o := setup(t)
	tracer, err := otelgapless.NewTracer(&otelgapless.Config{TracerProvider: o.provider, MeterProvider: o.meters})
	require.NoError(t, err)
	dropped := trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: [16]byte{1}, SpanID: [8]byte{1}}))
	sampled, span := o.root(t, "sampled")
	ctx := tracer.TraceBatchStart(dropped, eventstream.BatchStart{Calls: []context.Context{dropped, sampled}, Events: 2})
	tracer.TraceBatchEnd(ctx, eventstream.BatchEnd{Err: errors.New("failed")})
	batch := o.one(t, "append batch")
	require.Equal(t, span.SpanContext().SpanID(), batch.Parent().SpanID())
	require.Equal(t, codes.Error, batch.Status().Code)
}

// In a transaction of the caller's the span is the same, and no statement is shared.
func TestSpansInATransaction(t *testing.T) {
	t.Parallel()
	o := setup(t)
	require.NoError(t, pgx.BeginFunc(t.Context(), o.pool, func(tx pgx.Tx) error {
		_, err := o.repo.WithTx(tx).Append(t.Context(), "order-1", eventstream.Empty, eventstream.EventOf("order.placed", 1))
		return err
	}))
	produced := o.one(t, "append")
	require.Empty(t, produced.Links())
	stream, err := o.repo.Load(t.Context(), "order-1")
	require.NoError(t, err)
	var metadata map[string]string
	require.NoError(t, json.Unmarshal(stream.EventsFrom(1)[0].Metadata, &metadata))
	sc := produced.SpanContext()
	require.Equal(t, fmt.Sprintf("00-%s-%s-01", sc.TraceID(), sc.SpanID()), metadata["traceparent"])
	require.Equal(t, "order-1", attributeOf(o.one(t, "load"), "gapless.stream.id"))
}

// A handler's error is in its span, and a refusal of an append is an outcome rather than a failure.
func TestErrorsInSpans(t *testing.T) {
	t.Parallel()
	o := setup(t)
	o.append(t.Context(), t, "order-1")
	failure := errors.New("no route to the mail server")
	var failed *subscription.HandlerError
	require.ErrorAs(t, o.handle(t, "mail", 1, func(context.Context, []eventstream.LogEvent) error { return failure }), &failed)
	consumed := o.one(t, "process mail")
	require.Equal(t, codes.Error, consumed.Status().Code)
	require.Equal(t, failure.Error(), consumed.Status().Description)
	require.Len(t, consumed.Events(), 1)
	require.Equal(t, "exception", consumed.Events()[0].Name)

	_, err := o.repo.Append(t.Context(), "order-1", eventstream.Empty, eventstream.EventOf("order.placed", 2))
	require.ErrorIs(t, err, eventstream.ErrStreamExists)
	refused := o.named("append")[1]
	require.Equal(t, "stream_exists", attributeOf(refused, "gapless.outcome"))
	require.Equal(t, codes.Unset, refused.Status().Code)
	_, err = o.repo.Append(t.Context(), "order-1", eventstream.Any, eventstream.EventOf(" ", 2))
	require.ErrorIs(t, err, eventstream.ErrInvalidValue)
	require.Equal(t, codes.Error, o.named("append")[2].Status().Code)
	_, err = o.repo.Load(t.Context(), "order-2")
	require.ErrorIs(t, err, eventstream.ErrStreamNotFound)
	require.Equal(t, codes.Unset, o.one(t, "load").Status().Code)
	require.Equal(t, "not_found", attributeOf(o.one(t, "load"), "gapless.outcome"))
}

// Every way to append and to read has its span.
func TestEveryWayHasItsSpan(t *testing.T) {
	t.Parallel()
	o := setup(t)
	ctx := t.Context()
	tagged := eventstream.EventOf("seat.taken", 1, eventstream.WithTags("seat:1"))
	query := eventstream.Query{{Tags: []string{"seat:1"}}}
	_, position, err := o.repo.ReadQuery(ctx, query, 0)
	require.NoError(t, err)
	_, err = o.repo.AppendIf(ctx, query, position, eventstream.AppendRequest{StreamID: "seat-1", Expected: eventstream.Any, Events: []eventstream.Event{tagged}})
	require.NoError(t, err)
	stream, err := o.repo.GetOrCreate(ctx, "order-1")
	require.NoError(t, err)
	require.NoError(t, errOf(stream.AppendEvent(eventstream.EventOf("order.placed", 1))))
	require.NoError(t, errOf(o.repo.Save(ctx, stream)))
	require.NoError(t, errOf(o.repo.AppendMany(ctx,
		eventstream.AppendRequest{StreamID: "a", Expected: eventstream.Any, Events: []eventstream.Event{eventstream.EventOf("a.b", 1)}},
		eventstream.AppendRequest{StreamID: "b", Expected: eventstream.Any, Events: []eventstream.Event{eventstream.EventOf("a.b", 1)}})))
	require.NoError(t, o.repo.Fold(ctx, "order-1", 0, func(eventstream.Event) error { return nil }))
	count := 0
	for event, err := range o.repo.Read(ctx, "order-1", eventstream.ReadOptions{}) {
		require.NoError(t, err)
		require.Contains(t, string(event.Metadata), "traceparent")
		count++
	}
	for event, err := range o.repo.ReadLog(ctx, eventstream.LogOptions{}) {
		require.NoError(t, err)
		require.Contains(t, string(event.Metadata), "traceparent", event.StreamID)
		count++
	}
	require.Equal(t, 5, count)
	require.Equal(t, []string{"seat:1"}, tagged.Tags())
	for name, spans := range map[string]int{"append": 3, "load": 1, "fold": 1, "read": 1, "read_log": 1, "read_query": 1} {
		require.Len(t, o.named(name), spans, name)
	}
	require.Equal(t, "2", attributeOf(o.named("append")[2], "gapless.streams"))
	require.Equal(t, "4", attributeOf(o.one(t, "read_log"), "gapless.events"))
}

func errOf[T any](_ T, err error) error { return err }

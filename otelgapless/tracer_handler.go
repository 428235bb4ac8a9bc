package otelgapless

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// maxLinks bounds the links of a handler's span, as the SDK does unless it is told otherwise.
const maxLinks = 128

// TraceHandlerStart begins the span of a call of a handler, with a link to the span of the append of each of its events.
func (t *Tracer) TraceHandlerStart(ctx context.Context, start subscription.HandlerStart) context.Context {
	return t.start(ctx, "process "+start.Subscription, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithLinks(linksTo(start.Events)...),
		trace.WithAttributes(
			attribute.String(attrSubscription, start.Subscription), attribute.Int(attrShard, start.Shard),
			attribute.Int("gapless.events", len(start.Events)), attribute.Int64("gapless.position", start.Events[0].Position)))
}

// linksTo are links to the appends of events, each once.
func linksTo(events []eventstream.LogEvent) []trace.Link {
	var links []trace.Link
	var last trace.SpanContext
	seen := map[trace.SpanID]bool{}
	for i := range events {
		from := spanOf(events[i].Metadata)
		if !from.IsValid() || from.Equal(last) || seen[from.SpanID()] {
			continue
		}
		last, seen[from.SpanID()] = from, true
		links = append(links, trace.Link{SpanContext: from, Attributes: []attribute.KeyValue{
			attribute.String("gapless.event.id", events[i].ID.String()), attribute.String("gapless.stream.id", string(events[i].StreamID)),
		}})
		if len(links) == maxLinks {
			break
		}
	}
	return links
}

// TraceHandlerEnd ends it, and measures it.
func (t *Tracer) TraceHandlerEnd(ctx context.Context, end subscription.HandlerEnd) {
	seconds, span := took(ctx)
	name := attribute.String(attrSubscription, end.Subscription)
	outcome := outcomeDone
	if end.Err != nil {
		outcome = outcomeError
	} else {
		t.instruments.handlerEvents.Add(ctx, int64(end.Events), metric.WithAttributes(name))
	}
	t.instruments.handlerDuration.Record(ctx, seconds, metric.WithAttributes(name, outcomeIs(outcome)))
	span.SetAttributes(outcomeIs(outcome))
	finish(span, end.Err, end.Err != nil)
}

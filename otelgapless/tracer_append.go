package otelgapless

import (
	"context"
	"encoding/json"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/gaplesspg/gapless/eventstream"
)

// TraceAppendStart begins the span of an append.
func (t *Tracer) TraceAppendStart(ctx context.Context, start eventstream.AppendStart) context.Context {
	events := 0
	for _, request := range start.Requests {
		events += len(request.Events)
	}
	attributes := []attribute.KeyValue{attribute.Int("gapless.events", events), attribute.Int("gapless.streams", len(start.Requests))}
	if len(start.Requests) == 1 {
		attributes = append(attributes, attribute.String("gapless.stream.id", string(start.Requests[0].StreamID)))
	}
	return t.start(ctx, "append", trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(attributes...))
}

// TraceAppendEnd ends it, and measures it.
func (t *Tracer) TraceAppendEnd(ctx context.Context, end eventstream.AppendEnd) {
	seconds, span := took(ctx)
	outcome, failed := appendOutcome(end.Results, end.Err)
	t.instruments.appendDuration.Record(ctx, seconds, metric.WithAttributes(outcomeIs(outcome)))
	if appended := countAppended(end); appended > 0 {
		t.instruments.appendEvents.Add(ctx, appended)
	}
	span.SetAttributes(outcomeIs(outcome))
	if len(end.Results) == 1 {
		span.SetAttributes(attribute.Int64("gapless.stream.version", end.Results[0].LastVersion),
			attribute.Int64("gapless.position", end.Results[0].LastPosition))
	}
	if end.Batch != nil {
		// A batch of one has no span but the append's own.
		if batch := trace.SpanContextFromContext(end.Batch); batch.IsValid() && batch.SpanID() != span.SpanContext().SpanID() {
			span.AddLink(trace.Link{SpanContext: batch})
		}
	}
	finish(span, end.Err, failed)
}

// finish ends a span, as failed if that is what its error means. A refusal is an answer.
func finish(span trace.Span, err error, failed bool) {
	if failed {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

func countAppended(end eventstream.AppendEnd) (events int64) {
	for i, result := range end.Results {
		if !result.Duplicate {
			events += int64(len(end.Requests[i].Events))
		}
	}
	return events
}

// TraceMetadata gives an event its append's span, unless it has one.
func (t *Tracer) TraceMetadata(ctx context.Context, event eventstream.Event) json.RawMessage {
	if !t.propagates {
		return event.Metadata
	}
	return withSpan(ctx, event.Metadata)
}

// TraceBatchStart begins the span of a statement that several appends share; what it does for one belongs to that one's span.
func (t *Tracer) TraceBatchStart(ctx context.Context, start eventstream.BatchStart) context.Context {
	t.instruments.batchCalls.Record(ctx, float64(len(start.Calls)))
	t.instruments.batchEvents.Record(ctx, float64(start.Events))
	if len(start.Calls) == 1 {
		return context.WithValue(ctx, begunKey{}, begun{at: time.Now()})
	}
	parent := trace.SpanFromContext(start.Calls[0])
	links := make([]trace.Link, 0, len(start.Calls))
	for _, call := range start.Calls {
		span := trace.SpanFromContext(call)
		if span.SpanContext().IsSampled() && !parent.SpanContext().IsSampled() {
			parent = span
		}
		links = append(links, trace.Link{SpanContext: span.SpanContext()})
	}
	return t.start(trace.ContextWithSpan(ctx, parent), "append batch", trace.WithSpanKind(trace.SpanKindClient), trace.WithLinks(links...),
		trace.WithAttributes(attribute.Int("gapless.calls", len(start.Calls)), attribute.Int("gapless.events", start.Events)))
}

// TraceBatchEnd ends it.
func (t *Tracer) TraceBatchEnd(ctx context.Context, end eventstream.BatchEnd) {
	seconds, span := took(ctx)
	outcome := outcomeDone
	if end.Err != nil {
		outcome = outcomeError
	}
	t.instruments.batchDuration.Record(ctx, seconds, metric.WithAttributes(outcomeIs(outcome)))
	finish(span, end.Err, end.Err != nil)
}

package otelgapless

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/gaplesspg/gapless/eventstream"
)

// TraceReadStart begins the span of a load, a fold or a page.
func (t *Tracer) TraceReadStart(ctx context.Context, start eventstream.ReadStart) context.Context {
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}
	if start.StreamID != "" {
		options = append(options, trace.WithAttributes(attribute.String("gapless.stream.id", string(start.StreamID))))
	}
	return t.start(ctx, string(start.Operation), options...)
}

// TraceReadEnd ends it, and measures it.
func (t *Tracer) TraceReadEnd(ctx context.Context, end eventstream.ReadEnd) {
	seconds, span := took(ctx)
	outcome, failed := outcomeDone, false
	switch {
	case errors.Is(end.Err, eventstream.ErrStreamNotFound):
		outcome = "not_found"
	case errors.Is(end.Err, context.Canceled), errors.Is(end.Err, context.DeadlineExceeded):
		outcome = outcomeCanceled
	case end.Err != nil:
		outcome, failed = outcomeError, true
	}
	operation := attribute.String(attrOperation, string(end.Operation))
	t.instruments.readDuration.Record(ctx, seconds, metric.WithAttributes(operation, outcomeIs(outcome)))
	t.instruments.readEvents.Add(ctx, int64(end.Events), metric.WithAttributes(operation))
	span.SetAttributes(attribute.Int("gapless.events", end.Events), outcomeIs(outcome))
	finish(span, end.Err, failed)
}

package otelgapless

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/gaplesspg/gapless/eventstream"
)

// TraceIntakeStart begins the span of an Ingest or an Import.
func (t *Tracer) TraceIntakeStart(ctx context.Context, start eventstream.IntakeStart) context.Context {
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient)}
	if start.StreamID != "" {
		options = append(options, trace.WithAttributes(attribute.String("gapless.stream.id", string(start.StreamID))))
	}
	return t.start(ctx, string(start.Operation), options...)
}

// TraceIntakeEnd ends it, with what became of the events.
func (t *Tracer) TraceIntakeEnd(ctx context.Context, end eventstream.IntakeEnd) {
	_, span := took(ctx)
	outcome, failed := intakeOutcome(end.Err)
	span.SetAttributes(outcomeIs(outcome), attribute.Int64("gapless.appended", end.Appended),
		attribute.Int64("gapless.pending", end.Pending), attribute.Int64("gapless.duplicates", end.Duplicates))
	finish(span, end.Err, failed)
}

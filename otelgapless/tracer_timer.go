package otelgapless

import (
	"context"
	"encoding/json"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/gaplesspg/gapless/eventstream/process"
)

// TraceTimerSet gives a timer the span that it is set in.
func (t *Tracer) TraceTimerSet(ctx context.Context) json.RawMessage {
	if !t.propagates {
		return nil
	}
	return withSpan(ctx, nil)
}

// TraceTimerStart begins the span of a timer that fires, with a link to the span that set it.
func (t *Tracer) TraceTimerStart(ctx context.Context, start process.TimerStart) context.Context {
	timer := start.Timer
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("gapless.process.name", timer.Process), attribute.String("gapless.timer.key", timer.Key),
		attribute.String("gapless.timer.name", timer.Name), attribute.Float64("gapless.timer.late", timer.FiredAt.Sub(timer.DueAt).Seconds()))}
	if from := spanOf(timer.Metadata); from.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: from}))
	}
	return t.start(ctx, "timer "+timer.Process, options...)
}

// TraceTimerEnd ends it.
func (t *Tracer) TraceTimerEnd(ctx context.Context, end process.TimerEnd) {
	_, span := took(ctx)
	outcome := outcomeDone
	if end.Err != nil {
		outcome = outcomeError
	}
	span.SetAttributes(outcomeIs(outcome))
	finish(span, end.Err, end.Err != nil)
}

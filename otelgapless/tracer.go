package otelgapless

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/process"
	"github.com/gaplesspg/gapless/eventstream/subscription"
)

// scope names this package in what it tells.
const scope = "github.com/gaplesspg/gapless/otelgapless"

// Config adjusts a Tracer. Nil and the zero value mean the defaults.
type Config struct {
	// TracerProvider makes the spans. Default: otel.GetTracerProvider().
	TracerProvider trace.TracerProvider
	// MeterProvider makes the instruments. Default: otel.GetMeterProvider().
	MeterProvider metric.MeterProvider
	// NoPropagation leaves the metadata of events alone: no span of a consumer links to one of a producer. Default: false.
	NoPropagation bool
}

// Tracer makes spans and measurements of what a repository does: eventstream.Config takes it.
type Tracer struct {
	tracer      trace.Tracer
	instruments *instruments
	propagates  bool
}

var (
	_ eventstream.Tracer         = (*Tracer)(nil)
	_ eventstream.MetadataTracer = (*Tracer)(nil)
	_ eventstream.BatchTracer    = (*Tracer)(nil)
	_ eventstream.ReadTracer     = (*Tracer)(nil)
	_ eventstream.IntakeTracer   = (*Tracer)(nil)
	_ subscription.HandlerTracer = (*Tracer)(nil)
	_ process.TimerTracer        = (*Tracer)(nil)
)

// NewTracer makes a Tracer. A nil config means the defaults. It returns what the MeterProvider has against an instrument.
func NewTracer(config *Config) (*Tracer, error) {
	c := Config{}
	if config != nil {
		c = *config
	}
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	made, err := newInstruments(c.MeterProvider.Meter(scope))
	if err != nil {
		return nil, err
	}
	return &Tracer{tracer: c.TracerProvider.Tracer(scope), instruments: made, propagates: !c.NoPropagation}, nil
}

// begun is what a context remembers from Start to End.
type begun struct {
	at time.Time
	// own says that the context has a span of its own to end.
	own bool
}

type begunKey struct{}

// start begins a span, and remembers when.
func (t *Tracer) start(ctx context.Context, name string, options ...trace.SpanStartOption) context.Context {
	ctx, _ = t.tracer.Start(ctx, name, options...)
	return context.WithValue(ctx, begunKey{}, begun{time.Now(), true})
}

// took is how long what the context began has lasted, in seconds, and its span: one that does nothing if it has none of its own.
func took(ctx context.Context) (float64, trace.Span) {
	b, _ := ctx.Value(begunKey{}).(begun)
	if !b.own {
		ctx = context.Background()
	}
	return time.Since(b.at).Seconds(), trace.SpanFromContext(ctx)
}

func outcomeIs(outcome string) attribute.KeyValue { return attribute.String(attrOutcome, outcome) }

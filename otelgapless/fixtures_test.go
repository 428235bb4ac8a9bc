package otelgapless_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/gaplesspg/gapless/eventstream"
	"github.com/gaplesspg/gapless/eventstream/eventstreamtest/pgtest"
	"github.com/gaplesspg/gapless/eventstream/subscription"
	"github.com/gaplesspg/gapless/otelgapless"
)

// observed is a store of a test's own, with the SDK around it that keeps everything in memory.
type observed struct {
	pool     *pgxpool.Pool
	repo     *eventstream.Repository
	spans    *tracetest.SpanRecorder
	provider *sdktrace.TracerProvider
	reader   *sdkmetric.ManualReader
	meters   *sdkmetric.MeterProvider
}

func setup(t *testing.T, options ...func(*eventstream.Config)) *observed {
	t.Helper()
	o := &observed{pool: pgtest.Postgres(t), spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	o.provider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(o.spans))
	o.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(o.reader))
	tracer, err := otelgapless.NewTracer(&otelgapless.Config{TracerProvider: o.provider, MeterProvider: o.meters})
	require.NoError(t, err)
	config := &eventstream.Config{Tracer: tracer}
	for _, option := range options {
		option(config)
	}
	o.repo, err = eventstream.NewRepository(o.pool, config)
	require.NoError(t, err)
	return o
}

// root begins a span of the test's own.
func (o *observed) root(t *testing.T, name string) (context.Context, trace.Span) {
	t.Helper()
	return o.provider.Tracer("test").Start(t.Context(), name)
}

// named are the spans of a name that have ended, in the order in which they did.
func (o *observed) named(name string) []sdktrace.ReadOnlySpan {
	return slices.DeleteFunc(o.spans.Ended(), func(s sdktrace.ReadOnlySpan) bool { return s.Name() != name })
}

// one is the only span of a name.
func (o *observed) one(t *testing.T, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	spans := o.named(name)
	require.Len(t, spans, 1, name)
	return spans[0]
}

// append appends one event, and fails the test if that is refused.
func (o *observed) append(ctx context.Context, t *testing.T, id eventstream.StreamID, options ...eventstream.EventOption) eventstream.Event {
	t.Helper()
	event := eventstream.EventOf("order.placed", 1, options...)
	_, err := o.repo.Append(ctx, id, eventstream.Any, event)
	require.NoError(t, err)
	return event
}

// handle runs a subscription until its handler has got so many events, or until its Run ends.
func (o *observed) handle(t *testing.T, name string, count int, handler func(context.Context, []eventstream.LogEvent) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := 0
	sub, err := subscription.New(o.repo, name, subscription.EffectHandler(func(ctx context.Context, events []eventstream.LogEvent) error {
		err := handler(ctx, events)
		if got += len(events); err == nil && got >= count {
			defer cancel()
		}
		return err
	}), &subscription.Config{MaxTries: 1, Observer: func(subscription.Observation) {}})
	require.NoError(t, err)
	return sub.Run(ctx)
}

// attributeOf is an attribute of a span, as text.
func attributeOf(span sdktrace.ReadOnlySpan, key string) string {
	for _, a := range span.Attributes() {
		if string(a.Key) == key {
			return a.Value.String()
		}
	}
	return ""
}

func linksTo(span sdktrace.ReadOnlySpan, to trace.SpanContext) bool {
	return slices.ContainsFunc(span.Links(), func(l sdktrace.Link) bool {
		return l.SpanContext.TraceID() == to.TraceID() && l.SpanContext.SpanID() == to.SpanID()
	})
}

// collect gives the metrics by name.
func (o *observed) collect(t *testing.T) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, o.reader.Collect(t.Context(), &all))
	byName := map[string]metricdata.Metrics{}
	for _, s := range all.ScopeMetrics {
		for _, m := range s.Metrics {
			byName[m.Name] = m
		}
	}
	return byName
}

// number is the value of a gauge or a counter, or how many values a histogram has, for attributes given as name, value, ...
func number(t *testing.T, m metricdata.Metrics, attributes ...string) float64 {
	t.Helper()
	var want []attribute.KeyValue
	for i := 0; i < len(attributes); i += 2 {
		want = append(want, attribute.String(attributes[i], attributes[i+1]))
	}
	set := attribute.NewSet(want...)
	switch data := m.Data.(type) {
	case metricdata.Gauge[float64]:
		return pointOf(t, m, data.DataPoints, set)
	case metricdata.Sum[float64]:
		return pointOf(t, m, data.DataPoints, set)
	case metricdata.Sum[int64]:
		return pointOf(t, m, data.DataPoints, set)
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			if p.Attributes.Equals(&set) {
				return float64(p.Count)
			}
		}
		return 0
	}
	t.Fatalf("%s has no values: %T", m.Name, m.Data)
	return 0
}

func pointOf[N int64 | float64](t *testing.T, m metricdata.Metrics, points []metricdata.DataPoint[N], set attribute.Set) float64 {
	t.Helper()
	for _, p := range points {
		if p.Attributes.Equals(&set) {
			return float64(p.Value)
		}
	}
	t.Fatalf("%s has no value for %v: %v", m.Name, set.ToSlice(), points)
	return 0
}

// requireKind holds that values are of the kind and with the attributes that a metric is listed with.
func requireKind(t *testing.T, m otelgapless.Metric, data metricdata.Aggregation) {
	t.Helper()
	var sets []attribute.Set
	kind := otelgapless.Gauge
	switch data := data.(type) {
	case metricdata.Gauge[float64]:
		sets = setsOf(data.DataPoints)
	case metricdata.Sum[float64]:
		kind, sets = otelgapless.Counter, setsOf(data.DataPoints)
		require.True(t, data.IsMonotonic)
	case metricdata.Sum[int64]:
		kind, sets = otelgapless.Counter, setsOf(data.DataPoints)
		require.True(t, data.IsMonotonic)
	case metricdata.Histogram[float64]:
		kind = otelgapless.Histogram
		for _, p := range data.DataPoints {
			sets = append(sets, p.Attributes)
		}
	}
	require.Equal(t, m.Kind, kind, m.Name)
	require.NotEmpty(t, sets, m.Name)
	for _, set := range sets {
		var names []string
		for _, a := range set.ToSlice() {
			names = append(names, string(a.Key))
		}
		require.ElementsMatch(t, m.Attributes, names, m.Name)
	}
}

func setsOf[N int64 | float64](points []metricdata.DataPoint[N]) (sets []attribute.Set) {
	for _, p := range points {
		sets = append(sets, p.Attributes)
	}
	return sets
}

package otelgapless

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// ObservePool gives the statistics of a pool to OpenTelemetry, whenever it collects: of its connections under the names that the conventions
// have, and how long callers waited for one. name tells it from other pools. A nil provider is otel.GetMeterProvider(). Unregister ends it.
func ObservePool(pool *pgxpool.Pool, name string, provider metric.MeterProvider) (metric.Registration, error) {
	if pool == nil {
		return nil, errors.New("otelgapless: pool is nil, and must be a *pgxpool.Pool")
	}
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	return register(provider.Meter(scope), SourcePool, func(context.Context) ([]Value, error) {
		return poolValues(pool.Stat(), name), nil
	})
}

func poolValues(stat *pgxpool.Stat, name string) []Value {
	of := attribute.String(attrPool, name)
	state := func(s string) attribute.KeyValue { return attribute.String(attrConnState, s) }
	return []Value{
		{metricPoolCount, float64(stat.IdleConns()), []attribute.KeyValue{of, state(connectionStateIdle)}},
		{metricPoolCount, float64(stat.AcquiredConns()), []attribute.KeyValue{of, state(connectionStateInUse)}},
		{metricPoolMax, float64(stat.MaxConns()), []attribute.KeyValue{of}},
		{metricPoolWaits, float64(stat.EmptyAcquireCount()), []attribute.KeyValue{of}},
		{metricPoolWaitTime, stat.EmptyAcquireWaitTime().Seconds(), []attribute.KeyValue{of}},
		{metricPoolCanceled, float64(stat.CanceledAcquireCount()), []attribute.KeyValue{of}},
		{metricPoolNew, float64(stat.NewConnsCount()), []attribute.KeyValue{of}},
	}
}

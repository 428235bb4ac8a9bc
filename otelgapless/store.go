package otelgapless

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

const (
	defaultMaxAge  = 10 * time.Second
	defaultTimeout = 5 * time.Second
)

// StoreConfig adjusts ObserveStore. Nil and the zero value mean the defaults.
type StoreConfig struct {
	// MeterProvider makes the instruments. Default: otel.GetMeterProvider().
	MeterProvider metric.MeterProvider
	// MaxAge is for how long what was read is given again to whoever collects, however many do: the database is asked no more often. Default:
	// 10 s.
	MaxAge time.Duration
	// Timeout is how long the database may take to answer. Default: 5 s.
	Timeout time.Duration
}

// complete checks a config, and gives a copy with the defaults.
func (c *StoreConfig) complete() (StoreConfig, error) {
	out := StoreConfig{}
	if c != nil {
		out = *c
	}
	if out.MaxAge < 0 || out.Timeout < 0 {
		return out, fmt.Errorf("otelgapless.StoreConfig: MaxAge is %s and Timeout %s, and both must be 0s or more", out.MaxAge, out.Timeout)
	}
	if out.MeterProvider == nil {
		out.MeterProvider = otel.GetMeterProvider()
	}
	if out.MaxAge == 0 {
		out.MaxAge = defaultMaxAge
	}
	if out.Timeout == 0 {
		out.Timeout = defaultTimeout
	}
	return out, nil
}

// ObserveStore gives what the database knows of the store to OpenTelemetry, whenever it collects: one statement for all instruments. One process
// is enough for a store; of several, each gives the same. It needs what reading needs: SELECT on all tables of the schema, and pg_read_all_stats
// to see of other roles' transactions how long they have run. Unregister ends it.
//
// While the database cannot be read there are no values, and otel.Handle gets the error.
func ObserveStore(pool *pgxpool.Pool, config *StoreConfig) (metric.Registration, error) {
	reader, err := NewStoreReader(pool, config)
	if err != nil {
		return nil, err
	}
	return register(reader.config.MeterProvider.Meter(scope), SourceStore, reader.Read)
}

// StoreReader reads the metrics of SourceStore, and keeps them for StoreConfig.MaxAge. It is safe for use by several goroutines.
type StoreReader struct {
	pool   *pgxpool.Pool
	config StoreConfig

	mu     sync.Mutex
	at     time.Time
	values []Value
	err    error
}

// NewStoreReader returns a reader, for code that gives the metrics to something other than OpenTelemetry. A nil config means the defaults.
func NewStoreReader(pool *pgxpool.Pool, config *StoreConfig) (*StoreReader, error) {
	if pool == nil {
		return nil, errors.New("otelgapless: pool is nil, and must be a *pgxpool.Pool")
	}
	complete, err := config.complete()
	return &StoreReader{pool: pool, config: complete}, err
}

// Read gives the values, which are not to be changed. An error is kept too, so that a database that is away is not asked more often.
func (r *StoreReader) Read(ctx context.Context) ([]Value, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.at.IsZero() && time.Since(r.at) < r.config.MaxAge {
		return r.values, r.err
	}
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	r.values, r.err = ReadStore(ctx, r.pool)
	r.at = time.Now()
	return r.values, r.err
}

// register makes observable instruments of all metrics of a source.
func register(meter metric.Meter, source Source, values func(context.Context) ([]Value, error)) (metric.Registration, error) {
	made := map[string]metric.Float64Observable{}
	var all []metric.Observable
	for _, m := range metrics {
		if m.Source != source {
			continue
		}
		var instrument metric.Float64Observable
		var err error
		if m.Kind == Counter {
			instrument, err = meter.Float64ObservableCounter(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Description))
		} else {
			instrument, err = meter.Float64ObservableGauge(m.Name, metric.WithUnit(m.Unit), metric.WithDescription(m.Description))
		}
		if err != nil {
			return nil, err
		}
		made[m.Name], all = instrument, append(all, instrument)
	}
	return meter.RegisterCallback(func(ctx context.Context, observer metric.Observer) error {
		read, err := values(ctx)
		for _, v := range read {
			observer.ObserveFloat64(made[v.Metric], v.Value, metric.WithAttributes(v.Attributes...))
		}
		return err
	}, all...)
}

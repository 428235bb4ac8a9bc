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

// ObserveStore gives what the database knows of the store to OpenTelemetry, whenever it collects: one statement for all instruments. One process
// is enough for a store; of several, each gives the same. It needs what reading needs: SELECT on all tables of the schema, and pg_read_all_stats
// to see of other roles' transactions how long they have run. Unregister ends it.
//
// While the database cannot be read there are no values, and otel.Handle gets the error.
func ObserveStore(pool *pgxpool.Pool, config *StoreConfig) (metric.Registration, error) {
	if pool == nil {
		return nil, errors.New("otelgapless.ObserveStore: pool is nil, and must be a *pgxpool.Pool")
	}
	c := StoreConfig{}
	if config != nil {
		c = *config
	}
	if c.MaxAge < 0 || c.Timeout < 0 {
		return nil, fmt.Errorf("otelgapless.StoreConfig: MaxAge is %s and Timeout %s, and both must be 0s or more", c.MaxAge, c.Timeout)
	}
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	if c.MaxAge == 0 {
		c.MaxAge = defaultMaxAge
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	kept := &keptValues{pool: pool, maxAge: c.MaxAge, timeout: c.Timeout}
	return register(c.MeterProvider.Meter(scope), SourceStore, kept.get)
}

// keptValues are those of the store, read again when they are too old. An error is kept too: a database that is away is not asked more often.
type keptValues struct {
	pool            *pgxpool.Pool
	maxAge, timeout time.Duration

	mu     sync.Mutex
	at     time.Time
	values []Value
	err    error
}

func (k *keptValues) get(ctx context.Context) ([]Value, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.at.IsZero() && time.Since(k.at) < k.maxAge {
		return k.values, k.err
	}
	ctx, cancel := context.WithTimeout(ctx, k.timeout)
	defer cancel()
	k.values, k.err = ReadStore(ctx, k.pool)
	k.at = time.Now()
	return k.values, k.err
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
